import { join } from 'node:path'
import { type BuildContext, BuildpackError, isSet } from '../sdk/index.ts'
import type { Python } from './runtime.ts'
import type { Installed } from './venv.ts'

/**
 * Collects Django's static files, as Heroku does: if the staticfiles application is there and DISABLE_COLLECTSTATIC is not set.
 * Without STATIC_ROOT, which a new project has not, there is nowhere to put them.
 * @throws BuildpackError if it fails otherwise
 */
export async function collectStatic(
  context: BuildContext,
  python: Python,
  venv: string,
  installed: Installed,
): Promise<void> {
  const { app, env, log, run } = context
  if (!installed.has('django') || !(await app.has('manage.py'))) return
  if (isSet(env, 'DISABLE_COLLECTSTATIC')) {
    log.info('Leaving out collectstatic: DISABLE_COLLECTSTATIC is set')
    return
  }
  const manage = (...args: string[]) =>
    run([join(venv, 'bin/python'), 'manage.py', ...args], { env: python.env, quiet: true, allowFailure: true })
  if ((await manage('help', 'collectstatic')).exitCode !== 0) {
    log.info('Leaving out collectstatic: manage.py has no such command')
    return
  }
  const result = await log.step('Collecting static files', () => manage('collectstatic', '--noinput'))
  if (result.exitCode === 0) return log.detail(result.stdout.trim())
  if (/STATIC_ROOT setting to a filesystem path/.test(result.stderr)) {
    log.warning('static files are not collected: STATIC_ROOT is not set', 'Set it in the settings of Django.')
    return
  }
  log.detail(result.stderr)
  throw new BuildpackError(`manage.py collectstatic failed with exit status ${result.exitCode}`, {
    where: 'manage.py',
    fix: 'correct what it prints, give the variables that the settings need, or set DISABLE_COLLECTSTATIC=1',
  })
}
