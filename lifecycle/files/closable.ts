import { accessSync, constants, realpathSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { isErrno } from '../errors.ts'

/**
 * The real paths of those that can be closed to a program. In the directories above a closed one, nothing new can be made. So
 * there must be none in which this user can make something now, as in /tmp or a home: a build there would miss it.
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

/** Whether another user, whose only group is this one, can write to a directory. */
export function writableBy({ uid, gid }: { readonly uid: number; readonly gid: number }) {
  return (dir: string): boolean => {
    const found = statSync(dir)
    const shift = found.uid === uid ? 6 : found.gid === gid ? 3 : 0
    return ((found.mode >> shift) & 0o2) !== 0
  }
}

/** Without links. What is not there is left out. */
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
