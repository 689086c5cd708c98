import { readFile, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { type Env, expanded } from '../../npm/settings.ts'
import { type App, digestOfFile } from '../../sdk/index.ts'

/** True if a setting names another configuration file, which may name further files. */
export function namesConfig(env: Env): boolean {
  return Object.keys(env).some(name => /^npm_config_(userconfig|globalconfig|prefix)$/i.test(name))
}

const isSecret = (line: string) => /^[^=]*(_auth|_password|token)/i.test(line)

/** The values in .npmrc except passwords, with environment variables in place of `${NAME}`. */
export function npmrcValues(npmrc: string, env: Env): string[] {
  const lines = npmrc.split(/\r?\n/).filter(line => !/^\s*[#;]/.test(line) && line.includes('=') && !isSecret(line))
  const values = lines.map(line =>
    line
      .slice(line.indexOf('=') + 1)
      .trim()
      .replace(/^(["'])(.*)\1$/, '$2'),
  )
  return values.map(value => expanded(value, env))
}

/** The values of the user's own ~/.npmrc except passwords, which npm reads beside the application's; undefined if there is none. */
export async function userNpmrc(env: Env): Promise<string | undefined> {
  const home = env['HOME']
  const text = home ? await readFile(join(home, '.npmrc'), 'utf8').catch(() => undefined) : undefined
  return text
    ?.split(/\r?\n/)
    .filter(line => !isSecret(line))
    .join('\n')
}

/** The files that values name, each with its content: `cafile=ca.pem`, `NPM_CONFIG_USERCONFIG=ci/npmrc`. */
export async function filesNamed(app: App, values: readonly string[]): Promise<string[]> {
  const named = [...new Set(values)]
    .filter(value => value !== '' && value.length < 4096 && !value.includes('\0'))
    .toSorted()
  const contents = await Promise.all(named.map(value => digestOfNamed(resolve(app.path, value))))
  return named.flatMap((name, index) => (contents[index] === undefined ? [] : [name, contents[index]]))
}

async function digestOfNamed(path: string): Promise<string | undefined> {
  const found = await stat(path).catch(() => undefined)
  return found?.isFile() === true ? digestOfFile(path) : undefined
}
