import { parseToml } from '../../lifecycle/spec/toml.ts'
import type { App } from './app.ts'
import type { Log } from './log.ts'

/** A requested version, and the place of the request. */
export interface VersionRequest {
  readonly value: string
  readonly where: string
}

/** Whether a line of a version manager's file requests a version: `system` and `path:` refer to the developer's machine. */
const asksForVersion = (text: string): boolean => !/^(?:system$|path:)/.test(text)

/** The version in a file that holds nothing else, such as `.python-version` or `.nvmrc`: its first line that is not a comment. */
export async function fromVersionFile(app: App, where: string): Promise<VersionRequest | undefined> {
  const lines = ((await app.read(where)) ?? '').split('\n').map(line => line.replace(/#.*/, '').trim())
  const value = lines.find(line => line !== '')
  return value === undefined || !asksForVersion(value) ? undefined : { value, where }
}

/** The files of asdf and mise, which hold the versions of many tools. `tools` are the names of one: `nodejs`, `node`. */
export async function fromToolFiles(app: App, ...tools: string[]): Promise<VersionRequest | undefined> {
  return (await fromToolVersions(app, ...tools)) ?? (await fromMise(app, ...tools))
}

/** The requests of several places, in the same order: the first wins, and the others may contradict it. */
export async function fromEach(places: readonly Promise<VersionRequest | undefined>[]): Promise<VersionRequest[]> {
  return (await Promise.all(places)).filter(found => found !== undefined)
}

/** asdf's `.tool-versions`: a line for each tool, the preferred version first. */
export async function fromToolVersions(app: App, ...tools: string[]): Promise<VersionRequest | undefined> {
  const [, value] = (await toolVersions(app)).find(([tool]) => tools.includes(tool)) ?? []
  return value === undefined || !asksForVersion(value) ? undefined : { value, where: '.tool-versions' }
}

async function toolVersions(app: App): Promise<(readonly [tool: string, value: string])[]> {
  return ((await app.read('.tool-versions')) ?? '').split('\n').flatMap(line => {
    const [tool = '', value] = line.replace(/#.*/, '').trim().split(/\s+/)
    return value === undefined ? [] : [[tool, value] as const]
  })
}

/** mise's `[tools]`: `python = "3.13"`, a list, or a table with a version. */
export async function fromMise(app: App, ...names: string[]): Promise<VersionRequest | undefined> {
  const { where, tools } = await miseTools(app)
  const [, value] = names.flatMap(name => tools.filter(([tool]) => tool === name))[0] ?? []
  return value === undefined || !asksForVersion(value) ? undefined : { value, where }
}

async function miseTools(app: App): Promise<{ where: string; tools: readonly (readonly [string, string])[] }> {
  const where = await app.firstOf(['mise.toml', '.mise.toml', 'mise/config.toml', '.config/mise.toml'])
  if (where === undefined) return { where: '', tools: [] }
  const { tools } = parseToml((await app.read(where)) ?? '', where)
  if (typeof tools !== 'object' || tools === null) return { where, tools: [] }
  const found = Object.entries(tools).flatMap(([tool, wanted]: readonly [string, unknown]) => {
    const first: unknown = Array.isArray(wanted) ? wanted[0] : wanted
    const value = typeof first === 'object' && first !== null && 'version' in first ? first.version : first
    return typeof value === 'string' || typeof value === 'number' ? [[tool, String(value)] as const] : []
  })
  return { where, tools: found.filter(([, value]) => value !== '') }
}

/** Reports the lines of version managers' files that name a folder of the developer's machine, which the build does not have. */
export async function noteFolders(app: App, log: Log): Promise<void> {
  const { where, tools } = await miseTools(app)
  const all = [
    ...(await toolVersions(app)).map(entry => ['.tool-versions', ...entry]),
    ...tools.map(t => [where, ...t]),
  ]
  for (const [file, tool, value = ''] of all) {
    if (value.startsWith('path:'))
      log.info(`${file}: ${tool} ${value} is a directory of another machine, so it is ignored`)
  }
}
