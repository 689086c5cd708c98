import { BaleError } from '../../errors.ts'
import { type ByteString, printableName } from '../../files/byte-string.ts'
import { checksum } from './header.ts'

/** The fields of one ustar or GNU header with a valid checksum and magic. */
export class HeaderFields {
  readonly #header: Buffer
  readonly #posix: boolean

  constructor(header: Buffer) {
    this.#header = header
    if (this.#number(148, 8, 'checksum') !== checksum(header, 0)) throw damaged('a header has a wrong checksum')
    const magic = header.toString('latin1', 257, 265)
    this.#posix = magic.startsWith('ustar\0')
    if (!this.#posix && magic !== 'ustar  \0') throw damaged('a header is neither POSIX nor GNU')
  }

  /** GNU headers have other fields in the place of POSIX's prefix. */
  name(): ByteString {
    const prefix = this.#posix ? this.#text(345, 155) : ''
    const name = this.#text(0, 100)
    return prefix === '' ? name : `${prefix}/${name}`
  }

  target(): ByteString {
    return this.#text(157, 100)
  }

  mode(): number {
    const mode = this.#number(100, 8, 'mode')
    if (mode > 0o177777) throw damaged('a mode is out of range', this.name())
    return mode & 0o7777 // old writers put the file type in the bits above
  }

  size(max: number = Number.MAX_SAFE_INTEGER): number {
    const size = this.#number(124, 12, 'size')
    if (size > max) throw damaged(`a size of ${size} is out of range`, this.name())
    return size
  }

  mtime(): number {
    return checkTime(this.#number(136, 12, 'time'))
  }

  /** An id out of range is a sign of an attack: containerd once treated such an id as root. */
  owner(name: ByteString): { readonly uid: number; readonly gid: number } {
    const [uid, gid] = [this.#number(108, 8, 'owner'), this.#number(116, 8, 'owner')]
    if (uid > 0xffff_fffe || gid > 0xffff_fffe) throw damaged('its owner is out of range', name)
    return { uid, gid }
  }

  #text(at: number, length: number): ByteString {
    const end = this.#header.indexOf(0, at)
    return this.#header.toString('latin1', at, end < 0 || end > at + length ? at + length : end)
  }

  /** Octal digits between spaces and NULs, or GNU's base-256: a set top bit, then a big-endian number. */
  #number(at: number, length: number, what: string): number {
    const bad = (): BaleError => damaged(`a ${what} is not a number, or out of range`)
    const first = this.#header[at] as number
    if (first >= 0x80) {
      if (first !== 0x80) throw bad() // 0xff begins a negative number
      let value = 0
      for (let i = at + 1; i < at + length; i++) value = value * 256 + (this.#header[i] as number)
      if (value > Number.MAX_SAFE_INTEGER) throw bad()
      return value
    }
    const digits = /^ *([0-7]*)[ \0]*$/.exec(this.#header.toString('latin1', at, at + length))?.[1]
    if (digits === undefined) throw bad()
    return digits === '' ? 0 : parseInt(digits, 8)
  }
}

const year10000 = 253_402_300_800

export function checkTime(seconds: number): number {
  if (!(seconds >= 0 && seconds < year10000)) throw damaged('a time is out of range')
  return seconds
}

/** Makes the error for a damaged archive. `name` is the entry's. */
export function damaged(why: string, name?: ByteString): BaleError {
  if (name === undefined) return new BaleError('input', `the archive cannot be read: ${why}`)
  const where = printableName(name)
  return new BaleError('input', `the archive cannot be read: ${where}: ${why}`, { where })
}
