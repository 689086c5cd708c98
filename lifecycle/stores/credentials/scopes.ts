import { dockerHub } from '../../image/reference.ts'

const hubNames = ['docker.io', 'index.docker.io', 'registry-1.docker.io', 'registry.hub.docker.com']

/**
 * The names under which credentials for a repository may be stored, the most specific first (containers-auth.json(5)): the repository, each
 * path above it, the registry. For `host/team/app`: `host/team/app`, `host/team`, `host`. Only whole components count (K18).
 */
export function scopesOf(name: string): readonly string[] {
  const parts = name.split('/')
  return parts.map((_, i) => parts.slice(0, parts.length - i).join('/'))
}

/**
 * The scope of a key of `auths`, `credHelpers` or CNB_REGISTRY_AUTH. Docker's versions have written registries with or
 * without a scheme and the path of an API version; Podman writes paths within one.
 */
function scopeOfKey(key: string): string {
  const [host = '', ...path] = key.replace(/^https?:\/\//i, '').split('/')
  const name = host.toLowerCase()
  const registry = hubNames.includes(name) ? dockerHub : name
  const rest = path.join('/').replace(/\/+$/, '')
  return rest === '' || /^v[12]$/.test(rest) ? registry : `${registry}/${rest}`
}

/** The value of the key for `scope`. The exact name takes precedence over its other spellings. */
export function valueFor<T>(values: ReadonlyMap<string, T>, scope: string): T | undefined {
  const name = scope.toLowerCase()
  if (values.has(name)) return values.get(name)
  for (const [key, value] of values) if (scopeOfKey(key) === name) return value
  return undefined
}
