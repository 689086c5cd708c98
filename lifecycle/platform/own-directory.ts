import { mkdir, stat } from 'node:fs/promises'
import { BaleError } from '../errors.ts'
import { wrapErrno } from '../files/wrap-errno.ts'

/**
 * Makes a directory that only this user can enter, if it is not there, and checks whose it is. What it holds decides what builds
 * run in, and stored layers hold source code (X44). Root may own it, for a user in a container.
 * @param variable names the setting of the directory, for the error
 * @throws BaleError 'filesystem' if it cannot be made, or belongs to another user
 */
export async function ownDirectory(path: string, variable: 'XDG_DATA_HOME' | 'XDG_CACHE_HOME'): Promise<void> {
  const found = await wrapErrno(path, async () => {
    await mkdir(path, { recursive: true, mode: 0o700 })
    return stat(path)
  })
  const us = process.geteuid?.()
  if (found.uid === us || found.uid === 0) return
  throw new BaleError('filesystem', `the directory belongs to another user, ${found.uid}`, {
    where: path,
    fix: `set ${variable} to a directory of your own, or HOME to your own home`,
  })
}
