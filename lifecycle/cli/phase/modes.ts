import { BaleError } from '../../errors.ts'
import type { Env } from '../../stores/settings.ts'
import type { PhaseLog } from './log.ts'

/**
 * Allows an experimental feature if the platform wants it (platform.md, "Experimental Features"). The specification calls
 * the mode without warnings `silent`, the Go lifecycle `quiet`.
 * @throws BaleError if CNB_EXPERIMENTAL_MODE is unset or `error`, as the specification requires
 */
export function requireExperimental(feature: string, env: Env, log: PhaseLog): void {
  const mode = env['CNB_EXPERIMENTAL_MODE']
  if (mode === 'silent' || mode === 'quiet') return
  if (mode === 'warn') return log.warn(`the platform asks for an experimental feature: ${feature}`)
  throw new BaleError('failed', `${feature} is an experimental feature`, {
    where: 'CNB_EXPERIMENTAL_MODE',
    fix: 'set it to warn or silent to use the feature',
  })
}

/**
 * Reports a deprecated API according to CNB_DEPRECATION_MODE: `warn` (the default), `quiet` or `error`.
 * @throws BaleError with the code of an API that is not supported
 */
export function checkDeprecated(
  api: string,
  kind: 'platform-api' | 'buildpack-api',
  deprecated: readonly string[],
  env: Env,
  log: PhaseLog,
): void {
  if (!deprecated.includes(api)) return
  const name = kind === 'platform-api' ? 'Platform API' : 'Buildpack API'
  const mode = env['CNB_DEPRECATION_MODE']
  if (mode === 'quiet') return
  if (mode !== 'error') return log.warn(`${name} ${api} is deprecated`)
  throw new BaleError(kind, `${name} ${api} is deprecated`, {
    where: 'CNB_DEPRECATION_MODE',
    fix: 'use a newer API, or set it to warn',
  })
}
