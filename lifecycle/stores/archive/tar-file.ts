import type { FileHandle } from 'node:fs/promises'
import { posix } from 'node:path'
import { BaleError } from '../../errors.ts'
import { openRegular, readExactly, readRange } from '../../files/read.ts'
import { type TarEntry, type TarHandler, readTar } from '../../layers/tar/reader.ts'

/** Random access to the files in a tar, without unpacking. Names are normalised: `./a//b` is `a/b`. */
export interface TarFile {
  has(name: string): boolean
  /** In bytes, after following links within the archive. Undefined if there is no such file. */
  sizeOf(name: string): number | undefined
  /** Where on this host its bytes are. */
  placeOf(name: string): FilePlace | undefined
  read(name: string, maxBytes: number): Promise<Uint8Array | undefined>
  open(name: string, signal?: AbortSignal): AsyncIterable<Uint8Array>
}

export interface FilePlace {
  readonly path: string
  readonly offset: number
  readonly size: number
}

/** Where a file's content is, or the target of a link. */
type Place = Content | { link: string }
interface Content {
  offset: number
  readonly size: number
}

/** Archives of images have a few entries for each layer. */
const maxEntries = 100_000
const maxLinks = 8

/**
 * Indexes all entries in one pass, as strictly as layers are read. Two entries of one name are refused, since readers differ
 * in which one they take.
 * @returns undefined if there is no such file
 */
export async function openTarFile(path: string, signal?: AbortSignal): Promise<TarFile | undefined> {
  await using file = await openRegular(path)
  if (file === undefined) return undefined
  const identity = await identityOf(file)
  await refuseCompressed(file, path)
  const places = new Map<string, Place>()
  const indexer = new Indexer(places)
  const bytes = indexer.follow(readRange(file, 0, (await file.stat()).size, path, signal))
  await readTar(bytes, indexer, { limits: { entries: maxEntries }, signal }).catch((error: unknown) => {
    throw error instanceof BaleError && error.code === 'input' ? inFile(error, path) : error
  })

  const find = (name: string): Content | undefined => {
    let place = places.get(normalise(name))
    for (let hops = 0; place !== undefined && 'link' in place; hops++)
      place = hops < maxLinks ? places.get(place.link) : undefined
    return place
  }
  const reopen = async (): Promise<FileHandle> => {
    const again = await openRegular(path)
    if (again !== undefined && (await identityOf(again)) === identity) return again
    await again?.close()
    throw new BaleError('input', 'it was replaced while it was being read', { where: path, fix: 'do it again' })
  }
  return {
    has: name => find(name) !== undefined,
    sizeOf: name => find(name)?.size,
    placeOf(name) {
      const place = find(name)
      return place && { path, ...place }
    },
    async read(name, maxBytes) {
      const place = find(name)
      if (place === undefined) return undefined
      if (place.size > maxBytes) {
        throw new BaleError('input', `it has ${place.size} bytes, more than the limit of ${maxBytes}`, {
          where: `${path} ${name}`,
        })
      }
      await using file = await reopen()
      return await readExactly(file, place.offset, place.size, path)
    },
    async *open(name, signal) {
      signal?.throwIfAborted()
      const place = find(name)
      if (place === undefined) throw new BaleError('input', `it has no file ${JSON.stringify(name)}`, { where: path })
      await using file = await reopen()
      yield* readRange(file, place.offset, place.size, path, signal)
    },
  }
}

/**
 * Records the offset of each entry. The reader passes on parts of the chunks that it gets, so a part's position in its chunk
 * gives its offset.
 */
class Indexer implements TarHandler {
  readonly #places: Map<string, Place>
  #chunk: Uint8Array = new Uint8Array()
  #chunkStart = 0
  #current: Content | undefined

  constructor(places: Map<string, Place>) {
    this.#places = places
  }

  async *follow(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of chunks) {
      this.#chunkStart += this.#chunk.length
      this.#chunk = chunk
      yield chunk
    }
  }

  entry({ type, name, target, size }: TarEntry): void {
    if (type === 'directory') return
    const key = normalise(fromBytes(name))
    if (this.#places.has(key)) {
      throw new BaleError(
        'input',
        `the archive cannot be read: it has two entries ${JSON.stringify(key.slice(0, 300))}`,
      )
    }
    this.#current = type === 'file' ? { offset: 0, size } : undefined
    this.#places.set(key, this.#current ?? { link: linkTarget(type, key, fromBytes(target)) })
  }

  data(part: Uint8Array): void {
    if (this.#current === undefined) return
    this.#current.offset = this.#chunkStart + part.byteOffset - this.#chunk.byteOffset
    this.#current = undefined
  }

  endOfFile(): void {
    this.#current = undefined
  }
}

/** Tar names are bytes; those in manifests are text. */
const fromBytes = (name: string): string => Buffer.from(name, 'latin1').toString('utf8')

function linkTarget(type: TarEntry['type'], name: string, target: string): string {
  if (type === 'symlink') return normalise(posix.join(posix.dirname(name), target))
  if (type === 'hardlink') return normalise(target)
  throw new BaleError('input', `the archive cannot be read: ${JSON.stringify(name.slice(0, 300))} is a ${type}`)
}

function normalise(name: string): string {
  return posix.normalize(`/${name}`).slice(1)
}

/** While this value is unchanged, offsets into the file are valid. */
async function identityOf(file: FileHandle): Promise<string> {
  const { dev, ino, size, mtimeNs, ctimeNs } = await file.stat({ bigint: true })
  return [dev, ino, size, mtimeNs, ctimeNs].join()
}

async function refuseCompressed(file: FileHandle, path: string): Promise<void> {
  const { buffer } = await file.read(Buffer.alloc(4), 0, 4, 0)
  const known: [string, string, string][] = [
    ['1f8b', 'gzip', 'gunzip'],
    ['28b52ffd', 'zstd', 'unzstd'],
    ['425a68', 'bzip2', 'bunzip2'],
    ['fd377a58', 'xz', 'unxz'],
  ]
  const [, format, tool] = known.find(([magic]) => buffer.toString('hex').startsWith(magic)) ?? []
  if (format === undefined) return
  throw new BaleError('input', `it is compressed with ${format}`, { where: path, fix: `run ${tool} on it first` })
}

function inFile(error: BaleError, path: string): BaleError {
  return new BaleError(error.code, error.message, {
    where: path,
    cause: error,
    fix: error.fix,
  })
}
