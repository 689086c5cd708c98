import { chmod, lstat, mkdir, readdir, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import {
  type App,
  type BuildContext,
  BuildpackError,
  buildOnlyPaths,
  byDefault,
  digestOf,
  isSet,
} from '../sdk/index.ts'
import type { Bundle, Tools } from './bundle.ts'
import type { Facts } from './facts.ts'
import { isRails, rakefiles } from './start.ts'

/** Directories that Rails writes to at run time. The application's user is in the group of the build's user. */
const written = ['log', 'storage', 'tmp', 'tmp/cache', 'tmp/pids', 'tmp/sockets', 'tmp/storage']

/** The installation that assets are compiled with. */
interface Installed {
  /** The layer of the gems. */
  readonly gems: string
  /** Directories of shared libraries. */
  readonly libraries: readonly string[]
  /** Every Rakefile of a Rails application knows its tasks, so one that does not load is an error. */
  readonly rails: boolean
}

/** Variables of a Rails application in production. The operator sets SECRET_KEY_BASE, since an image cannot keep a secret. */
export async function provideRailsVariables({ layer }: BuildContext): Promise<void> {
  const launch = {
    RAILS_ENV: byDefault('production'),
    RAILS_LOG_TO_STDOUT: byDefault('enabled'),
    RAILS_SERVE_STATIC_FILES: byDefault('enabled'),
  }
  await layer('rails', {
    types: { launch: true },
    key: { variables: digestOf(JSON.stringify(launch)) },
    create: () => Promise.resolve({ env: { launch } }),
  })
}

/** Creates the directories that Rails writes to. */
export async function openDirectories(app: App): Promise<void> {
  for (const dir of written) {
    await mkdir(app.at(dir), { recursive: true })
    await chmod(app.at(dir), 0o775)
  }
}

/**
 * Whether there may be assets to compile: with Rails, or if a Rakefile has tasks of the same names from other gems, such as Hanami's
 * and Sprockets'.
 */
export async function mayHaveAssets(facts: Facts): Promise<boolean> {
  const { app, gems } = facts
  if (await isRails(facts)) return true
  const file = gems.has('rake') ? await app.firstOf(rakefiles) : undefined
  const text = file === undefined ? '' : ((await app.read(file)) ?? '')
  return /^[^#\n]*\bassets\b/m.test(text) || (gems.has('hanami-assets') && text.includes('hanami/rake_tasks'))
}

/** Removes the packages that Node.js installed only for the compilation: the image does not contain Node.js to use them. */
export async function removeTools({ app, env, log }: BuildContext): Promise<void> {
  const paths = (env[buildOnlyPaths] ?? '').split(':').filter(path => path !== '')
  if (paths.length === 0) return
  if (/\bnode_modules\b/.test(env['BP_KEEP_FILES'] ?? '')) return
  log.info(`Removing ${paths.join(', ')}: only the build uses it; BP_KEEP_FILES=node_modules keeps it`)
  for (const path of paths) await rm(app.at(path), { recursive: true, force: true })
}

/**
 * Compiles assets, as Heroku does, unless a manifest is committed or there is no such task. The caches of Sprockets and other tools are
 * kept between builds.
 * @param libraries directories of shared libraries that gems load
 * @throws BuildpackError if a task fails
 */
export async function compileAssets(
  context: BuildContext,
  tools: Tools,
  selected: Bundle,
  { gems, libraries, rails }: Installed,
): Promise<void> {
  const { app, env, log, run } = context
  if (isSet(env, 'DISABLE_ASSETS_PRECOMPILE')) {
    log.info('Leaving out assets:precompile: DISABLE_ASSETS_PRECOMPILE is set')
    return
  }
  const manifest = await committedManifest(app)
  if (manifest !== undefined) {
    log.info(`Leaving out assets:precompile: ${manifest} is in the source`)
    return
  }
  const { ruby } = tools
  const variables = {
    ...ruby.env,
    LD_LIBRARY_PATH: [ruby.env['LD_LIBRARY_PATH'], ...libraries].filter(Boolean).join(':'),
    BUNDLE_APP_CONFIG: join(gems, 'bundle'),
    RAILS_ENV: env['RAILS_ENV'] || 'production',
    RACK_ENV: env['RACK_ENV'] || 'production',
    // guides.rubyonrails.org, "Configuring Rails Applications": since 7.1. Older versions accept any value for the secret.
    SECRET_KEY_BASE_DUMMY: '1',
    SECRET_KEY_BASE: env['SECRET_KEY_BASE'] || 'dummy-of-the-build',
    DATABASE_URL: env['DATABASE_URL'],
    RAILS_LOG_TO_STDOUT: '1',
    ...(env[buildOnlyPaths] !== undefined && installedBefore),
  }
  const rake = async (args: readonly string[], step?: 'build') =>
    run([ruby.program, join(dirname(ruby.program), 'bundle'), 'exec', 'rake', ...args], {
      env: variables,
      quiet: true,
      allowFailure: true,
      ...(step && { step, name: `rake ${args.join(' ')}` }),
    })
  const tasks = await rake(['--silent', '--prereqs'])
  if (tasks.exitCode !== 0) {
    const failed = failure(log, 'rake --prereqs', tasks)
    if (rails) throw failed
    return log.warning(
      'assets are not compiled: rake --prereqs failed',
      'Do not load development gems in the Rakefile.',
    )
  }
  const has = (task: string) => new RegExp(`^rake ${task}$`, 'm').test(tasks.stdout)
  if (!has('assets:precompile')) {
    log.info('Leaving out assets: there is no task assets:precompile')
    return
  }
  const cache = await restoreCache(context, selected)
  const result = await log.step('Compiling assets', () => rake(['assets:precompile'], 'build'))
  if (result.exitCode !== 0) throw failure(log, 'rake assets:precompile', result)
  if (has('assets:clean')) {
    const cleaned = await rake(['assets:clean'])
    if (cleaned.exitCode !== 0) throw failure(log, 'rake assets:clean', cleaned)
  }
  await cache.keep()
  // A secret for the build only, so the image must not keep it.
  await rm(app.at('tmp/local_secret.txt'), { force: true })
}

/**
 * Keeps the tasks of jsbundling-rails, cssbundling-rails and vite_ruby from installing packages, which are already installed; these
 * tasks would leave out devDependencies.
 */
const installedBefore = {
  SKIP_YARN_INSTALL: '1',
  SKIP_BUN_INSTALL: '1',
  VITE_RUBY_SKIP_ASSETS_PRECOMPILE_INSTALL: 'true',
}

/** A manifest with digests of assets that somebody compiled before (Sprockets, Propshaft). */
async function committedManifest(app: App): Promise<string | undefined> {
  const dir = 'public/assets'
  const names = await readdir(app.at(dir)).catch(() => [])
  const name = names.toSorted().find(each => /^\.?(?:sprockets-)?manifest.*\.json$/.test(each))
  return name === undefined ? undefined : `${dir}/${name}`
}

function failure(
  log: BuildContext['log'],
  name: string,
  { exitCode, stdout, stderr }: { readonly exitCode: number; readonly stdout: string; readonly stderr: string },
): BuildpackError {
  log.detail(`${stdout}${stderr}`.trim())
  const output = stdout + stderr
  const fix = /JavaScript runtime|ExecJS::RuntimeUnavailable/.test(output)
    ? 'add a package.json, which installs Node.js, or the gem mini_racer'
    : /command not found|No such file or directory - (?:yarn|npm|bun|node)/.test(output)
      ? 'add a package.json with a build script, which installs Node.js'
      : 'correct the fault that it reports, give the variables that config/ needs with --env, or set DISABLE_ASSETS_PRECOMPILE=1'
  return new BuildpackError(`${name} failed with exit status ${exitCode}`, { where: 'Rakefile', fix })
}

const cached = ['tmp/cache/assets', 'tmp/cache/bootsnap']

/** Restores the cache. With other gems or another Ruby it starts empty: nothing that a gem has written outlives the gem (X40). */
async function restoreCache({ app, layer, run }: BuildContext, { digest }: Bundle): Promise<{ keep(): Promise<void> }> {
  const { path } = await layer('assets-cache', {
    types: { cache: true },
    key: { gems: digest },
    create: async () => {},
  })
  const move = (from: string, to: string) =>
    run(['mv', '-T', from, to], { quiet: true, name: 'moving a cache of the build' })
  const isThere = (dir: string) =>
    lstat(dir).then(
      found => found.isDirectory(),
      () => false,
    )
  for (const dir of cached) {
    if (!(await isThere(join(path, dir))) || (await isThere(app.at(dir)))) continue
    await mkdir(dirname(app.at(dir)), { recursive: true })
    await move(join(path, dir), app.at(dir))
  }
  return {
    async keep() {
      for (const dir of cached) {
        await rm(join(path, dir), { recursive: true, force: true })
        if (!(await isThere(app.at(dir)))) continue
        await mkdir(dirname(join(path, dir)), { recursive: true })
        await move(app.at(dir), join(path, dir))
      }
    },
  }
}
