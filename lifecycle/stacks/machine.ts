import { execFile } from 'node:child_process'
import { access, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { BaleError, isErrno } from '../errors.ts'
import { type AptSource, findMirrors, type Mirror, namedMirror, parseSources, renderSources } from './sources.ts'

/** How this machine reaches the Debian archive: the configuration for mmdebstrap and for the build image. */
export interface Archive {
  /** The new root's apt sources in deb822 format; undefined: mmdebstrap's own default for the suite. */
  readonly sources: string | undefined
  /** Proxies, certificates and the like from the machine's apt.conf, as lines of an apt.conf. */
  readonly settings: readonly string[]
  /** Debian's keys, if the machine has them as a file. */
  readonly keyring: string | undefined
  /** Other keys that `sources` names. An image needs them to use the sources. */
  readonly extraKeyrings: readonly string[]
  readonly warnings: readonly string[]
}

export interface DebianArchiveOptions {
  readonly suite: string
  readonly components: readonly string[]
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Addresses that take precedence over the machine's sources. */
  readonly mirror?: string | undefined
  readonly securityMirror?: string | undefined
  /** For tests: where the machine's configuration is, instead of `/`. */
  readonly root?: string | undefined
}

export async function findArchive(options: DebianArchiveOptions): Promise<Archive> {
  const { suite, components, root = '/', mirror, securityMirror } = options
  const [found, keyring, settings] = await Promise.all([
    readSources(root).then(findMirrors),
    findKeyring(root),
    readSettings(options.environment),
  ])
  const named = (uri: string) => namedMirror(uri, keyring ?? missingKeyring())
  const main = mirror === undefined ? canonical(found.main, keyring) : named(mirror)
  const security = securityMirror === undefined ? canonical(found.security, keyring) : named(securityMirror)
  if (main === undefined) {
    if (keyring === undefined) missingKeyring()
    return { sources: undefined, settings, keyring, extraKeyrings: [], warnings: [] }
  }
  const paths = [main, security].flatMap(m => m?.signedBy?.match(/^\/\S+|(?<=\s)\/\S+/g) ?? [])
  await Promise.all(paths.map(path => access(path).catch((error: unknown) => missingKeyring(path, error))))
  return {
    sources: renderSources({ main, security }, suite, components),
    settings,
    keyring,
    extraKeyrings: [...new Set(paths)].filter(path => !path.includes('/debian-archive-')),
    warnings: security
      ? []
      : [`this machine's apt sources have no mirror of Debian's security archive, so ${suite}-security is not used`],
  }
}

/**
 * Writes the same mirror identically on every machine, since the text goes into the build image. Lists all of Debian's keys:
 * a machine may be configured to accept only those of its own release.
 */
function canonical(mirror: Mirror | undefined, keyring: string | undefined): Mirror | undefined {
  if (mirror === undefined) return undefined
  const uris = mirror.uris.map(uri => uri.replace(/\/+$/, ''))
  return {
    uris,
    signedBy: mirror.signedBy?.includes('/debian-archive-') ? (keyring ?? mirror.signedBy) : mirror.signedBy,
  }
}

async function readSources(root: string): Promise<AptSource[]> {
  const parts = join(root, 'etc/apt/sources.list.d')
  const names = await readdir(parts).catch(ignoreMissing([] as string[]))
  // apt reads only these two kinds, and sources.list first.
  const files = names.filter(name => /\.(list|sources)$/.test(name)).toSorted()
  const paths = [join(root, 'etc/apt/sources.list'), ...files.map(name => join(parts, name))]
  const texts = await Promise.all(paths.map(path => readFile(path, 'utf8').catch(ignoreMissing(''))))
  const sources = texts.flatMap((text, n) => parseSources(paths[n] ?? '', text))
  return Promise.all(sources.map(async s => ({ ...s, uris: (await Promise.all(s.uris.map(followList))).flat() })))
}

/** Cloud images name a file that lists their mirrors (`mirror+file:/etc/apt/mirrors/debian.list`, apt-transport-mirror(1)). */
async function followList(uri: string): Promise<string[]> {
  const path = /^mirror\+file:(?:\/\/)?(\/.*)$/.exec(uri)?.[1]
  if (path === undefined) return [uri]
  const text = await readFile(path, 'utf8').catch(ignoreMissing(''))
  return text
    .split('\n')
    .map(line => line.trim().split(/\s/)[0] ?? '')
    .filter(word => word !== '' && !word.startsWith('#'))
}

function ignoreMissing<T>(value: T) {
  return (error: unknown): T => {
    if (isErrno(error, 'ENOENT', 'ENOTDIR', 'EACCES')) return value
    throw error
  }
}

async function findKeyring(root: string): Promise<string | undefined> {
  // Debian 13 renamed the file; the old name is a link there, and the only one before it.
  for (const name of ['debian-archive-keyring.gpg', 'debian-archive-keyring.pgp']) {
    const path = join(root, 'usr/share/keyrings', name)
    const found = await access(path).then(
      () => true,
      () => false,
    )
    if (found) return path
  }
  return undefined
}

function missingKeyring(path?: string, cause?: unknown): never {
  throw new BaleError('arguments', 'the keys that sign the Debian archive are not on this machine', {
    where: path ?? '/usr/share/keyrings/debian-archive-keyring.gpg',
    fix: path === undefined || path.includes('debian-archive') ? 'apt-get install debian-archive-keyring' : undefined,
    cause,
  })
}

const carried = /^Acquire::(https?(::|\/)|(Check-Valid-Until|Check-Date|Retries|ForceIPv4|ForceIPv6|Queue-Mode)\b)/i

/**
 * Reads the network settings of the machine's apt.conf. mmdebstrap's apt reads only the configuration of the new root, so
 * without this it would not know a proxy or a private certificate authority.
 */
async function readSettings(environment: DebianArchiveOptions['environment']): Promise<string[]> {
  // %F is the name escaped so that apt reads it again (apt-config(8)).
  const args = ['dump', '--no-empty', '--format', '%F "%v";%n']
  const dump = await promisify(execFile)('apt-config', args, { env: { ...environment }, maxBuffer: 1 << 24 }).catch(
    (error: unknown) => {
      if (isErrno(error, 'ENOENT')) return { stdout: '' } // not a Debian system; mmdebstrap will report what it needs
      throw new BaleError('failed', "the machine's apt configuration cannot be read", {
        where: 'apt-config',
        cause: error,
      })
    },
  )
  return dump.stdout.split('\n').filter(line => carried.test(line))
}
