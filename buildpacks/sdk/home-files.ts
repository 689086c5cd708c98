import { chmod, copyFile, mkdir, rm } from 'node:fs/promises'
import { constants } from 'node:fs'
import { dirname, join } from 'node:path'
import { isErrno } from '../../lifecycle/errors.ts'
import { boundFiles } from './bindings.ts'
import type { Context } from './buildpack.ts'

/** For each type of binding: its allowed files, and where a client looks for them in the user's home directory. */
export type HomeFiles = Readonly<Record<string, Readonly<Record<string, string>>>>

/**
 * Puts files of bindings, such as an `.npmrc` with credentials, where package clients look for them, while `work` runs. Only the user
 * can read them, as some clients demand. An existing file stays, with a warning about the binding.
 */
export async function withHomeFiles<T>(
  context: Pick<Context, 'env' | 'platformDir' | 'log'>,
  files: HomeFiles,
  work: () => Promise<T>,
): Promise<T> {
  const made: string[] = []
  try {
    for (const [type, places] of Object.entries(files)) {
      for (const { binding, name, path } of await boundFiles(context, type, ...Object.keys(places))) {
        const place = inHome(context.env, places[name] ?? name)
        if (await copied(path, place)) {
          made.push(place)
          context.log.info(`${name}: the binding ${binding.name}`)
        } else {
          context.log.warning(
            `${name} of the binding ${binding.name} has no effect: ${place} already exists`,
            'Remove the file from the build image.',
          )
        }
      }
    }
    return await work()
  } finally {
    for (const place of made) await rm(place, { force: true })
  }
}

function inHome(env: Context['env'], path: string): string {
  const config = env['XDG_CONFIG_HOME']
  if (config && path.startsWith('.config/')) return join(config, path.slice('.config/'.length))
  return join(env['HOME'] ?? '/', path)
}

/** @returns false if the file already exists */
async function copied(from: string, to: string): Promise<boolean> {
  await mkdir(dirname(to), { recursive: true })
  try {
    await copyFile(from, to, constants.COPYFILE_EXCL)
  } catch (error) {
    if (isErrno(error, 'EEXIST')) return false
    throw error
  }
  await chmod(to, 0o600)
  return true
}
