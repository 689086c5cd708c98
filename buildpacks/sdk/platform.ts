import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { isErrno } from '../../lifecycle/errors.ts'
import { ownArchitecture } from '../../lifecycle/spec/target.ts'
import type { Target } from '../../lifecycle/spec/types.ts'
import { BuildpackError } from './errors.ts'

type Env = Readonly<Record<string, string>>

/** The user's variables. Each file of `<platform>/env/` is one, and its name is the variable's name (platform.md, "Platform"). */
export async function readPlatformEnv(platformDir: string): Promise<Env> {
  const dir = join(platformDir, 'env')
  const names = await readdir(dir).catch((error: unknown) => {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return []
    throw error
  })
  const entries = names.toSorted().map(async name => {
    const path = join(dir, name)
    // A fifo would never end, and a directory is not a variable.
    return (await stat(path)).isFile() ? [[name, await readFile(path, 'utf8')] as const] : []
  })
  return Object.fromEntries((await Promise.all(entries)).flat())
}

/** buildpack.md, "Targets". */
export function targetOf(env: Env): Target {
  const name = env['CNB_TARGET_DISTRO_NAME']
  const version = env['CNB_TARGET_DISTRO_VERSION']
  const variant = env['CNB_TARGET_ARCH_VARIANT']
  return {
    os: env['CNB_TARGET_OS'] || 'linux',
    arch: env['CNB_TARGET_ARCH'] || ownArchitecture(),
    ...(variant && { variant }),
    ...(name && version && { distro: { name, version } }),
  }
}

/** True for the usual spellings of yes. */
export function isSet(env: Env, name: string): boolean {
  return ['1', 'true', 'yes', 'on'].includes((env[name] ?? '').trim().toLowerCase())
}

/** The first of several variables that has a value: other builders' names for the same setting count like Bale's. */
export function firstSetting(env: Env, ...names: string[]): { name: string; value: string } | undefined {
  for (const name of names) {
    const value = env[name]?.trim()
    if (value !== undefined && value !== '') return { name, value }
  }
  return undefined
}

/** @throws BuildpackError if one of `names` is set, since `why`. */
export function rejectSettings(env: Env, names: readonly string[], why: string): void {
  const found = names.find(name => env[name] !== undefined && env[name] !== '')
  if (found === undefined) return
  throw new BuildpackError(why, { where: found, fix: `remove ${found} from the environment of the build` })
}
