import { mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import type { DebianArchive, DebianPackage } from '../debian/archive.ts'
import type { DebianRelease } from '../debian/releases.ts'
import { debianComponents, libraryDir, unpackPackages } from '../debian/unpack.ts'
import {
  append,
  type BuildContext,
  BuildpackError,
  byDefault,
  digestOf,
  type EnvChange,
  type EnvChanges,
  prepend,
} from '../sdk/index.ts'
import { basePackages } from './extensions.ts'
import { type OwnSettings, phpIniFor } from './ini.ts'

/** An available PHP. */
export interface Offer extends DebianRelease {
  /** `8.4.28`. */
  readonly release: string
  readonly packages: readonly DebianPackage[]
}

/** The interpreter in its layer, and the data for running it during the build. */
export interface Php {
  /** Debian's version, `8.4.28-1~deb13u1`. */
  readonly version: string
  readonly release: string
  readonly program: string
  readonly env: Readonly<Record<string, string>>
  /** Directories of settings, in PHP's reading order. */
  readonly settings: readonly string[]
  /** Directories of shared libraries. */
  readonly libraries: readonly string[]
  /** The names that apt needs beside other packages, so that those use this PHP. */
  readonly names: readonly string[]
  /** Names of the installed Debian packages. */
  readonly packages: readonly string[]
}

/**
 * The available PHP versions, the stack's first.
 * @throws BuildpackError if the stack is not based on Debian 13
 */
export function phpReleases({ target }: Pick<BuildContext, 'target'>): readonly [DebianRelease, ...DebianRelease[]] {
  if ((target.distro?.version ?? '13') === '13') return [{ minor: '8.4' }, { minor: '8.2', older: 'bookworm' }]
  const { name, version } = target.distro ?? {}
  throw new BuildpackError(`there is no PHP for ${name} ${version}`, { fix: 'build on a stack of Debian 13' })
}

export async function offeredPhp(archive: DebianArchive, version: DebianRelease): Promise<Offer> {
  const { minor } = version
  const names = ['cli', 'fpm', 'opcache', ...basePackages].map(name => `php${minor}-${name}`)
  const packages = withoutSystem(await archive.resolve([...names, ...namesOf(version)])).filter(
    ({ name }) => !ofSystemd.test(name),
  )
  const whole = packages.find(({ name }) => name === `php${minor}-cli`)?.version ?? ''
  return { ...version, release: whole.replace(/[-+~].*/, ''), packages }
}

/** An older PHP does not work with Debian 13's php-common. */
const namesOf = ({ minor, older }: DebianRelease): string[] => [
  `php${minor}-cli`,
  ...(older === undefined ? [] : [`php-common/${older}`]),
]

/** Packages for a whole system: maintainer scripts need these tools, but no script runs here. */
const ofSystem =
  /^(mount|init-system-helpers|procps|libproc2-0|libncursesw6|psmisc|ucf|sensible-utils|media-types|libtext-.*-perl|libsasl2-modules-db|libdb5\.3(?:t64)?|php-(?:common|cli|mbstring|intl|curl|xml|zip|igbinary|msgpack)|perl.*|libperl.*|dbus.*|adduser|passwd)$/
/** PHP-FPM's package depends on systemd as its service manager; extensions may link some of its libraries. */
const ofSystemd =
  /^(systemd.*|libsystemd-shared|libmount1|libblkid1|libsmartcols1|libpam.*|libaudit.*|libcap-ng0|libseccomp2)$/

const withoutSystem = (packages: readonly DebianPackage[]): DebianPackage[] =>
  packages.filter(({ name }) => !ofSystem.test(name))

/** Puts Debian's PHP, with PHP-FPM and the extensions that nearly every application needs, into a layer. */
export async function providePhp(context: BuildContext, archive: DebianArchive, offer: Offer): Promise<Php> {
  const { target, run, env } = context
  const { minor, release, packages } = offer
  const version = packages.find(({ name }) => name === `php${minor}-cli`)?.version ?? release
  const ini = phpIniFor(minor)
  const layer = await context.layer('php', {
    title: `PHP ${release}`,
    types: { launch: true, build: true, cache: true },
    key: {
      PHP: version,
      architecture: target.arch,
      'Debian packages': digestOf(JSON.stringify(packages)),
      settings: digestOf(ini.text),
    },
    create: async dir => {
      await unpackPackages(run, await archive.download(packages), dir)
      const configs = await loadExtensions(dir, minor)
      await mkdir(join(dir, 'bin'))
      await symlink(`../usr/bin/php${minor}`, join(dir, 'bin/php'))
      await symlink(`../usr/sbin/php-fpm${minor}`, join(dir, 'bin/php-fpm'))
      await writeFile(join(dir, 'php.ini'), ini.text)
      const launch = { PORT: byDefault('8080') }
      const all = {
        PHPRC: byDefault(dir),
        ...Object.fromEntries(Object.entries(ini.variables).map(([name, value]) => [name, byDefault(value)])),
        PHP_INI_SCAN_DIR: prepend(configs, ':'),
        LD_LIBRARY_PATH: prepend(libraryDir(dir, target.arch), ':'),
      }
      return { env: { all, launch } }
    },
    sbom: () => Promise.resolve(debianComponents(packages, distroOf(context))),
  })
  const php: Php = {
    version,
    release,
    program: join(layer.path, 'bin/php'),
    settings: [join(layer.path, 'conf.d')],
    libraries: [libraryDir(layer.path, target.arch)],
    names: namesOf(offer),
    packages: packages.map(({ name }) => name),
    env: Object.fromEntries(Object.entries(ini.variables).map(([name, value]) => [name, env[name] || value])),
  }
  return withEnv(php, { ...env, PHPRC: layer.path })
}

/**
 * Puts Debian packages of extensions, and their dependencies beside PHP, into a layer.
 * @param names `php8.4-intl`
 */
export async function provideExtensions(
  context: BuildContext,
  archive: DebianArchive,
  { php, minor }: { readonly php: Php; readonly minor: string },
  names: readonly string[],
): Promise<Php> {
  if (names.length === 0) return php
  const { target, run, env } = context
  const packages = await morePackages(archive, php, names)
  const layer = await context.layer('extensions', {
    title: `the extensions ${names.map(name => name.replace(/^php[\d.]+-/, '')).join(', ')}`,
    types: { launch: true, build: true, cache: true },
    key: { PHP: php.version, architecture: target.arch, 'Debian packages': digestOf(JSON.stringify(packages)) },
    create: async dir => {
      await unpackPackages(run, await archive.download(packages), dir)
      const configs = await loadExtensions(dir, minor)
      const libraries = libraryDir(dir, target.arch)
      const all = {
        PHP_INI_SCAN_DIR: prepend(configs, ':'),
        LD_LIBRARY_PATH: prepend([libraries, ...(await privateLibraries(libraries))].join(':'), ':'),
        ...(await variablesOf(dir, libraries)),
      }
      return { env: { all } }
    },
    sbom: () => Promise.resolve(debianComponents(packages, distroOf(context))),
  })
  return withEnv(beside(php, layer.path, target.arch, packages), env)
}

/** Directories that a package's libraries find by paths below /usr: Samba's. */
async function privateLibraries(libraries: string): Promise<string[]> {
  const names = await readdir(libraries).catch(() => [])
  return names.filter(name => name === 'samba').map(name => join(libraries, name))
}

/** Variables of libraries that look for their files below /usr and /etc. */
async function variablesOf(dir: string, libraries: string): Promise<EnvChanges> {
  const named = async (parent: string, pattern: RegExp) => {
    const name = (await readdir(parent).catch(() => [])).find(each => pattern.test(each))
    return name === undefined ? undefined : join(parent, name)
  }
  const variables: Record<string, EnvChange> = {}
  const magick = await named(libraries, /^ImageMagick-/)
  const modules = magick === undefined ? undefined : await named(magick, /^modules-/)
  const policies = await named(join(dir, 'etc'), /^ImageMagick-/)
  if (modules !== undefined) {
    variables['MAGICK_CODER_MODULE_PATH'] = byDefault(join(modules, 'coders'))
    variables['MAGICK_CODER_FILTER_PATH'] = byDefault(join(modules, 'filters'))
  }
  if (policies !== undefined) variables['MAGICK_CONFIGURE_PATH'] = byDefault(policies)
  // Without this, it would report each device description that is in another package.
  if ((await named(libraries, /^libnetsnmp\.so/)) !== undefined) variables['MIBS'] = byDefault('')
  return variables
}

/** The packages that `names` need and that PHP's layer does not have. */
export async function morePackages(
  archive: DebianArchive,
  php: Php,
  names: readonly string[],
): Promise<DebianPackage[]> {
  const packages = withoutSystem(await archive.resolve([...names, ...php.names]))
  return packages.filter(({ name }) => !php.packages.includes(name))
}

/** PHP with the contents of another layer, for programs of the build. */
export function beside(php: Php, dir: string, arch: string, packages: readonly DebianPackage[] = []): Php {
  return {
    ...php,
    settings: [...php.settings, join(dir, 'conf.d')],
    libraries: [...php.libraries, libraryDir(dir, arch)],
    packages: [...php.packages, ...packages.map(({ name }) => name)],
  }
}

/**
 * PHP reads the application's own settings last: first the php.ini at the root of the source, then .php.ini.d. The layers of PHP and of
 * extensions prepend their directories, so these are appended.
 */
export async function provideOwnSettings(
  { layer, env, log }: Pick<BuildContext, 'layer' | 'env' | 'log'>,
  php: Php,
  { top, files, lost }: OwnSettings,
): Promise<Php> {
  const dirs = [
    { name: 'top', files: top === undefined ? [] : [top] },
    { name: 'conf.d', files },
  ].filter(each => each.files.length > 0)
  if (dirs.length === 0) return withEnv(php, env)
  if (top !== undefined) log.info('php.ini at the top of the source has settings of PHP')
  if (lost.length > 0)
    log.warning(
      `php.ini loads extensions that are not available here: ${lost.slice(0, 5).join(', ')}${lost.length > 5 ? ` and ${lost.length - 5} more` : ''}`,
      'Remove the lines, or name the extensions without .dll.',
    )
  const { path } = await layer('settings', {
    types: { launch: true, build: true },
    key: {
      settings: digestOf(
        JSON.stringify(dirs.map(each => [each.name, ...each.files.map(({ name, text }) => [name, text])])),
      ),
    },
    create: async dir => {
      for (const each of dirs) {
        await mkdir(join(dir, each.name))
        for (const { name, text } of each.files) await writeFile(join(dir, each.name, name), text)
      }
      return { env: { all: { PHP_INI_SCAN_DIR: append(dirs.map(({ name }) => join(dir, name)).join(':'), ':') } } }
    },
  })
  return withEnv({ ...php, settings: [...php.settings, ...dirs.map(({ name }) => join(path, name))] }, env)
}

export function withEnv(php: Php, env: Readonly<Record<string, string>>): Php {
  const all = {
    ...php.env,
    ...(env['PHPRC'] !== undefined && { PHPRC: env['PHPRC'] }),
    PHP_INI_SCAN_DIR: php.settings.join(':'),
    LD_LIBRARY_PATH: [...php.libraries, env['LD_LIBRARY_PATH']].filter(Boolean).join(':'),
    PATH: `${join(php.program, '..')}:${env['PATH'] ?? ''}`,
  }
  return { ...php, env: all }
}

const distroOf = ({ target }: BuildContext) => `${target.distro?.name ?? 'debian'}-${target.distro?.version ?? '13'}`

/**
 * Writes a file for each extension into `conf.d` of a layer, as Debian's maintainer scripts do: in the order of their priorities, since
 * some depend on others. Removes files that only maintainer scripts read.
 * @returns that directory
 */
export async function loadExtensions(dir: string, minor: string): Promise<string> {
  const configs = join(dir, 'conf.d')
  await mkdir(configs)
  const modules = join(dir, 'usr/lib/php')
  const api = (await readdir(modules).catch(() => [])).find(name => /^\d{8}$/.test(name))
  for (const file of await iniFiles(dir, minor)) {
    const text = await readFile(file, 'utf8')
    const priority = /^;\s*priority=(\d+)/m.exec(text)?.[1] ?? '20'
    const absolute = text.replaceAll(
      /^((?:zend_)?extension)\s*=\s*"?([\w-]+?)(?:\.so)?"?\s*$/gm,
      (_, key: string, name: string) => `${key}=${join(modules, api ?? '', `${name}.so`)}`,
    )
    await writeFile(join(configs, `${priority}-${basename(file)}`), absolute)
  }
  const unused = [
    ...['php', 'init.d', 'logrotate.d', 'apache2', 'cron.d'].map(name => `etc/${name}`),
    ...['systemd', 'tmpfiles.d', `php/${minor}`, `php/php${minor}-fpm-reopenlogs`].map(name => `usr/lib/${name}`),
    ...['bug', `php/${minor}`].map(name => `usr/share/${name}`),
  ]
  for (const name of unused) await rm(join(dir, name), { recursive: true, force: true })
  for (const name of (await readdir(join(dir, 'usr/share')).catch(() => [])).filter(name => /^php[\d.]+-/.test(name)))
    await rm(join(dir, 'usr/share', name), { recursive: true })
  return configs
}

/** Debian's packages of PHP itself have these files in usr/share, those of other extensions in etc. */
async function iniFiles(dir: string, minor: string): Promise<string[]> {
  const found: string[] = []
  const share = join(dir, 'usr/share')
  const folders = (await readdir(share).catch(() => [])).filter(name => name.startsWith(`php${minor}-`))
  const all = [...folders.map(name => join(share, name)), join(dir, `etc/php/${minor}/mods-available`)]
  for (const folder of all) {
    const names = await readdir(folder, { recursive: true, encoding: 'utf8' }).catch(() => [])
    found.push(...names.filter(name => name.endsWith('.ini')).map(name => join(folder, name)))
  }
  return found.toSorted()
}
