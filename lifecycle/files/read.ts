import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { BaleError, isErrno } from '../errors.ts'
import { openParent } from './safe-open.ts'
import { wrapErrno } from './wrap-errno.ts'

const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants
const chunkSize = 256 * 1024
/** The maximum bytes of a document from users or buildpacks. The largest real ones have some hundred thousand. */
const largestDocument = 16 * 1024 * 1024

/** Whether a path may be a link. A hostile link may lead to a secret (X23). */
type Links = 'refused' | 'followed'

/**
 * Reads a file that a buildpack may have written. Returns undefined if there is none. A link (X23), a fifo (P11), a device
 * or a huge file (P01) is an error that names it.
 * @param within a directory above; below it no part of the path may be a link, nor become one meanwhile (X25)
 */
export async function readUntrusted(path: string, within?: string): Promise<Uint8Array | undefined> {
  if (within === undefined) return readSmall(path, largestDocument)
  const place = parentWithin(path, within)
  if (place === undefined) return undefined
  try {
    return await readSmall(path, largestDocument, 'refused', place.parent.path(place.name))
  } finally {
    place.parent.close()
  }
}

/** Returns undefined if a parent directory does not exist. */
function parentWithin(hostPath: string, within: string): ReturnType<typeof openParent> | undefined {
  try {
    return openParent({ hostPath, within })
  } catch (error) {
    if (error instanceof BaleError && isErrno(error.cause, 'ENOENT')) return undefined
    throw error
  }
}

/** Reads a file of the platform or its operator, which may be a link: Kubernetes mounts files as links. */
export async function readTrusted(path: string): Promise<Uint8Array | undefined> {
  return readSmall(path, largestDocument, 'followed')
}

/**
 * Opens a regular file that may be hostile (if it is opened `at` another path, `path` is only for messages). Does not follow a link
 * unless `links` allows it, and reads nothing that blocks (a fifo) or never ends (a device). Undefined if the file does
 * not exist.
 */
export async function openRegular(
  path: string,
  links: Links = 'refused',
  at: string | Buffer = path,
): Promise<FileHandle | undefined> {
  let file: FileHandle
  try {
    file = await open(at, O_RDONLY | O_NONBLOCK | (links === 'refused' ? O_NOFOLLOW : 0))
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined
    if (isErrno(error, 'ELOOP')) {
      throw new BaleError('input', 'it is a symbolic link, but a regular file is needed', { where: path, cause: error })
    }
    return await wrapErrno(path, () => Promise.reject(error as Error))
  }
  const stat = await file.stat()
  if (stat.isFile()) return file
  await file.close()
  throw new BaleError('input', 'it is not a regular file', { where: path })
}

/** Reads a small file. Returns undefined if there is none. More than `maxBytes` is an error. */
export async function readSmall(
  path: string,
  maxBytes: number,
  links?: Links,
  at?: string | Buffer,
): Promise<Uint8Array | undefined> {
  await using file = await openRegular(path, links, at)
  if (file === undefined) return undefined
  const { size } = await file.stat()
  if (size > maxBytes) {
    throw new BaleError('input', `it has ${size} bytes, more than the limit of ${maxBytes}`, { where: path })
  }
  return await wrapErrno(path, () => readExactly(file, 0, size, path))
}

export async function readExactly(file: FileHandle, offset: number, size: number, where: string): Promise<Uint8Array> {
  const bytes = Buffer.allocUnsafe(size)
  for (let done = 0; done < size;) {
    const { bytesRead } = await file.read(bytes, done, size - done, offset + done)
    if (bytesRead === 0) throw endsEarly(where)
    done += bytesRead
  }
  return bytes
}

/** Emits exactly `size` bytes of a file from `offset` on, in chunks that the caller may keep. */
export async function* readRange(
  file: FileHandle,
  offset: number,
  size: number,
  where: string,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array> {
  for (let done = 0; done < size;) {
    signal?.throwIfAborted()
    const buffer = Buffer.allocUnsafeSlow(Math.min(chunkSize, size - done))
    const { bytesRead } = await wrapErrno(where, () => file.read(buffer, 0, buffer.length, offset + done))
    if (bytesRead === 0) throw endsEarly(where)
    done += bytesRead
    yield buffer.subarray(0, bytesRead)
  }
  signal?.throwIfAborted()
}

function endsEarly(where: string): BaleError {
  return new BaleError('input', 'it is shorter than expected: it was cut off, or changed while it was read', {
    where,
  })
}
