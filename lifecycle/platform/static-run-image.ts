import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { join, posix } from 'node:path'
import { BaleError, isErrno } from '../errors.ts'
import type { Reporter } from '../events.ts'
import { readUntrusted } from '../files/read.ts'
import type { Platform } from '../image/manifest.ts'
import type { SelectedRunImage } from '../phases/analyze.ts'
import type { BuildOutput } from '../phases/export.ts'
import { readLayers } from '../phases/layers-dir.ts'
import { escapeId } from '../spec/ids.ts'
import { parseBuildMetadata } from '../spec/metadata.ts'
import { needsNothing } from '../spec/run-image-needs.ts'
import type { ImageStore } from '../stores/store.ts'

export interface StaticRunImageInput {
  /** Makes a run image without shell and C library if it is missing, and returns its name in the store. */
  readonly ensure: (signal: AbortSignal) => Promise<string>
  /** Bale's own store. */
  readonly store: Pick<ImageStore, 'pull'>
  readonly platform: Platform
  readonly reporter: Reporter
}

/**
 * Selects a run image without shell and C library for an application that needs neither: its buildpack says so, provides all
 * processes, and its files agree. All other applications keep the build's run image, also if the stack cannot be made here.
 */
export async function selectStaticRunImage(
  output: BuildOutput,
  input: StaticRunImageInput,
  signal: AbortSignal,
): Promise<SelectedRunImage | undefined> {
  if (!(await needsNoRunImage(output))) return undefined
  const { ensure, store, platform, reporter } = input
  try {
    const name = await ensure(signal)
    const image = await store.pull(name, platform, signal)
    if (image === undefined) return undefined
    const text = `The programs need no libraries, so the run image is ${name}; --run-image selects another`
    reporter.event({ type: 'note', level: 'info', text })
    return { name, names: { image: name, mirrors: [] }, image }
  } catch (error) {
    signal.throwIfAborted()
    if (!(error instanceof BaleError)) throw error
    reporter.event({ type: 'warning', text: `a smaller run image cannot be made here: ${error.message}` })
    return undefined
  }
}

/** Checks the hostile output: it must say and show that its processes are programs without dependencies. */
async function needsNoRunImage({ layersDir, group }: BuildOutput): Promise<boolean> {
  const where = join(layersDir.host, 'config', 'metadata.toml')
  const content = await readUntrusted(where)
  if (content === undefined) return false
  const { labels, processes } = parseBuildMetadata(content, where)
  if (processes.length === 0 || !labels.some(l => l.key === needsNothing.key && l.value === needsNothing.value))
    return false
  // A layer of another buildpack may contain a program for launch, or its data.
  const owners = new Set(processes.map(({ buildpackId }) => buildpackId))
  const [owner] = owners
  if (owner === undefined || owners.size > 1) return false
  const layers: { readonly dir: string; readonly exists: boolean }[] = []
  for (const { id } of group) {
    for (const layer of await readLayers(layersDir.host, id)) {
      if (!layer.types.launch) continue
      if (id !== owner) return false
      layers.push({ dir: posix.join(layersDir.image, escapeId(id), layer.name), exists: layer.exists })
    }
  }
  for (const { direct, command } of processes) {
    const program = command[0] ?? ''
    const layer = layers.find(({ dir }) => program.startsWith(`${dir}/`))
    if (!direct || layer === undefined) return false
    // A layer reused from the previous image has no files here; the buildpack vouches for it.
    const file = join(layersDir.host, program.slice(layersDir.image.length))
    if (layer.exists && !(await isStaticProgram(file))) return false
  }
  return true
}

/** The segment that names a program's interpreter (System V ABI, "Program Header"). */
const interpreterSegment = 3

/** Returns whether a file is a 64-bit ELF program that starts without a dynamic linker. */
async function isStaticProgram(path: string): Promise<boolean> {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
  const file = await open(path, flags).catch((error: unknown) => {
    if (isErrno(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) return undefined
    throw error
  })
  if (file === undefined) return false
  try {
    if (!(await file.stat()).isFile()) return false
    const head = Buffer.alloc(64)
    const { bytesRead } = await file.read(head, 0, 64, 0)
    const isElf = bytesRead === 64 && head.readUInt32BE(0) === 0x7f454c46 && head[4] === 2 && head[5] === 1
    if (!isElf) return false
    const [offset, size, count] = [head.readBigUInt64LE(32), head.readUInt16LE(54), head.readUInt16LE(56)]
    if (size < 56 || count === 0 || offset > 4096n) return false
    const table = Buffer.alloc(size * count)
    if ((await file.read(table, 0, table.length, Number(offset))).bytesRead < table.length) return false
    return !Array.from({ length: count }, (_, i) => table.readUInt32LE(i * size)).includes(interpreterSegment)
  } finally {
    await file.close()
  }
}
