import semver from 'semver'
import {
  type App,
  BuildpackError,
  type Context,
  firstSetting,
  fromEach,
  fromMise,
  fromToolVersions,
  fromVersionFile,
  type VersionRequest,
} from '../sdk/index.ts'
import { nearest } from '../sdk/version-order.ts'
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

/**
 * All requests for a version of Node, the strongest first. A setting replaces the files' pins, and the ranges of package.json still apply.
 * In a workspace, those of the application come before those of the root.
 */
export async function requestedNode(
  { env }: Pick<Context, 'env'>,
  { app, json, dir, root, rootJson }: Project,
): Promise<readonly VersionRequest[]> {
  const setting = firstSetting(
    env,
    'BP_NODE_VERSION',
    'GOOGLE_NODEJS_VERSION',
    'GOOGLE_RUNTIME_VERSION',
    'RAILPACK_NODE_VERSION',
  )
  const folders = [
    ...(app === root ? [] : [{ app, json, prefix: `${dir}/` }]),
    { app: root, json: rootJson, prefix: '' },
  ]
  const found = folders.map(async ({ app, json, prefix }) => {
    const requests = [...rangesOf(json), ...(setting ? [] : await pinsOf(app, json))]
    return requests.map(({ value, where }) => ({ value, where: `${prefix}${where}` }))
  })
  const requests = (await Promise.all(found)).flat()
  return setting ? [{ value: setting.value, where: setting.name }, ...requests] : requests
}

function rangesOf({ engines, devNode }: PackageJson): VersionRequest[] {
  const ranges = [
    { value: engines['node']?.trim() ?? '', where: 'package.json engines.node' },
    { value: devNode ?? '', where: 'package.json devEngines.runtime' },
  ]
  return ranges.filter(({ value }) => value !== '')
}

async function pinsOf(app: App, { volta }: PackageJson): Promise<VersionRequest[]> {
  const value = volta['node']?.trim()
  return fromEach([
    Promise.resolve(value ? { value, where: 'package.json volta.node' } : undefined),
    fromVersionFile(app, '.nvmrc'),
    fromVersionFile(app, '.node-version'),
    fromToolVersions(app, 'nodejs', 'node'),
    fromMise(app, 'node', 'nodejs'),
  ])
}

/** The meaning of a request: one version, or the newest of a range. */
export type Wanted =
  | { readonly kind: 'exact'; readonly version: string }
  | { readonly kind: 'range'; readonly range: string; readonly prefer: 'lts' | 'newest' }

/** undefined for a text that is not a version, range or name */
function interpret(value: string): Wanted | undefined {
  // asdf writes lts-jod for lts/jod.
  const name = value.toLowerCase().replace(/^lts-(?=[a-z])/, 'lts/')
  if (['node', 'latest', 'current', 'stable'].includes(name)) return { kind: 'range', range: '*', prefer: 'newest' }
  if (['lts', 'lts/*', 'active'].includes(name)) return ltsRange(currentLts)
  if (name.startsWith('lts/')) {
    const line = ltsLine(name.slice('lts/'.length))
    if (line !== undefined) return ltsRange(line)
  }
  const version = semver.valid(value, { loose: true })
  if (version !== null) return { kind: 'exact', version }
  const range = semver.validRange(value, { loose: true })
  return range === null ? undefined : { kind: 'range', range, prefer: 'lts' }
}

const notVersion = (value: string): string =>
  `${JSON.stringify(value.slice(0, 100))} is not a version of Node or a range of versions`

const ltsRange = (line: number): Wanted => ({ kind: 'range', range: `${line}.x`, prefer: 'lts' })

/** A line by its name `jod`, or by `-1` for the line before the newest. */
function ltsLine(name: string): number | undefined {
  if (/^-\d+$/.test(name)) return Object.values(ltsLines).at(Number(name) - 1)
  return ltsLines[name]
}

export interface ChosenNode {
  readonly version: string
  /** The request that decides: the first exact one, else the first. */
  readonly request: VersionRequest
  /** The requests that the version satisfies, as text. */
  readonly why: string
  /** The later requests that have no effect. */
  readonly warnings: readonly Warning[]
}

interface Warning {
  /** The reason, with the places. */
  readonly text: string
  readonly fix: string
}

