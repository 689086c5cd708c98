import { appendFile, chmod, mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { DebianArchive, DebianPackage } from '../debian/archive.ts'
import { relinkLibraries } from '../debian/native-libraries.ts'
import type { DebianRelease } from '../debian/releases.ts'
import { debianComponents, libraryDir, unpackPackages } from '../debian/unpack.ts'
import { type BuildContext, BuildpackError, byDefault, digestOf, prepend } from '../sdk/index.ts'

/** The interpreter in its layer, and the data for running it during the build. */
export interface Ruby {
  /** Debian's version, `3.3.14-0+deb13u1`. */
  readonly version: string
  /** The version of its standard library, in the paths of gems: `3.3.0`. */
  readonly abi: string
  readonly program: string
  /** The Bundler that comes with it. */
  readonly bundler: string
  readonly env: Readonly<Record<string, string>>
  readonly libraries: string
}

/** An available Ruby. */
export interface Offer extends DebianRelease {
  /** `3.3.14`. */
  readonly release: string
  readonly packages: readonly DebianPackage[]
}

/**
 * The available Ruby versions, the stack's first.
 * @throws BuildpackError if the stack is not based on Debian 13
 */
export function rubyReleases({ target }: Pick<BuildContext, 'target'>): readonly [DebianRelease, ...DebianRelease[]] {
  if ((target.distro?.version ?? '13') === '13') return [{ minor: '3.3' }, { minor: '3.1', older: 'bookworm' }]
  const { name, version } = target.distro ?? {}
  throw new BuildpackError(`there is no Ruby for ${name} ${version}`, { fix: 'build on a stack of Debian 13' })
}

export async function offeredRuby(archive: DebianArchive, version: DebianRelease): Promise<Offer> {
  const { minor } = version
  const packages = (await archive.resolve([`ruby${minor}`])).filter(({ name }) => !asPackagesOfDebian.test(name))
  const whole = packages.find(({ name }) => name === `ruby${minor}`)?.version ?? ''
  return { ...version, release: whole.replace(/[-+~].*/, ''), packages }
}

/**
 * Debian packages of gems, and links for a whole system. Ruby itself includes the same gems in upstream's form, and RubyGems and
 * Bundler.
 */
const asPackagesOfDebian = /^(ruby|libruby|rake|rubygems-integration|ruby-.*)$/

/** Puts Debian's Ruby, with the shared libraries that it needs, into a layer, which is also in the image if `launch`. */
export async function provideRuby(
  context: BuildContext,
  archive: DebianArchive,
  offer: Offer,
  launch = true,
): Promise<Ruby> {
  const { target, run, env } = context
  const { minor, release, packages } = offer
  const version = packages.find(({ name }) => name === `ruby${minor}`)?.version ?? release
  const distro = `${target.distro?.name ?? 'debian'}-${target.distro?.version ?? '13'}`
  const abi = `${minor}.0`
  const layer = await context.layer('ruby', {
    title: `Ruby ${release}`,
    types: { launch, build: true, cache: true },
    key: { Ruby: version, architecture: target.arch, 'Debian packages': digestOf(JSON.stringify(packages)) },
    create: async dir => {
      await unpackPackages(run, await archive.download(packages), dir)
      await linkPrograms(dir, minor)
      await useHeaders(dir, target.arch, abi)
      for (const name of ['vendor_ruby', `gems/${abi}/doc`]) {
        await rm(join(dir, 'usr/lib/ruby', name), { recursive: true, force: true })
      }
      const libraries = { LD_LIBRARY_PATH: prepend(libraryDir(dir, target.arch), ':') }
      return {
        env: { all: { ...libraries, RUBYLIB: prepend(modulesOf(dir, target.arch, abi), ':') }, launch: launchEnv },
      }
    },
    sbom: () => Promise.resolve(debianComponents(packages, distro)),
  })
  const libraries = libraryDir(layer.path, target.arch)
  return {
    version,
    abi,
    program: join(layer.path, 'bin/ruby'),
    bundler: await bundlerOf(join(layer.path, 'usr'), abi),
    libraries,
    env: {
      LD_LIBRARY_PATH: [libraries, env['LD_LIBRARY_PATH']].filter(Boolean).join(':'),
      RUBYLIB: modulesOf(layer.path, target.arch, abi),
      PATH: `${join(layer.path, 'bin')}:${env['PATH'] ?? ''}`,
    },
  }
}

/** `PIDFILE` is where Puma and Rails write the process id, since the application's directory is not writable. */
export const launchEnv = {
  PORT: byDefault('8080'),
  RACK_ENV: byDefault('production'),
  APP_ENV: byDefault('production'),
  MALLOC_ARENA_MAX: byDefault('2'),
  PIDFILE: byDefault('/tmp/server.pid'),
}

/** Ruby looks for its modules below /usr, the compiled-in path of the packages. */
function modulesOf(dir: string, arch: string, abi: string): string {
  return [join(dir, 'usr/lib/ruby', abi), join(libraryDir(dir, arch), 'ruby', abi)].join(':')
}

/** Links the commands without a version in their names. The `ruby` on the PATH, which is this layer's, runs them. */
async function linkPrograms(dir: string, minor: string): Promise<void> {
  const bin = join(dir, 'bin')
  await mkdir(bin)
  // The programs of gems use the name with the version.
  for (const name of ['ruby', `ruby${minor}`]) await symlink(`../usr/bin/ruby${minor}`, join(bin, name))
  for (const name of await readdir(join(dir, 'usr/bin'))) {
    const command = name.endsWith(minor) ? name.slice(0, -minor.length) : undefined
    if (command === undefined || command === 'ruby') continue
    const path = join(dir, 'usr/bin', name)
    const text = await readFile(path, 'utf8')
    if (!text.startsWith('#!')) continue
    await writeFile(join(bin, command), text.replace(/^#!.*/, '#!/usr/bin/env ruby'))
    await chmod(join(bin, command), 0o755)
  }
}

const headersLayer = 'headers'

/** Makes Ruby compile C extensions with headers in a build-only layer beside its own. */
async function useHeaders(dir: string, arch: string, abi: string): Promise<void> {
  const include = join(dir, '..', headersLayer, 'usr/include')
  const triplet = libraryDir('', arch).split('/').at(-1) ?? ''
  const config = join(libraryDir(dir, arch), 'ruby', abi, 'rbconfig.rb')
  const values = { rubyhdrdir: join(include, `ruby-${abi}`), rubyarchhdrdir: join(include, triplet, `ruby-${abi}`) }
  for (const [name, value] of Object.entries(values)) {
    await appendFile(config, `RbConfig::CONFIG["${name}"] = RbConfig::MAKEFILE_CONFIG["${name}"] = "${value}"\n`)
  }
}

/** Puts the headers of Ruby into that layer. @returns variables with which compilers find its contents */
export async function provideHeaders(
  context: BuildContext,
  archive: DebianArchive,
  { minor }: Offer,
  ruby: Ruby,
): Promise<Readonly<Record<string, string>>> {
  const name = `ruby${minor}-dev`
  const packages = (await archive.resolve([name])).filter(p => p.name === name)
  const { run, target } = context
  const layer = await context.layer(headersLayer, {
    types: { cache: true },
    key: { headers: packages[0]?.version ?? '', Ruby: ruby.version },
    create: async dir => {
      await unpackPackages(run, await archive.download(packages), dir)
      await rm(join(dir, 'usr/share'), { recursive: true, force: true })
      await relinkLibraries(libraryDir(dir, target.arch), ruby.libraries)
    },
  })
  context.seal(layer)
  return { LIBRARY_PATH: libraryDir(layer.path, target.arch) }
}

/** The version of the Bundler that comes with a Ruby. `prefix` has its `bin` and `lib`. */
export async function bundlerOf(prefix: string, abi: string): Promise<string> {
  const names = await readdir(join(prefix, 'lib/ruby/gems', abi, 'gems')).catch(() => [])
  return names.find(name => /^bundler-\d/.test(name))?.slice('bundler-'.length) ?? ''
}
