import { createCipheriv, randomBytes } from 'node:crypto'
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'
import { join } from 'node:path'
import * as v from 'valibot'
import { BaleError, isErrno } from '../errors.ts'
import { readSmall } from '../files/read.ts'
import { type StagedFile, replaceFile, stageFile } from '../files/staged.ts'
import type { Digest } from '../image/digest.ts'
import type { LayerDigests, ChunkRecorder } from '../image/layer.ts'
import type { Compression } from '../image/media-types.ts'

const indexFile = 'blocks.json'
const maxIndex = 64 * 1024 * 1024

/** Smaller layers are compressed again as fast as they are found. */
const worthKeeping = 1024 * 1024

const hex128 = v.pipe(v.string(), v.regex(/^[0-9a-f]{32}$/))
/** Never a path to anywhere else (C05). */
const fileName = v.pipe(v.string(), v.regex(/^sha256:[0-9a-f]{64}\.tar(\.gz|\.zst)?$/))
const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0))
/** What a block is, what it was compressed to, and where in the file that is. */
const blockEntry = v.tuple([hex128, hex128, count, count])
const document = v.object({
  version: v.literal(1),
  /** Of GMAC. */
  secret: hex128,
  /** By the name of the layer's file. */
  layers: v.record(fileName, v.object({ format: v.string(), blocks: v.array(blockEntry) })),
})
type Layers = v.InferOutput<typeof document>['layers']

/** A layer's file is named for its diffID, and for the form that it is kept in. */
export const extensions: Readonly<Record<Compression, string>> = { none: '.tar', gzip: '.tar.gz', zstd: '.tar.zst' }

/** A layer that was compressed and kept: the name of its file, and its size in bytes. */
interface Made {
  readonly file: string
  readonly size: number
}

/**
 * The layers that one build compresses, kept in the generation of the cache that it makes, and their blocks, which the
 * next build finds by their contents: of a layer that has changed a little, most need not be compressed again.
 *
 * Blocks are told apart by GMAC (NIST SP 800-38D) under a key that only this cache has: whoever writes the files that are
 * packed cannot make two of the same tag, as with SHA-256, at a tenth of its cost. (The nonce is always the same: tags do not
 * leave the cache, where the key is too.) What a block was compressed to has a tag as well, so that a bit that flipped or a
 * file that a power cut left short is found out and the block compressed again.
 */
export class ChunkCache {
  readonly #before: string | undefined
  readonly #own: string
  readonly #secret: Buffer
  readonly #layersBefore: Layers
  readonly #layers: Layers = {}
  readonly #blocks = new Map<string, { file: string; tag: string; offset: number; length: number }>()
  readonly #files = new Map<string, number | undefined>()
  readonly #made = new Map<Digest, Promise<Made | undefined>>()

  private constructor(before: string | undefined, own: string, secret: Buffer, layersBefore: Layers) {
    this.#before = before
    this.#own = own
    this.#secret = secret
    this.#layersBefore = layersBefore
    for (const [file, { format, blocks }] of Object.entries(layersBefore))
      for (const [key, tag, offset, length] of blocks)
        this.#blocks.set(`${format} ${key}`, { file, tag, offset, length })
  }

  /** @param before the generation to take blocks from; `own`: the one in the making */
  static async open(before: string | undefined, own: string): Promise<ChunkCache> {
    const none = new ChunkCache(before, own, randomBytes(16), {})
    if (before === undefined) return none
    try {
      const bytes = await readSmall(join(before, indexFile), maxIndex)
      const parsed = v.safeParse(document, bytes && JSON.parse(Buffer.from(bytes).toString()))
      if (!parsed.success) return none
      return new ChunkCache(before, own, Buffer.from(parsed.output.secret, 'hex'), parsed.output.layers)
    } catch (error) {
      if (error instanceof BaleError || error instanceof SyntaxError) return none
      throw error
    }
  }

