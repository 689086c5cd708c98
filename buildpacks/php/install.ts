import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type BuildContext, type Component, firstSetting, packageUrl, splitWords } from '../sdk/index.ts'
import { type Composer, runComposer } from './composer.ts'
import { type Lock, lockFileOf, type Manifest, readLock } from './project.ts'

type Env = Readonly<Record<string, string>>

/** The user's options for `composer install`. */
export interface InstallOptions {
  readonly args: readonly string[]
  /** Whether the options make Composer ignore an extension: `ext-gd`. */
  readonly ignores: (name: string) => boolean
}

/** `--no-dev`, unless BP_COMPOSER_INSTALL_OPTIONS, or Google's COMPOSER_ARGS, has other options. */
export function installOptions(env: Env): InstallOptions {
  const setting = firstSetting(env, 'BP_COMPOSER_INSTALL_OPTIONS', 'COMPOSER_ARGS')
  const withDev = /^(0|false|no)$/i.test(env['COMPOSER_NO_DEV'] ?? '')
  const args = setting ? splitWords(setting.value, setting.name) : withDev ? [] : ['--no-dev']
  const ignored = args.flatMap((arg, i) =>
    arg === '--ignore-platform-req' ? (args[i + 1] ?? []) : (/^--ignore-platform-req=(.*)$/.exec(arg)?.[1] ?? []),
  )
  const ignores = (name: string) =>
    args.includes('--ignore-platform-reqs') ||
    ignored.some(each => each === name || (each.endsWith('*') && name.startsWith(each.slice(0, -1))))
  return { args, ignores }
}

/** Chooses versions of the packages if there is no lock file. */
export async function makeLock(
  context: BuildContext,
  composer: Composer,
  manifest: Manifest,
): Promise<Lock | undefined> {
  context.log.warning(
    `there is no ${lockFileOf(manifest.file)}: the newest versions are installed, so builds may differ`,
    'Commit one: composer update',
  )
  // Only the lock file tells which extensions are needed.
  await runComposer(context, composer, manifest, [
    'update',
    '--no-install',
    '--no-plugins',
    '--no-scripts',
    '--no-progress',
    '--ignore-platform-req=ext-*',
  ])
  return readLock(context.app, manifest)
}

/**
 * Installs the packages of the lock file into the application, whose code finds them by relative paths. Archives are downloaded first,
 * while no program of a package runs: later programs cannot change the cache of the next build (X40).
 */
export async function installPackages(
  context: BuildContext,
  composer: Composer,
  manifest: Manifest,
  { args }: InstallOptions,
  variables: Readonly<Record<string, string>>,
): Promise<void> {
  const { app, log } = context
  // A command of the user that replaces the installation runs programs of packages.
  const own = await context.ownCommand('install')
  const download = ['install', '--download-only', '--no-plugins', '--no-scripts', '--no-progress', ...args]
  const fetched =
    own === undefined
      ? await log.step('Fetching packages', () => runComposer(context, composer, manifest, download))
      : ''
  if (/lock file is not up to date/i.test(fetched))
    log.warning(
      `${lockFileOf(manifest.file)} is not up to date with ${manifest.file}`,
      'Run composer update --lock, and commit it.',
    )
  context.seal(composer.cache)
  // Composer sets the times of files that it reads from a cache: programs of packages get a copy.
  const copy = `${composer.home}-cache`
  await context.run(['cp', '--recursive', '--reflink=auto', composer.cache.path, copy], { quiet: true })
  const withCopy = { ...composer, cache: { ...composer.cache, path: copy } }
  await installGlobally(context, withCopy, manifest)
  const install = ['install', '--optimize-autoloader', '--no-progress', ...args]
  await log.step('Installing packages', () => runComposer(context, withCopy, manifest, install, variables, 'install'))
  // Heroku's and Google's names of scripts that run after an installation.
  for (const script of ['compile', 'gcp-build']) {
    if (!Object.hasOwn(manifest.scripts, script)) continue
    await log.step(`Running the script ${script}`, () =>
      runComposer(context, withCopy, manifest, ['run-script', script], variables),
    )
  }
  await clean(app.at(manifest.vendorDir))
  if (await app.has('auth.json')) {
    log.warning(
      'auth.json is in the source; it is removed from the image',
      'Give it to the build in a binding of the type composer.',
    )
    await rm(app.at('auth.json'))
  }
}

/** Build-only packages, whose programs and plugins scripts and installers use. The image contains none of them. */
async function installGlobally(context: BuildContext, composer: Composer, manifest: Manifest): Promise<void> {
  const setting = firstSetting(context.env, 'BP_COMPOSER_INSTALL_GLOBAL')
  if (setting === undefined) return
  const packages = splitWords(setting.value, setting.name)
  const args = ['global', 'require', '--no-progress', ...packages]
  await context.log.step(`Running composer global require ${packages.join(' ')}`, () =>
    runComposer(context, composer, manifest, args),
  )
}

/** Removes version histories of packages from a repository, whose bytes differ each time. */
async function clean(vendor: string): Promise<void> {
  for (const owner of await directories(vendor)) {
    for (const name of await directories(join(vendor, owner)))
      await rm(join(vendor, owner, name, '.git'), { recursive: true, force: true })
  }
}

async function directories(dir: string): Promise<string[]> {
  const entries = await readdir(dir, { withFileTypes: true }).catch(() => [])
  return entries.filter(entry => entry.isDirectory()).map(entry => entry.name)
}

/** The packages for the software bill of materials. Packages that are directories of the application belong to the application. */
export function componentsOf(lock: Lock | undefined): Component[] {
  return (lock?.packages ?? [])
    .filter(({ distType }) => distType !== 'path')
    .map(({ name, version, licenses }) => ({
      name,
      version: version.replace(/^v(?=\d)/, ''),
      purl: packageUrl('composer', name.toLowerCase(), version.replace(/^v(?=\d)/, '')),
      ...(licenses.length > 0 && {
        license: licenses.length === 1 ? (licenses[0] ?? '') : `(${licenses.join(' OR ')})`,
      }),
    }))
}
