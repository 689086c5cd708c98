import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { isErrno } from '../errors.ts'
import { wrapErrno } from '../files/wrap-errno.ts'
import * as read from '../spec/read.ts'
import { formatToml } from '../spec/toml.ts'
import { type PullPolicy, pullPolicies } from '../stores/pull-policy.ts'
import type { Env } from '../stores/settings.ts'

export type Mirrors = Readonly<Record<string, readonly string[]>>

/** The settings of `bale config`, for all commands of a user. */
export interface UserConfig {
  readonly defaultBuilder?: string | undefined
  readonly pullPolicy?: PullPolicy | undefined
  /** Where plain names go: to the local store, or to the Docker daemon. */
  readonly defaultDestination?: 'store' | 'docker' | undefined
  /** Additional names of run images, tried before the builder's. */
  readonly runImageMirrors: Mirrors
  /** For each registry host, mirrors to try first for run images and builders: `HOST[:PORT][/PATH]`. */
  readonly registryMirrors: Mirrors
}

/** `$XDG_CONFIG_HOME/bale/config.toml` */
export function configFile(env: Env): string {
  const xdg = env['XDG_CONFIG_HOME']
  return join(xdg?.startsWith('/') ? xdg : join(env['HOME'] || '/', '.config'), 'bale', 'config.toml')
}

/** @throws BaleError 'input' for a malformed file */
export async function readUserConfig(env: Env): Promise<UserConfig> {
  const file = configFile(env)
  const content = await wrapErrno(file, () =>
    readFile(file).catch((error: unknown) => {
      if (isErrno(error, 'ENOENT', 'ENOTDIR')) return ''
      throw error
    }),
  )
  const document = read.readToml(content, file)
  const choice = <T extends string>(key: string, choices: readonly T[]): T | undefined => {
    const text = read.text(document, key)
    const found = choices.find(c => c === text)
    if (text !== undefined && found === undefined)
      throw read.errorAt(document, key, `${read.quote(text)} is not one of ${choices.join(', ')}`)
    return found
  }
  const mirrorsIn = (key: string): Mirrors => {
    const found = read.table(document, key)
    if (found === undefined) return {}
    return Object.fromEntries(Object.keys(found.table).map(name => [name, read.texts(found, name)]))
  }
  return {
    defaultBuilder: read.text(document, 'default-builder'),
    pullPolicy: choice('pull-policy', pullPolicies),
    defaultDestination: choice('default-destination', ['store', 'docker'] as const),
    runImageMirrors: mirrorsIn('run-image-mirrors'),
    registryMirrors: mirrorsIn('registry-mirrors'),
  }
}

/** Replaces the file as a whole. */
export async function writeUserConfig(env: Env, config: UserConfig): Promise<void> {
  const file = configFile(env)
  const text = formatToml({
    'default-builder': config.defaultBuilder,
    'pull-policy': config.pullPolicy,
    'default-destination': config.defaultDestination,
    'run-image-mirrors': orNone(config.runImageMirrors),
    'registry-mirrors': orNone(config.registryMirrors),
  })
  await wrapErrno(file, async () => {
    await mkdir(dirname(file), { recursive: true, mode: 0o700 })
    await writeFile(`${file}.tmp`, text, { mode: 0o600 })
    await rename(`${file}.tmp`, file)
  })
}

const orNone = (mirrors: Mirrors): Mirrors | undefined => (Object.keys(mirrors).length === 0 ? undefined : mirrors)
