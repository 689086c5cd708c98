import { existsSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import type { Platform } from '../image/manifest.ts'
import { dockerHub } from '../image/reference.ts'
import { ownArchitecture } from '../spec/target.ts'
import { readRegistriesConf } from './registries-conf.ts'
import type { ImageTransport } from './transport.ts'

/** How to reach one registry. The key is its host with its port, or `*` for all others. */
export interface RegistrySettings {
  /** Trusts the registry without a valid certificate, or without TLS. */
  readonly insecure?: boolean | undefined
  /** Does not check the certificate, but does not use http. */
  readonly skipTlsVerify?: boolean | undefined
  /** PEM files: additional certificate authorities, and the client's certificate and key (mutual TLS). */
  readonly ca?: string | undefined
  readonly clientCert?: string | undefined
  readonly clientKey?: string | undefined
  /** Mirrors to try first for run images and builders, in this order: `HOST[:PORT][/PATH]`. */
  readonly mirrors?: readonly string[] | undefined
  /** Uses only the mirrors. */
  readonly onlyMirrors?: boolean | undefined
  /** A tag that the registry protects keeps its image, with a warning. The new image is available by its digest. */
  readonly keepImmutableTags?: boolean | undefined
}

export type Registries = Readonly<Record<string, RegistrySettings>>

export const registrySettings = (registries: Registries | undefined, host: string): RegistrySettings =>
  registries?.[host] ?? registries?.['*'] ?? {}

export type Env = Readonly<Record<string, string | undefined>>

/** Settings of the user's machine for opening stores. */
export interface StoreSettings {
  /** Images and stacks: `$XDG_DATA_HOME/bale`. */
  readonly dataDir: string
  /** Caches of apps and the work directories of builds: `$XDG_CACHE_HOME/bale`. */
  readonly cacheDir: string
  /** The platform to choose from an index. */
  readonly platform: Platform
  /** For the programs that Bale starts on the host: PATH, proxies. Buildpacks get only the proxies. */
  readonly environment: Env
  /** The docker config.json, for registry credentials. */
  readonly dockerConfig: string
  /** CNB_REGISTRY_AUTH (platform.md, "Registry Authentication"). */
  readonly registryAuth?: string
  /** Path of the Docker or Podman API's socket. */
  readonly dockerSocket: string
  /** PEM file with the machine's certificate authorities, which replace a sandbox's own. */
  readonly caBundle?: string
  /** Hosts, with their ports, that are trusted without a certificate, or without TLS: CNB_INSECURE_REGISTRIES. */
  readonly insecureRegistries?: readonly string[]
  /** Mirrors and TLS of single registries: the file that CONTAINERS_REGISTRIES_CONF names. */
  readonly registries?: Registries | undefined
  /** How often a request to a registry is attempted; 5 by default. */
  readonly registryAttempts?: number | undefined
  /** The kinds of places for images; those of `transports.ts` by default. */
  readonly transports?: readonly ImageTransport[]
}

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
    dockerSocket: dockerSocket(env),
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

function dockerSocket(env: Env): string {
  const host = env['DOCKER_HOST']
  if (host === undefined || host === '') return '/var/run/docker.sock'
  if (host.startsWith('unix://')) return host.slice('unix://'.length)
  // A TCP address, or an unsupported scheme, which the daemon's store reports when it is used.
  return host
}
