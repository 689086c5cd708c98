import { existsSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import type { Settings } from '../platform/settings.ts'
import { BaleError } from '../errors.ts'

type Env = Readonly<Record<string, string | undefined>>

/** Where distributions keep the machine's certificate authorities. */
const caBundles = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem',
  '/etc/ssl/ca-bundle.pem',
  '/etc/ssl/cert.pem',
]

/**
 * The machine and the user, as their environment has them (XDG Base Directory Specification; docker's conventions).
 * @param findHome the home of the user's account; it throws for a user that has none
 */
export function readSettings(env: Env, findHome = accountHome): Settings {
  const home = env['HOME'] || homeOf(findHome)
  const xdg = (name: string, fallback: string): string => {
    const value = env[name]
    // The XDG specification: a relative path is invalid and ignored.
    return join(value?.startsWith('/') ? value : join(home, fallback), 'bale')
  }
  const caBundle = [env['SSL_CERT_FILE'], ...caBundles].find(
    path => path !== undefined && path !== '' && existsSync(path),
  )
  const epoch = sourceDateEpoch(env['SOURCE_DATE_EPOCH'])
  return {
    dataDir: xdg('XDG_DATA_HOME', '.local/share'),
    cacheDir: xdg('XDG_CACHE_HOME', '.cache'),
    environment: env,
    dockerConfig: join(env['DOCKER_CONFIG'] || join(home, '.docker'), 'config.json'),
    dockerSocket: dockerSocket(env),
    ...(env['CNB_REGISTRY_AUTH'] && { registryAuth: env['CNB_REGISTRY_AUTH'] }),
    ...(caBundle !== undefined && { caBundle }),
    ...(epoch !== undefined && { sourceDateEpoch: epoch }),
    ...(env['BALE_DEBIAN_MIRROR'] && { debianMirror: env['BALE_DEBIAN_MIRROR'] }),
  }
}

/** Not `homedir()`: where HOME is empty, so is that, and files would go to whatever directory one is in. */
const accountHome = (): string => userInfo().homedir

/** Container engines give a user without an account the root as home. */
function homeOf(find: () => string): string {
  try {
    return find()
  } catch {
    return '/'
  }
}

function sourceDateEpoch(value: string | undefined): number | undefined {
  if (value === undefined || value === '') return undefined
  if (/^\d{1,11}$/.test(value)) return Number(value)
  throw new BaleError('arguments', `SOURCE_DATE_EPOCH is ${JSON.stringify(value)}`, {
    fix: 'make it a number of seconds since 1970, or unset it',
  })
}

function dockerSocket(env: Env): string {
  const host = env['DOCKER_HOST']
  if (host === undefined || host === '') return '/var/run/docker.sock'
  if (host.startsWith('unix://')) return host.slice('unix://'.length)
  // TCP, or what nobody speaks: only a build that talks to a daemon needs it, and the store says so then.
  return host
}
