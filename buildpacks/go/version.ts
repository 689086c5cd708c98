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

/** The version of Go that is wanted, and why. */
export interface VersionRequest {
  /** Ranges of semver's, which all hold. */
  readonly ranges: readonly string[]
  /** For people: `go.mod:3 needs at least 1.22`. */
  readonly why: string
  /** The places that ask. */
  readonly where: string
  /** Pins of other places, which hold if there is a version for all. */
  readonly wishes: readonly Wish[]
  /** Two places contradict each other, whatever version is chosen. */
  readonly warning?: string
}

interface Wish extends Directive {
  readonly range: string
}

/**
 * A setting, else a pin, and what every go.mod needs: a Go that is older than the `go` line refuses to build.
 * @throws BuildpackError for what is no version
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
    if (bound === undefined) return { ...none, ranges: ['*'], why: 'the newest, as nothing asks for another' }
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

/** What the chosen version breaks: both places for the warning. */
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

/** The versions that files pin, the first of which wins. */
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
  // It is the oldest Go that its authors want, as Go itself takes it, and a pin where there is no other.
  return pins.length === 0 ? [toolchain] : [...pins, { ...toolchain, value: `>=${toSemver(toolchain.value)}` }]
}

/** A toolchain line may also say `default` or `local`, which is no version. */
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

/** `1.22` is 1.22.0, `1.23rc1` is 1.23.0-rc.1, and what follows a dash is a builder's own: `go1.24.1-custom`. */
export function toSemver(version: string): string {
  const parts = /^(?:go)?(\d+)(?:\.(\d+))?(?:\.(\d+))?(?:(beta|rc|alpha)(\d+))?(?:-.*)?$/.exec(version.trim())
  if (parts === null) return version
  const [, major, minor = '0', patch = '0', kind, number] = parts
  return `${major}.${minor}.${patch}${kind === undefined ? '' : `-${kind}.${number}`}`
}

/** Go's own name of a version: there are 1.20 and 1.21.0, and neither 1.20.0 nor 1.21. */
export function toGoVersion(version: string): string {
  const { major, minor, patch, prerelease } = semver.parse(version, {}, true)
  const [kind, number] = prerelease
  const suffix = kind === undefined ? '' : `${kind}${number}`
  const short = patch === 0 && (suffix !== '' || minor < 21)
  return `${major}.${minor}${short ? '' : `.${patch}`}${suffix}`
}

/** `go1.22` and `1.22.x` are any 1.22; `=1.22.3`, `^1.22`, `>=1.21 <1.24` are as semver has them. */
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

/** The version that is nearest to one that there is not. */
export function nearestVersion(wanted: string, published: readonly string[]): string | undefined {
  const number = (version: string) => {
    const { major, minor, patch } = semver.parse(toSemver(version), {}, true)
    return (major * 1000 + minor) * 1000 + patch
  }
  const releases = published.filter(version => /^\d+(\.\d+)*$/.test(version))
  const distance = (version: string) => Math.abs(number(version) - number(wanted))
  return releases.toSorted((a, b) => distance(a) - distance(b))[0]
}

/** The one version that a request allows, if it is so narrow: then nobody needs to ask which versions there are. */
export function exactVersion({ ranges }: VersionRequest): string | undefined {
  const version = semver.valid(ranges[0])
  const fits = version !== null && ranges.every(r => semver.satisfies(version, r, { includePrerelease: true }))
  return fits ? version : undefined
}

/** True if a version satisfies the request; a prerelease only does if one is asked for. */
export function satisfies({ ranges }: VersionRequest, version: string): boolean {
  return ranges.every(range => semver.satisfies(version, range))
}

/**
 * The newest version that satisfies the request.
 * @param published versions as Go writes them
 * @throws BuildpackError if there is none, naming the newest there is
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
      fix: newestOfAll === null ? 'check GOPROXY' : `the newest there is: ${toGoVersion(newestOfAll)}`,
    },
  )
}
