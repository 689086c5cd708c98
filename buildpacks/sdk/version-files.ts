import { parseToml } from '../../lifecycle/spec/toml.ts'
import type { App } from './app.ts'

/** A version as somebody asked for it, and where. */
export interface VersionRequest {
  readonly value: string
  readonly where: string
}

/** A file that holds one version and nothing else, `.python-version` or `.nvmrc`: its first line that is no comment. */
export async function fromVersionFile(app: App, where: string): Promise<VersionRequest | undefined> {
  const lines = ((await app.read(where)) ?? '').split('\n').map(line => line.replace(/#.*/, '').trim())
  const value = lines.find(line => line !== '')
  return value === undefined ? undefined : { value, where }
}

/** The files of asdf and mise, which hold the versions of many tools. `tools` are the names of one: `nodejs`, `node`. */
export async function fromToolFiles(app: App, ...tools: string[]): Promise<VersionRequest | undefined> {
  return (await fromToolVersions(app, ...tools)) ?? (await fromMise(app, ...tools))
}

/** What some places ask for, in the order of the places: the first wins, and the others may contradict it. */
export async function fromEach(places: readonly Promise<VersionRequest | undefined>[]): Promise<VersionRequest[]> {
  return (await Promise.all(places)).filter(found => found !== undefined)
}

/** asdf's `.tool-versions`: a line for each tool, the preferred version first. */
export async function fromToolVersions(app: App, ...tools: string[]): Promise<VersionRequest | undefined> {
  for (const line of ((await app.read('.tool-versions')) ?? '').split('\n')) {
    const [tool = '', value] = line.replace(/#.*/, '').trim().split(/\s+/)
    if (tools.includes(tool) && value !== undefined) return { value, where: '.tool-versions' }
  }
  return undefined
}

/** mise's `[tools]`: `python = "3.13"`, a list, or a table with a version. */
export async function fromMise(app: App, ...names: string[]): Promise<VersionRequest | undefined> {
  const where = await app.firstOf(['mise.toml', '.mise.toml', 'mise/config.toml', '.config/mise.toml'])
  if (where === undefined) return undefined
  const { tools } = parseToml((await app.read(where)) ?? '', where)
  if (typeof tools !== 'object' || tools === null) return undefined
  const wanted: unknown = names.map(name => (tools as Record<string, unknown>)[name]).find(Boolean)
  const first: unknown = Array.isArray(wanted) ? wanted[0] : wanted
  const value = typeof first === 'object' && first !== null && 'version' in first ? first.version : first
  return typeof value === 'string' || typeof value === 'number' ? { value: String(value), where } : undefined
}
