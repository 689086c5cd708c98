import { mkdir, stat, symlink } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import {
  append,
  type BuildContext,
  BuildpackError,
  byDefault,
  digestOf,
  type EnvChange,
  type EnvChanges,
  prepend,
  type Run,
  withTempDir,
} from '../sdk/index.ts'
import { DebianArchive } from './archive.ts'
import type { NativePackages } from './native-libraries.ts'
import { runImagePackages } from './run-image.ts'
import { runtimePaths } from './runtime-paths.ts'
import { debianComponents, libraryDir, unpackPackages } from './unpack.ts'

/**
 * Puts the shared libraries that programs need and the run image lacks into a layer of the image.
 * @param env the packages that they were linked with
 * @throws BuildpackError for a library that does not exist anywhere
 */
export async function provideSharedLibraries(
  context: BuildContext,
  programs: readonly string[],
  native: NativePackages,
  opened?: DebianArchive,
): Promise<void> {
  const names = await librariesOf(context, programs, native)
  if (names.length === 0) return
  await withTempDir(async temp => {
    await provideLibraries(context, opened ?? (await DebianArchive.open(context, temp)), names)
  })
}

export interface LibrariesOptions {
  /** Also restores the layer's files, for programs of the build that load them. */
  readonly restored?: boolean
  /** Whether the image has the layer; true by default. */
  readonly launch?: boolean
  /** The title for users; the names of the packages by default. */
  readonly title?: string
  /** More variables of the image, which may name paths in the layer's directory. */
  readonly env?: (dir: string) => EnvChanges
  /** Dependencies of packages that are not needed here. */
  readonly without?: readonly string[]
  /** Packages to install without their dependencies, which the other packages provide as far as they are needed. */
  readonly alone?: readonly string[]
  /** Links to create in the layer, with their targets, as paths in the layer. */
  readonly links?: Readonly<Record<string, string>>
}

/**
 * Puts Debian packages, and the dependencies that the run image lacks, into a layer of the image.
 * @returns the directory of the libraries
 */
export async function provideLibraries(
  context: BuildContext,
  archive: DebianArchive,
  names: readonly string[],
  options: LibrariesOptions = {},
): Promise<string> {
  const { alone = [], without = [] } = options
  const resolved = (await archive.resolve(names)).filter(({ name }) => !without.includes(name))
  const added = alone.length > 0 ? (await archive.resolve(alone)).filter(({ name }) => alone.includes(name)) : []
  const packages = [...resolved, ...added]
  const { run, target } = context
  const layer = await context.layer('libraries', {
    title: options.title ?? `the libraries ${names.join(', ')}`,
    types: { launch: options.launch ?? true, ...(options.restored === true && { cache: true }) },
    key: {
      'Debian packages': digestOf(JSON.stringify(packages)),
      ...(options.env && { variables: JSON.stringify(options.env('')) }),
      ...(options.links && { links: digestOf(JSON.stringify(options.links)) }),
    },
    create: async dir => {
      await unpackPackages(run, await archive.download(packages), dir)
      await makeLinks(dir, options.links ?? {})
      return { env: { launch: { ...(await launchVariables(dir, target.arch)), ...options.env?.(dir) } } }
    },
    sbom: () =>
      Promise.resolve(
        debianComponents(packages, `${target.distro?.name ?? 'debian'}-${target.distro?.version ?? '13'}`),
      ),
  })
  return libraryDir(layer.path, target.arch)
}

async function makeLinks(dir: string, links: Readonly<Record<string, string>>): Promise<void> {
  for (const [path, target] of Object.entries(links)) {
    const folder = dirname(join(dir, path))
    await mkdir(folder, { recursive: true })
    await symlink(relative(folder, join(dir, target)), join(dir, path))
  }
}

/** Directories of data that programs and libraries look for at a fixed place, and the variables that name another place. */
const dataVariables: readonly (readonly [variable: string, dir: string])[] = [
  ['GDAL_DATA', 'usr/share/gdal'],
  ['MAGIC', 'usr/lib/file/magic.mgc'],
  ['PROJ_DATA', 'usr/share/proj'],
  ['TESSDATA_PREFIX', 'usr/share/tesseract-ocr/5/tessdata'],
]
/** Subdirectories of the directory of libraries: packages with these expect the linker's configuration to name them. */
const libraryFolders = ['blas', 'lapack', 'pulseaudio']

