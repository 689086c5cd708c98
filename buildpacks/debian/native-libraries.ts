import { readdir, readlink, rm, stat, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { type BuildContext, BuildpackError, digestOf, prepend, type Run, withTempDir } from '../sdk/index.ts'
import { DebianArchive, type DebianPackage } from './archive.ts'
import { runImagePackages } from './run-image.ts'
import { debianComponents, libraryDir, unpackPackages } from './unpack.ts'

/** Those of `packages` that the build image does not have. */
export async function missingPackages(run: Run, packages: readonly DebianPackage[]): Promise<DebianPackage[]> {
  const { stdout } = await run(['dpkg-query', '--show', '--showformat', '${Package} ${db:Status-Status}\n'], {
    quiet: true,
  })
  const installed = new Set(stdout.split('\n').flatMap(line => /^(\S+) installed$/.exec(line)?.[1] ?? []))
  return packages.filter(({ name }) => !installed.has(name))
}

/** Packages for the build alone: headers, libraries to link, and compilers that build scripts call. */
export interface NativePackages {
  /** Variables with which compilers, pkg-config and CMake find them. */
  readonly env: Readonly<Record<string, string>>
  /** Which package has a shared library, by its name: `libpq.so.5`. */
  readonly libraries: Readonly<Record<string, string>>
}

/** Puts Debian packages, and all that they need and the build image lacks, into a layer of the build. */
export async function provideNativePackages(
  context: BuildContext,
  archive: DebianArchive,
  names: readonly string[],
): Promise<NativePackages> {
  const { env, run, target } = context
  if (names.length === 0) return { env: {}, libraries: {} }
  const packages = await missingPackages(run, await archive.resolve(names))
  if (packages.length === 0) return { env: {}, libraries: {} }
  const layer = await context.layer('native', {
    title: `the Debian packages ${names.join(', ')}`,
    types: { build: true, cache: true },
    key: { 'Debian packages': digestOf(JSON.stringify(packages)) },
    create: async dir => {
      const debs = await archive.download(packages)
      await unpackPackages(run, debs, dir)
      await relinkLibraries(libraryDir(dir, target.arch), libraryDir('/', target.arch))
      const notes: Record<string, string> = {}
      for (const [index, deb] of debs.entries()) {
        const { stdout } = await run(['dpkg-deb', '--contents', deb], { quiet: true })
        for (const [, name] of stdout.matchAll(/\/(lib[^/\s]+\.so\.[^/\s]+)( -> \S+)?$/gm)) {
          if (name !== undefined) notes[name] = packages[index]?.name ?? ''
        }
      }
      return { notes }
    },
  })
  const paths = Object.entries(developmentPaths(layer.path, target.arch))
  return {
    libraries: layer.notes,
    env: Object.fromEntries(paths.map(([name, dirs]) => [name, [...dirs, env[name]].filter(Boolean).join(':')])),
  }
}

/** The variables by which compilers, pkg-config and CMake find what a layer of packages has. */
export function developmentPaths(layer: string, arch: string): Record<string, string[]> {
  const libraries = libraryDir(layer, arch)
  const include = join(layer, 'usr/include')
  return {
    PATH: [join(layer, 'usr/bin')],
    LD_LIBRARY_PATH: [libraries],
    LIBRARY_PATH: [libraries],
    CPATH: [include, include + libraries.slice(join(layer, 'usr/lib').length)],
    PKG_CONFIG_PATH: [join(libraries, 'pkgconfig'), join(layer, 'usr/share/pkgconfig')],
    CMAKE_PREFIX_PATH: [join(layer, 'usr')],
  }
}

/**
 * Makes links to libraries that the build image has lead there: `libpq.so` is in a package of headers, and what it leads to in
 * another. The linker would take a static library in its place.
 */
export async function relinkLibraries(dir: string, ofImage: string): Promise<void> {
  for (const entry of await readdir(dir, { withFileTypes: true }).catch(() => [])) {
    if (!entry.isSymbolicLink()) continue
    const path = join(dir, entry.name)
    const isThere = async (file: string) => (await stat(file).catch(() => undefined)) !== undefined
    if (await isThere(path)) continue
    const target = join(ofImage, await readlink(path))
    if (!(await isThere(target))) continue
    await rm(path)
    await symlink(target, path)
  }
}

/**
 * Puts the shared libraries that programs need and the run image lacks into a layer of the image.
 * @param env what they were linked with
 * @throws BuildpackError for a library that is nowhere
 */
export async function provideSharedLibraries(
  context: BuildContext,
  programs: readonly string[],
  native: NativePackages,
  opened?: DebianArchive,
): Promise<void> {
  const needed = new Set<string>()
  for (const program of programs) {
    for (const name of await packagesOf(context, program, native)) needed.add(name)
  }
  const names = [...needed].filter(name => !runImagePackages.includes(name)).toSorted()
  if (names.length === 0) return
  await withTempDir(async temp => {
    const archive = opened ?? (await DebianArchive.open(context, temp))
    const packages = await archive.resolve(names)
    const { run, target } = context
    await context.layer('libraries', {
      title: `the libraries ${names.join(', ')}`,
      types: { launch: true },
      key: { 'Debian packages': digestOf(JSON.stringify(packages)) },
      create: async dir => {
        await unpackPackages(run, await archive.download(packages), dir)
        return { env: { launch: { LD_LIBRARY_PATH: prepend(libraryDir(dir, target.arch), ':') } } }
      },
      sbom: () =>
        Promise.resolve(
          debianComponents(packages, `${target.distro?.name ?? 'debian'}-${target.distro?.version ?? '13'}`),
        ),
    })
  })
}

/** The Debian packages of the shared libraries that a program is linked with. */
async function packagesOf({ env, run }: BuildContext, program: string, native: NativePackages): Promise<string[]> {
  const options = { env: { ...env, ...native.env, LC_ALL: 'C.UTF-8' }, quiet: true, allowFailure: true }
  const { stdout } = await run(['ldd', program], options)
  const packages: string[] = []
  for (const [, name = '', path] of stdout.matchAll(/^\s*(\S+) => (?:(\/\S+)|not found)/gm)) {
    const known = native.libraries[name]
    if (known !== undefined) packages.push(known)
    else if (path === undefined) {
      throw new BuildpackError(
        `${program.replace(/.*\//, '')} is linked with ${name}, which is in no package of the build`,
        {
          fix: 'link it statically, or add the Debian package that has it',
        },
      )
    } else packages.push(await ownerOf(run, path))
  }
  return packages
}

/** The package of a file in the build image. Those in /lib are recorded as in /usr/lib, or the other way round. */
async function ownerOf(run: Run, path: string): Promise<string> {
  for (const candidate of [path, path.startsWith('/usr/') ? path.slice('/usr'.length) : `/usr${path}`]) {
    const { stdout } = await run(['dpkg-query', '--search', candidate], { quiet: true, allowFailure: true })
    const name = /^([^:,\s]+)/.exec(stdout)?.[1]
    if (name !== undefined) return name
  }
  throw new BuildpackError(`${path} is in no Debian package, so it cannot be put into the image`, {
    fix: 'link it statically',
  })
}
