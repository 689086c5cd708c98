import { constants } from 'node:fs'
import { type FileHandle, access, open, rename, stat, unlink } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { BaleError, isErrno } from '../errors.ts'
import { wrapErrno, errnoError } from './wrap-errno.ts'
import { leaseName } from './lease.ts'

/**
 * A file that is being written. It gets its name at `commit`, and after a power cut it exists completely or not at all: its
 * bytes reach the disk before the name does, and the name before `commit` returns.
 */
export interface StagedFile extends AsyncDisposable {
  readonly path: string
  write(chunk: Uint8Array): Promise<void>
  /** Moves it to `target`, on the same file system, and replaces an existing file. */
  commit(target: string): Promise<void>
}

/** Bytes that are synced to the disk while later ones are written, so that a commit waits less. */
const syncEvery = 16 * 1024 * 1024

/** Starts a file in `dir` under a temporary name. Disposal without a commit deletes it. */
export async function stageFile(dir: string): Promise<StagedFile> {
  const path = join(dir, leaseName())
  // O_EXCL also refuses an existing link.
  let file: FileHandle | undefined = await wrapErrno(path, () => open(path, 'wx'))
  const close = async (): Promise<void> => {
    const open = file
    file = undefined
    await open?.close()
  }
  let committed = false
  let unsynced = 0
  let syncing = Promise.resolve()
  return {
    path,
    async write(chunk) {
      await wrapErrno(path, () => writeAll(file as FileHandle, chunk))
      unsynced += chunk.length
      if (unsynced < syncEvery) return
      unsynced = 0
      // The system reports a failure once, so `commit` throws it.
      syncing = syncing.then(() => file?.datasync())
      syncing.catch(() => {})
    },
    async commit(target) {
      await wrapErrno(target, async () => {
        await syncing
        await file?.sync()
        await close()
        await rename(path, target)
        committed = true
        await syncDirectory(dirname(target))
      })
    },
    async [Symbol.asyncDispose]() {
      await syncing.catch(() => {})
      await close().catch(() => {})
      if (!committed) await unlink(path).catch(() => {})
    },
  }
}

/** Replaces a file atomically. `staging` is on the same file system. */
export async function replaceFile(target: string, content: Uint8Array, staging: string): Promise<void> {
  await using file = await stageFile(staging)
  await file.write(content)
  await file.commit(target)
}

/** Throws if this user could not make files in `dir`, or `dir` itself if it does not exist. Writes nothing. */
export async function checkWritable(dir: string): Promise<void> {
  for (let place = resolve(dir); ; place = dirname(place)) {
    try {
      if (!(await stat(place)).isDirectory())
        throw new BaleError('filesystem', 'it is not a directory', { where: place })
      return await access(place, constants.W_OK | constants.X_OK)
    } catch (error) {
      if (!isErrno(error, 'ENOENT', 'ENOTDIR')) throw errnoError(error, place)
    }
  }
}

/** Makes the names in a directory durable: a power cut may undo a rename that is not synced. */
export async function syncDirectory(path: string): Promise<void> {
  const dir = await open(path, constants.O_RDONLY | constants.O_DIRECTORY)
  try {
    await dir.sync()
  } catch (error) {
    // Some file systems (network ones, FUSE) cannot sync a directory. Nothing more can be done there.
    if (!isErrno(error, 'EINVAL', 'ENOTSUP', 'EOPNOTSUPP')) throw error
  } finally {
    await dir.close()
  }
}

async function writeAll(file: FileHandle, chunk: Uint8Array): Promise<void> {
  for (let done = 0; done < chunk.length;) {
    const { bytesWritten } = await file.write(chunk, done)
    done += bytesWritten
  }
}
