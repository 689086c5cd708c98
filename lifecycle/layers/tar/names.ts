import type { ByteString } from '../../files/byte-string.ts'
import { damaged } from './fields.ts'

const maxPath = 4095
const maxPart = 255

/**
 * An entry's name as a path relative to the root: `/a/b`, `./a/b` and `a/b/` are `a/b`; `/`, `.` and `./` are empty.
 * @throws BaleError 'input' for `..` in any place (T01, T03), `//` (T04), and names that no Linux could open (T22)
 */
export function relativeName(name: ByteString): ByteString {
  const start = name.startsWith('./') ? 2 : name.startsWith('/') ? 1 : 0
  const path = name.slice(start, name.endsWith('/') ? Math.max(start, name.length - 1) : name.length)
  if (path === '' || path === '.') return ''
  if (path.length > maxPath) throw damaged(`its name has more than ${maxPath} bytes`, name)
  if (path.length > maxPart && path.split('/').some(part => part.length > maxPart))
    throw damaged(`a part of its name has more than ${maxPart} bytes`, name)
  if (/(^|\/)\.{0,2}(\/|$)/.test(path)) throw damaged('its name is not a plain path', name)
  return path
}
