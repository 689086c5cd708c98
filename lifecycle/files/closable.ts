import { accessSync, constants, realpathSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { isErrno } from '../errors.ts'

/**
 * Returns the real paths that can be closed to a program. A program cannot create files in the directories above a closed path. So
 * none of those may be writable for this user now, such as /tmp or a home: a build that writes there would fail.
 */
export function closable(paths: readonly string[], isWritable: (dir: string) => boolean): string[] {
  return realPaths(paths).filter(path => {
    for (let dir = dirname(path); ; dir = dirname(dir)) {
      if (isWritable(dir)) return false
      if (dir === '/') return true
    }
  })
}

export function writableByUs(dir: string): boolean {
  try {
    accessSync(dir, constants.W_OK)
    return true
  } catch {
    return false
  }
}

/** Returns whether another user, with only this group, can write to a directory. */
export function writableBy({ uid, gid }: { readonly uid: number; readonly gid: number }) {
  return (dir: string): boolean => {
    const found = statSync(dir)
    const shift = found.uid === uid ? 6 : found.gid === gid ? 3 : 0
    return ((found.mode >> shift) & 0o2) !== 0
  }
}

/** Resolves links. Leaves out missing paths. */
export function realPaths(paths: readonly string[]): string[] {
  return paths.flatMap(path => {
    try {
      return [realpathSync(path)]
    } catch (error) {
      if (isErrno(error, 'ENOENT', 'ENOTDIR')) return []
      throw error
    }
  })
}
