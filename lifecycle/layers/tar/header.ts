import { BaleError } from '../../errors.ts'
import { type ByteString, printableName } from '../../files/byte-string.ts'

export const tarBlock = 512

/** Entry types that Bale writes (POSIX.1-2017 pax, "ustar Interchange Format"). */
const typeflag = { file: '0', symlink: '2', directory: '5' } as const

export interface TarHeader {
  type: keyof typeof typeflag
  path: ByteString
  /** The target of a symlink; empty otherwise. */
  target: ByteString
  mode: number
  uid: number
  gid: number
  size: number
  /** In seconds, not negative; `constantTime` unless set. */
  mtime?: number
}

/** The time of entries: 1980-01-01T00:00:01Z (platform.md, "Build Reproducibility"). DOS dates begin there. */
export const constantTime = 315_532_801
const nobody = 65_534
const maxPath = 4095 // PATH_MAX without its NUL: no Linux could unpack or open a longer one
const maxOctal7 = 0o777_7777
export const maxOctal11 = 0o777_7777_7777

/** The largest size of a header with its pax records, in bytes. */
export const headerRoom = 16 * 1024

/**
 * Writes the header of an entry at `at` and returns the offset of its content. The rule is the same on every machine: a
 * ustar header whose name is split at the first slash that makes it fit. A pax header before it has the values that do not fit (a
 * longer name or target, a size from 8 GiB, an id from 2²¹), and nothing else.
 */
export function writeHeader(block: Buffer, at: number, header: TarHeader): number {
  const { path, target, uid, gid, size } = header
  checkLength(path)
  checkLength(target)
  const split = splitPath(path)
  let records = ''
  if (split === undefined) records += paxRecord('path', path)
  if (target.length > 100) records += paxRecord('linkpath', target)
  if (size > maxOctal11) records += paxRecord('size', String(size))
  if (uid > maxOctal7) records += paxRecord('uid', String(uid))
  if (gid > maxOctal7) records += paxRecord('gid', String(gid))
  if (records !== '') {
    writeUstar(block, at, 'x', '', 'PaxHeader', '', 0o644, 0, 0, records.length)
    at += tarBlock
    block.write(records, at, 'latin1')
    const end = at + Math.ceil(records.length / tarBlock) * tarBlock
    block.fill(0, at + records.length, end)
    at = end
  }
  writeUstar(
    block,
    at,
    typeflag[header.type],
    split?.prefix ?? '',
    split?.name ?? path.slice(0, 100),
    target.slice(0, 100),
    header.mode,
    // A reader without pax support must not read a large id as root's.
    uid > maxOctal7 ? nobody : uid,
    gid > maxOctal7 ? nobody : gid,
    size > maxOctal11 ? 0 : size,
    header.mtime,
  )
  return at + tarBlock
}

/** Splits a path into ustar's name (100 bytes) and prefix (155) at a slash. Returns undefined if it does not fit. */
function splitPath(path: ByteString): { prefix: ByteString; name: ByteString } | undefined {
  if (path.length <= 100) return { prefix: '', name: path }
  const slash = path.indexOf('/', path.length - 101)
  // A slash at 0 would leave an empty prefix, which means "no prefix": the leading slash would be lost.
  if (slash <= 0 || slash > 155 || slash === path.length - 1) return undefined
  return { prefix: path.slice(0, slash), name: path.slice(slash + 1) }
}

/** `<length> <key>=<value>\n`, where the length counts its own digits. */
function paxRecord(key: string, value: ByteString): ByteString {
  const rest = ` ${key}=${value}\n`
  let length = rest.length + 1
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length
  return `${length}${rest}`
}

const template = Buffer.alloc(tarBlock)
template.write('ustar\x0000', 257, 'latin1')
octal(template, 136, 11, constantTime)
template.write('0000000\x000000000\x00', 329, 'latin1') // device numbers
template.fill(' ', 148, 156) // the checksum counts itself as spaces

function writeUstar(
  block: Buffer,
  at: number,
  type: string,
  prefix: ByteString,
  name: ByteString,
  target: ByteString,
  mode: number,
  uid: number,
  gid: number,
  size: number,
  mtime?: number,
): void {
  block.set(template, at)
  block.write(name, at, 'latin1')
  octal(block, at + 100, 7, mode)
  octal(block, at + 108, 7, uid)
  octal(block, at + 116, 7, gid)
  octal(block, at + 124, 11, size)
  if (mtime !== undefined) octal(block, at + 136, 11, mtime)
  block[at + 156] = type.charCodeAt(0)
  if (target !== '') block.write(target, at + 157, 'latin1')
  if (prefix !== '') block.write(prefix, at + 345, 'latin1')
  octal(block, at + 148, 6, checksum(block, at))
  block[at + 154] = 0
}

/** Sums a header's bytes, with its checksum field counted as spaces. */
export function checksum(block: Uint8Array, at: number): number {
  let sum = 8 * 0x20
  for (let i = at; i < at + 148; i++) sum += block[i] as number
  for (let i = at + 156; i < at + tarBlock; i++) sum += block[i] as number
  return sum
}

/** Writes digits with leading zeros. The byte after them stays NUL. */
function octal(block: Buffer, at: number, digits: number, value: number): void {
  for (let i = at + digits - 1; i >= at; i--) {
    block[i] = 48 + (value % 8)
    value = Math.floor(value / 8)
  }
}

/** @throws BaleError for a path that could not be unpacked anywhere */
export function checkLength(path: ByteString): void {
  if (path.length <= maxPath) return
  throw new BaleError('filesystem', `a path in a layer has ${path.length} bytes; Linux opens none over ${maxPath}`, {
    where: printableName(path),
    fix: 'use shorter or fewer directory names',
  })
}