/**
 * The newest version that satisfies all requests. If there is none, the later request of two that contradict each other has no effect.
 * @param published lists the versions of the registry; not called if the first request names one version
 * @throws BuildpackError if the first request is not a version, or if no version satisfies it
 */
export async function chooseNode(
  [first, ...others]: readonly [VersionRequest, ...VersionRequest[]],
  published: () => Promise<readonly string[]>,
): Promise<ChosenNode> {
  const kept = [{ ...first, wanted: interpretFirst(first) }]
  const warnings: Warning[] = []
  for (const request of others) {
    const wanted = interpret(request.value)
    const fits = wanted !== undefined && (await fitting([...kept, { ...request, wanted }], published)).length > 0
    if (fits) kept.push({ ...request, wanted })
    else warnings.push(withoutEffect(request, wanted, kept))
  }
  const versions = await fitting(kept, published)
  const version = newest(versions, kept)
  if (version === undefined) throw unsatisfied(first, await published())
  const request = kept.find(({ wanted }) => wanted.kind === 'exact') ?? first
  return { version, request, why: describe(kept), warnings }
}

function interpretFirst({ value, where }: VersionRequest): Wanted {
  const wanted = interpret(value)
  if (wanted !== undefined) return wanted
  throw new BuildpackError(notVersion(value), { where, fix: `write for example "${currentLts}.x"` })
}

type Understood = VersionRequest & { readonly wanted: Wanted }

/** A later request must fit a published version: the registry has fewer versions for arm64 than for amd64. */
async function fitting(requests: readonly Understood[], published: () => Promise<readonly string[]>) {
  const first = requests[0]?.wanted
  const versions = first?.kind === 'exact' ? [first.version] : await published()
  return versions.filter(version => meetsAll(version, requests))
}

function withoutEffect(
  { value, where }: VersionRequest,
  wanted: Wanted | undefined,
  kept: readonly Understood[],
): Warning {
  if (wanted === undefined)
    return { text: `${where} has no effect: ${notVersion(value)}`, fix: `Write for example "${currentLts}.x".` }
  if (wanted.kind === 'exact' && meetsAll(wanted.version, kept)) {
    return {
      text: `${where} asks for ${value}, which has no effect: the registry has no Node ${wanted.version} for this architecture`,
      fix: `Write for example "${semver.major(wanted.version)}.x".`,
    }
  }
  return {
    text: `${describe(kept)}, but ${where} for ${value}, which has no effect`,
    fix: 'Change one of the two.',
  }
}

/** `package.json engines.node asks for >=18, .nvmrc for 20`. */
function describe([first, ...others]: readonly VersionRequest[]): string {
  const rest = others.map(({ value, where }) => `, ${where} for ${value}`)
  return `${first?.where} asks for ${first?.value}${rest.join('')}`
}

function meetsAll(version: string, requests: readonly Understood[]): boolean {
  return requests.every(({ wanted }) => meets(version, wanted))
}

function meets(version: string, wanted: Wanted): boolean {
  return wanted.kind === 'exact' ? semver.eq(version, wanted.version) : semver.satisfies(version, wanted.range)
}

/** It prefers the current long-term support line, since `>=18` does not ask for a release of last week. */
function newest(versions: readonly string[], requests: readonly Understood[]): string | undefined {
  const sorted = versions.toSorted(semver.rcompare)
  if (requests.some(({ wanted }) => wanted.kind === 'range' && wanted.prefer === 'newest')) return sorted[0]
  return sorted.find(version => semver.major(version) === currentLts) ?? sorted[0]
}

function unsatisfied({ value, where }: VersionRequest, published: readonly string[]): BuildpackError {
  const lines = [...new Set(published.map(version => semver.major(version)))].toSorted((a, b) => a - b)
  return new BuildpackError(`no version of Node satisfies ${JSON.stringify(value)}`, {
    where,
    fix: `there are versions ${lines[0]} to ${lines.at(-1)}: write for example "${currentLts}.x"`,
  })
}

/** The error for a version that the registry does not have. */
export function unpublishedNode(version: string, where: string, published: readonly string[]) {
  const releases = published.filter(each => semver.prerelease(each) === null)
  return new BuildpackError(`there is no Node ${version}`, {
    where,
    fix: `the nearest is ${nearest(releases, version)}; "${currentLts}.x" is the newest of the long-term support line`,
  })
}
