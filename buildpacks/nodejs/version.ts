import semver from 'semver'
import { parseToml } from '../../lifecycle/spec/toml.ts'
import { type App, BuildpackError, type Context, firstSetting } from '../sdk/index.ts'
import type { PackageJson } from './package-json.ts'
import type { Project } from './project.ts'

/** The release lines with long-term support. `lts/NAME` in .nvmrc names one (nodejs.org, "Releases"). */
const ltsLines: Readonly<Record<string, number>> = {
  argon: 4,
  boron: 6,
  carbon: 8,
  dubnium: 10,
  erbium: 12,
  fermium: 14,
  gallium: 16,
  hydrogen: 18,
  iron: 20,
  jod: 22,
  krypton: 24,
}
/** The default release line. It is preferred if several lines satisfy a request. */
export const currentLts = Math.max(...Object.values(ltsLines))

/** A requested version, and the place of the request: `>=22` in `package.json engines.node`. */
export interface VersionRequest {
  readonly spec: string
  readonly where: string
}

/** The first request for a version of Node; undefined if there is none. */
async function requestedVersion(
  { app, env }: Pick<Context, 'app' | 'env'>,
  { engines, devNode }: PackageJson,
): Promise<VersionRequest | undefined> {
  const setting = firstSetting(
    env,
    'BP_NODE_VERSION',
    'GOOGLE_NODEJS_VERSION',
    'GOOGLE_RUNTIME_VERSION',
    'RAILPACK_NODE_VERSION',
  )
  if (setting) return { spec: setting.value, where: setting.name }
  if (engines['node']?.trim()) return { spec: engines['node'].trim(), where: 'package.json engines.node' }
  if (devNode !== undefined) return { spec: devNode, where: 'package.json devEngines.runtime' }
  for (const where of ['.nvmrc', '.node-version']) {
    const spec = firstLine(await app.read(where))
    if (spec !== undefined) return { spec, where }
  }
  return (await fromToolVersions(app)) ?? (await fromMise(app))
}

/** The same for an application in a workspace, whose root may have the version files. */
export async function requestedNode({ env }: Pick<Context, 'env'>, { app, json, root, rootJson }: Project) {
  const own = await requestedVersion({ app, env }, json)
  return own ?? (app === root ? undefined : await requestedVersion({ app: root, env }, rootJson))
}

/** nvm ignores text after `#`, and blank lines. `system` means the machine's own version, which is no request here. */
function firstLine(text = ''): string | undefined {
  const lines = text.split('\n').map(line => line.replace(/#.*/, '').trim())
  const first = lines.find(line => line !== '')
  return first === 'system' ? undefined : first
}

/** asdf's file: one tool per line, then its version and perhaps further versions as fallbacks. */
async function fromToolVersions(app: App): Promise<VersionRequest | undefined> {
  const found = /^[ \t]*(?:nodejs|node)[ \t]+([^\s#]+)/m.exec((await app.read('.tool-versions')) ?? '')
  return found?.[1] === undefined || found[1] === 'system' ? undefined : { spec: found[1], where: '.tool-versions' }
}

/** mise's file: `[tools] node = "24"`, or a list, or a table with a version. */
async function fromMise(app: App): Promise<VersionRequest | undefined> {
  const where = await app.firstOf(['mise.toml', '.mise.toml'])
  if (where === undefined) return undefined
  const { tools } = parseToml((await app.read(where)) ?? '', where)
  const node: unknown = (tools as Record<string, unknown> | undefined)?.['node']
  const first: unknown = Array.isArray(node) ? node[0] : node
  const spec = typeof first === 'object' && first !== null && 'version' in first ? first.version : first
  if (spec === 'system') return undefined
  return typeof spec === 'string' || typeof spec === 'number' ? { spec: String(spec), where } : undefined
}

/** The meaning of a request: one version, or the newest of a range. */
export type Wanted =
  | { readonly kind: 'exact'; readonly version: string }
  | { readonly kind: 'range'; readonly range: string; readonly prefer: 'lts' | 'newest' }

/** @throws BuildpackError for a text that is not a version, range or name */
export function interpret({ spec, where }: VersionRequest): Wanted {
  const name = spec.toLowerCase()
  if (['node', 'latest', 'current', 'stable'].includes(name)) return { kind: 'range', range: '*', prefer: 'newest' }
  if (['lts', 'lts/*', 'active'].includes(name)) return ltsRange(currentLts)
  if (name.startsWith('lts/')) {
    const line = ltsLine(name.slice('lts/'.length))
    if (line !== undefined) return ltsRange(line)
  }
  const version = semver.valid(spec, { loose: true })
  if (version !== null) return { kind: 'exact', version }
  const range = semver.validRange(spec, { loose: true })
  if (range !== null) return { kind: 'range', range, prefer: 'lts' }
  throw new BuildpackError(`${JSON.stringify(spec.slice(0, 100))} is not a version of Node or a range of versions`, {
    where,
    fix: `write for example "${currentLts}.x"`,
  })
}

const ltsRange = (line: number): Wanted => ({ kind: 'range', range: `${line}.x`, prefer: 'lts' })

/** A line by its name `jod`, or by `-1` for the line before the newest. */
function ltsLine(name: string): number | undefined {
  if (/^-\d+$/.test(name)) return Object.values(ltsLines).at(Number(name) - 1)
  return ltsLines[name]
}

/**
 * The newest version in the range. It prefers the current long-term support line, since `>=18` does not ask for a release of last week.
 * @throws BuildpackError that names the available release lines if there is none
 */
export function pickVersion(wanted: Wanted & { kind: 'range' }, published: readonly string[], request: VersionRequest) {
  const lts = wanted.prefer === 'lts' ? published.filter(version => semver.major(version) === currentLts) : []
  const version = semver.maxSatisfying([...lts], wanted.range) ?? semver.maxSatisfying([...published], wanted.range)
  if (version !== null) return version
  const lines = [...new Set(published.map(v => semver.major(v)))].toSorted((a, b) => a - b)
  throw new BuildpackError(`no version of Node satisfies ${JSON.stringify(request.spec)}`, {
    where: request.where,
    fix: `there are versions ${lines[0]} to ${lines.at(-1)}: write for example "${currentLts}.x"`,
  })
}
