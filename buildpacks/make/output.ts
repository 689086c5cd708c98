import { copyFile, cp, mkdir, open, readdir } from 'node:fs/promises'
import { basename, join, relative } from 'node:path'
import {
  type BuildContext,
  choosePrograms,
  digestOf,
  digestOfFile,
  type Layer,
  type Program,
  provideProgramLayer,
  withTempDir,
} from '../sdk/index.ts'

/** A program that a build made, and the current place of its file. */
export interface BuiltProgram extends Program {
  readonly file: string
}

/** The result of a build. */
export interface Built {
  readonly programs: readonly BuiltProgram[]
  /** The application's own shared libraries. */
  readonly libraries: readonly string[]
  /** A directory with installed files that programs read. Its relative names are also those in the layer. */
  readonly share?: string
  /** Paths in the application that the build wrote and no program reads. */
  readonly made: readonly RegExp[]
}

/**
 * The programs to keep, the likely web process first.
 * @param appName the application's own name
 */
export async function choose(
  context: BuildContext,
  all: readonly BuiltProgram[],
  appName = '',
): Promise<BuiltProgram[]> {
  return choosePrograms(context, all, { appName, setting: 'a Procfile' })
}

/** The layers with the programs and with their libraries. The launcher puts both on the search paths. */
export async function provideOutput(context: BuildContext, built: Built): Promise<Layer> {
  if (built.libraries.length > 0) await provideLibraries(context, built.libraries)
  if (built.share !== undefined) await provideShare(context, built.share)
  return withTempDir(async dir => {
    for (const { name, file } of built.programs) await copyFile(file, join(dir, name))
    return provideProgramLayer(context, built.programs, dir, { sbom: () => Promise.resolve([]) })
  })
}

async function provideLibraries({ layer }: BuildContext, libraries: readonly string[]): Promise<void> {
  const digests = await Promise.all(libraries.map(digestOfFile))
  await layer('libraries', {
    types: { launch: true },
    key: { libraries: digestOf(...libraries.map(file => basename(file)), ...digests) },
    create: async dir => {
      await mkdir(join(dir, 'lib'))
      for (const file of libraries) await copyFile(file, join(dir, 'lib', basename(file)))
    },
  })
}

async function provideShare({ layer }: BuildContext, share: string): Promise<void> {
  const files = (await readdir(share, { recursive: true, withFileTypes: true })).filter(entry => entry.isFile())
  const paths = files.map(({ parentPath, name }) => join(parentPath, name)).toSorted()
  const digests = await Promise.all(paths.map(digestOfFile))
  await layer('share', {
    types: { launch: true },
    key: { files: digestOf(...paths.map(path => relative(share, path)), ...digests) },
    create: dir => cp(share, join(dir, 'share'), { recursive: true }),
  })
}

/** `program` for an executable file, `library` for a shared library, by their headers (elf(5)); undefined for other files. */
export async function elfKind(path: string): Promise<'program' | 'library' | undefined> {
  await using file = await open(path)
  const head = Buffer.alloc(4096)
  const { bytesRead } = await file.read(head, 0, head.length, 0)
  if (bytesRead < 64 || head.toString('latin1', 0, 4) !== '\x7fELF' || head[4] !== 2) return undefined
  const type = head.readUInt16LE(16)
  if (type === 2) return 'program'
  if (type !== 3) return undefined
  // A position-independent program differs from a library by its program interpreter (PT_INTERP).
  const [offset, size, count] = [Number(head.readBigUInt64LE(32)), head.readUInt16LE(54), head.readUInt16LE(56)]
  for (let i = 0; i < count && offset + (i + 1) * size <= bytesRead; i++) {
    if (head.readUInt32LE(offset + i * size) === 3) return 'program'
  }
  return 'library'
}

/** Programs and libraries below a directory, except those in `known`. */
export async function findElf(
  dir: string,
  known: ReadonlySet<string> = new Set(),
): Promise<{ programs: string[]; libraries: string[] }> {
  const found = { programs: [] as string[], libraries: [] as string[] }
  for (const entry of await readdir(dir, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    if (!entry.isFile() || known.has(path) || /(^|\/)(\.git|CMakeFiles|node_modules)\//.test(relative(dir, path)))
      continue
    const kind = await elfKind(path)
    if (kind === 'program') found.programs.push(path)
    else if (kind === 'library' && /\.so(\.[\d.]+)?$/.test(entry.name)) found.libraries.push(path)
  }
  return { programs: found.programs.toSorted(), libraries: found.libraries.toSorted() }
}
