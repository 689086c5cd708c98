import { posix, resolve } from 'node:path'
import { isIP } from 'node:net'
import type { Mount } from '../engines/engine.ts'
import { isPlainPath } from '../engines/mounts.ts'
import type { PublishedPort } from '../engines/published-ports.ts'
import { BaleError } from '../errors.ts'
import type { Platform } from '../image/manifest.ts'
import type { NewTarget } from '../platform/builders/new-buildpack.ts'
import { registryHost } from '../stores/settings.ts'

/** Parses `linux/arm64`, `linux/arm/v7`. Undefined if none is given. */
export function parseTargets(texts: readonly string[] | undefined, where: string): Platform[] | undefined {
  return texts?.flatMap(text => text.split(',')).map(text => parsePlatform(text, where))
}

/**
 * Parses the targets of a new buildpack in pack's notation: `linux/amd64`, `linux/arm64:ubuntu@22.04@24.04;debian@13`. Undefined
 * if none is given.
 */
export function parseBuildpackTargets(texts: readonly string[] | undefined, where: string): NewTarget[] | undefined {
  return texts
    ?.flatMap(text => text.split(','))
    .map(text => {
      const [platform = '', ...rest] = text.split(':')
      const distros = rest.length === 0 ? [] : rest.join(':').split(';')
      return {
        platform: parsePlatform(platform, where),
        distros: distros.flatMap(distro => {
          const [, name = '', versions = ''] =
            /^([a-z0-9][a-z0-9._-]*)((?:@[A-Za-z0-9][A-Za-z0-9._-]*)*)$/.exec(distro) ?? []
          if (name === '')
            throw new BaleError('usage', `${JSON.stringify(distro)} in ${JSON.stringify(text)} is not a distribution`, {
              where,
              fix: 'write for example linux/amd64:ubuntu@22.04, with more versions after @ and more distributions after ;',
            })
          return versions === ''
            ? [{ name }]
            : versions
                .slice(1)
                .split('@')
                .map(version => ({ name, version }))
        }),
      }
    })
}

export function parsePlatform(text: string, where: string): Platform {
  const [, os, architecture, variant] = /^([a-z0-9]+)\/([a-z0-9_]+)(?:\/([a-z0-9.]+))?$/.exec(text) ?? []
  if (/^[a-z0-9]+\/[^:]+:/.test(text))
    throw new BaleError('usage', `${JSON.stringify(text)} names distributions, and images are made for platforms`, {
      where,
      fix: `write ${text.replace(/:.*/, '')}; distributions are [[targets.distros]] of a buildpack.toml`,
    })
  if (os === undefined || architecture === undefined)
    throw new BaleError('usage', `${JSON.stringify(text)} is not a platform`, {
      where,
      fix: 'write for example linux/amd64',
    })
  if (os !== 'linux') throw new BaleError('usage', `Bale makes images for Linux, not for ${os}`, { where })
  return { os, architecture, ...(variant !== undefined && { variant }) }
}

/** The architectures that images are built for. */
const architectures = ['amd64', 'arm64']

/**
 * The platforms to build for, separated by commas: `linux/amd64,linux/arm64`.
 * @throws BaleError 'usage' for unknown and for repeated platforms
 */
export function parseBuildPlatforms(text: string | undefined): readonly [Platform, ...Platform[]] | undefined {
  if (text === undefined) return undefined
  const where = '--platform'
  const known = architectures.map(name => `linux/${name}`)
  const bad = (message: string, fix: string) => new BaleError('usage', message, { where, fix })
  const platforms = text.split(',').map(one => {
    const { os, architecture, variant } = parsePlatform(one, where)
    const isKnown = architectures.includes(architecture)
    // The only variant of arm64 is v8, which tools may leave out.
    if (isKnown && (variant === undefined || (architecture === 'arm64' && variant === 'v8')))
      return { os, architecture }
    throw bad(`Bale cannot build images for ${one}`, `write ${known.join(' or ')}, or both: ${known.join(',')}`)
  })
  const twice = platforms.find((p, n) => platforms.findIndex(q => q.architecture === p.architecture) < n)
  if (twice !== undefined) throw bad(`linux/${twice.architecture} is given twice`, 'name each platform once')
  return platforms as [Platform, ...Platform[]]
}

/** The same for a command that takes a single platform. */
export function parseBuildPlatform(text: string | undefined, why: string): Platform | undefined {
  const [first, ...more] = parseBuildPlatforms(text) ?? []
  if (more.length === 0) return first
  throw new BaleError('usage', why, { where: '--platform', fix: 'name one platform' })
}

/** Parses the number of levels of composite buildpacks to show: all without a value or with -1, as in pack. */
export function parseDepth(text: string | undefined): number {
  if (text === undefined || text === '-1') return Infinity
  if (/^[1-9]\d{0,3}$/.test(text)) return Number(text)
  throw new BaleError('usage', `${JSON.stringify(text)} is not a depth`, { where: '--depth', fix: 'write 1 or more' })
}

/** Parses seconds since 1970, or `now`, as pack does. */
export function parseCreationTime(text: string): number {
  if (text === 'now') return Math.floor(Date.now() / 1000)
  if (/^\d{1,11}$/.test(text)) return Number(text)
  throw new BaleError('usage', `${JSON.stringify(text)} is not a time`, {
    where: '--creation-time',
    fix: 'write now, or a number of seconds since 1970',
  })
}

/** The last id, 2^32 - 1, means "no id" (chown(2)). */
const highestId = 2 ** 32 - 2

