import { readdir, symlink, writeFile } from 'node:fs/promises'
import {
  type App,
  type BuildContext,
  BuildpackError,
  byDefault,
  digestOf,
  type EnvChange,
  type LaunchProcess,
  shellProcess,
} from '../sdk/index.ts'
import { moreFrameworks } from './more-frameworks.ts'
import type { Lock, Manifest } from './project.ts'
import type { Php } from './runtime.ts'
import { wordPressConfig } from './wordpress.ts'

/** The needs of a framework beyond PHP and its packages. */
export interface Framework {
  readonly name: string
  /** Packages of extensions that its applications use but rarely declare. */
  readonly extensions: readonly string[]
  /** Variables at launch, unless set. */
  readonly launch: Readonly<Record<string, string>>
  /** Variables of Composer's scripts. */
  readonly build: Readonly<Record<string, string>>
  /** Directories that it writes to at run time. */
  readonly written: readonly string[]
  /** The name of the served directory in `written`. */
  readonly usualRoot?: string
  /** Lines for bash before the servers start; `$dir` is a writable directory of their own. */
  readonly prepare: string
  readonly processes: readonly LaunchProcess[]
  /** Runs after the packages are installed. */
  finish?(context: BuildContext, php: Php): Promise<void>
}

const databases = ['mysqli', 'pdo_mysql', 'pdo_pgsql', 'pgsql']

/** The framework of an application. */
export async function findFramework(
  app: App,
  manifest: Manifest | undefined,
  lock: Lock | undefined,
): Promise<Framework | undefined> {
  const names = new Set([...Object.keys(manifest?.require ?? {}), ...(lock?.packages ?? []).map(({ name }) => name)])
  if ((await app.has('artisan')) && (names.has('laravel/framework') || names.has('laravel/lumen-framework')))
    return laravelWith(names)
  if ((await app.has('bin/console')) && (names.has('symfony/framework-bundle') || names.has('symfony/http-kernel')))
    return symfony(names)
  if ((await app.has('wp-settings.php')) && (await app.has('wp-load.php'))) return wordPress
  const simple = moreFrameworks.find(({ packages }) => packages.some(each => names.has(each)))
  if (simple !== undefined) return { ...plain, ...simple, extensions: [...databases, ...simple.extensions] }
  if (names.has('doctrine/dbal') || names.has('illuminate/database') || names.has('cakephp/database'))
    return { ...plain, name: 'Databases', extensions: databases }
  return undefined
}

const plain: Framework = { name: '', extensions: [], launch: {}, build: {}, written: [], prepare: '', processes: [] }

const storage = [
  '',
  '/app',
  '/app/public',
  '/framework',
  '/framework/cache',
  '/framework/cache/data',
  '/framework/sessions',
  '/framework/views',
  '/logs',
].map(name => `storage${name}`)

/**
 * Laravel. The start caches the configuration and routes, which depend on the environment; the build caches templates and events. The
 * caches are in a writable directory, and no other directory has to be writable.
 */
const laravel: Framework = {
  ...plain,
  name: 'Laravel',
  extensions: [...databases, 'bcmath'],
  launch: { APP_ENV: 'production', APP_DEBUG: 'false', LOG_CHANNEL: 'stderr' },
  build: { APP_ENV: 'production', APP_DEBUG: 'false', LOG_CHANNEL: 'stderr' },
  written: [...storage, 'bootstrap/cache'],
  prepare: `if [ -z "\${APP_KEY-}" ] && ! grep -qs '^APP_KEY=.' .env; then
  echo 'Warning: APP_KEY is not set, and Laravel encrypts nothing without: give one that "php artisan key:generate --show" prints' >&2
fi
if [ ! -w storage/framework ]; then
  mkdir -p "$dir"/storage/{app/public,framework/{cache/data,sessions,views},logs}
  export LARAVEL_STORAGE_PATH="$dir/storage" VIEW_COMPILED_PATH="$dir/storage/framework/views"
  cp storage/framework/views/*.php "$VIEW_COMPILED_PATH" 2>/dev/null || :
else
  # A compiled template has to be newer than its source, and all files of an image have the same time.
  find storage/framework/views -name '*.php' -exec touch {} + 2>/dev/null || :
fi
if [ -z "\${APP_CONFIG_CACHE-}" ]; then
  export APP_CONFIG_CACHE="$dir/config.php" APP_ROUTES_CACHE="$dir/routes.php"
  for cache in config:cache route:cache; do
    php artisan "$cache" --quiet --no-interaction >&2 || echo "Warning: php artisan $cache failed; it runs without that cache" >&2
  done
fi
`,
  processes: [
    shellProcess('console', 'php artisan "$@"'),
    shellProcess('migrate', 'exec php artisan migrate --force "$@"'),
    shellProcess('worker', 'exec php artisan queue:work "$@"'),
    shellProcess('scheduler', 'exec php artisan schedule:work "$@"'),
  ],
  async finish(context, php) {
    const { app, env, log } = context
    if ((await app.hasDirectory('public')) && !(await readdir(app.at('public'))).includes('storage'))
      await symlink('../storage/app/public', app.at('public/storage'))
    // Some services require a key as soon as they are created; the build encrypts nothing.
    const key = env['APP_KEY'] || `base64:${Buffer.alloc(32).toString('base64')}`
    for (const command of ['view:cache', 'event:cache']) {
      const { exitCode, stdout, stderr } = await context.run(
        [php.program, 'artisan', command, '--no-interaction', '--no-ansi'],
        {
          env: { ...php.env, ...this.build, APP_KEY: key },
          quiet: true,
          allowFailure: true,
        },
      )
      if (exitCode !== 0)
        log.warning(
          `php artisan ${command} failed, so that it is done where it runs:\n${(stdout + stderr).trim().slice(0, 2000)}`,
        )
    }
  },
}

