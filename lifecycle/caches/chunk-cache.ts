import { createCipheriv, randomBytes } from 'node:crypto'
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'
import { join } from 'node:path'
import * as v from 'valibot'
import { settleAll } from '../concurrency.ts'
import { BaleError, isErrno } from '../errors.ts'
import { readSmall } from '../files/read.ts'
import { type StagedFile, replaceFile, stageFile } from '../files/staged.ts'
import type { Digest } from '../image/digest.ts'
import type { LayerDigests, ChunkRecorder } from '../image/layer.ts'
import type { Compression } from '../image/media-types.ts'

const indexFile = 'blocks.json'
const maxIndex = 64 * 1024 * 1024

/** In bytes. Compressing a smaller layer again takes no longer than finding it. */
const worthKeeping = 1024 * 1024

const hex128 = v.pipe(v.string(), v.regex(/^[0-9a-f]{32}$/))
/** The name of a file in the cache, never a path that leads out of it (C05). */
const fileName = v.pipe(v.string(), v.regex(/^sha256:[0-9a-f]{64}\.tar(\.gz|\.zst)?$/))
const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0))
/** Tags of a block and of its compressed form, and the latter's place in the file. */
const blockEntry = v.tuple([hex128, hex128, count, count])
const document = v.object({
  version: v.literal(1),
  /** The key of GMAC. */
  secret: hex128,
  /** Keyed by the name of the layer's file. */
  layers: v.record(fileName, v.object({ format: v.string(), blocks: v.array(blockEntry) })),
})
type Layers = v.InferOutput<typeof document>['layers']

/** Names a layer's file by its diffID and its compression. */
export const extensions: Readonly<Record<Compression, string>> = { none: '.tar', gzip: '.tar.gz', zstd: '.tar.zst' }

/** A stored compressed layer: the name of its file, and its size in bytes. */
interface Made {
  readonly file: string
  readonly size: number
}

/**
 * The layers that one build compresses, stored in the generation of the cache that it makes. The next build finds their
 * blocks by content: of a layer that changed a little, most blocks need not be compressed again.
 *
 * A block is identified by its GMAC (NIST SP 800-38D) under a key that only this cache has. A writer of the packed files
 * cannot make two blocks with one tag, as with SHA-256, at a tenth of its cost. (The nonce is constant: the tags stay in the
 * cache, like the key.) The compressed form has a tag as well. A flipped bit, or a file that a power cut left short,
 * is detected, and the block is compressed again.
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

  /** @param before the generation to take blocks from @param own the generation that this build makes */
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

  /** Records one layer while it is compressed. */
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
        made.catch(() => {}) // `fileOf` and `save` throw it
        this.#made.set(diffId, made)
      },
      [Symbol.asyncDispose]: () => draft[Symbol.asyncDispose](),
    }
  }

  /** Returns the layer as compressed by this build, if it was. */
  async fileOf(diffId: Digest): Promise<Made | undefined> {
    return this.#made.get(diffId)
  }

  /** Carries a file of the previous generation over to this one. */
  carry(file: string): void {
    const layer = this.#layersBefore[file]
    if (layer !== undefined) this.#layers[file] = layer
  }

  /** Writes the index of the blocks. @throws BaleError 'filesystem' */
  async save(): Promise<void> {
    await settleAll([...this.#made.values()])
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

  /** Opens a regular file of the previous generation. Refuses any other kind of file. */
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

/** A file that is stored if it is large enough, and dropped if writing it fails. */
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

  /** Returns whether the file is stored. Runs to its end even if the draft is disposed of meanwhile. */
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
      await this.#file?.[Symbol.asyncDispose]() // frees the space that it takes on a full disk
      return false
    }
  }
}
