import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readFile, rename } from 'node:fs/promises'
import { basename, join } from 'node:path'
import * as v from 'valibot'
import type { StackEvent } from '../stacks/create.ts'
import { BaleError, isErrno } from '../errors.ts'
import type { Reporter } from '../events.ts'
import { leaseName } from '../files/lease.ts'
import type { ImageConfig } from '../image/config.ts'
import { envOf } from '../image/config.ts'
import { hexOf } from '../image/digest.ts'
import { type Image, makeImage } from '../image/image.ts'
import { makeImageIndex } from '../image/image-index.ts'
import type { LayerSource } from '../image/layer.ts'
import { removeStale } from '../files/stale.ts'
import { hostPlatform } from '../stores/settings.ts'
import { type ImageStore, indexSink } from '../stores/store.ts'
import { ownDirectory, requireOwn } from '../files/own-directory.ts'
import { type Settings, emulatorFor } from './settings.ts'

/** A stack on this machine: a root file system to build in, and a run image in Bale's own store. */
export interface InstalledStack {
  readonly id: string
  /** Unpacked, for the sandbox to mount read-only. */
  readonly buildRoot: string
  readonly buildConfig: ImageConfig
  /** The user that runs buildpacks and owns their files. */
  readonly user: { readonly uid: number; readonly gid: number }
  /** Its name in Bale's store. */
  readonly runImage: string
}

/**
 * The record beside the unpacked build image. It is written last, so its presence means that everything else is
 * complete.
 */
interface StackRecord {
  readonly key: string
  readonly id: string
  readonly buildRoot: string
  readonly buildConfig: ImageConfig
  readonly runImage: string
}

export interface StackInput {
  readonly stackDir: string
  readonly arch: string
  readonly settings: Settings
  /** Bale's own store. */
  readonly store: ImageStore
  readonly reporter: Reporter
  readonly onEvent?: (event: StackEvent) => void
}

/** The prefix of names for run images that were made on this machine and are in no registry. */
export const madeHere = 'bale.local/stacks/'

/** The name that the run image of a stack has in Bale's store. */
export function runImageName(stackDir: string): string {
  return `${madeHere}${basename(stackDir)}:run`
}

const workPrefix = '.work-'

/** Returns the existing stack of the same stack.toml, or makes it, which takes about a minute. */
export async function ensureStack(input: StackInput, signal: AbortSignal): Promise<InstalledStack> {
  const key = await keyOf(input.stackDir)
  const dir = await installedDir(input)
  const record = await readRecord(dir)
  if (record?.key === key) {
    const found = await pullRunImage(input.store, record.runImage, input.arch, signal)
    if (found !== undefined) return installed(dir, record)
  }
  return installStack(input, signal)
}

/** Makes the stack again, with the current packages. */
export async function installStack(input: StackInput, signal: AbortSignal): Promise<InstalledStack> {
  const { stackDir, settings, store, reporter } = input
  // Loaded only when needed: most builds find an existing stack.
  const { ensureDir, outputJson, remove } = await import('fs-extra/esm')
  const { createStack } = await import('../stacks/create.ts')
  const { partialPrefix, unpackRootfs } = await import('../stacks/unpack-rootfs.ts')
  const dir = await installedDir(input)
  const key = await keyOf(stackDir)
  const before = await readRecord(dir)
  const emulator = await emulatorFor(settings, input.arch)
  reporter.event({
    type: 'note',
    level: 'info',
    text: `Making the stack ${basename(stackDir)} from Debian packages, once; ${
      emulator === undefined
        ? 'this takes a minute or two'
        : `an emulator runs the programs for ${input.arch}, so this takes longer`
    }`,
  })
  await ensureDir(dir)
  for (const prefix of [workPrefix, partialPrefix]) await removeStale(dir, prefix)
  const work = join(dir, workPrefix + leaseName())
  try {
    const { environment } = settings
    const stack = await createStack({
      stackDir,
      outDir: work,
      arch: input.arch,
      emulator,
      environment,
      mirror: settings.debianMirror,
      signal,
      onEvent: event => stackEvent(event, input),
    })
    const buildRoot = `build-${hexOf(stack.build.diffId).slice(0, 16)}`
    await unpackRootfs(stack.build.tar, join(dir, buildRoot), { environment, signal })
    const runImage = runImageName(stackDir)
    const layer = await store.putLayer(fileSource(stack.run.tar), signal)
    await putForPlatform(makeImage(stack.run.config, [layer]), runImage, store, signal)
    const record: StackRecord = { key, id: stack.id, buildRoot, buildConfig: stack.build.config, runImage }
    await outputJson(join(work, 'stack.json'), record)
    await rename(join(work, 'stack.json'), join(dir, 'stack.json'))
    if (before !== undefined && before.buildRoot !== buildRoot) await remove(join(dir, before.buildRoot))
    return installed(dir, record)
  } finally {
    await remove(work)
  }
}

/**
 * Makes only the run image of a stack, if it is missing or from another stack.toml.
 * @returns its name in Bale's store
 */
