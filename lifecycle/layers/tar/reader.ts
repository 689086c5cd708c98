import { setImmediate } from 'node:timers/promises'
import type { ByteString } from '../../files/byte-string.ts'
import { type PaxRecords, parsePax } from './pax.ts'
import { damaged, HeaderFields } from './fields.ts'
import { maxOctal11, tarBlock } from './header.ts'

export type TarEntryType = 'file' | 'hardlink' | 'symlink' | 'device' | 'directory' | 'fifo'

export interface TarEntry {
  readonly type: TarEntryType
  /** The name in the archive, not yet checked for paths that lead outside. */
  readonly name: ByteString
  /** The target of a symlink or hard link; otherwise empty. */
  readonly target: ByteString
  /** Permission bits with setuid, setgid and sticky. */
  readonly mode: number
  /** In bytes; 0 unless it is a file. */
  readonly size: number
  /** In seconds since 1970. */
  readonly mtime: number
  readonly uid: number
  readonly gid: number
}

/** Receives the contents of an archive in order: each entry, then a file's bytes in chunks, then the end of the file. */
export interface TarHandler {
  entry(entry: TarEntry): void
  data(chunk: Uint8Array): void
  endOfFile(): void
}

/** Limits far above any real layer, so that a small archive cannot cost much (T37). Callers may lower them. */
export interface TarLimits {
  entries: number
  /** Bytes of all files together. */
  bytes: number
}
export const defaultTarLimits: TarLimits = { entries: 2_000_000, bytes: 2 ** 40 }

/**
 * Reads an archive strictly: ustar, pax and GNU long names. Refuses bytes that two readers could take for different entries
 * (T27, T28, T35), sparse files (T32) and unknown types (T15).
 * @throws BaleError 'input', which names the entry, and errors of the handler
 */
export async function readTar(
  bytes: AsyncIterable<Uint8Array>,
  handler: TarHandler,
  options: { limits?: Partial<TarLimits>; signal?: AbortSignal } = {},
): Promise<void> {
  const parser = new TarParser(handler, { ...defaultTarLimits, ...options.limits })
  let unseen = 0
  for await (const chunk of bytes) {
    options.signal?.throwIfAborted()
    parser.push(chunk)
    unseen += chunk.length
    if (unseen < 1024 * 1024) continue
    unseen = 0
    await setImmediate() // handlers write synchronously: lets other work run
  }
  parser.end()
}

/** In bytes. Extended headers hold names and numbers. One that claims a gigabyte is an attack (T30). */
const maxExtended = 1024 * 1024

type State = 'header' | 'file' | 'extended' | 'padding' | 'ended'

class TarParser {
  readonly #handler: TarHandler
  readonly #limits: TarLimits
  #state: State = 'header'
  /** Bytes of the current header, when it arrives in several chunks. */
  readonly #header = Buffer.alloc(tarBlock)
  #filled = 0
  /** Remaining bytes of the current content, and of the padding after it. */
  #left = 0
  #padding = 0
  #zeroBlocks = 0
  #entries = 0
  #bytes = 0
  /** The extended header that is being read, and the records of those before the current entry. */
  #extended: { type: string; parts: Uint8Array[] } | undefined
  #pax: PaxRecords | undefined
  #gnuName: ByteString | undefined
  #gnuTarget: ByteString | undefined

  constructor(handler: TarHandler, limits: TarLimits) {
    this.#handler = handler
    this.#limits = limits
  }

