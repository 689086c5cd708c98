import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import * as v from 'valibot'
import { BaleError } from '../errors.ts'
import { errnoMessage } from '../files/wrap-errno.ts'
import { dockerHub } from '../image/reference.ts'
import { parseToml } from '../spec/toml.ts'
import type { Registries, RegistrySettings } from './registry-settings.ts'

const file = v.optional(v.pipe(v.string(), v.minLength(1, 'the path is empty')))
const mirror = v.looseObject({ location: v.string(), insecure: v.optional(v.boolean(), false) })
const entry = v.looseObject({
  prefix: v.optional(v.string()),
  location: v.optional(v.string()),
  insecure: v.optional(v.boolean()),
  blocked: v.optional(v.boolean(), false),
  mirror: v.optional(v.array(mirror), []),
  'skip-tls-verify': v.optional(v.boolean()),
  'only-mirrors': v.optional(v.boolean()),
  'keep-immutable-tags': v.optional(v.boolean()),
  ca: file,
  'client-cert': file,
  'client-key': file,
})
const document = v.looseObject({ registry: v.optional(v.array(entry), []) })

/**
 * Reads a file in the format of containers-registries.conf(5), version 2: for each registry its mirrors and whether it is
 * insecure. Bale's own keys replace what that format keeps in directories: `ca`, `client-cert`, `client-key`,
 * `skip-tls-verify`, `only-mirrors`, `keep-immutable-tags`. Paths are relative to the file.
 * @param path undefined to read nothing
 * @throws BaleError 'input' for a key that would change which registry a name refers to, which Bale does not support
 */
export function readRegistriesConf(path: string | undefined): Registries | undefined {
  if (path === undefined || path === '') return undefined
  const text = readText(path)
  const parsed = v.safeParse(document, parseToml(text, path))
  if (!parsed.success) {
    const issue = parsed.issues[0]
    throw new BaleError('input', issue.message, { where: `${path} ${v.getDotPath(issue) ?? ''}`.trimEnd() })
  }
  const registries: Record<string, RegistrySettings> = {}
  for (const [i, given] of parsed.output.registry.entries()) {
    const host = hostOf(given, `${path} registry.${i}`)
    const at = (name: 'ca' | 'client-cert' | 'client-key') => {
      const value = given[name]
      return value === undefined ? undefined : resolve(dirname(path), value)
    }
    registries[host] = {
      insecure: given.insecure,
      skipTlsVerify: given['skip-tls-verify'],
      ca: at('ca'),
      clientCert: at('client-cert'),
      clientKey: at('client-key'),
      mirrors: given.mirror.map(({ location }) => location),
      onlyMirrors: given['only-mirrors'],
      keepImmutableTags: given['keep-immutable-tags'],
    }
    for (const { location, insecure } of given.mirror) {
      const mirrorHost = location.split('/')[0] ?? ''
      if (insecure) registries[mirrorHost] ??= { insecure }
    }
  }
  return registries
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw new BaleError('filesystem', `the settings of registries cannot be read: ${errnoMessage(cause)}`, {
      where: path,
      fix: 'correct CONTAINERS_REGISTRIES_CONF, or unset it',
      cause,
    })
  }
}

function hostOf({ prefix, location, blocked }: v.InferOutput<typeof entry>, where: string): string {
  const name = prefix ?? location ?? ''
  const refuse = (message: string, fix: string) => new BaleError('input', message, { where, fix })
  if (blocked) throw refuse('Bale cannot block a registry', 'leave out blocked, and use a network policy')
  if (!/^[A-Za-z0-9.-]+(:\d+)?$|^\[[0-9a-f:.]+\](:\d+)?$/.test(name))
    throw refuse(
      `${JSON.stringify(name)} is not a registry`,
      'write HOST or HOST:PORT; parts of a registry have no settings',
    )
  if (location !== undefined && prefix !== undefined && location !== prefix)
    throw refuse('Bale does not redirect a registry to another one', 'add the other registry as [[registry.mirror]]')
  return name === 'docker.io' ? dockerHub : name
}
