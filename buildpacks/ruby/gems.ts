import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { librariesOf } from '../debian/shared-libraries.ts'
import type { NativePackages } from '../debian/native-libraries.ts'
import {
  type App,
  type BuildContext,
  byDefault,
  type Component,
  digestOf,
  digestOfFile,
  drop,
  type Layer,
  packageUrl,
  prepend,
} from '../sdk/index.ts'
import { checkAskedBundler } from './bundler-version.ts'
import { bundle, type Bundle, type Gem, type Tools } from './bundle.ts'
import { formatConfig } from './settings.ts'

/** The directory below Bundler's path that contains the gems, by engine and version. */
export const gemHome = (layer: string, abi: string): string => join(layer, 'ruby', abi)

/**
 * Installs the gems of the Gemfile's groups into a layer, which is in the image if `launch`.
 * @param restored also restores its files, for programs of the build that load them
 * @returns the layer, and the Debian packages of the libraries that extensions are linked with
 */
export async function provideGems(
  context: BuildContext,
  tools: Tools,
  selected: Bundle,
  {
    native,
    restored,
    launch,
  }: { readonly native: NativePackages; readonly restored: boolean; readonly launch: boolean },
): Promise<{ layer: Layer; linked: readonly string[] }> {
  const { app, target, log } = context
  const { ruby, gemfile, settings, temp } = tools
  const { lock, gems } = selected
  const isOld = /^[01]\./.test(lock.bundler ?? '')
  const layer = await context.layer('gems', {
    title: `the gems of ${gemfile.lockFile}`,
    types: { launch, cache: restored },
    step: 'install',
    key: {
      Ruby: ruby.version,
      Bundler: lock.bundler ?? ruby.bundler,
      architecture: target.arch,
      gems: selected.digest,
      settings: digestOf(settings.digest, settings.without),
      ...(native.digest !== '' && { 'Debian packages': native.digest }),
      ...((await app.hasDirectory('vendor/cache')) && { 'vendor/cache': await digestOfFiles(app, 'vendor/cache') }),
    },
    ...(gems.some(isOpen) && { restore: () => drop('a gem has no fixed version') }),
    create: async dir => {
      const cache = await mkdir(join(temp, 'cache'), { recursive: true })
      const more = {
        BUNDLE_PATH: dir,
        BUNDLE_JOBS: '4',
        BUNDLE_RETRY: '3',
        // The Bundler that comes with Ruby can read a lock file of Bundler 1; Bundler 1 itself no longer runs.
        ...(isOld && { BUNDLE_VERSION: 'system' }),
        ...(cache !== undefined && { BUNDLE_USER_CACHE: cache }),
      }
      await bundle(context, tools, ['install'], join(temp, 'install'), more)
      const home = gemHome(dir, ruby.abi)
      const names = await clean(context, home)
      const modules = await compiledModules(home)
      if (modules.length > 0) await context.run(['strip', '--strip-unneeded', ...modules], { quiet: true })
      const linked = await librariesOf(context, modules, native, [ruby.libraries])
      await mkdir(join(dir, 'bundle'))
      const launchSettings = {
        BUNDLE_PATH: dir,
        BUNDLE_DEPLOYMENT: 'true',
        BUNDLE_WITHOUT: settings.without,
        ...(isOld && { BUNDLE_VERSION: 'system' }),
      }
      await writeFile(join(dir, 'bundle/config'), formatConfig(launchSettings))
      const bundler = names.find(name => /^bundler-\d/.test(name))?.slice('bundler-'.length) ?? ruby.bundler
      return { env: { launch: launchEnv(dir, tools) }, notes: { linked: linked.join(' '), bundler } }
    },
    sbom: () => Promise.resolve(gems.filter(({ source }) => !source.startsWith('path:')).map(componentOf)),
  })
  const bundler = layer.notes['bundler'] ?? ''
  checkAskedBundler(context.env, lock.bundler, bundler)
  if (lock.bundler !== undefined && lock.bundler !== bundler && !isOld) {
    log.warning(
      `${gemfile.lockFile} was written by Bundler ${lock.bundler}, which is not available: Bundler ${bundler} installs the gems`,
    )
  }
  return { layer, linked: (layer.notes['linked'] ?? '').split(' ').filter(Boolean) }
}

/** With `GEM_PATH` plain `ruby app.rb` finds the gems, and `bundle` finds the lock file's Bundler. */
function launchEnv(dir: string, { ruby, gemfile }: Tools) {
  const home = gemHome(dir, ruby.abi)
  return {
    PATH: prepend(join(home, 'bin'), ':'),
    GEM_PATH: prepend(home, ':'),
    BUNDLE_APP_CONFIG: byDefault(join(dir, 'bundle')),
    ...(gemfile.file.includes('/') && { BUNDLE_GEMFILE: byDefault(gemfile.file) }),
  }
}

/** Whether nothing fixes a gem's contents: it has neither a repository version nor a commit, and is not part of the application. */
function isOpen({ source }: Gem): boolean {
  return !/^https?:\/\/|^path:/.test(source) && !/#[0-9a-f]{40}$/.test(source)
}

function componentOf({ name, version, platform }: Gem): Component {
  return { name, version, purl: packageUrl('gem', name, version, platform === 'ruby' ? {} : { platform }) }
}

/** A digest of the names and contents of all files below a directory. */
async function digestOfFiles(app: App, dir: string): Promise<string> {
  const entries = await readdir(app.at(dir), { recursive: true, withFileTypes: true })
  const paths = entries.filter(entry => entry.isFile()).map(entry => join(entry.parentPath, entry.name))
  const digests = await Promise.all(paths.toSorted().map(async path => [path, await digestOfFile(path)]))
  return digestOf(...digests.flat())
}

/**
 * Removes files that only an installation needs, or that depend on its time: archives, repositories, logs and object files.
 * @returns the directories of gems
 */
async function clean(context: BuildContext, home: string): Promise<string[]> {
  for (const name of ['cache', 'doc', 'build_info']) await rm(join(home, name), { recursive: true, force: true })
  const git = join(home, 'bundler/gems')
  for (const name of await list(git)) await rm(join(git, name, '.git'), { recursive: true, force: true })
  const names = await list(join(home, 'gems'))
  for (const root of [join(home, 'extensions'), ...names.map(name => join(home, 'gems', name, 'ext'))]) {
    const found = await stat(root).catch(() => undefined)
    if (!found?.isDirectory()) continue
    const patterns = ['*.o', 'gem_make.out', 'mkmf.log', 'Makefile', '.sitearchdir*']
    const tests = patterns.flatMap((pattern, index) => [...(index > 0 ? ['-o'] : []), '-name', pattern])
    await context.run(['find', root, '-type', 'f', '(', ...tests, ')', '-delete'], { quiet: true })
  }
  return names
}

/** Modules that this build compiled, in both places where RubyGems puts them. */
async function compiledModules(home: string): Promise<string[]> {
  const root = join(home, 'extensions')
  const modules: string[] = []
  const extensions = await readdir(root, { recursive: true }).catch(() => [] as string[])
  for (const path of extensions.filter(path => path.endsWith('.so')).toSorted()) {
    modules.push(join(root, path))
    // extensions/x86_64-linux/3.3.0/pg-1.5.9/pg_ext.so
    const [, , gem = '', ...rest] = path.split('/')
    const copy = join(home, 'gems', gem, 'lib', ...rest)
    const isThere = (await readFile(copy).catch(() => undefined)) !== undefined
    if (isThere) modules.push(copy)
  }
  return modules
}

async function list(dir: string): Promise<string[]> {
  return (await readdir(dir).catch(() => [])).toSorted()
}