  push(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length;) {
      switch (this.#state) {
        case 'header':
          at = this.#readHeader(chunk, at)
          break
        case 'file':
        case 'extended':
          at = this.#readContent(chunk, at)
          break
        case 'padding': {
          const length = Math.min(this.#padding, chunk.length - at)
          this.#padding -= length
          at += length
          if (this.#padding === 0) this.#state = 'header'
          break
        }
        case 'ended':
          for (; at < chunk.length; at++) if (chunk[at] !== 0) throw damaged('it has data after its end')
      }
    }
  }

  end(): void {
    if (this.#state !== 'ended') throw damaged('it is cut short')
  }

  #readHeader(chunk: Uint8Array, at: number): number {
    if (this.#filled === 0 && chunk.length - at >= tarBlock) {
      this.#header.set(chunk.subarray(at, at + tarBlock))
      this.#onHeader(this.#header)
      return at + tarBlock
    }
    const part = chunk.subarray(at, at + tarBlock - this.#filled)
    this.#header.set(part, this.#filled)
    this.#filled += part.length
    if (this.#filled === tarBlock) {
      this.#filled = 0
      this.#onHeader(this.#header)
    }
    return at + part.length
  }

  #readContent(chunk: Uint8Array, at: number): number {
    const part = chunk.subarray(at, at + this.#left)
    this.#left -= part.length
    if (this.#extended !== undefined) this.#extended.parts.push(Buffer.from(part))
    else this.#handler.data(part)
    if (this.#left === 0) this.#endContent()
    return at + part.length
  }

  #endContent(): void {
    this.#state = this.#padding === 0 ? 'header' : 'padding'
    if (this.#extended === undefined) {
      this.#handler.endOfFile()
      return
    }
    const { type, parts } = this.#extended
    this.#extended = undefined
    this.#onExtended(type, Buffer.concat(parts))
  }

  #onHeader(header: Buffer): void {
    if (isZero(header)) {
      if (this.#pax !== undefined || this.#gnuName !== undefined || this.#gnuTarget !== undefined)
        throw damaged('an extended header has no entry')
      if (++this.#zeroBlocks === 2) this.#state = 'ended'
      return
    }
    if (this.#zeroBlocks > 0) throw damaged('it has data after its end')
    if (++this.#entries > this.#limits.entries) throw damaged(`it has more than ${this.#limits.entries} entries`)
    const fields = new HeaderFields(header)
    const type = String.fromCharCode(header[156] as number)
    if ('xgLK'.includes(type)) {
      const size = fields.size(maxExtended)
      if (size === 0) throw damaged('an extended header is empty')
      this.#startContent('extended', size)
      this.#extended = { type, parts: [] }
      return
    }
    this.#onEntry(type, fields)
  }

  #onEntry(flag: string, fields: HeaderFields): void {
    const pax = this.#pax ?? {}
    const name = pax.path ?? this.#gnuName ?? fields.name()
    const type = types.get(flag)
    if (type === undefined) throw damaged(`the type ${JSON.stringify(flag)} is unknown`, name)
    const isLink = type === 'symlink' || type === 'hardlink'
    const target = isLink ? (pax.linkpath ?? this.#gnuTarget ?? fields.target()) : ''
    this.#pax = this.#gnuName = this.#gnuTarget = undefined
    if (name === '') throw damaged('an entry has no name')
    if (isLink && target === '') throw damaged('a link has no target', name)
    if (type !== 'directory' && name.endsWith('/')) throw damaged('its name is the name of a directory', name)
    const size = agreedSize(fields, pax.size, name)
    if (type !== 'file' && size !== 0) throw damaged(`a ${type} has content`, name)
    if ((this.#bytes += size) > this.#limits.bytes)
      throw damaged(`it holds more than ${this.#limits.bytes} bytes`, name)
    const mtime = pax.mtime ?? fields.mtime()
    const { uid, gid } = fields.owner(name)
    const owner = { uid: pax.uid ?? uid, gid: pax.gid ?? gid }
    this.#handler.entry({ type, name, target, mode: fields.mode(), size, mtime, ...owner })
    if (type !== 'file') return
    this.#startContent('file', size)
    if (size === 0) this.#endContent()
  }

  #startContent(state: State, size: number): void {
    this.#state = state
    this.#left = size
    this.#padding = (tarBlock - (size % tarBlock)) % tarBlock
  }

  #onExtended(type: string, content: Buffer): void {
    // Readers differ in which of two extended headers they use, and no writer makes both (T28).
    if (type === 'g') {
      parsePax(content, 'global')
      return
    }
    const gnu = this.#gnuName !== undefined || this.#gnuTarget !== undefined
    if (this.#pax !== undefined || (type === 'x' && gnu)) throw damaged('an entry has several extended headers')
    if (type === 'x') {
      this.#pax = parsePax(content, 'entry')
      return
    }
    if ((type === 'L' ? this.#gnuName : this.#gnuTarget) !== undefined) throw damaged('an entry has two long names')
    const text = gnuText(content)
    if (type === 'L') this.#gnuName = text
    else this.#gnuTarget = text
  }
}

const types = new Map<string, TarEntryType>([
  ['\0', 'file'],
  ['0', 'file'],
  ['1', 'hardlink'],
  ['2', 'symlink'],
  ['3', 'device'],
  ['4', 'device'],
  ['5', 'directory'],
  ['6', 'fifo'],
])

/** A size in both headers must be the same: readers that know only one would see other entries (T27). */
function agreedSize(fields: HeaderFields, pax: number | undefined, name: ByteString): number {
  if (pax === undefined) return fields.size()
  if (pax <= maxOctal11 && fields.size() !== pax) throw damaged('its two headers give different sizes', name)
  return pax
}

/** A GNU long name ends in NUL. Only NULs may follow. */
function gnuText(content: Buffer): ByteString {
  const end = content.indexOf(0)
  if (end <= 0 || !content.subarray(end).every(byte => byte === 0)) throw damaged('a long name is malformed')
  return content.toString('latin1', 0, end)
}

/** Every real header has a checksum, so most headers differ from zeros at its first byte. */
const isZero = (header: Buffer): boolean => header[148] === 0 && header.every(byte => byte === 0)
