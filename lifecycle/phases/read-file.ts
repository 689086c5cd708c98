import { constants } from 'node:fs'
import { type FileHandle, lstat, open, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { BaleError, isErrno } from '../errors.ts'

const maxBytes = 16 * 1024 * 1024

/**
 * The content of a file that a buildpack may have written, or undefined if there is none. A link (to a secret, X23), a
 * fifo (it would hang, P11), a device or a huge file (P01) is an error that names it.
 */
export async function readUntrusted(path: string): Promise<Uint8Array | undefined> {
  return readBounded(path, constants.O_NOFOLLOW)
}

/** As above for a file of the platform or its operator, which may be a link: Kubernetes mounts those. */
export async function readTrusted(path: string): Promise<Uint8Array | undefined> {
  return readBounded(path, 0)
}

async function readBounded(path: string, flags: number): Promise<Uint8Array | undefined> {
  let file: FileHandle
  try {
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | flags)
  } catch (cause) {
    if (isErrno(cause, 'ENOENT', 'ENOTDIR')) return undefined
    if (isErrno(cause, 'ELOOP'))
      throw new BaleError('input', 'it is a symbolic link, and a file is wanted', { where: path, cause })
    throw new BaleError('filesystem', `cannot read it: ${(cause as Error).message}`, { where: path, cause })
  }
  try {
    const stat = await file.stat()
    if (!stat.isFile()) throw new BaleError('input', 'it is not a regular file', { where: path })
    if (stat.size > maxBytes)
      throw new BaleError('input', `it has ${stat.size} bytes; at most ${maxBytes} are read`, { where: path })
    return await file.readFile()
  } finally {
    await file.close()
  }
}

export type DirState = 'directory' | 'absent'

/** Whether a directory is there. A link or anything else in its place is an error (X20, D10, X30). */
export async function directoryState(path: string): Promise<DirState> {
  const stat = await lstat(path).catch((cause: unknown) => {
    if (isErrno(cause, 'ENOENT')) return undefined
    throw new BaleError('filesystem', `cannot look at it: ${(cause as Error).message}`, { where: path, cause })
  })
  if (stat === undefined) return 'absent'
  if (stat.isDirectory()) return 'directory'
  throw new BaleError(
    'input',
    stat.isSymbolicLink() ? 'it is a symbolic link, and a directory is wanted' : 'it is not a directory',
    { where: path },
  )
}

/** Names in a directory, sorted by code unit; none if it is absent. */
export async function namesIn(path: string): Promise<string[]> {
  if ((await directoryState(path)) === 'absent') return []
  return (await readdir(path)).sort()
}

/** The directories among the names in `path`, sorted. */
export async function directoriesIn(path: string): Promise<string[]> {
  const names: string[] = []
  for (const name of await namesIn(path)) if ((await lstat(join(path, name))).isDirectory()) names.push(name)
  return names
}
