import { classesIn, withZip } from './archive.ts'

/**
 * The classes of an archive that Java can start: those with `public static void main(String[])` (Java Language Specification, 12.1.4).
 * A class with `$` in its name, which a tool generates within another class, is not one that a user would start.
 */
export async function mainClassesIn(path: string): Promise<string[]> {
  return withZip(path, async zip => {
    const found: string[] = []
    for await (const [name, bytes] of classesIn(zip)) {
      if (name.includes('$') || /^(META|BOOT|WEB)-INF\//.test(name)) continue
      if (hasMain(bytes)) found.push(name.slice(0, -'.class'.length).replaceAll('/', '.'))
    }
    return found.toSorted()
  })
}

/** The size of each kind of constant after its tag, except texts (Java Virtual Machine Specification, 4.4). */
const sizes: Readonly<Record<number, number>> = {
  3: 4,
  4: 4,
  5: 8,
  6: 8,
  7: 2,
  8: 2,
  9: 4,
  10: 4,
  11: 4,
  12: 4,
  15: 3,
  16: 2,
  17: 4,
  18: 4,
  19: 2,
  20: 2,
}
const isPublicStatic = (flags: number): boolean => (flags & 0x9) === 0x9

/** Whether a class file has a main method (Java Virtual Machine Specification, 4.1). False for a damaged file. */
export function hasMain(bytes: Buffer): boolean {
  try {
    return bytes.readUInt32BE(0) === 0xcafebabe && readMethods(bytes)
  } catch (error) {
    if (error instanceof RangeError) return false
    throw error
  }
}

function readMethods(bytes: Buffer): boolean {
  let at = 8
  const next = (length: 2 | 4): number => {
    const value = bytes.readUIntBE(at, length)
    at += length
    return value
  }
  const texts = new Map<number, string>()
  const constants = next(2)
  for (let index = 1; index < constants; index++) {
    const tag = bytes.readUInt8(at++)
    if (tag === 1) {
      const length = next(2)
      texts.set(index, bytes.toString('latin1', at, at + length))
      at += length
      continue
    }
    const size = sizes[tag]
    if (size === undefined) return false
    at += size
    // A long or a double takes two entries.
    if (tag === 5 || tag === 6) index++
  }
  at += 6
  const interfaces = next(2)
  at += 2 * interfaces
  const skipAttributes = (): void => {
    for (let left = next(2); left > 0; left--) {
      at += 2
      const length = next(4)
      at += length
    }
  }
  for (let fields = next(2); fields > 0; fields--) {
    at += 6
    skipAttributes()
  }
  for (let methods = next(2); methods > 0; methods--) {
    const [flags, name, descriptor] = [next(2), texts.get(next(2)), texts.get(next(2))]
    if (name === 'main' && descriptor === '([Ljava/lang/String;)V' && isPublicStatic(flags)) return true
    skipAttributes()
  }
  return false
}
