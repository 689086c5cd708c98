import { tarBlock } from '../../layers/tar/header.ts'

/** In bytes. */
export const largestChunk = 1024 * 1024
/** A directory that follows so many bytes begins a chunk, and a file of so many bytes has chunks of its own. */
const largeEnough = 64 * 1024
const largeFile = 256 * 1024
/** A piece of fewer bytes is not worth its own object: several are joined, up to so many bytes. */
const smallPiece = 4 * 1024
const smallPieces = 16 * 1024

/**
 * Cuts a tar into chunks along its directories, so that packages in two apps become the same chunks, regardless of the entries
 * between them: a chunk has the contents of one directory, unless they are very large or very small. The cuts depend only on the
 * bytes. Other data, and unsupported kinds of tar, are cut by size.
 */
export async function* splitTar(tar: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const splitter = new Splitter()
  for await (const bytes of tar) yield* splitter.push(bytes)
  yield* splitter.end()
}

class Splitter {
  #chunk = Buffer.allocUnsafe(largestChunk)
  #size = 0
  /** Where the last piece begins: the entries below one directory, `#root`, which ends in a slash. */
  #piece = 0
  #root = ''
  /** The piece has only directories, each within the one before: the next entries may become a piece by themselves. */
  #bare = true
  readonly #header = Buffer.alloc(tarBlock)
  #headerSize = 0
  /** Bytes of content and padding until the next header; infinite after an unsupported header. */
  #left = 0
  /** An extended header belongs to the entry that follows it. */
  #extended = false

  #append(bytes: Uint8Array): void {
    this.#chunk.set(bytes, this.#size)
    this.#size += bytes.length
  }

  *push(bytes: Uint8Array): Generator<Uint8Array> {
    for (let at = 0; at < bytes.length;) {
      if (this.#left > 0) {
        const part = bytes.subarray(at, at + Math.min(this.#left, largestChunk - this.#size))
        this.#append(part)
        this.#left -= part.length
        at += part.length
        if (this.#size === largestChunk) yield this.#cut()
        continue
      }
      const part = bytes.subarray(at, at + tarBlock - this.#headerSize)
      this.#header.set(part, this.#headerSize)
      this.#headerSize += part.length
      at += part.length
      if (this.#headerSize < tarBlock) continue
      this.#headerSize = 0
      yield* this.#onHeader()
    }
  }

  *end(): Generator<Uint8Array> {
    yield* this.#room(this.#headerSize)
    this.#append(this.#header.subarray(0, this.#headerSize))
    if (this.#size > 0) yield this.#cut()
  }

  *#onHeader(): Generator<Uint8Array> {
    const entry = readHeader(this.#header)
    if (this.#size > 0 && entry !== undefined && !this.#extended) yield* this.#onEntry(entry)
    yield* this.#room(tarBlock)
    if (this.#size === this.#piece) {
      this.#root = entry === undefined ? '' : directoryOf(entry.name)
      this.#bare = true
    }
    this.#bare &&= entry?.name.endsWith('/') === true
    this.#append(this.#header)
    this.#left = entry === undefined ? Infinity : Math.ceil(entry.size / tarBlock) * tarBlock
    this.#extended = entry?.extended === true
  }

  *#onEntry({ name, size }: Entry): Generator<Uint8Array> {
    // Small pieces before a larger one become a chunk of their own.
    if (this.#piece > 0 && this.#size - this.#piece >= smallPiece) yield this.#cut(this.#piece)
    const length = this.#size - this.#piece
    if (name.startsWith(this.#root)) {
      if (this.#bare && name.endsWith('/')) this.#piece = this.#size
      else if (size >= largeFile || (length >= largeEnough && name.endsWith('/'))) yield this.#cut()
    } else if (length >= smallPiece || this.#size >= smallPieces || size >= largeFile) yield this.#cut()
    else this.#piece = this.#size
  }

  *#room(size: number): Generator<Uint8Array> {
    if (this.#size + size > largestChunk) yield this.#cut()
  }

  /** Takes the first bytes, all by default, as a chunk. */
  #cut(size = this.#size): Uint8Array {
    const chunk = Buffer.from(this.#chunk.subarray(0, size))
    this.#chunk.copyWithin(0, size, this.#size)
    this.#size -= size
    this.#piece = 0
    return chunk
  }
}

interface Entry {
  /** The name of a directory ends in a slash. */
  readonly name: string
  readonly size: number
  readonly extended: boolean
}

/** Reads the fields that cutting needs. @returns undefined for anything but a header, such as the zeros at the end */
function readHeader(header: Buffer): Entry | undefined {
  if (header.toString('latin1', 257, 262) !== 'ustar') return undefined
  const text = (from: number, length: number): string =>
    header.toString('latin1', from, from + length).replace(/\0.*$/s, '')
  const size = /^[0-7 ]+$/.test(text(124, 12)) ? parseInt(text(124, 12), 8) : NaN
  if (Number.isNaN(size)) return undefined
  const [prefix, name, type] = [text(345, 155), text(0, 100), text(156, 1)]
  const path = prefix === '' ? name : `${prefix}/${name}`
  return {
    name: type === '5' && !path.endsWith('/') ? `${path}/` : path,
    size: '12345'.includes(type) && type !== '' ? 0 : size,
    extended: 'xgLK'.includes(type) && type !== '',
  }
}

function directoryOf(name: string): string {
  return name.slice(0, name.lastIndexOf('/') + 1)
}