/** Laravel uses PHP's extension for Redis, unless the application has the package that does not need it. */
function laravelWith(names: ReadonlySet<string>): Framework {
  const has = (name: string) => names.has(`laravel/${name}`)
  const others = laravel.processes.filter(({ type }) => type !== 'worker' || !has('horizon'))
  return {
    ...laravel,
    extensions: [...laravel.extensions, ...(names.has('predis/predis') ? [] : ['redis'])],
    processes: [
      ...others,
      ...(has('horizon') ? [shellProcess('worker', 'exec php artisan horizon "$@"')] : []),
      ...(has('reverb') ? [shellProcess('reverb', 'exec php artisan reverb:start --port="${PORT:-8080}" "$@"')] : []),
    ],
  }
}

function symfony(names: ReadonlySet<string>): Framework {
  const hasMessenger = names.has('symfony/messenger')
  const variables = { APP_ENV: 'prod', APP_DEBUG: '0' }
  return {
    ...plain,
    name: 'Symfony',
    extensions: [...databases, 'intl'],
    launch: variables,
    build: variables,
    written: ['var', 'var/cache', 'var/log'],
    prepare: `[ -w var/log ] || export APP_LOG_DIR="$dir"\n`,
    processes: [
      shellProcess('console', 'php bin/console "$@"'),
      ...(names.has('doctrine/doctrine-migrations-bundle')
        ? [shellProcess('migrate', 'exec php bin/console doctrine:migrations:migrate --no-interaction "$@"')]
        : []),
      ...(hasMessenger ? [shellProcess('worker', 'exec php bin/console messenger:consume --all "$@"')] : []),
    ],
    async finish(context, php) {
      const { app } = context
      await runConsole(context, php, 'cache:warmup', 'Warming the cache of Symfony')
      // In production nothing serves missing assets (symfony.com, "AssetMapper").
      if (!names.has('symfony/asset-mapper') || (await app.has('public/assets/manifest.json'))) return
      if (await app.has('importmap.php'))
        await runConsole(context, php, 'asset-map:compile', 'Compiling the assets of Symfony')
    },
  }
}

async function runConsole(context: BuildContext, php: Php, command: string, title: string): Promise<void> {
  const { env, log } = context
  const { exitCode, stdout, stderr } = await log.step(title, () =>
    context.run([php.program, 'bin/console', command, '--no-interaction', '--no-ansi'], {
      env: { ...php.env, APP_ENV: env['APP_ENV'] || 'prod', APP_DEBUG: '0' },
      quiet: true,
      allowFailure: true,
    }),
  )
  if (exitCode === 0) return
  log.detail(`${stdout}${stderr}`.trim())
  throw new BuildpackError(`bin/console ${command} failed with exit status ${exitCode}`, {
    where: 'bin/console',
    fix: /importmap:install/.test(stdout + stderr)
      ? 'add "importmap:install" to the scripts of composer.json: it fetches what importmap.php names'
      : 'correct what it prints, or give the variables that config/ needs with --env',
  })
}

/** A WordPress download: its configuration comes from the environment, unless the source has one. */
const wordPress: Framework = {
  ...plain,
  name: 'WordPress',
  extensions: ['mysqli', 'gd', 'intl', 'zip'],
  written: ['wp-content/uploads', 'wp-content/upgrade', 'wp-content/cache'],
  async finish({ app, log }) {
    if ((await app.has('wp-config.php')) || (await app.has('../wp-config.php'))) return
    log.info('wp-config.php takes its values from the environment: WORDPRESS_DB_HOST and others')
    await writeFile(app.at('wp-config.php'), wordPressConfig)
  },
}

/** The framework's variables at launch. */
export async function provideVariables({ layer }: BuildContext, { name, launch }: Framework): Promise<void> {
  const entries = Object.entries(launch).map(([key, value]): [string, EnvChange] => [key, byDefault(value)])
  if (entries.length === 0) return
  await layer('framework', {
    types: { launch: true },
    key: { framework: name, variables: digestOf(JSON.stringify(launch)) },
    create: () => Promise.resolve({ env: { launch: Object.fromEntries(entries) } }),
  })
}
