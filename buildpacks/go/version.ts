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
} from '../sdk/index.ts'
import type { Directive } from './mod-file.ts'
import { modFiles, type Project } from './project.ts'

/** The requested version of Go, and the reason. */
export interface VersionRequest {
  /** semver ranges, all of which apply. */
  readonly ranges: readonly string[]
  /** The reason for users: `go.mod:3 needs at least 1.22`. */
  readonly why: string
  /** The places of the request. */
  readonly where: string
  /** Pins of other places. They apply if a version satisfies all. */
  readonly wishes: readonly Wish[]
  /** Two places contradict each other for every version. */
  readonly warning?: string
}

interface Wish extends Directive {
  readonly range: string
}

/**
 * The request of a setting, else of a pin, combined with every go.mod's `go` line: a Go that is older than the line refuses to build.
 * @throws BuildpackError for an invalid version
 */
export async function requestedVersion(
  { app, env }: Pick<Context, 'app' | 'env'>,
  project: Project,
): Promise<VersionRequest> {
  const oldest = oldestAllowed(project)
  const bound = oldest && `>=${versionOf(oldest)}`
  const needs = oldest && `${oldest.where} needs at least ${oldest.value}`
  const set = setting(env)
  const pins = set ? [set] : await pinned(app, project)
  const [asked, ...others] = pins
  if (asked === undefined) {
    const none = { wishes: [], where: oldest?.where ?? 'default' }
    if (bound === undefined) return { ...none, ranges: ['*'], why: 'the newest, as nothing requests another' }
    return { ...none, ranges: [bound], why: `the newest, and ${needs}` }
  }
  const range = toRange(asked)
  const why = `${asked.where} asks for ${asked.value}`
  const wishes = others.map(pin => ({ ...pin, range: toRange(pin) }))
  if (bound === undefined) return { ranges: [range], why, where: asked.where, wishes }
  if (!semver.intersects(range, bound, { includePrerelease: true })) {
    return { ranges: [bound], why: needs ?? '', where: oldest?.where ?? '', wishes, warning: `${why}, but ${needs}` }
  }
  return { ranges: [range, bound], why, where: `${asked.where} and ${oldest?.where}`, wishes }
}

/** The requests that the chosen version breaks: both places for the warning. */
export function contradictions({ why, wishes, warning }: VersionRequest, version: string): string[] {
  const broken = wishes.filter(({ range }) => !semver.satisfies(toSemver(version), range, { includePrerelease: true }))
  return [
    ...(warning === undefined ? [] : [warning]),
    ...broken.map(({ value, where }) => `${why}, but ${where} for ${value}`),
  ]
}

function setting(env: Readonly<Record<string, string>>): Directive | undefined {
  const names = ['BP_GO_VERSION', 'GOOGLE_GO_VERSION', 'GOOGLE_RUNTIME_VERSION', 'RAILPACK_GO_VERSION', 'GOVERSION']
  const found = firstSetting(env, ...names)
  return found && { value: found.value, where: found.name }
}

/** The versions that files pin, by precedence. */
async function pinned(app: App, project: Project): Promise<Directive[]> {
  const files = modFiles(project)
  const heroku = files.map(file => file.heroku['goVersion']).find(Boolean)
  const others = await fromEach([
    fromVersionFile(app, '.go-version'),
    fromToolVersions(app, 'golang', 'go'),
    fromMise(app, 'go'),
  ])
  const pins = [...(heroku ? [heroku] : []), ...others]
  const toolchain = newest(files.map(file => file.toolchain).filter(isToolchain))
  if (toolchain === undefined) return pins
  // The line names the oldest Go that its authors want, as Go itself interprets it. Without another pin it is the pin.
  return pins.length === 0 ? [toolchain] : [...pins, { ...toolchain, value: `>=${toSemver(toolchain.value)}` }]
}

/** A toolchain line may also say `default` or `local`, which is not a version. */
function isToolchain(line: Directive | undefined): line is Directive {
  return line !== undefined && /^go\d/.test(line.value)
}

function oldestAllowed(project: Project): Directive | undefined {
  return newest(modFiles(project).flatMap(({ go }) => (go === undefined ? [] : [go])))
}