async function launchVariables(dir: string, arch: string): Promise<EnvChanges> {
  const libraries = libraryDir(dir, arch)
  const isThere = async (path: string) => (await stat(path).catch(() => undefined)) !== undefined
  const folders = [libraries]
  for (const name of libraryFolders) if (await isThere(join(libraries, name))) folders.push(join(libraries, name))
  const variables: Record<string, EnvChange> = { LD_LIBRARY_PATH: prepend(folders.join(':'), ':') }
  if (await isThere(join(dir, 'usr/bin'))) variables['PATH'] = append(join(dir, 'usr/bin'), ':')
  if (await isThere(join(dir, 'usr/share/fonts'))) {
    // fontconfig finds its settings by FONTCONFIG_PATH, and fonts by XDG_DATA_DIRS.
    const { FONTCONFIG_PATH = [], XDG_DATA_DIRS = [] } = await runtimePaths(dir, arch)
    if (FONTCONFIG_PATH.length > 0) variables['FONTCONFIG_PATH'] = byDefault(FONTCONFIG_PATH.join(':'))
    variables['XDG_DATA_DIRS'] = byDefault(XDG_DATA_DIRS.join(':'))
  }
  for (const [variable, path] of dataVariables) {
    if (await isThere(join(dir, path))) variables[variable] = byDefault(join(dir, path))
  }
  return variables
}

/**
 * The Debian packages of the shared libraries that programs or modules are linked with and the run image lacks, sorted.
 * @param provided directories of libraries in other layers of the image
 * @throws BuildpackError for a library that does not exist anywhere
 */
export async function librariesOf(
  context: BuildContext,
  programs: readonly string[],
  native: NativePackages,
  provided: readonly string[] = [],
): Promise<string[]> {
  const needed = new Set<string>()
  for (const program of programs) {
    for (const name of await packagesOf(context, program, native, provided)) needed.add(name)
  }
  return [...needed].filter(name => !runImagePackages.includes(name)).toSorted()
}

/** The Debian packages of the shared libraries that a program is linked with. */
async function packagesOf(
  { env, run }: BuildContext,
  program: string,
  native: NativePackages,
  provided: readonly string[],
): Promise<string[]> {
  const search = [...provided, native.env['LD_LIBRARY_PATH'] ?? env['LD_LIBRARY_PATH']].filter(Boolean).join(':')
  const all = { ...env, ...native.env, ...(search !== '' && { LD_LIBRARY_PATH: search }), LC_ALL: 'C.UTF-8' }
  const options = { env: all, quiet: true, allowFailure: true }
  const { stdout, stderr, exitCode } = await run(['ldd', program], options)
  // A statically linked program is not a dynamic executable, and needs nothing.
  if (exitCode !== 0 && !/not a dynamic executable|statically linked/.test(stdout + stderr)) {
    throw new BuildpackError(`ldd cannot read the libraries of ${program}: ${stderr.trim()}`)
  }
  const packages: string[] = []
  for (const [, name = '', path] of stdout.matchAll(/^\s*(\S+) => (?:(\/\S+)|not found)/gm)) {
    const known = native.libraries[name]
    if (path !== undefined && provided.some(dir => path.startsWith(`${dir}/`))) continue
    if (known !== undefined) packages.push(known)
    else if (path === undefined) {
      throw new BuildpackError(
        `${program.replace(/.*\//, '')} is linked with ${name}, which is not in any package of the build`,
        {
          fix: 'link it statically, or add the Debian package that contains it',
        },
      )
    } else packages.push(await ownerOf(run, path))
  }
  return packages
}

/** The package of a file in the build image. dpkg may record a file in /lib as in /usr/lib, or the other way round. */
async function ownerOf(run: Run, path: string): Promise<string> {
  for (const candidate of [path, path.startsWith('/usr/') ? path.slice('/usr'.length) : `/usr${path}`]) {
    const { stdout } = await run(['dpkg-query', '--search', candidate], { quiet: true, allowFailure: true })
    const name = /^([^:,\s]+)/.exec(stdout)?.[1]
    if (name !== undefined) return name
  }
  throw new BuildpackError(`${path} is not in any Debian package, so it cannot be added to the image`, {
    fix: 'link it statically',
  })
}
