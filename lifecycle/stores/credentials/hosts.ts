import { dockerHub } from '../../image/reference.ts'

const hubNames = ['docker.io', 'index.docker.io', 'registry-1.docker.io', 'registry.hub.docker.com']

/**
 * The registry that a key of `auths`, `credHelpers` or CNB_REGISTRY_AUTH means: with or without a scheme and the path of
 * an API version, as Docker's versions have written them. Undefined for a key that means only a part of a registry
 * (`quay.io/team`, as Podman writes it), since its credentials are not for the rest.
 */
export function registryOfKey(key: string): string | undefined {
  const [host = '', path = ''] = split(key.replace(/^https?:\/\//i, ''))
  if (!/^(?:v[12]\/?)?$/.test(path)) return undefined
  const name = host.toLowerCase()
  return hubNames.includes(name) ? dockerHub : name
}

function split(text: string): [string, string] {
  const slash = text.indexOf('/')
  return slash < 0 ? [text, ''] : [text.slice(0, slash), text.slice(slash + 1)]
}

/** The value of the key that means `registry`; the exact name wins over its other spellings. */
export function valueFor<T>(values: ReadonlyMap<string, T>, registry: string): T | undefined {
  const name = registry.toLowerCase()
  if (values.has(name)) return values.get(name)
  for (const [key, value] of values) if (registryOfKey(key) === name) return value
  return undefined
}