  /** Keeps one layer. */
  recorder(compression: Compression, version: string): ChunkRecorder {
    const format = `${compression} ${version}`
    const draft = new Draft(this.#own)
    const blocks: Layers[string]['blocks'] = []
    return {
      keyOf: block => this.#tag(block),
      find: (key, into) => this.#find(`${format} ${key}`, into),
      write: async (bytes, key) => {
        if (key !== undefined) blocks.push([key, this.#tag(bytes), draft.size, bytes.length])
        await draft.write(bytes)
      },
      finish: ({ diffId }: LayerDigests) => {
        const file = `${diffId}${extensions[compression]}`
        const commit = async (): Promise<Made | undefined> => {
          if (!(await draft.commit(join(this.#own, file)))) return undefined
          this.#layers[file] = { format, blocks }
          return { file, size: draft.size }
        }
        const made = commit()
        made.catch(() => {}) // it is thrown to who asks
        this.#made.set(diffId, made)
      },
      [Symbol.asyncDispose]: () => draft[Symbol.asyncDispose](),
    }
  }

  /** The layer as it was compressed in this build, if it was. */
  async fileOf(diffId: Digest): Promise<Made | undefined> {
    return this.#made.get(diffId)
  }

  /** A file of the generation before is in this one too. */
  carry(file: string): void {
    const layer = this.#layersBefore[file]
    if (layer !== undefined) this.#layers[file] = layer
  }

  /** Writes down where blocks are. @throws BaleError 'filesystem' */
  async save(): Promise<void> {
    await Promise.all(this.#made.values())
    const index = { version: 1, secret: this.#secret.toString('hex'), layers: this.#layers }
    await replaceFile(join(this.#own, indexFile), Buffer.from(JSON.stringify(index)), this.#own)
  }

  close(): void {
    for (const fd of this.#files.values()) if (fd !== undefined) closeSync(fd)
    this.#files.clear()
  }

  #tag(bytes: Uint8Array): string {
    const mac = createCipheriv('aes-128-gcm', this.#secret, Buffer.alloc(12))
    mac.setAAD(bytes)
    mac.final()
    return mac.getAuthTag().toString('hex')
  }

  #find(key: string, into: Uint8Array): number | undefined {
    const block = this.#blocks.get(key)
    const fd = block && this.#open(block.file)
    if (block === undefined || fd === undefined || block.length > into.length) return undefined
    try {
      if (readSync(fd, into, 0, block.length, block.offset) < block.length) return undefined
      return this.#tag(into.subarray(0, block.length)) === block.tag ? block.length : undefined
    } catch (error) {
      if (isErrno(error)) return undefined
      throw error
    }
  }

  /** A regular file of the generation before, and nothing else that somebody may have put in its place. */
  #open(file: string): number | undefined {
    if (!this.#files.has(file)) this.#files.set(file, openRegularSync(join(this.#before as string, file)))
    return this.#files.get(file)
  }
}

function openRegularSync(path: string): number | undefined {
  try {
    const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
    if (fstatSync(fd).isFile()) return fd
    closeSync(fd)
    return undefined
  } catch (error) {
    if (isErrno(error)) return undefined
    throw error
  }
}

/** A file that is kept if there is enough in it, and given up when the disk will not have it. */
class Draft implements AsyncDisposable {
  size = 0
  readonly #dir: string
  #file: StagedFile | undefined
  #state: 'open' | 'committed' | 'refused' = 'open'

  constructor(dir: string) {
    this.#dir = dir
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.size += bytes.length
    await this.#unlessRefused(async () => {
      this.#file ??= await stageFile(this.#dir)
      await this.#file.write(bytes)
    })
  }

  /** Whether it is kept. Goes to its end though the draft is disposed of meanwhile. */
  async commit(target: string): Promise<boolean> {
    if (this.#file === undefined || this.#state === 'refused' || this.size < worthKeeping) return false
    this.#state = 'committed'
    return await this.#unlessRefused(() => (this.#file as StagedFile).commit(target))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#state !== 'committed') await this.#file?.[Symbol.asyncDispose]()
  }

  async #unlessRefused(work: () => Promise<void>): Promise<boolean> {
    if (this.#state === 'refused') return false
    try {
      await work()
      return true
    } catch (error) {
      if (!(error instanceof BaleError)) throw error
      this.#state = 'refused'
      await this.#file?.[Symbol.asyncDispose]() // the disk is full, and we shall not be what fills it
      return false
    }
  }
}
