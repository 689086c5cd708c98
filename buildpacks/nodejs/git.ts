import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

/**
 * Variables with which git reaches dependencies of repositories by https where the user's .netrc has credentials for their host: package managers
 * write `git@github.com:acme/lib` for what a package.json calls `github:acme/lib`, and a build has no key for that.
 */
export async function gitVariables(env: Readonly<Record<string, string>>): Promise<Record<string, string>> {
  const file = join(env['HOME'] ?? '/', '.netrc')
  const text = await readFile(file, 'utf8').catch(() => '')
  const hosts = new Set(Array.from(text.matchAll(/(?:^|\s)machine\s+([\w.-]+)/g), ([, host = '']) => host))
  const settings = [...hosts].flatMap(host =>
    [`ssh://git@${host}/`, `git@${host}:`, `git://${host}/`].map(other => [`url.https://${host}/.insteadOf`, other]),
  )
  if (settings.length === 0) return {}
  const variables = settings.flatMap(([key = '', value = ''], index) => [
    [`GIT_CONFIG_KEY_${index}`, key],
    [`GIT_CONFIG_VALUE_${index}`, value],
  ])
  return { GIT_CONFIG_COUNT: String(settings.length), ...(Object.fromEntries(variables) as Record<string, string>) }
}
