import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gitSettings } from '../sdk/index.ts'

/**
 * Variables that make git use https for dependencies from repositories, if the user's .netrc has credentials for their host. Package
 * managers write `git@github.com:acme/lib` for a package.json's `github:acme/lib`, and a build has no ssh key for that.
 */
export async function gitVariables(env: Readonly<Record<string, string>>): Promise<Record<string, string>> {
  const file = join(env['HOME'] ?? '/', '.netrc')
  const text = await readFile(file, 'utf8').catch(() => '')
  const hosts = new Set(Array.from(text.matchAll(/(?:^|\s)machine\s+([\w.-]+)/g), ([, host = '']) => host))
  const settings = [...hosts].flatMap(host =>
    [`ssh://git@${host}/`, `git@${host}:`, `git://${host}/`].map(
      other => [`url.https://${host}/.insteadOf`, other] as const,
    ),
  )
  return gitSettings(settings)
}
