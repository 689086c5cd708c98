import { getSystemErrorMessage } from 'node:util'
import { BaleError, isErrno } from '../errors.ts'

/** Runs file system calls. An error of the operating system becomes a BaleError that names the place. */
export async function wrapErrno<T>(where: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw errnoError(error, where)
  }
}

const remedies: Partial<Record<string, string>> = {
  ENOSPC: 'free some space on this disk',
  EDQUOT: 'free some space: the quota of this user is used up',
  EACCES: 'give this user access to it, or choose another place',
  EPERM: 'give this user access to it, or choose another place',
  EROFS: 'choose a place that can be written',
}

/** Returns the operating system's message without the call and its paths: `permission denied`. */
export function errnoMessage(error: unknown): string {
  return isErrno(error) && error.errno !== undefined ? getSystemErrorMessage(error.errno) : (error as Error).message
}

/**
 * Converts an unexpected operating system error that already describes a fault of the machine into a BaleError. Returns
 * others unchanged.
 */
export function explainErrno(error: unknown): unknown {
  if (!isErrno(error)) return error
  if (error.syscall === 'uv_cwd') {
    const fix = 'change to an existing directory'
    return new BaleError('arguments', 'the current directory was removed', { fix, cause: error })
  }
  const known = error.code in remedies && error.path !== undefined
  return known ? errnoError(error, error.path as string) : error
}

/** Converts an operating system error into a BaleError. Returns others unchanged. */
export function errnoError(error: unknown, where: string): unknown {
  if (!isErrno(error)) return error
  const fix = remedies[error.code]
  return new BaleError('filesystem', error.message, { where, cause: error, fix })
}
