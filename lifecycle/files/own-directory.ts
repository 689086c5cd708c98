import { mkdir, stat } from 'node:fs/promises'
import { BaleError, isErrno } from '../errors.ts'
import { wrapErrno } from './wrap-errno.ts'

/** The setting of the directory, for the error. */
type Variable = 'XDG_DATA_HOME' | 'XDG_CACHE_HOME'

/**
 * Makes a directory that only this user can enter, if it does not exist, and checks its owner. Its contents decide what builds
 * run in, and stored layers hold source code (X44). Root may own it, for a user in a container.
 * @throws BaleError 'filesystem' if it cannot be made, or belongs to another user
 */
export async function ownDirectory(path: string, variable: Variable): Promise<void> {
  await wrapErrno(path, () => mkdir(path, { recursive: true, mode: 0o700 }))
  await requireOwn(path, variable)
}

/**
 * Checks the owner of a directory before its contents are trusted (X44). A missing directory passes.
 * @throws BaleError 'filesystem' if it belongs to another user than this one or root
 */
export async function requireOwn(path: string, variable: Variable): Promise<void> {
  const found = await wrapErrno(path, () => stat(path)).catch((error: { cause?: unknown }) => {
    if (isErrno(error.cause, 'ENOENT')) return undefined
    throw error
  })
  if (found === undefined || found.uid === process.geteuid?.() || found.uid === 0) return
  throw new BaleError('filesystem', `the directory belongs to another user, ${found.uid}`, {
    where: path,
    fix: `set ${variable} to a directory of your own, or HOME to your own home`,
  })
}
