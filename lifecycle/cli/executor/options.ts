import { BaleError } from '../../errors.ts'
import { type KnownHelper, knownHelpers } from '../../stores/credentials/known-helpers.ts'
import type { Registries, RegistrySettings } from '../../stores/registry-settings.ts'
import { parseRetries } from '../values.ts'
import { dockerHub, parseReference, repositoryName } from '../../image/reference.ts'
import { hostPlatform, registryHost } from '../../stores/settings.ts'
import type { GlobalOptions } from '../context.ts'
import { type Parsed, kanikoFlags } from './flags.ts'

/** A call of kaniko's executor, as options of `bale build`. */
export interface ExecutorCall {
  readonly image: string
  readonly options: GlobalOptions
  /** The settings of registries from the flags. */
  readonly registries: Registries
  readonly attempts: number | undefined
  readonly knownHelpers: readonly KnownHelper[]
  /** A directory for all caches. */
  readonly cacheDir: string | undefined
  /** For the log: what differs from kaniko. */
  readonly notes: readonly string[]
}

/** @throws BaleError 'usage' for unusable values, and flags that exclude each other */
export function mapFlags(flags: Parsed): ExecutorCall {
  const [image, ...tags] = destinationsOf(flags)
  const cache = flags.has('cache')
  checkPlatform(flags.text('custom-platform') ?? flags.text('customPlatform'))
  const options: GlobalOptions = {
    path: contextOf(flags),
    subPath: flags.text('context-sub-path'),
    tag: tags,
    publish: !flags.has('no-push'),
    env: flags.list('build-arg'),
    secret: flags.list('secret'),
    label: flags.list('label'),
    annotation: flags.list('annotation'),
    ...(cache ? cacheOf(flags) : {}),
    compression: compressionOf(flags.text('compression')),
    // kaniko's -1 means the default level.
    compressionLevel: flags.text('compression-level') === '-1' ? undefined : flags.text('compression-level'),
    digestFile: flags.text('digest-file'),
    imageNameWithDigestFile: flags.text('image-name-with-digest-file'),
    imageNameTagWithDigestFile: flags.text('image-name-tag-with-digest-file'),
    ...logOf(flags),
  }
  return {
    image,
    options,
    registries: registriesOf(flags),
    attempts: attemptsOf(flags),
    knownHelpers: helpersOf(flags),
    cacheDir: cache ? flags.text('cache-dir') : undefined,
    notes: notesOf(flags),
  }
}

