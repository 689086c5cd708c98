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
 * @param pom the path of the project file, for the message
 * @throws BuildpackError otherwise
 */
export async function requireClass(
  main: string,
  { path, entries }: JavaArchive,
  { libraries, pom }: { readonly libraries: string; readonly pom: string },
): Promise<void> {
  const file = `${main.replaceAll('.', '/')}.class`
  if (entries.includes(file)) return
  const names = (await readdir(libraries).catch(() => [])).filter(name => name.endsWith('.jar'))
  for (const name of names) if ((await readArchive(join(libraries, name))).entries.includes(file)) return
  throw new BuildpackError(`names the class ${main}, which is neither in ${basename(path)} nor in its libraries`, {
    where: pom,
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
export const hasMain = (bytes: Buffer): boolean => readClass(bytes, readMethods) ?? false

/** @returns undefined for a damaged file */
function readClass<T>(bytes: Buffer, read: (bytes: Buffer) => T): T | undefined {
  try {
    return bytes.readUInt32BE(0) === 0xcafebabe ? read(bytes) : undefined
  } catch (error) {
    if (error instanceof RangeError) return undefined
    throw error
  }
}

interface Constants {
  /** By index. */
  readonly texts: ReadonlyMap<number, string>
  /** The indexes of the names of classes. */
  readonly classes: readonly number[]
  /** Where the next part begins. */
  readonly end: number
}

/** @throws RangeError for a damaged file */
function readConstants(bytes: Buffer): Constants {
  const texts = new Map<number, string>()
  const classes: number[] = []
  const count = bytes.readUInt16BE(8)
  let at = 10
  for (let index = 1; index < count; index++) {
    const tag = bytes.readUInt8(at++)
    if (tag === 1) {
      const length = bytes.readUInt16BE(at)
      texts.set(index, bytes.toString('latin1', at + 2, at + 2 + length))
      at += 2 + length
      continue
    }
    if (tag === 7) classes.push(bytes.readUInt16BE(at))
    const size = sizes[tag]
    if (size === undefined) throw new RangeError(`no constant has the tag ${tag}`)
    at += size
    // A long or a double takes two entries.
    if (tag === 5 || tag === 6) index++
  }
  return { texts, classes, end: at }
}

const usedClasses = (bytes: Buffer): string[] => {
  const { texts, classes } = readConstants(bytes)
  return classes.map(index => texts.get(index) ?? '')
}

/** Packages of the JDK. javax is also that of libraries, and arrays start with a bracket. */
const ofJdk = /^(?:\[|(?:java|javax|jdk|sun|com\/sun|netscape|org\/(?:ietf|w3c|xml))\/)/

/**
 * A class that a class of an archive uses, and that neither the archive nor the JDK has: the archive needs libraries that it does not
 * name. Undefined if there is none, as for an archive with its libraries.
 */
export async function missingClass({ path, entries }: JavaArchive, main: string): Promise<string | undefined> {
  const file = `${main.replaceAll('.', '/')}.class`
  const there = new Set(entries)
  return withZip(path, async zip => {
    for await (const [name, bytes] of classesIn(zip)) {
      if (name !== file) continue
      const used = readClass(bytes, usedClasses) ?? []
      return used.find(each => each !== '' && !ofJdk.test(each) && !there.has(`${each}.class`))?.replaceAll('/', '.')
    }
    return undefined
  })
}

function readMethods(bytes: Buffer): boolean {
  const version = bytes.readUInt16BE(6)
  const { texts, end } = readConstants(bytes)
  let at = end
  const next = (length: 2 | 4): number => {
    const value = bytes.readUIntBE(at, length)
    at += length
    return value
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
