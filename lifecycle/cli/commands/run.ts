import { mkdir, readdir, stat, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { publishPorts } from '../../engines/published-ports.ts'
import { runContainer } from '../../engines/run-container.ts'
import { BaleError, isErrno } from '../../errors.ts'
import { leaseName } from '../../files/lease.ts'
import { labelOf } from '../../image/config.ts'
import { hexOf } from '../../image/digest.ts'
import type { Image } from '../../image/image.ts'
import { removeStale } from '../../files/stale.ts'
import { removeTree } from '../../files/remove.ts'
import { unpackImage } from '../../layers/tree/unpack.ts'
import { labels, parseBuildMetadataLabel } from '../../spec/labels.ts'
import { Stores } from '../../stores/open.ts'
import { findDistribution } from '../../platform/distribution.ts'
import { emulatorFor } from '../../platform/settings.ts'
import { ownDirectory } from '../../files/own-directory.ts'
import type { CommandContext, GlobalOptions } from '../context.ts'
import { parseBuildPlatform, parsePublished, parseRunVolumes } from '../values.ts'
import { parseSize } from './cache.ts'
import { printable, printableLines } from '../text.ts'
import { readVariables } from '../variables.ts'

/** The number of unpacked images to keep, so that starting one again is immediate. */
const unpackedImages = 5
/** Docker's minimum is 6 MiB, and starting the sandbox takes some more. */
const leastMemory = 8_000_000
const runPrefix = '.run-'

/** Here `--publish` names ports. In all other commands it means a registry. */
export interface RunOptions extends GlobalOptions {
  readonly ports?: readonly string[] | undefined
}

export async function runCommand(
  context: CommandContext,
  name: string,
  args: readonly string[],
  options: RunOptions,
): Promise<number> {
  const volumes = parseRunVolumes(options.volume)
  const ports = parsePublished(options.ports)
  if (ports.length > 0 && options.network === 'none')
    throw new BaleError('usage', 'a program without a network cannot publish ports', {
      where: '--publish',
      fix: 'leave out --network none, or --publish',
    })
  const memory = options.memory === undefined ? undefined : parseSize(options.memory, '--memory')
  if (memory !== undefined && memory < leastMemory)
    throw new BaleError('usage', `${memory} bytes are too little for any program`, {
      where: '--memory',
      fix: 'write 8MB or more',
    })
  const env = await readVariables(options.env ?? [], options.envFile ?? [], context.env)
  const platform = parseBuildPlatform(options.platform, 'one image is run') ?? context.settings.platform
  const image = await findImage({ ...context, settings: { ...context.settings, platform } }, name)
  const emulator = await emulatorFor(context.settings, image.config.architecture)
  const base = await unpackedDir(context.settings.cacheDir)
  const rootfs = await unpacked(image, base, context.signal, () => {
    // Progress for the user. Only the program writes to its output.
    if (process.stderr.isTTY) process.stderr.write(`Unpacking ${printable(name)}, once\n`)
  })
  await using _published = await publishPorts(ports)
  const tmpDir = join(base, runPrefix + leaseName())
  await mkdir(tmpDir, { mode: 0o700 })
  // From here on the program receives the signals.
  context.releaseSignals()
  try {
    return await runContainer({
      rootfs,
      tmpDir,
      config: image.config,
      env,
      signals: process,
      network: options.network,
      volumes,
      memory,
      emulator,
      landlock: findDistribution(import.meta.url).landlock,
      warn: text => process.stderr.write(`Warning: ${printableLines(text)}\n`),
      ...(args.length > 0 && { args }),
      ...(options.process !== undefined && { entrypoint: [entrypointOf(image, options.process)] }),
    })
  } finally {
    await removeTree(tmpDir)
  }
}

async function findImage(context: CommandContext, name: string): Promise<Image> {
  await using stores = new Stores(context.settings, context.reporter)
  return (await stores.find(name, context.signal)).image
}

function entrypointOf(image: Image, type: string): string {
  const { processes } = parseBuildMetadataLabel(labelOf(image.config, labels.build) ?? '{}', `label ${labels.build}`)
  if (processes.some(p => p.type === type)) return `/cnb/process/${type}`
  throw new BaleError('arguments', `the image has no process ${JSON.stringify(type)}`, {
    fix:
      processes.length === 0
        ? 'it was not built by buildpacks: leave --process out'
        : `choose one of: ${processes.map(p => p.type).join(', ')}`,
  })
}

/**
 * Returns the directory of unpacked images. Programs run from it, so no other user may have written to it (X44).
 * @throws BaleError 'filesystem' if the cache, or the directory in it, belongs to another user
 */
export async function unpackedDir(cacheDir: string): Promise<string> {
  const dir = join(cacheDir, 'unpacked')
  for (const path of [cacheDir, dir]) await ownDirectory(path, 'XDG_CACHE_HOME')
  return dir
}

/** Returns the image's root file system, unpacked once for each image ID. */
export async function unpacked(image: Image, base: string, signal: AbortSignal, onUnpack: () => void): Promise<string> {
  const rootfs = join(base, hexOf(image.imageId))
  await mkdir(base, { recursive: true })
  // Leftovers of processes that were killed while they unpacked or ran an image.
  for (const prefix of ['', runPrefix]) await removeStale(base, prefix)
  if (await markUsed(rootfs)) return rootfs
  onUnpack()
  await prune(base)
  await unpackImage(image.layers, rootfs, { signal }).catch(async (error: unknown) => {
    // Another `bale run` may unpack the same image meanwhile: its directory is as good.
    if (!(await markUsed(rootfs))) throw error
  })
  return rootfs
}

/** Returns whether the image is unpacked. If so, marks it as the last used, so that others are removed first. */
async function markUsed(path: string): Promise<boolean> {
  const now = new Date()
  try {
    await utimes(path, now, now)
    return true
  } catch (error) {
    // An image that cannot be marked can still be run.
    return !isErrno(error, 'ENOENT')
  }
}

/** Removes all but the last used images, unless an image is running: its files may be among them. */
async function prune(base: string): Promise<void> {
  const names = await readdir(base)
  if (names.some(name => name.startsWith(runPrefix))) return
  const images = names.filter(name => /^[0-9a-f]{64}$/.test(name)) // others are still being unpacked
  const dated = await Promise.all(images.map(async name => ({ name, time: (await stat(join(base, name))).ctimeMs })))
  const old = dated.sort((a, b) => b.time - a.time).slice(unpackedImages - 1)
  for (const { name } of old) await removeTree(join(base, name))
}
