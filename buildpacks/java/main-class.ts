import { readdir } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { BuildpackError } from '../sdk/index.ts'
import { classesIn, type JavaArchive, readArchive, withZip } from './archive.ts'

/**
 * The classes of an archive that Java can start: those with `public static void main(String[])`, and from Java 25 on with a main method
 * that is not private (Java Language Specification, 12.1.4). A class with `$` in its name, which a tool generates within another class, is not one that a user would start.
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

/**
 * Checks that a class is in an archive or in the libraries of a directory.
 * @throws BuildpackError otherwise
 */
export async function requireClass(main: string, { path, entries }: JavaArchive, libraries: string): Promise<void> {
  const file = `${main.replaceAll('.', '/')}.class`
  if (entries.includes(file)) return
  const names = (await readdir(libraries).catch(() => [])).filter(name => name.endsWith('.jar'))
  for (const name of names) if ((await readArchive(join(libraries, name))).entries.includes(file)) return
  throw new BuildpackError(`names the class ${main}, which is neither in ${basename(path)} nor in its libraries`, {
    where: 'pom.xml',
    fix: 'correct the name, with its package, or add the library that has it to the dependencies',
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
/** Access flags (Java Virtual Machine Specification, 4.1 and 4.6). */
const flag = { public: 0x1, private: 0x2, static: 0x8, interface: 0x200, abstract: 0x400 } as const
/** The version of class files of Java 25, which also starts instance methods and methods without parameters. */
const java25 = 69

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
  let at = 6
  const next = (length: 2 | 4): number => {
    const value = bytes.readUIntBE(at, length)
    at += length
    return value
  }
  const version = next(2)
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
  const access = next(2)
  at += 4
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
  const methods: Method[] = []
  for (let left = next(2); left > 0; left--) {
    methods.push({ flags: next(2), name: texts.get(next(2)), descriptor: texts.get(next(2)) })
    skipAttributes()
  }
  return version < java25 ? methods.some(isClassicMain) : canStart(methods, access)
}

interface Method {
  readonly flags: number
  readonly name: string | undefined
  readonly descriptor: string | undefined
}

const isClassicMain = ({ flags, name, descriptor }: Method): boolean =>
  name === 'main' &&
  descriptor === '([Ljava/lang/String;)V' &&
  (flags & flag.public) !== 0 &&
  (flags & flag.static) !== 0

/** An instance method needs an instance: a class that is not abstract, with a constructor without parameters. */
function canStart(methods: readonly Method[], access: number): boolean {
  const isOpen = ({ flags }: Method) => (flags & flag.private) === 0
  const hasInstances =
    (access & (flag.abstract | flag.interface)) === 0 &&
    methods.some(method => method.name === '<init>' && method.descriptor === '()V' && isOpen(method))
  return methods.some(
    method =>
      method.name === 'main' &&
      (method.descriptor === '([Ljava/lang/String;)V' || method.descriptor === '()V') &&
      isOpen(method) &&
      ((method.flags & flag.static) !== 0 || hasInstances),
  )
}