export async function ensureRunImage(input: StackInput, signal: AbortSignal): Promise<string> {
  const { stackDir, settings, store, arch, reporter } = input
  const key = await keyOf(stackDir)
  const name = runImageName(stackDir)
  const dir = await installedDir(input)
  const record = join(dir, 'run-image')
  const known = (await readFile(record, 'utf8').catch(() => undefined)) ?? (await readRecord(dir))?.key
  if (known === key && (await pullRunImage(store, name, arch, signal)) !== undefined) return name
  const { ensureDir, outputFile, remove } = await import('fs-extra/esm')
  const { createRunImage } = await import('../stacks/create.ts')
  const text = `Making the run image of the stack ${basename(stackDir)} from Debian packages, once`
  reporter.event({ type: 'note', level: 'info', text })
  await ensureDir(dir)
  await removeStale(dir, workPrefix)
  const work = join(dir, workPrefix + leaseName())
  try {
    const { environment, debianMirror: mirror } = settings
    const onEvent = (event: StackEvent) => stackEvent(event, input)
    const emulator = await emulatorFor(settings, arch)
    const run = await createRunImage({ stackDir, outDir: work, arch, emulator, environment, mirror, signal, onEvent })
    const layer = await store.putLayer(fileSource(run.tar), signal)
    await putForPlatform(makeImage(run.config, [layer]), name, store, signal)
    await outputFile(join(work, 'run-image'), key)
    await rename(join(work, 'run-image'), record)
    return name
  } finally {
    await remove(work)
  }
}

/**
 * Adds a run image to the index of its stack, beside those for other platforms. All have one name, in apps too, so that the
 * app image for a platform is the same on every machine.
 */
export async function putForPlatform(
  image: Image,
  name: string,
  store: ImageStore,
  signal: AbortSignal,
): Promise<void> {
  const { os, architecture } = image.config
  const isOther = ({ config }: Image): boolean => config.os !== os || config.architecture !== architecture
  const others = (await imagesOf(name, store, signal)).filter(isOther)
  if (others.length === 0) return void (await store.putImage(image, [name], signal))
  const ordered = [image, ...others].sort((a, b) => (a.config.architecture < b.config.architecture ? -1 : 1))
  await indexSink(store).putIndex(makeImageIndex(ordered), [name], signal)
}

/** Treats damaged images as missing: they are made again. */
async function imagesOf(name: string, store: ImageStore, signal: AbortSignal): Promise<readonly Image[]> {
  try {
    const index = await store.pullIndex(name, signal)
    if (index !== undefined) return index.manifests.map(entry => entry.image)
    const image = await store.pull(name, hostPlatform(), signal)
    return image === undefined ? [] : [image]
  } catch (error) {
    if (error instanceof BaleError && (error.code === 'input' || error.code === 'failed')) return []
    throw error
  }
}

/** The run image for an architecture; undefined if it is missing or unusable. */
async function pullRunImage(
  store: ImageStore,
  name: string,
  architecture: string,
  signal: AbortSignal,
): Promise<Image | undefined> {
  return (await imagesOf(name, store, signal)).find(({ config }) => config.architecture === architecture)
}

function stackEvent(event: StackEvent, input: StackInput): void {
  input.onEvent?.(event)
  if (event.type === 'warning') input.reporter.event({ type: 'warning', text: event.message })
  if (event.type === 'output')
    input.reporter.event({ type: 'note', level: 'debug', text: `${event.image}: ${event.line}` })
  if (event.type === 'finished') {
    const text = `Made the ${event.image} image: ${Math.round(event.size / 1e6)} MB, ${event.packages} packages`
    input.reporter.event({ type: 'note', level: 'info', text })
  }
}

function fileSource(path: string): LayerSource {
  return {
    kind: 'source',
    createdBy: 'Debian packages',
    tar: () => createReadStream(path, { highWaterMark: 1024 * 1024 }),
  }
}

/** @throws BaleError 'filesystem' if another user could have written to the directory (X44) */
async function installedDir({ settings: { dataDir }, stackDir, arch }: StackInput): Promise<string> {
  await ownDirectory(dataDir, 'XDG_DATA_HOME')
  const stacks = join(dataDir, 'stacks')
  await requireOwn(stacks, 'XDG_DATA_HOME')
  return join(stacks, `${basename(stackDir)}-${arch}`)
}

async function keyOf(stackDir: string): Promise<string> {
  const file = join(stackDir, 'stack.toml')
  const content = await readFile(file).catch((cause: unknown) => {
    throw new BaleError('input', 'there is no stack.toml', { where: file, fix: 'give a directory with one', cause })
  })
  return createHash('sha256').update(content).digest('hex')
}

/** Bale did not write a record with other paths (X44): the stack is made again. */
const recordSchema = v.looseObject({
  key: v.string(),
  id: v.string(),
  buildRoot: v.pipe(v.string(), v.regex(/^build-[0-9a-zA-Z]+$/)),
  buildConfig: v.looseObject({}),
  runImage: v.pipe(v.string(), v.regex(/^bale\.local\/stacks\/[^/]+:run$/)),
})

async function readRecord(dir: string): Promise<StackRecord | undefined> {
  try {
    const parsed = v.safeParse(recordSchema, JSON.parse(await readFile(join(dir, 'stack.json'), 'utf8')))
    // The unchecked rest is the config of an image that Bale made.
    return parsed.success ? (parsed.output as unknown as StackRecord) : undefined
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR') || error instanceof SyntaxError) return undefined
    throw error
  }
}

function installed(dir: string, record: StackRecord): InstalledStack {
  const { id, buildConfig, runImage } = record
  const user = { uid: Number(envOf(buildConfig, 'CNB_USER_ID')), gid: Number(envOf(buildConfig, 'CNB_GROUP_ID')) }
  return { id, buildRoot: join(dir, record.buildRoot), buildConfig, user, runImage }
}
