import { appendFile, mkdir, readdir, rm, stat, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import type { DebianArchive, DebianPackage } from '../debian/archive.ts'
import { debianComponents, libraryDir, unpackPackages } from '../debian/unpack.ts'
import { type BuildContext, byDefault, digestOf, prepend, type Run, type RunOptions } from '../sdk/index.ts'

/** The interpreter in its layer, and the data for running it during the build. */
export interface Python {
  /** Debian's version, `3.13.5-2+deb13u5`, or upstream's. */
  readonly version: string
  readonly minor: string
  readonly program: string
  readonly env: Readonly<Record<string, string>>
  /** The directory of its own shared libraries. */
  readonly libraries: string
  /** Debian's package of its headers; undefined if they come with the interpreter. */
  readonly headers?: string
}

/** Variables of every Python that runs in a build: what it writes to a layer does not depend on chance or the clock. */
export const reproducibleEnv = { PYTHONDONTWRITEBYTECODE: '1', PYTHONHASHSEED: '0', PYTHONNOUSERSITE: '1' }

/** Lines appear in the log as they are printed. PORT has the default of other platforms. */
export const launchEnv = { PYTHONUNBUFFERED: byDefault('1'), PORT: byDefault('8080') }

/** For commands of the user and other buildpacks: their programs write no files with times beside the source. */
export const laterBuildEnv = { PYTHONDONTWRITEBYTECODE: byDefault('1'), PYTHONHASHSEED: byDefault('0') }

function buildEnv(libraries: string): Record<string, string> {
  return { ...reproducibleEnv, LD_LIBRARY_PATH: libraries }
}

/** Puts Debian's Python into a layer: the interpreter, its standard library and the shared libraries it needs. */
export async function provideDebianPython(
  context: BuildContext,
  archive: DebianArchive,
  minor: string,
  launch: boolean,
): Promise<Python> {
  const { target, run } = context
  const packages = await archive.resolve([`python${minor}`])
  const version = packages.find(({ name }) => name === `python${minor}`)?.version ?? minor
  const distro = `${target.distro?.name ?? 'debian'}-${target.distro?.version ?? '13'}`
  const layer = await context.layer('python', {
    title: `Python ${version.replace(/-.*/, '')}`,
    types: { launch, build: true, cache: true },
    key: { Python: version, architecture: target.arch, 'Debian packages': digestOf(JSON.stringify(packages)) },
    create: async dir => {
      await unpackPackages(run, await archive.download(packages), dir)
      await linkPrograms(dir, minor)
      const libraries = libraryDir(dir, target.arch)
      const modules = join(dir, `usr/lib/python${minor}`)
      await findLibrariesInLayers(modules)
      await compileModules(run, programOf(dir, minor), modules, {
        env: buildEnv(libraries),
      })
      return {
        env: {
          all: { LD_LIBRARY_PATH: prepend(libraries, ':') },
          build: laterBuildEnv,
          launch: launchEnv,
        },
      }
    },
    sbom: () => Promise.resolve(debianComponents(packages, distro)),
  })
  const libraries = libraryDir(layer.path, target.arch)
  const env = buildEnv(libraries)
  return { version, minor, program: programOf(layer.path, minor), env, libraries, headers: `libpython${minor}-dev` }
}

/**
 * The program itself. A virtual environment records the directory of the program that created it, and looks for Python's library from
 * there. With one of the links in bin/ it would find the build image's library, which the run image does not have.
 */
function programOf(dir: string, minor: string): string {
  return join(dir, `usr/bin/python${minor}`)
}

async function linkPrograms(dir: string, minor: string): Promise<void> {
  await mkdir(join(dir, 'bin'))
  for (const name of ['python', 'python3', `python${minor}`]) {
    await symlink(`../usr/bin/python${minor}`, join(dir, 'bin', name))
  }
}

/**
 * Packages such as psycopg look for libraries with `ctypes.util.find_library`, which asks ldconfig, gcc and ld. None of these knows the
 * layers of an image; LD_LIBRARY_PATH names them.
 */
const findLibrary = `

def _also_in_library_path(find):
    def find_library(name):
        found = find(name)
        if found is None:
            for directory in os.environ.get('LD_LIBRARY_PATH', '').split(':'):
                try:
                    entries = sorted(os.listdir(directory)) if directory else []
                except OSError:
                    continue
                for entry in entries:
                    if entry.startswith(f'lib{name}.so.'):
                        return entry
        return found

    return find_library


find_library = _also_in_library_path(find_library)
`

/** @param modules the directory of the standard library */
export async function findLibrariesInLayers(modules: string): Promise<void> {
  const file = join(modules, 'ctypes/util.py')
  const known = await stat(file).catch(() => undefined)
  if (known?.isFile() === true) await appendFile(file, findLibrary)
}

/**
 * Compiles modules in advance, since the application cannot write beside them: `import flask` takes a second otherwise. Nothing checks
 * the files at run time (PEP 552, "unchecked hash"), since layers have no times. It uses one process, since several produce different
 * bytes.
 */
export async function compileModules(run: Run, python: string, dir: string, options: RunOptions): Promise<void> {
  const flags = ['-q', '--invalidation-mode', 'unchecked-hash']
  // A package may contain a file for another version of Python, which is no error as long as nobody imports it.
  await run([python, '-m', 'compileall', ...flags, dir], { ...options, quiet: true, allowFailure: true })
}

/** pip from Debian's wheel. The build image's own Python unpacks it and may also run it. */
export async function providePip(context: BuildContext, archive: DebianArchive): Promise<Pip> {
  const packages = (await archive.resolve(['python3-pip-whl'])).filter(({ name }) => name === 'python3-pip-whl')
  const debianVersion = versionOf(packages, 'python3-pip-whl')
  const version = debianVersion.replace(/\+dfsg.*/, '')
  const layer = await context.layer('pip', {
    title: `pip ${version}`,
    types: { cache: true },
    key: { pip: debianVersion },
    create: async dir => {
      await unpackPackages(context.run, await archive.download(packages), dir)
      const wheels = join(dir, 'usr/share/python-wheels')
      const [wheel = ''] = await readdir(wheels)
      const options = { env: reproducibleEnv, quiet: true }
      await context.run(['python3', '-m', 'zipfile', '-e', join(wheels, wheel), join(dir, 'pip')], options)
      await rm(join(dir, 'usr/share'), { recursive: true, force: true })
    },
  })
  context.seal(layer)
  return { version, modules: join(layer.path, 'pip') }
}

export interface Pip {
  readonly version: string
  /** The directory to import it from. */
  readonly modules: string
}

/** Directories of Debian's Python headers, for packages in C: a build-only layer. */
export async function provideHeaders(
  context: BuildContext,
  archive: DebianArchive,
  { minor, headers: name }: Python,
): Promise<string[]> {
  if (name === undefined) return []
  const packages = (await archive.resolve([name])).filter(p => p.name === name)
  const layer = await context.layer('headers', {
    types: { cache: true },
    key: { headers: versionOf(packages, name) },
    create: async dir => {
      await unpackPackages(context.run, await archive.download(packages), dir)
      for (const part of ['share', 'lib']) await rm(join(dir, 'usr', part), { recursive: true, force: true })
    },
  })
  context.seal(layer)
  return [`usr/include/python${minor}`, 'usr/include'].map(path => join(layer.path, path))
}

function versionOf(packages: readonly DebianPackage[], name: string): string {
  return packages.find(p => p.name === name)?.version ?? ''
}
