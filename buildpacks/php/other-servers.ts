import { type BuildContext, BuildpackError, declaredStart } from '../sdk/index.ts'
import type { Manifest } from './project.ts'

/** Servers for PHP that Debian does not have, by the command that starts them. */
const others: readonly (readonly [name: string, command: RegExp])[] = [
  ["Laravel Octane's server", /\boctane:(?:start|frankenphp|swoole|roadrunner)\b/],
  ['FrankenPHP', /\bfrankenphp\b/],
  ['RoadRunner', /(?:^|[\s/;&])rr\s+serve\b/],
  ['NGINX Unit', /\bunitd\b/],
]
/** Packages that adapt an application to one of them; it also runs with PHP-FPM. */
const adapters = [
  'laravel/octane',
  'runtime/frankenphp-symfony',
  'spiral/roadrunner-laravel',
  'baldinof/roadrunner-bundle',
]
const instead = 'nginx with PHP-FPM serves the application, which starts again for each request'

/**
 * Warns of servers that are not available here, and of their settings.
 * @throws BuildpackError if the start command names one whose program nothing provides
 */
export async function checkOtherServers(
  { app, env, log }: Pick<BuildContext, 'app' | 'env' | 'log'>,
  manifest: Manifest | undefined,
): Promise<void> {
  const declared = await declaredStart(app, env)
  const [name] = others.find(([, command]) => command.test(declared?.command ?? '')) ?? []
  if (declared !== undefined && name !== undefined && !(await bringsProgram(app, manifest))) {
    throw new BuildpackError(`it starts ${name}, which Debian 13 does not have`, {
      where: declared.where,
      fix: `remove the command: ${instead}; or put the program, frankenphp or rr, into the source`,
    })
  }
  if (declared !== undefined) return
  const adapter = adapters.find(each => manifest?.require[each] !== undefined)
  if (adapter !== undefined) log.info(`${adapter} has no server here: ${instead}`)
  const caddy = await app.firstOf(['Caddyfile', 'frankenphp/Caddyfile', '.rr.yaml'])
  if (caddy !== undefined)
    log.warning(
      `${caddy} is not read: nginx serves the application`,
      'Put rules for nginx into .nginx.conf.d/rules-server.conf.',
    )
}

/** Whether the source has the program, or Composer's scripts download it. */
async function bringsProgram(app: BuildContext['app'], manifest: Manifest | undefined): Promise<boolean> {
  if ((await app.firstOf(['frankenphp', 'rr', 'bin/frankenphp', 'bin/rr'])) !== undefined) return true
  return /get-binary|octane:install|frankenphp/.test(JSON.stringify(manifest?.scripts ?? {}))
}
