import { existsSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import type { Platform } from '../image/manifest.ts'
import { dockerHub } from '../image/reference.ts'
import { ownArchitecture } from '../spec/target.ts'
import { readRegistriesConf } from './registries-conf.ts'
import type { Registries, RegistrySettings } from './registry-settings.ts'
import type { StoreSettings } from './transport.ts'

export const registrySettings = (registries: Registries | undefined, host: string): RegistrySettings =>
  registries?.[host] ?? registries?.['*'] ?? {}

export type Env = Readonly<Record<string, string | undefined>>

/** This machine's platform. */
export function hostPlatform(): Platform {
  return { os: 'linux', architecture: ownArchitecture() }
}

/** Paths of distributions for the machine's certificate authorities. */
const caBundles = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem',
  '/etc/ssl/ca-bundle.pem',
  '/etc/ssl/cert.pem',
]

/**
 * Reads the settings from an environment (XDG Base Directory Specification; docker's conventions).
 * @param findHome returns the home of the user's account; throws for a user without an account
 */
export function storeSettings(env: Env, findHome = accountHome): StoreSettings {
  const home = env['HOME'] || homeOf(findHome)
  const xdg = (name: string, fallback: string): string => {
    const value = env[name]
    // The XDG specification: a relative path is invalid and ignored.
    return join(value?.startsWith('/') ? value : join(home, fallback), 'bale')
  }
  const caBundle = [env['SSL_CERT_FILE'], ...caBundles].find(
    path => path !== undefined && path !== '' && existsSync(path),
  )
  return {
    dataDir: xdg('XDG_DATA_HOME', '.local/share'),
    cacheDir: xdg('XDG_CACHE_HOME', '.cache'),
    platform: hostPlatform(),
    environment: env,
    dockerConfig: join(env['DOCKER_CONFIG'] || join(home, '.docker'), 'config.json'),
    dockerSocket: daemonAddress(env['DOCKER_HOST']),
    ...(env['CNB_REGISTRY_AUTH'] && { registryAuth: env['CNB_REGISTRY_AUTH'] }),
    caBundle,
    registries: readRegistriesConf(env['CONTAINERS_REGISTRIES_CONF']),
    insecureRegistries: (env['CNB_INSECURE_REGISTRIES'] ?? '').split(',').flatMap(text => registryHost(text) || []),
  }
}

/** The name of a registry in references, without a scheme or path around its host. */
export function registryHost(text: string): string {
  const host = text
    .trim()
    .replace(/^\w+:\/\//, '')
    .replace(/\/.*$/, '')
  return host === 'docker.io' ? dockerHub : host
}

/** Not `homedir()`, which is empty if HOME is empty: files would go to the working directory. */
const accountHome = (): string => userInfo().homedir

/** Container engines set `/` as the home of a user without an account. */
function homeOf(find: () => string): string {
  try {
    return find()
  } catch {
    return '/'
  }
}

/** The socket's path, or what a daemon's address is besides: a TCP address, or an unsupported scheme, which its store reports. */
export function daemonAddress(host: string | undefined): string {
  if (host === undefined || host === '') return '/var/run/docker.sock'
  return host.startsWith('unix://') ? host.slice('unix://'.length) : host
}