/** The source. A branch of --git is a part of the address. */
function contextOf(flags: Parsed): string {
  const context = flags.text('context') ?? 'dir:///workspace'
  if (flags.text('bucket') !== undefined)
    throw new BaleError('usage', 'Bale reads no buckets', {
      where: '--bucket',
      fix: 'fetch the archive of the source first, and write --context tar://FILE',
    })
  const settings = flags.list('git').flatMap(text => text.split(','))
  const branch = settings.flatMap(branchOf).at(-1)
  if (branch === undefined || !/^git(\+\w+)?:\/\//.test(context)) return context
  const ref = `refs/heads/${branch}`
  const [address = '', named = ref] = context.split('#')
  if (named === ref) return context.includes('#') ? context : `${address}#${ref}`
  throw new BaleError('usage', `the context names ${named}, and --git another branch`, {
    where: `--git branch=${branch}`,
    fix: 'leave one of them out',
  })
}

/** @throws BaleError 'usage' for what Bale does not do with a repository */
function branchOf(setting: string): string[] {
  const [name, value = ''] = setting.split('=')
  if (name === 'branch' && value !== '') return [value]
  // Bale fetches one commit.
  if (name === 'single-branch' || setting === '' || value === 'false' || setting === 'branch=') return []
  throw new BaleError('usage', 'Bale does not do this with a repository', {
    where: `--git ${setting}`,
    fix:
      name === 'recurse-submodules'
        ? 'clone the repository with its submodules first, and write --context dir://DIR'
        : 'leave it out; for a server with another certificate authority, set GIT_SSL_CAINFO',
  })
}

/** Bale builds for this machine's platform. Silently building for another platform than the given one would be wrong. */
function checkPlatform(platform: string | undefined): void {
  const { os, architecture } = hostPlatform()
  const own = `${os}/${architecture}`
  if (platform === undefined || platform === own || platform.startsWith(`${own}/`)) return
  throw new BaleError('usage', `this builder image makes an image for ${own}`, {
    where: `--custom-platform ${platform}`,
    fix: `run the job on a machine for ${platform}, in the builder image for it`,
  })
}

function destinationsOf(flags: Parsed): [string, ...string[]] {
  const named = flags.list('destination').flatMap(text => text.split(','))
  const tar = flags.text('tar-path') ?? flags.text('tarPath')
  const layout = flags.text('oci-layout-path')
  const [name] = named
  if (name === undefined && !flags.has('no-push'))
    throw new BaleError('usage', 'the image has no destination', {
      where: '--destination',
      fix: 'write --destination REGISTRY/IMAGE:TAG, or --no-push',
    })
  for (const text of named) parseReference(text)
  const files = [
    ...(tar === undefined ? [] : [`docker-archive:${tar}${name === undefined ? '' : `:${name}`}`]),
    ...(layout === undefined ? [] : [`oci:${layout}`]),
  ]
  const [first, ...others] = flags.has('no-push') ? files : [...named, ...files]
  // With no destination, the image stays in the store of this container.
  return first === undefined ? [name ?? 'bale.local/executor'] : [first, ...others]
}

/** The cache shared with other jobs: the image of --cache-repo, or one named after the destination. Without both, none. */
function cacheOf(flags: Parsed): Pick<GlobalOptions, 'cacheFrom' | 'cacheTo'> {
  const ref = cacheImageOf(flags)
  if (ref === undefined) return {}
  const location = `type=registry,ref=${ref}`
  const ttl = minutesOf(flags.text('cache-ttl'))
  const to = ttl === undefined ? location : `${location},ttl=${ttl}m`
  return { cacheFrom: [location], cacheTo: flags.has('no-push-cache') ? [] : [to] }
}

/** Parses a duration in Go's format into minutes: `336h`, `1h30m0s`. */
function minutesOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const [all, hours = 0, minutes = 0, seconds = 0] =
    /^(?:(\d{1,5})h)?(?:(\d{1,7})m)?(?:(\d{1,9})(?:\.\d+)?s)?$/.exec(text) ?? []
  const total = Math.ceil(Number(hours) * 60 + Number(minutes) + Number(seconds) / 60)
  if (all !== undefined && total >= 1 && total < 1e6) return total
  throw new BaleError('usage', `${JSON.stringify(text)} is not a duration`, {
    where: '--cache-ttl',
    fix: 'write for example 336h',
  })
}

function cacheImageOf(flags: Parsed): string | undefined {
  const repo = flags.text('cache-repo')
  if (repo !== undefined) return repo
  const [destination] = flags.list('destination')
  if (destination === undefined) return undefined
  return `${repositoryName(parseReference(destination)).replace(dockerHub, 'docker.io')}/cache`
}

function compressionOf(text: string | undefined): GlobalOptions['compression'] {
  if (text === undefined || text === 'gzip' || text === 'zstd') return text
  throw new BaleError('usage', `${JSON.stringify(text)} is not a known compression`, {
    where: '--compression',
    fix: 'use gzip or zstd',
  })
}

/**
 * Without the flag, only a GitLab job's own login: kaniko contains the programs of cloud providers, and Bale does not. An empty value
 * means no helper.
 */
function helpersOf(flags: Parsed): readonly KnownHelper[] {
  if (!flags.names.includes('credential-helpers')) return ['gitlab']
  const named = flags.list('credential-helpers').flatMap(text => text.split(','))
  return named.flatMap(name => {
    if (name === '' || name === 'env') return []
    const known = knownHelpers.find(helper => helper === name)
    if (known !== undefined) return [known]
    throw new BaleError('usage', `${JSON.stringify(name)} is not a known credential helper`, {
      where: '--credential-helpers',
      fix: `use ${knownHelpers.join(', ')}; name any other one in credHelpers of Docker’s config.json`,
    })
  })
}

function attemptsOf(flags: Parsed): number | undefined {
  const numbers = ['push-retry', 'image-download-retry'].flatMap(name => {
    const text = flags.text(name)
    if (text === undefined) return []
    return [parseRetries(text, `--${name}`) + 1]
  })
  return numbers.length === 0 ? undefined : Math.max(...numbers)
}

