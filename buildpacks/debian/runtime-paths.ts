import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { libraryDir } from './unpack.ts'

/**
 * The directories in a layer of packages that the dynamic linker has to search: Debian's library directories, and those that packages
 * add in `/etc/ld.so.conf.d`, since ldconfig does not run for a layer.
 */
async function libraryDirs(layer: string, arch: string): Promise<string[]> {
  const confDir = join(layer, 'etc/ld.so.conf.d')
  const names = (await readdir(confDir).catch(() => [])).filter(name => name.endsWith('.conf')).toSorted()
  const added: string[] = []
  for (const name of names) {
    const lines = (await readFile(join(confDir, name), 'utf8')).split('\n').map(line => line.replace(/#.*/, '').trim())
    added.push(...lines.filter(line => line.startsWith('/')).map(line => join(layer, line)))
  }
  return existing([...added, libraryDir(layer, arch), join(layer, 'usr/lib'), join(layer, 'lib')])
}

/** The variables with which programs find files in a layer of packages that they expect below `/usr`. */
export async function runtimePaths(layer: string, arch: string): Promise<Record<string, string[]>> {
  const below = (...dirs: string[]) => existing(dirs.map(dir => join(layer, dir)))
  const libraries = `usr/lib/${libraryDir('/', arch).split('/').at(-1)}`
  const perl = ['perl5/5.40', 'perl/5.40', 'perl-base'].map(dir => `${libraries}/${dir}`)
  return {
    PATH: await below('usr/local/bin', 'usr/bin', 'usr/sbin', 'usr/games', 'bin', 'sbin'),
    LD_LIBRARY_PATH: await libraryDirs(layer, arch),
    PERL5LIB: await below('usr/share/perl5', 'usr/share/perl/5.40', ...perl),
    FONTCONFIG_PATH: await below('etc/fonts'),
    GIT_EXEC_PATH: await below('usr/lib/git-core'),
    XDG_DATA_DIRS: await withDefault(below('usr/share'), ['/usr/local/share', '/usr/share']),
  }
}

/** A variable that replaces its default when it is set: its value has to include the default. */
async function withDefault(dirs: Promise<string[]>, standard: readonly string[]): Promise<string[]> {
  const own = await dirs
  return own.length > 0 ? [...own, ...standard] : []
}

async function existing(dirs: readonly string[]): Promise<string[]> {
  const found: string[] = []
  for (const dir of dirs) if ((await stat(dir).catch(() => undefined))?.isDirectory() === true) found.push(dir)
  return found
}
