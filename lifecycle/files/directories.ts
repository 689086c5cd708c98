import { lstat, mkdir, readdir, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { BaleError, isErrno } from '../errors.ts'
import { wrapErrno } from './wrap-errno.ts'

/** Returns whether a directory exists. A link or anything else in its place is an error (X20, D10, X30). */
export async function directoryState(path: string): Promise<'directory' | 'absent'> {
  const stat = await wrapErrno(path, () => lstat(path).catch(unlessAbsent))
  if (stat === undefined) return 'absent'
  if (stat.isDirectory()) return 'directory'
  const what = stat.isSymbolicLink() ? 'a symbolic link, but a directory is needed' : 'not a directory'
  throw new BaleError('input', `it is ${what}`, { where: path })
}

/**
 * Makes a directory and its parents. Node's own `recursive` loops forever if a parent exists but nothing can be made in
 * it, as in /proc.
 */
export async function makeDirectories(path: string): Promise<void> {
  await wrapErrno(path, async () => {
    try {
      await mkdir(path)
    } catch (error) {
      if (isErrno(error, 'ENOENT') && dirname(path) !== path && !(await isThere(dirname(path)))) {
        await makeDirectories(dirname(path))
        await mkdir(path)
      } else if (!(await isThere(path))) throw error
    }
  })
}

const isThere = async (path: string): Promise<boolean> => (await stat(path).catch(unlessAbsent))?.isDirectory() === true

/** Lists the names in a directory, sorted by code unit. Returns none if it does not exist. */
export async function namesIn(path: string): Promise<string[]> {
  if ((await directoryState(path)) === 'absent') return []
  return (await wrapErrno(path, () => readdir(path))).sort()
}

function unlessAbsent(error: unknown): undefined {
  if (!isErrno(error, 'ENOENT')) throw error
}