function newest(lines: readonly Directive[]): Directive | undefined {
  return lines.toSorted((a, b) => semver.rcompare(versionOf(a), versionOf(b)))[0]
}

function versionOf({ value, where }: Directive): string {
  const version = toSemver(value)
  if (semver.valid(version) !== null) return version
  throw new BuildpackError(`${JSON.stringify(value.slice(0, 100))} is not a version of Go`, {
    where,
    fix: 'write for example "1.25"',
  })
}

/** `1.22` becomes 1.22.0, `1.23rc1` becomes 1.23.0-rc.1. A suffix after a dash is a builder's own: `go1.24.1-custom`. */
export function toSemver(version: string): string {
  const parts = /^(?:go)?(\d+)(?:\.(\d+))?(?:\.(\d+))?(?:(beta|rc|alpha)(\d+))?(?:-.*)?$/.exec(version.trim())
  if (parts === null) return version
  const [, major, minor = '0', patch = '0', kind, number] = parts
  return `${major}.${minor}.${patch}${kind === undefined ? '' : `-${kind}.${number}`}`
}

/** Go's own name for a version: there are 1.20 and 1.21.0, but neither 1.20.0 nor 1.21. */
export function toGoVersion(version: string): string {
  const { major, minor, patch, prerelease } = semver.parse(version, {}, true)
  const [kind, number] = prerelease
  const suffix = kind === undefined ? '' : `${kind}${number}`
  const short = patch === 0 && (suffix !== '' || minor < 21)
  return `${major}.${minor}${short ? '' : `.${patch}`}${suffix}`
}

/** `go1.22` and `1.22.x` mean any 1.22; `=1.22.3`, `^1.22`, `>=1.21 <1.24` have semver's meaning. */
function toRange({ value, where }: Directive): string {
  const spec = value.trim().replaceAll(/\bgo(?=\d)/g, '')
  if (['latest', 'stable'].includes(spec.toLowerCase())) return '*'
  const range = semver.validRange(/^\d+\.\d+(rc|beta)\d+$/.test(spec) ? toSemver(spec) : spec, { loose: true })
  if (range !== null) return range
  throw new BuildpackError(`${JSON.stringify(value.slice(0, 100))} is not a version of Go or a range of versions`, {
    where,
    fix: 'write for example "1.25" or "1.25.3"',
  })
}

/** The version nearest to one that does not exist. */
export function nearestVersion(wanted: string, published: readonly string[]): string | undefined {
  const number = (version: string) => {
    const { major, minor, patch } = semver.parse(toSemver(version), {}, true)
    return (major * 1000 + minor) * 1000 + patch
  }
  const releases = published.filter(version => /^\d+(\.\d+)*$/.test(version))
  const distance = (version: string) => Math.abs(number(version) - number(wanted))
  return releases.toSorted((a, b) => distance(a) - distance(b))[0]
}

/** The only version that a request allows, if there is one: then the list of versions is not needed. */
export function exactVersion({ ranges }: VersionRequest): string | undefined {
  const version = semver.valid(ranges[0])
  const fits = version !== null && ranges.every(r => semver.satisfies(version, r, { includePrerelease: true }))
  return fits ? version : undefined
}

/** True if a version satisfies the request. A prerelease does so only if the request names one. */
export function satisfies({ ranges }: VersionRequest, version: string): boolean {
  return ranges.every(range => semver.satisfies(version, range))
}

/**
 * The newest version that satisfies the request.
 * @param published versions in Go's notation
 * @throws BuildpackError that names the newest version if there is none
 */
export function pickVersion(request: VersionRequest, published: readonly string[]): string {
  const versions = published.map(toSemver).filter(version => semver.valid(version) !== null)
  const fitting = versions.filter(v => satisfies(request, v)).toSorted(semver.rcompare)
  const version = fitting.find(v => request.wishes.every(({ range }) => semver.satisfies(v, range))) ?? fitting[0]
  if (version !== undefined) return version
  const newestOfAll = semver.maxSatisfying(versions, '*')
  throw new BuildpackError(
    `no version of Go satisfies ${JSON.stringify(request.ranges.join(' and '))}: ${request.why}`,
    {
      where: request.where,
      fix: newestOfAll === null ? 'check GOPROXY' : `the newest is ${toGoVersion(newestOfAll)}`,
    },
  )
}
