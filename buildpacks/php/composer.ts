import { copyFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { DebianArchive } from '../debian/archive.ts'
import { unpackPackages } from '../debian/unpack.ts'
import {
  boundFiles,
  type BuildContext,
  BuildpackError,
  digestOf,
  firstSetting,
  keep,
  type Layer,
  sshFix,
} from '../sdk/index.ts'
import type { Manifest } from './project.ts'
import { beside, loadExtensions, morePackages, type Php, withEnv } from './runtime.ts'

/** Composer, only for the build. */
export interface Composer {
  readonly program: string
  /** PHP with the extensions that Composer needs itself. */
  readonly php: Php
  /** Archives of packages and metadata of repositories, kept from one build to the next. */
  readonly cache: Layer
  /** Its own directory, which is removed after the build together with any secrets. */
  readonly home: string
}

/** Puts Debian's Composer into a build layer. */
export async function provideComposer(
  context: BuildContext,
  archive: DebianArchive,
  { php, minor, temp }: { readonly php: Php; readonly minor: string; readonly temp: string },
): Promise<Composer> {
  const { target, run, env, log } = context
  const packages = await morePackages(archive, php, ['composer'])
  const version = packages.find(({ name }) => name === 'composer')?.version.replace(/[-+~].*/, '') ?? ''
  const wanted = firstSetting(env, 'BP_COMPOSER_VERSION', 'GOOGLE_COMPOSER_VERSION')
  if (wanted && !isAsked(version, wanted.value))
    log.warning(`${wanted.name} asks for ${wanted.value}, but Debian 13 has Composer ${version}`)
  const layer = await context.layer('composer', {
    title: `Composer ${version}`,
    types: { cache: true },
    key: { Composer: version, PHP: php.version, 'Debian packages': digestOf(JSON.stringify(packages)) },
    create: async dir => {
      await unpackPackages(run, await archive.download(packages), dir)
      await loadExtensions(dir, minor)
      await relocate(join(dir, 'usr/share/php'), dir)
    },
  })
  context.seal(layer)
  const cache = await context.layer('composer-cache', {
    types: { cache: true },
    key: {},
    // Composer checks the files in its cache against the lock file.
    restore: () => keep,
    create: async () => {},
  })
  const home = join(temp, 'composer')
  const program = join(layer.path, 'usr/bin/composer')
  await mkdir(join(home, 'bin'), { recursive: true })
  // Debian's program needs /usr/bin/php. This one is for scripts, and for a command of the user.
  await writeFile(join(home, 'bin/composer'), `#!/bin/sh\nexec php ${program} "$@"\n`, { mode: 0o755 })
  await useCredentials(context, home)
  return {
    program,
    php: withEnv(beside(php, layer.path, target.arch, packages), env),
    cache,
    home,
  }
}

/** Whether Debian's version satisfies the request: `2.8.8`, `2.8.*`, `2`. In a range the first number counts. */
export function isAsked(version: string, wanted: string): boolean {
  const prefix = /^v?(\d+(?:\.\d+)*)(?:\.[*x])*$/.exec(wanted)?.[1] ?? /\d+/.exec(wanted)?.[0]
  return prefix !== undefined && `${version}.`.startsWith(`${prefix}.`)
}

/** Debian's files load each other by absolute paths. */
async function relocate(root: string, layer: string): Promise<void> {
  const names = await readdir(root, { recursive: true, encoding: 'utf8' })
  for (const name of names.filter(name => name.endsWith('.php'))) {
    const path = join(root, name)
    const text = await readFile(path, 'latin1')
    const here = text.replaceAll(/(['"])\/usr\/share\/php\b/g, `$1${layer}/usr/share/php`)
    if (here !== text) await writeFile(path, here, 'latin1')
  }
}

/** Provides the auth.json of a binding of the type `composer`, which Composer reads in its own directory. COMPOSER_AUTH overrides it. */
export async function useCredentials(context: BuildContext, home: string): Promise<void> {
  for (const { binding, name, path } of await boundFiles(context, 'composer', 'auth.json', 'config.json')) {
    await copyFile(path, join(home, name))
    context.log.info(`Composer uses ${name} of the binding ${binding.name}`)
  }
}

/**
 * Runs a Composer command, and shows its output.
 * @returns its output
 * @throws BuildpackError, with a fix if the output indicates one
 */
export async function runComposer(
  { run, env }: BuildContext,
  { program, php, cache, home }: Composer,
  manifest: Manifest,
  args: readonly string[],
  variables: Readonly<Record<string, string>> = {},
  step?: 'install',
): Promise<string> {
  const { exitCode, stdout, stderr } = await run([php.program, program, ...args, '--no-interaction', '--no-ansi'], {
    allowFailure: true,
    ...(step && { step, name: 'composer install' }),
    env: {
      ...php.env,
      PATH: [join(home, 'bin'), join(home, 'vendor/bin'), php.env['PATH']].filter(Boolean).join(':'),
      COMPOSER_HOME: home,
      COMPOSER_CACHE_DIR: cache.path,
      COMPOSER_NO_AUDIT: env['COMPOSER_NO_AUDIT'] ?? '1',
      COMPOSER_FUND: '0',
      // The code parses its messages: with this width it does not break words.
      COLUMNS: '200',
      COMPOSER_PROCESS_TIMEOUT: env['COMPOSER_PROCESS_TIMEOUT'] ?? '0',
      HOME: home,
      ...variables,
    },
  })
  const output = stdout + stderr
  if (exitCode !== 0) {
    const name = `composer ${args.filter(arg => !arg.startsWith('-')).join(' ')}`
    throw new BuildpackError(`${name} failed with exit status ${exitCode}`, {
      where: manifest.file,
      fix: sshFix(output) ?? advice.find(([pattern]) => pattern.test(output))?.[1],
    })
  }
  return output
}

const advice: readonly (readonly [RegExp, string])[] = [
  [
    /not present in the lock file|lock file .*(?:does not|doesn't) contain/i,
    'run composer update, and commit the lock file',
  ],
  [
    /blocked by your allow-plugins config|allow-plugins/i,
    'allow the plugin in config.allow-plugins, or set it to false',
  ],
  [
    /could not (?:be found|authenticate)|required authentication|HTTP\/[\d.]+ 40[13]|Invalid credentials/i,
    'check the name, or give credentials: COMPOSER_AUTH, or a binding of the type composer with auth.json',
  ],
  [
    /Could not resolve host|Connection refused|Failed to connect|timed out|curl error/i,
    'check the network, and the repositories of composer.json',
  ],
  [/your php version .* does not satisfy|requires php /i, 'update the packages for the available PHP: composer update'],
  [/requires ext-|missing from your system/i, 'require the extension in composer.json: composer require ext-NAME'],
  [
    /Could not parse version constraint|Could not find package|could not be resolved/i,
    'correct the requirement: composer validate',
  ],
  [/Allowed memory size/i, 'give Composer more memory: COMPOSER_MEMORY_LIMIT=-1'],
  [/Script .* returned with error code/i, 'correct the script, or give the variables that it needs with --env'],
]
