import type { ByteString } from '../../files/byte-string.ts'
import { checkTime, damaged } from './fields.ts'

/** The supported records of a pax extended header. They apply to the next entry. */
export interface PaxRecords {
  path?: ByteString
  linkpath?: ByteString
  size?: number
  mtime?: number
  uid?: number
  gid?: number
}

/** Keys that change the meaning of an entry. */
const meaningful = new Set(['path', 'linkpath', 'size', 'mtime', 'uid', 'gid'])

/**
 * Parses the records of a header: `<length> <key>=<value>\n`, where lengths include their own digits (POSIX.1-2017 pax, "pax
 * Header Block"). A global header may hold only comments: one that names or sizes every later entry is refused (T29), and so
 * are GNU's sparse files (T32). Unknown keys, extended attributes among them (T17), are ignored.
 */
export function parsePax(content: Buffer, scope: 'entry' | 'global'): PaxRecords {
  const records: PaxRecords = {}
  const seen = new Set<string>()
  for (let at = 0; at < content.length;) {
    const { key, value, end } = record(content, at)
    at = end
    if (key.startsWith('GNU.sparse.')) throw damaged('it holds a sparse file')
    if (!meaningful.has(key)) continue
    if (scope === 'global') throw damaged(`a global header sets ${key}`)
    if (seen.has(key)) throw damaged(`a pax header sets ${key} twice`)
    seen.add(key)
    if (value === '' || value.includes('\0')) throw damaged(`a pax header has a bad ${key}`)
    if (key === 'path' || key === 'linkpath') records[key] = value
    else if (key === 'size') records.size = integer(value, key, Number.MAX_SAFE_INTEGER)
    else if (key === 'mtime') records.mtime = time(value)
    else records[key as 'uid' | 'gid'] = integer(value, key, 0xffff_fffe)
  }
  return records
}

function record(content: Buffer, at: number): { key: string; value: ByteString; end: number } {
  const space = content.indexOf(0x20, at)
  const digits = space < 0 ? '' : content.toString('latin1', at, space)
  const end = /^[1-9][0-9]{0,6}$/.test(digits) ? at + Number(digits) : 0
  const equals = content.indexOf(0x3d, space)
  const complete = end > equals && equals > space + 1 && end <= content.length && content[end - 1] === 0x0a
  if (!complete) throw damaged('a pax header is malformed')
  return {
    key: content.toString('latin1', space + 1, equals),
    value: content.toString('latin1', equals + 1, end - 1),
    end,
  }
}

function integer(value: string, key: string, max: number): number {
  const number = /^[0-9]{1,16}$/.test(value) ? Number(value) : Infinity
  if (number > max) throw damaged(`a pax header has a bad ${key}`)
  return number
}

/** Parses decimal seconds, with or without a fraction. */
function time(value: string): number {
  if (!/^[0-9]{1,13}(\.[0-9]*)?$/.test(value)) throw damaged('a pax header has a bad mtime')
  return checkTime(Number(value))
}
