/**
 * Archives byte by byte, as an attacker writes them: every field of a header can be given raw, checksums come out right
 * unless told otherwise. For tar files that are simply there, see archives.ts.
 */
export interface RawEntry {
  /** The type byte; `0` a file, `1` a hard link, `2` a symbolic link, `5` a directory. */
  type?: string
  content?: string | Uint8Array
  link?: string
  prefix?: string
  magic?: string
  /** Numbers become octal digits; text and bytes go in as they are. */
  mode?: number | string | Uint8Array
  uid?: number | string | Uint8Array
  gid?: number | string | Uint8Array
  size?: number | string | Uint8Array
  mtime?: number | string | Uint8Array
  checksum?: number | string
}

/** A header and its padded content. Names are Latin-1: `\xff` is that byte. */
export function entry(name: string, raw: RawEntry = {}): Buffer {
  const content = Buffer.from(raw.content ?? '')
  const header = Buffer.alloc(512)
  const put = (at: number, length: number, value: number | string | Uint8Array): void => {
    const text = typeof value === 'number' ? value.toString(8).padStart(length - 1, '0') : value
    const bytes = typeof text === 'string' ? Buffer.from(text, 'latin1') : text
    if (bytes.length > length) throw new RangeError(`${bytes.length} bytes in a field of ${length}`)
    header.set(bytes, at)
  }
  put(0, 100, name)
  put(100, 8, raw.mode ?? 0o644)
  put(108, 8, raw.uid ?? 0)
  put(116, 8, raw.gid ?? 0)
  put(124, 12, raw.size ?? content.length)
  put(136, 12, raw.mtime ?? 315_532_801)
  put(156, 1, raw.type ?? '0')
  put(157, 100, raw.link ?? '')
  put(257, 8, raw.magic ?? 'ustar\x0000')
  put(345, 155, raw.prefix ?? '')
  header.fill(' ', 148, 156)
  const sum = header.reduce((a, b) => a + b)
  put(148, 8, raw.checksum ?? `${sum.toString(8).padStart(6, '0')}\0 `)
  return Buffer.concat([header, padded(content)])
}

export const file = (name: string, content = '', raw: RawEntry = {}): Buffer => entry(name, { content, ...raw })
export const directory = (name: string, raw: RawEntry = {}): Buffer => entry(name, { type: '5', mode: 0o755, ...raw })
export const symlink = (name: string, link: string): Buffer => entry(name, { type: '2', link, mode: 0o777 })
export const hardlink = (name: string, link: string): Buffer => entry(name, { type: '1', link })

/** A pax header: well-formed records, or text as it is. `g` makes it a global one. */
export function pax(records: Readonly<Record<string, string>> | string, type: 'x' | 'g' = 'x'): Buffer {
  const text =
    typeof records === 'string' ? records : Object.entries(records).map(([key, value]) => paxRecord(key, value)).join('') // prettier-ignore
  return entry('PaxHeader', { type, content: Buffer.from(text, 'latin1') })
}

function paxRecord(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`
  for (let length = rest.length; ; length++) if (`${length}${rest}`.length === length) return `${length}${rest}`
}

/** GNU's header for a long name (`L`) or link target (`K`). */
export const gnuLong = (type: 'L' | 'K', name: string): Buffer =>
  entry('././@LongLink', { type, content: Buffer.from(`${name}\0`, 'latin1'), magic: 'ustar  \0' })

const endOfArchive = Buffer.alloc(1024)

/** The parts as one archive. */
export const tar = (...parts: Uint8Array[]): Buffer => Buffer.concat([...parts, endOfArchive])

export function padded(content: Uint8Array): Buffer {
  return Buffer.concat([content, Buffer.alloc((512 - (content.length % 512)) % 512)])
}

/** Bytes as a stream has them, in pieces of one size; every boundary is tried with a size of 1. */
export async function* streamOf(bytes: Uint8Array, piece = 65_536): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += piece) yield await Promise.resolve(bytes.subarray(at, at + piece))
}
