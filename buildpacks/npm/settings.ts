import { resolve } from 'node:path'

export type Env = Readonly<Record<string, string>>

/** A setting's value with environment variables in place of `${NAME}`. */
export const expanded = (value: string, env: Env): string =>
  value.replace(/\$\{([^}?]+)\??\}/g, (_, name: string) => env[name] ?? '')

/** Settings that name a file, relative to npm's working directory. `certfile` and `keyfile` apply to one registry. */
const fileSetting = /^(\s*(?:\S*:)?(?:cafile|certfile|keyfile)\s*=\s*)(["']?)(.+?)\2\s*$/i

/** An .npmrc for an npm that does not run in `dir`: relative paths become absolute. */
export function npmrcFrom(dir: string, npmrc: string, env: Env): string {
  const lines = npmrc.split(/\r?\n/).map(line => {
    const [, start, , value] = fileSetting.exec(line) ?? []
    return value === undefined || value.startsWith('~') ? line : `${start}${resolve(dir, expanded(value, env))}`
  })
  return lines.join('\n')
}

/** The same for settings in the environment. */
export function npmSettingsFrom(dir: string, env: Env): Record<string, string> {
  const named = Object.entries(env).filter(
    ([name, value]) => /^npm_config_(cafile|userconfig|globalconfig)$/i.test(name) && value !== '',
  )
  return Object.fromEntries(named.map(([name, value]) => [name, resolve(dir, value)]))
}
