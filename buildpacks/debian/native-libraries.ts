import { readdir, readFile, readlink, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type BuildContext, digestOf, type Run } from '../sdk/index.ts'
import type { DebianArchive, DebianPackage } from './archive.ts'
import { libraryDir, unpackPackages } from './unpack.ts'

/** The packages that the build image does not have. */
export async function missingPackages(run: Run, packages: readonly DebianPackage[]): Promise<DebianPackage[]> {
  const { stdout } = await run(['dpkg-query', '--show', '--showformat', '${Package} ${db:Status-Status}\n'], {
    quiet: true,
  })
  const installed = new Set(stdout.split('\n').flatMap(line => /^(\S+) installed$/.exec(line)?.[1] ?? []))
  return packages.filter(({ name }) => !installed.has(name))
}

/** Build-only packages: headers, libraries to link, and compilers that build scripts call. */
export interface NativePackages {
  /** Variables with which compilers, pkg-config and CMake find them. */
  readonly env: Readonly<Record<string, string>>
  /** The package of each shared library, by the library's name: `libpq.so.5`. */
  readonly libraries: Readonly<Record<string, string>>
  /** A digest of the packages and their versions; empty if there are none. */
  readonly digest: string
}

export const noNativePackages: NativePackages = { env: {}, libraries: {}, digest: '' }

/** Puts Debian packages, and the dependencies that the build image lacks, into a build layer. */
export async function provideNativePackages(
  context: BuildContext,
  archive: DebianArchive,
  names: readonly string[],
): Promise<NativePackages> {
  const { env, run, target } = context
  if (names.length === 0) return noNativePackages
  const packages = await missingPackages(run, await archive.resolve(names))
  if (packages.length === 0) return noNativePackages
  const digest = digestOf(JSON.stringify(packages))
  const layer = await context.layer('native', {
    title: `the Debian packages ${names.join(', ')}`,
    types: { build: true, cache: true },
    key: { 'Debian packages': digest },
    create: async dir => {
      const debs = await archive.download(packages)
      await unpackPackages(run, debs, dir)
      await relinkLibraries(libraryDir(dir, target.arch), libraryDir('/', target.arch))
      await relocateConfigurations(dir, target.arch)
      return { notes: await librariesIn(run, debs, packages) }
    },
  })
  const paths = Object.entries(developmentPaths(layer.path, target.arch))
  return {
    digest,
    libraries: layer.notes,
    env: Object.fromEntries(paths.map(([name, dirs]) => [name, [...dirs, env[name]].filter(Boolean).join(':')])),
  }
}

/** The package of each shared library, by the library's name: `libpq.so.5`. */
export async function librariesIn(
  run: Run,
  debs: readonly string[],
  packages: readonly DebianPackage[],
): Promise<Record<string, string>> {
  const libraries: Record<string, string> = {}
  for (const [index, deb] of debs.entries()) {
    const { stdout } = await run(['dpkg-deb', '--contents', deb], { quiet: true })
    for (const [, name] of stdout.matchAll(/\/(lib[^/\s]+\.so\.[^/\s]+)( -> \S+)?$/gm)) {
      if (name !== undefined) libraries[name] = packages[index]?.name ?? ''
    }
  }
  return libraries
}

/** The variables with which compilers, pkg-config and CMake find the contents of a layer of packages. */
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
 * Makes pkg-config's files, and scripts such as pg_config, name the layer instead of /usr as the place of headers and libraries.
 * Compiled programs of this kind stay unchanged; pkg-config precedes them.
 */
async function relocateConfigurations(layer: string, arch: string): Promise<void> {
  const folders = [
    join(libraryDir(layer, arch), 'pkgconfig'),
    join(layer, 'usr/share/pkgconfig'),
    join(layer, 'usr/bin'),
  ]
  for (const folder of folders) {
    for (const entry of await readdir(folder, { withFileTypes: true }).catch(() => [])) {
      const isConfiguration = entry.name.endsWith('.pc') || /[-_]config\b/.test(entry.name)
      if (!entry.isFile() || !isConfiguration) continue
      const path = join(folder, entry.name)
      const bytes = await readFile(path)
      if (bytes.includes(0)) continue
      const text = bytes.toString('latin1')
      const here = text
        .replaceAll(/(^|[=\s"'IL])\/usr(?=\/(?:include|lib|share)\b)/gm, `$1${join(layer, 'usr')}`)
        .replaceAll(/^(\w*prefix=)\/usr$/gm, `$1${join(layer, 'usr')}`)
      if (here !== text) await writeFile(path, here, 'latin1')
    }
  }
}

/**
 * Makes links to libraries of the build image point there: `libpq.so` is in a package of headers, and its target in another package.
 * Otherwise the linker would take a static library.
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