/** Maps kaniko's log levels and formats (logrus). */
function logOf(flags: Parsed): Pick<GlobalOptions, 'quiet' | 'verbose' | 'color' | 'logFormat' | 'logTimestamps'> {
  const verbosity = flags.text('verbosity') ?? 'info'
  const format = flags.text('log-format') ?? 'color'
  const choose = (where: string, text: string, known: readonly string[]) => {
    if (known.includes(text)) return
    throw new BaleError('usage', `${JSON.stringify(text)} is not known`, {
      where,
      fix: `use one of ${known.join(', ')}`,
    })
  }
  choose('--verbosity', verbosity, ['panic', 'fatal', 'error', 'warn', 'info', 'debug', 'trace'])
  choose('--log-format', format, ['text', 'color', 'json'])
  return {
    quiet: ['panic', 'fatal', 'error', 'warn'].includes(verbosity),
    verbose: ['debug', 'trace'].includes(verbosity),
    color: format === 'color',
    logFormat: format === 'json' ? 'json' : 'text',
    logTimestamps: flags.has('log-timestamp'),
  }
}

function registriesOf(flags: Parsed): Registries {
  const found: Record<string, RegistrySettings> = {}
  const set = (host: string, settings: RegistrySettings): void => void (found[host] = { ...found[host], ...settings })
  const all = {
    ...((flags.has('insecure') || flags.has('insecure-pull')) && { insecure: true }),
    ...((flags.has('skip-tls-verify') || flags.has('skip-tls-verify-pull')) && { skipTlsVerify: true }),
    ...(flags.has('push-ignore-immutable-tag-errors') && { keepImmutableTags: true }),
  }
  if (Object.keys(all).length > 0) set('*', all)
  const hosts = (name: string) => flags.list(name).flatMap(text => text.split(',').map(registryHost))
  for (const host of hosts('insecure-registry')) set(host, { insecure: true })
  for (const host of hosts('skip-tls-verify-registry')) set(host, { skipTlsVerify: true })
  for (const [host, ca] of keyed(flags, 'registry-certificate')) set(host, { ca })
  for (const [host, files] of keyed(flags, 'registry-client-cert')) {
    const [clientCert, clientKey] = files.split(',')
    set(host, { clientCert, clientKey })
  }
  const mirrors = new Map<string, string[]>()
  for (const mirror of flags.list('registry-mirror').flatMap(text => text.split(',')))
    mirrors.set(dockerHub, [...(mirrors.get(dockerHub) ?? []), mirror])
  for (const [host, mirror] of keyed(flags, 'registry-map', ';'))
    mirrors.set(host, [...(mirrors.get(host) ?? []), mirror])
  for (const [host, list] of mirrors)
    set(host, { mirrors: list, onlyMirrors: flags.has('skip-default-registry-fallback') })
  // Settings for all registries also apply to registries with settings of their own.
  return Object.fromEntries(Object.entries(found).map(([host, own]) => [host, { ...all, ...own }]))
}

/** Parses `HOST=VALUE`, repeated or joined by a separator. */
function keyed(flags: Parsed, name: string, separator?: string): [string, string][] {
  const entries = flags.list(name).flatMap(text => (separator === undefined ? [text] : text.split(separator)))
  return entries.map(text => {
    const equals = text.indexOf('=')
    if (equals > 0 && equals < text.length - 1) return [registryHost(text.slice(0, equals)), text.slice(equals + 1)]
    throw new BaleError('usage', `${JSON.stringify(text)} does not name a registry`, {
      where: `--${name}`,
      fix: 'write REGISTRY=VALUE',
    })
  })
}

function notesOf(flags: Parsed): string[] {
  return flags.names.flatMap(name => {
    const fate = kanikoFlags[name]?.fate
    if (name === 'build-arg') return ['--build-arg: buildpacks get build arguments as variables, at build time only']
    if (name === 'credential-helpers' && flags.list(name).some(text => text.split(',').includes('env')))
      return ['--credential-helpers env: Bale does not read its variables; set CNB_REGISTRY_AUTH instead']
    return typeof fate === 'object' ? [`--${name}: ${fate.instead}`] : []
  })
}
