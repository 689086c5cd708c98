import { constants } from 'node:fs'
import { mkdir, open } from 'node:fs/promises'
import { dirname } from 'node:path'
import { BaleError } from '../../errors.ts'
import { replaceFile } from '../../files/staged.ts'

type Read = (path: string) => Promise<Uint8Array | undefined>

/** Reads a required file. @throws BaleError, which outside of a phase means an exit status of 1 */
export async function readRequired(read: Read, path: string): Promise<Uint8Array> {
  const content = await read(path)
  if (content !== undefined) return content
  throw new BaleError('filesystem', 'there is no such file', { where: path })
}

/** Writes a file for the next phase or for the platform, completely or not at all, and through no link. */
export async function writeOutput(path: string, content: string): Promise<void> {
  const bytes = Buffer.from(content)
  const dir = dirname(path)
  await mkdir(dir, { recursive: true }).catch(() => {}) // the write below reports the error
  try {
    await replaceFile(path, bytes, dir)
  } catch (error) {
    // A file that is a mount point (a pod's termination message) cannot be replaced, only overwritten.
    const flags = constants.O_WRONLY | constants.O_TRUNC | constants.O_NOFOLLOW | constants.O_NONBLOCK
    const file = await open(path, flags).catch(() => undefined)
    if (file === undefined) throw error
    await file.writeFile(bytes).finally(() => file.close())
  }
}
