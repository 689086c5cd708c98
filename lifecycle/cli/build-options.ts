import { mkdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { BaleError } from '../errors.ts'
import { leaseName } from '../files/lease.ts'
import { removeTree } from '../files/remove.ts'
import { wrapErrno } from '../files/wrap-errno.ts'
import { ownDirectory } from '../files/own-directory.ts'
import { type BuildOptions, packingOf } from '../platform/build-options.ts'
import { openContext, subDirectory } from '../platform/source-context.ts'
import { daemonAddress, registrySettings } from '../stores/settings.ts'
import { isPlain, parseImageReference } from '../stores/transports.ts'
import { appName } from './app-name.ts'
import { parseSize } from './commands/cache.ts'
import { outputFiles } from './commands/result-files.ts'
import { type UserConfig, readUserConfig } from './config-file.ts'
import type { CommandContext, GlobalOptions } from './context.ts'
import { interactionOf } from './interaction.ts'
import { fromPack } from './pack-options.ts'
import { withInsecure } from './insecure-registries.ts'
import { readSecrets } from './secrets.ts'
import { readSsh } from './ssh.ts'
import { parseBuildPlatforms, parseCreationTime, parseId, parseLevel, parseRetries, parseVolumes } from './values.ts'
import { readPairs, readVariables } from './variables.ts'

/**
 * Converts the options of `bale build` and `bale plan` to those of the API. The source exists until the result is disposed of.
 * @throws BaleError
 */
export async function buildOptionsOf(
  context: CommandContext,
  named: string | undefined,
  options: GlobalOptions,
): Promise<AsyncDisposable & { readonly options: BuildOptions }> {
  const given = await withoutSource(context, named, options)
  const source = await openSource(context, options)
  return { options: { ...given, path: source.path }, [Symbol.asyncDispose]: () => source[Symbol.asyncDispose]() }
}

/** The same options without the source, which is not read. */
export async function withoutSource(
  context: CommandContext,
  named: string | undefined,
  all: GlobalOptions,
): Promise<BuildOptions> {
  const options = fromPack(all, text => context.reporter.event({ type: 'note', level: 'info', text }))
  const env = await readVariables(options.env ?? [], options.envFile ?? [], context.env)
  const config = await readUserConfig(context.env)
  const image = destinationOf(named ?? (await appName(options)), options, config)
  return {
    image,
    settings: settingsOf(context, options, config),
    env,
    reporter: context.reporter,
    signal: context.signal,
    secrets: await readSecrets(options.secret, context.env),
    ssh: await readSsh(options.ssh, context.env),
    labels: readPairs(options.label, '--label'),
    annotations: readPairs(options.annotation, '--annotation'),
    builder: options.builder,
    defaultBuilder: config.defaultBuilder,
    runImageMirrors: config.runImageMirrors,
    execEnv: options.execEnv,
    previousImage: options.previousImage,
    user: { uid: parseId(options.uid, '--uid'), gid: parseId(options.gid, '--gid') },
    volumes: parseVolumes(options.volume),
    workspace: options.workspace,
    interaction: options.interactive === true ? interactionOf(context) : undefined,
    lifecycle: options.lifecycle,
    buildpacks: options.buildpack,
    preBuildpacks: options.preBuildpack,
    postBuildpacks: options.postBuildpack,
    extensions: options.extension,
    descriptor: options.descriptor,
    pullPolicy: options.pullPolicy ?? config.pullPolicy,
    tags: options.tag,
    runImage: options.runImage,
    cacheImage: options.cacheImage,
    cacheFrom: options.cacheFrom,
    cacheTo: options.cacheTo,
    ...compressionOf(options),
    defaultProcess: options.defaultProcess,
    network: options.network,
    ...(options.timeout !== undefined && { timeout: parseDuration(options.timeout, '--timeout') }),
    ...(options.buildpackTimeout !== undefined && {
      buildpackTimeout: parseDuration(options.buildpackTimeout, '--buildpack-timeout'),
    }),
    limits: limitsOf(options),
    publish: options.publish === true,
    clearCache: options.clearCache === true,
    outputs: outputFiles(options),
  }
}

/** Checks the level now, since fetching the source may take minutes. */
function compressionOf({
  compression,
  compressionLevel: text,
}: GlobalOptions): Pick<BuildOptions, 'compression' | 'compressionLevel'> {
  const given = { compression, compressionLevel: text === undefined ? undefined : parseLevel(text) }
  packingOf(given, '--compression-level')
  return given
}

/** Returns the source as a directory. A fetched source is removed when the build ends. */
async function openSource(
  { settings, env, signal }: CommandContext,
  { path, subPath }: GlobalOptions,
): Promise<AsyncDisposable & { readonly path: string | undefined }> {
  const text = path === '-' ? 'tar://stdin' : await asContext(path)
  if (text === undefined || !text.includes('://')) {
    const own = text ?? '.'
    return { path: subPath === undefined ? text : await subDirectory(own, subPath), async [Symbol.asyncDispose]() {} }
  }
  const base = join(settings.cacheDir, 'tmp')
  await ownDirectory(settings.cacheDir, 'XDG_CACHE_HOME')
  const workDir = join(base, leaseName())
  await wrapErrno(workDir, () => mkdir(workDir, { recursive: true, mode: 0o700 }))
  const dispose = () => removeTree(workDir)
  try {
    const dir = await openContext(text, { workDir, environment: env, stdin: process.stdin, signal })
    return {
      path: subPath === undefined ? dir : await subDirectory(dir, subPath),
      [Symbol.asyncDispose]: dispose,
    }
  } catch (error) {
    await dispose()
    throw error
  }
}

/** Recognises an archive by its name, as pack does, and a git repository by the end of its URL. */
async function asContext(path: string | undefined): Promise<string | undefined> {
  if (path === undefined) return undefined
  if (/^https?:\/\/.*\.git(#.*)?$/.test(path)) return `git+${path}`
  const [, ending] = /\.(tar|tgz|tar\.gz|zip)$/.exec(path) ?? []
  if (ending === undefined || path.includes('://')) return path
  if ((await stat(path).catch(() => undefined))?.isFile() !== true) return path
  return `${ending === 'zip' ? 'zip' : 'tar'}://${path}`
}

/** An image with a plain name goes to the Docker daemon if the user asks for that: some scripts expect it there. */
function destinationOf(image: string, { docker, publish }: GlobalOptions, config: UserConfig): string {
  const wanted = docker === true || config.defaultDestination === 'docker'
  if (!wanted || publish === true || !isPlain(parseImageReference(image))) {
    if (docker === true && publish === true)
      throw new BaleError('usage', 'an image goes to the daemon or to its registry', {
        where: '--docker --publish',
        fix: 'leave one of them out, and name the other place with --tag',
      })
    return image
  }
  return `docker-daemon:${image}`
}

/** Merges the settings of this machine, of the command line and of `bale config`. */
function settingsOf(
  { settings }: CommandContext,
  { creationTime, dockerHost, insecureRegistry, platform, retry }: GlobalOptions,
  { registryMirrors }: UserConfig,
): CommandContext['settings'] {
  // With several platforms, each build gets its own: see buildPlatforms.
  const [first, ...more] = parseBuildPlatforms(platform) ?? []
  const mirrored = Object.entries(registryMirrors).map(([host, mirrors]) => {
    const own = registrySettings(settings.registries, host)
    return [host, { ...own, mirrors: [...mirrors, ...(own.mirrors ?? [])] }] as const
  })
  return {
    ...withInsecure(settings, insecureRegistry),
    // pack's `inherit` is DOCKER_HOST, which is the default here.
    ...(dockerHost && dockerHost !== 'inherit' && { dockerSocket: daemonAddress(dockerHost) }),
    ...(first !== undefined && more.length === 0 && { platform: first }),
    registries: { ...settings.registries, ...Object.fromEntries(mirrored) },
    ...(retry !== undefined && { registryAttempts: parseRetries(retry, '--retry') + 1 }),
    ...(creationTime !== undefined && { sourceDateEpoch: parseCreationTime(creationTime) }),
  }
}

function limitsOf({ pids, memory, disk }: GlobalOptions) {
  if (pids !== undefined && !/^[1-9]\d{0,6}$/.test(pids)) {
    const fix = 'write a number from 1 to 9999999'
    throw new BaleError('usage', `${JSON.stringify(pids)} is not a number of processes`, { where: '--pids', fix })
  }
  return {
    ...(pids !== undefined && { pids: Number(pids) }),
    ...(memory !== undefined && { memory: parseSize(memory, '--memory') }),
    ...(disk !== undefined && { disk: parseSize(disk, '--disk') }),
  }
}

/** Parses `45s`, `30m`, `2h` into milliseconds, within the range of a timer. */
function parseDuration(text: string, where: string): number {
  const [, number, unit = ''] = /^([1-9]\d{0,5})([smh])$/.exec(text) ?? []
  const milliseconds = Number(number) * ({ s: 1000, m: 60_000, h: 3600_000 }[unit] ?? NaN)
  if (milliseconds < 2 ** 31) return milliseconds
  throw new BaleError('usage', `${JSON.stringify(text)} is not a duration up to 24 days`, {
    where,
    fix: 'write for example 45s, 30m or 2h',
  })
}
