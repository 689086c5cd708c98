import { join } from 'node:path'
import { type BuildContext, BuildpackError, type CommandResult, isSet, type RunOptions } from '../sdk/index.ts'
import type { Installed } from './installed.ts'
import type { Python } from './runtime.ts'
import { servedSettings } from './serve.ts'

/** The installed packages, and their place. */
interface Packages {
  readonly venv: string
  readonly installed: Installed
  /** Directories of shared libraries that packages load. */
  readonly libraries: readonly string[]
}

/**
 * Collects Django's static files, as Heroku does: if the staticfiles application is installed and DISABLE_COLLECTSTATIC is not set.
 * Without STATIC_ROOT, which a new project does not have, it does nothing.
 * @throws BuildpackError if it fails otherwise
 */
export async function collectStatic(
  context: BuildContext,
  python: Python,
  { venv, installed, libraries }: Packages,
): Promise<void> {
  const { app, env, log, run } = context
  if (!installed.has('django') || !(await app.has('manage.py'))) return
  if (isSet(env, 'DISABLE_COLLECTSTATIC')) {
    log.info('Leaving out collectstatic: DISABLE_COLLECTSTATIC is set')
    return
  }
  const search = [python.env['LD_LIBRARY_PATH'], ...libraries].filter(Boolean).join(':')
  const served = env['DJANGO_SETTINGS_MODULE'] ? undefined : await servedSettings(app, env)
  if (served !== undefined) log.info(`Collecting static files with ${served.settings}, which ${served.file} names`)
  const variables = {
    ...python.env,
    ...(search !== '' && { LD_LIBRARY_PATH: search }),
    ...(served !== undefined && { DJANGO_SETTINGS_MODULE: served.settings }),
  }
  const quietly = { env: variables, quiet: true, allowFailure: true }
  const manage = (args: readonly string[], options?: RunOptions) =>
    run([join(venv, 'bin/python'), 'manage.py', ...args], { ...quietly, ...options })
  const help = await manage(['help', 'collectstatic'])
  if (help.exitCode !== 0) {
    // Settings that cannot be imported fail here, too.
    if (!/Unknown command: '?collectstatic/.test(help.stderr)) throw failure(log, help, 'help collectstatic')
    log.info('Leaving out collectstatic: the application django.contrib.staticfiles is not in INSTALLED_APPS')
    return
  }
  // If a command of the user replaces it, `python` is the one with the packages.
  const path = `${join(venv, 'bin')}:${env['PATH'] ?? ''}`
  const options = { step: 'build', name: 'manage.py collectstatic', env: { ...variables, PATH: path } } as const
  const result = await log.step('Collecting static files', () => manage(['collectstatic', '--noinput'], options))
  if (result.exitCode === 0) return log.detail(result.stdout.trim())
  if (/STATIC_ROOT setting to a filesystem path/.test(result.stderr)) {
    log.warning('static files are not collected: STATIC_ROOT is not set', 'Set it in the settings of Django.')
    return
  }
  throw failure(log, result, 'collectstatic')
}

function failure(log: BuildContext['log'], { exitCode, stderr }: CommandResult, command: string): BuildpackError {
  log.detail(stderr)
  const variable = missingVariable(stderr)
  const fix =
    variable === undefined
      ? 'correct the fault that it reports, give the variables that the settings need, or set DISABLE_COLLECTSTATIC=1'
      : `the settings need ${variable}: set it in the build, where any value may be enough: --env ${variable}=build; or set DISABLE_COLLECTSTATIC=1`
  return new BuildpackError(`manage.py ${command} failed with exit status ${exitCode}`, {
    where: 'manage.py',
    fix,
  })
}

/** The variable that the settings did not find, as os.environ, django-environ and python-decouple report it. */
function missingVariable(stderr: string): string | undefined {
  const last = stderr.trimEnd().split('\n').at(-1) ?? ''
  return /(?:KeyError: '|Set the |UndefinedValueError: )([A-Z][A-Z0-9_]+)(?:'$| environment variable| not found)/.exec(
    last,
  )?.[1]
}