/** Parses a numeric user or group id. Buildpacks never run as root, but many platforms use group 0. */
export function parseId(text: string | undefined, where: '--uid' | '--gid'): number | undefined {
  if (text === undefined) return undefined
  const lowest = where === '--uid' ? 1 : 0
  if (/^\d{1,10}$/.test(text) && Number(text) >= lowest && Number(text) <= highestId) return Number(text)
  throw new BaleError('usage', `${JSON.stringify(text)} is not a ${where === '--uid' ? 'user' : 'group'} id`, {
    where,
    fix: `write a number from ${lowest} to ${highestId}`,
  })
}

/** Parses registries as host and port. */
export function parseRegistries(texts: readonly string[] | undefined, where: string): string[] {
  return (texts ?? []).flatMap(text => text.split(',')).map(text => parseRegistry(text, where))
}

/** @throws BaleError 'usage' unless the text is `HOST[:PORT]` */
export function parseRegistry(text: string, where: string): string {
  const host = registryHost(text)
  if (/^([A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(:\d{1,5})?$/.test(host)) return host
  throw new BaleError('usage', `${JSON.stringify(text)} is not a registry`, { where, fix: 'write HOST or HOST:PORT' })
}

/** @throws BaleError 'usage' unless the text is `HOST[:PORT][/PATH]` */
export function requireMirror(text: string): void {
  const where = '--mirror'
  parseRegistry(text, where)
  if (/^[^/]+(\/[a-z0-9._-]+)*$/.test(text)) return
  throw new BaleError('usage', `${JSON.stringify(text)} is not a mirror`, { where, fix: 'write HOST[:PORT][/PATH]' })
}

/** Directories that a build mounts itself. */
const taken = ['/cnb', '/layers', '/workspace', '/platform', '/lifecycle', '/proc', '/dev', '/tmp']

/** Directories that every sandbox mounts itself. */
const takenInRuns = ['/proc', '/dev']

/** Parses the volumes of `bale run` like `parseVolumes`, but a volume may cover an image's own directories. */
export const parseRunVolumes = (texts?: readonly string[]): Mount[] => parseVolumes(texts, takenInRuns, 'the sandbox')

/** Parses `HOST:TARGET[:ro|rw]`; a volume is read-only by default. */
export function parseVolumes(texts: readonly string[] = [], own = taken, whose = 'the build'): Mount[] {
  return texts.map(text => {
    const [host = '', path = '', mode = 'ro', ...more] = text.split(':')
    const bad = (why: string, fix = 'write HOST:TARGET or HOST:TARGET:rw'): BaleError =>
      new BaleError('usage', `${JSON.stringify(text)} ${why}`, { where: '--volume', fix })
    if (host === '' || !/^\/[^/]/.test(path) || more.length > 0) throw bad('is not a volume')
    if (mode !== 'ro' && mode !== 'rw') throw bad(`has the mode ${JSON.stringify(mode)}`)
    if (!/^\.{0,2}\//.test(host))
      throw bad('names no directory of this machine: Bale has no named volumes', 'write a path: ./NAME or /DIR/NAME')
    if (!isPlainPath(path))
      throw bad('has a target that is not a normalised absolute path', `write ${posix.resolve(path)}`)
    if (own.some(dir => path === dir || path.startsWith(`${dir}/`)))
      throw bad(`has a target that ${whose} uses itself`, 'choose another target')
    return { hostPath: resolve(host), path, access: mode === 'rw' ? 'read-write' : 'read-only' }
  })
}

/** Parses `[HOST:]PORT:PORT` in Docker's format: the port of this machine comes first. */
export function parsePublished(texts: readonly string[] = []): PublishedPort[] {
  return texts.map(text => {
    const bad = (why: string, fix = 'write PORT:PORT or ADDRESS:PORT:PORT'): BaleError =>
      new BaleError('usage', `${JSON.stringify(text)} ${why}`, { where: '--publish', fix })
    if (/\/(udp|sctp)$/.test(text)) throw bad('is not a TCP port, and only TCP ports can be published')
    const match = /^(?:(\[[0-9A-Fa-f:.]+\]|[0-9.]+|localhost):)?(\d{1,5}):(\d{1,5})(?:\/tcp)?$/.exec(text)
    if (match === null) throw bad('is not a port to publish')
    const host = match[1]?.replace(/^\[(.*)\]$/, '$1')
    if (host !== undefined && host !== 'localhost' && isIP(host) === 0)
      throw bad(`has the address ${host}, which is invalid`)
    const [port, to] = [Number(match[2]), Number(match[3])]
    if ([port, to].some(number => number < 1 || number > 65_535))
      throw bad('has an invalid port', 'ports are 1 to 65535')
    if (port === to && host !== undefined && host !== '0.0.0.0' && host !== '::')
      throw bad(
        'is the port on which the program listens; with the network of this machine, the program itself chooses the address',
        'publish another port, or let the program listen on that address',
      )
    return { host, port, to }
  })
}

/** Parses a level of compression. @throws BaleError 'usage' */
export function parseLevel(text: string): number {
  if (/^\d{1,3}$/.test(text)) return Number(text)
  throw new BaleError('usage', `${JSON.stringify(text)} is not a level of compression`, {
    where: '--compression-level',
    fix: 'write a number: 0 to 9 for gzip, 1 to 22 for zstd',
  })
}

/** Parses how many times a request is retried. */
export function parseRetries(text: string, where: string): number {
  if (/^\d{1,3}$/.test(text)) return Number(text)
  throw new BaleError('usage', `${JSON.stringify(text)} is not a number of retries`, {
    where,
    fix: 'write a number from 0 to 999',
  })
}
