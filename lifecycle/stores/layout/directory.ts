import { lstat, mkdir, readdir, rmdir, utimes } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { BaleError, isErrno } from '../../errors.ts'
import { openRegular, readRange, readSmall } from '../../files/read.ts'
import { wrapErrno, errnoError } from '../../files/wrap-errno.ts'
import { type StagedFile, stageFile, syncDirectory } from '../../files/staged.ts'
import type { Digest } from '../../image/digest.ts'
import { parseJson } from '../../image/json.ts'
import { removeStale } from '../../files/stale.ts'
import { layoutHeader } from './index-file.ts'
import { type LayoutFiles, blobPath } from './read.ts'

/** Folders that other tools ignore: unfinished files, and the lock. */
export const stagingDir = '.staging'
export const lockDir = '.lock'

/** The files of a layout in a directory of the host. */
export interface LayoutDirectory extends LayoutFiles {
  readonly path: string
  /**
   * Returns whether the directory is a layout. Absent and empty directories can become one.
   * @throws BaleError if the directory holds something else (O01)
   */
  state(): Promise<'layout' | 'absent'>
  /** Makes the directory a layout unless it is one. */
  create(): Promise<void>
  /** Returns whether the blob exists with this size. Marks it as new, so that `collectGarbage` keeps it. */
  hasBlob(digest: Digest, size: number): Promise<boolean>
  stage(): Promise<StagedFile>
  putBlob(digest: Digest, bytes: Uint8Array): Promise<void>
  /** Replaces a file other than a blob, atomically. */
  replace(relative: string, content: Uint8Array): Promise<void>
  /**
   * Removes the staging folder with its stale files, unless another process uses it. Then the directory is a plain
   * layout.
   */
  tidy(): Promise<void>
}

/** Permissions and checks of the directory. */
export interface Keeping {
  /** The mode for creating the directory; by default the umask decides. */
  readonly mode?: number
  /** Called before any read or write. Throws if the directory must not be used. */
  readonly check?: () => Promise<void>
}

export function layoutDirectory(path: string, description: string, { mode, check }: Keeping = {}): LayoutDirectory {
  const at = (relative: string): string => join(path, relative)
  const state = async (): Promise<'layout' | 'absent'> => {
    await check?.()
    return await layoutState(path)
  }
  const stage = async (): Promise<StagedFile> => {
    for (let attempt = 1; ; attempt++) {
      await realDirectory(at(stagingDir))
      try {
        return await stageFile(at(stagingDir))
      } catch (error) {
        // Another process has removed the folder in between.
        const gone = error instanceof BaleError && isErrno(error.cause, 'ENOENT')
        if (!gone || attempt === 100) throw error
      }
    }
  }
  const replace = async (relative: string, content: Uint8Array): Promise<void> => {
    await using file = await stage()
    await file.write(content)
    await file.commit(at(relative))
  }
  const hasBlob = async (digest: Digest, size: number): Promise<boolean> => {
    const blob = at(blobPath(digest))
    try {
      const found = await lstat(blob)
      if (!found.isFile() || found.size !== size) return false
      const now = new Date()
      await utimes(blob, now, now)
      return true
    } catch (error) {
      // The blob exists, but this user may not change its time: another user owns the layout.
      if (isErrno(error, 'EPERM', 'EACCES', 'EROFS')) return true
      if (isErrno(error, 'ENOENT')) return false
      throw errnoError(error, blob)
    }
  }
  return {
    path,
    description,
    hasBlob,
    stage,
    state,

    async create() {
      if ((await state()) === 'absent') await wrapErrno(path, () => mkdir(path, { recursive: true, mode }))
      // `oci-layout` comes first, since it marks the directory as a layout. After a crash, the rest is created again.
      if ((await readSmall(at('oci-layout'), maxLayoutFile)) === undefined) await replace('oci-layout', layoutHeader)
      for (const folder of ['blobs', 'blobs/sha256']) await realDirectory(at(folder))
    },

    read: (relative, maxBytes) => readSmall(at(relative), maxBytes),

    async *open(relative, size, signal) {
      signal?.throwIfAborted()
      await using file = await openRegular(at(relative))
      if (file === undefined) throw new BaleError('input', 'this blob is missing', { where: at(relative) })
      const found = (await file.stat()).size
      if (found !== size) {
        throw new BaleError('input', `this blob has ${found} bytes instead of ${size}`, { where: at(relative) })
      }
      yield* readRange(file, 0, size, at(relative), signal)
    },

    async putBlob(digest, bytes) {
      if (!(await hasBlob(digest, bytes.length))) await replace(blobPath(digest), bytes)
    },

    replace,

    async tidy() {
      await removeStale(at(stagingDir))
      await rmdir(at(stagingDir)).catch(() => {})
    },
  }
}

const maxLayoutFile = 64 * 1024

async function layoutState(path: string): Promise<'layout' | 'absent'> {
  const names = await namesIn(path)
  if (names === undefined) return 'absent'
  if (!names.includes('oci-layout')) {
    const foreign = names.find(name => name !== stagingDir && name !== lockDir)
    if (foreign === undefined) return 'absent'
    throw new BaleError('input', `it is not an OCI layout, and not empty: it has ${JSON.stringify(foreign)}`, {
      where: path,
      fix: 'choose another directory, or an empty one',
    })
  }
  const where = join(path, 'oci-layout')
  const header = parseJson((await readSmall(where, maxLayoutFile)) ?? new Uint8Array(), where) as {
    imageLayoutVersion?: unknown
  } | null
  const version = header?.imageLayoutVersion
  if (typeof version !== 'string' || !version.startsWith('1.')) {
    throw new BaleError('input', `it is an OCI layout of version ${JSON.stringify(version) ?? 'unknown'}, not 1`, {
      where,
    })
  }
  // A link would lead the writes into a directory that the user did not name (O01).
  for (const folder of [stagingDir, 'blobs', 'blobs/sha256']) await isRealDirectory(join(path, folder))
  return 'layout'
}

async function namesIn(path: string): Promise<string[] | undefined> {
  try {
    return await readdir(path)
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined
    if (isErrno(error, 'ENOTDIR')) throw new BaleError('input', 'it is not a directory', { where: path, cause: error })
    return await wrapErrno(path, () => Promise.reject(error as Error))
  }
}

async function realDirectory(path: string): Promise<void> {
  await wrapErrno(path, async () => {
    try {
      await mkdir(path)
      await syncDirectory(dirname(path))
    } catch (error) {
      if (!isErrno(error, 'EEXIST')) throw error
      await isRealDirectory(path)
    }
  })
}

async function isRealDirectory(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined)
  if (found === undefined || found.isDirectory()) return
  const what = found.isSymbolicLink() ? 'a symbolic link' : 'a file'
  throw new BaleError('input', `it is ${what}, but an OCI layout has a directory here`, { where: path })
}
