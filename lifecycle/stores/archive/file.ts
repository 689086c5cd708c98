import { constants } from 'node:fs'
import { access, open, realpath } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { BaleError, isErrno } from '../../errors.ts'
import { wrapErrno } from '../../files/wrap-errno.ts'
import { stageFile } from '../../files/staged.ts'
import type { Digest } from '../../image/digest.ts'
import { removeStale } from '../../files/stale.ts'
import type { OnTransfer } from '../store.ts'
import { type ArchiveEntry, tarBytes } from './tar-bytes.ts'

export interface ArchiveOptions {
  /** The directory for layers until the archive is written. The caller deletes it afterwards. */
  readonly tmpDir: string
  readonly onTransfer?: OnTransfer
}

/** An image or an index with all its names; none means that it has no name. */
export interface Archived<Content> {
  readonly content: Content
  readonly names: readonly string[]
}

/** The tar file that a store writes, with all its contents so far, by name. */
export function archiveFile<Content extends { readonly digest: Digest }>(
  file: string,
  entriesOf: (contents: readonly Archived<Content>[]) => Iterable<ArchiveEntry>,
) {
  const path = resolve(file)
  let byName: ReadonlyMap<string, Content> = new Map()
  let writing: Promise<unknown> = Promise.resolve()
  const write = async (contents: ReadonlyMap<string, Content>, signal?: AbortSignal): Promise<void> => {
    const target = await replaceable(path)
    // Unfinished archives of processes that were killed.
    await removeStale(dirname(target))
    await using staged = await stageFile(dirname(target))
    for await (const block of tarBytes(entriesOf(grouped(contents)), signal)) await staged.write(block)
    await staged.commit(target)
  }
  return {
    path,

    async checkWrite(signal?: AbortSignal): Promise<void> {
      signal?.throwIfAborted()
      const dir = dirname(await replaceable(path))
      // The temporary file goes into the same directory. A missing directory is not created: a misspelt path is more likely.
      await wrapErrno(dir, () => access(dir, constants.W_OK | constants.X_OK))
    },

    async put(content: Content, names: readonly string[], signal?: AbortSignal): Promise<void> {
      // One after the other: the last file to be renamed must be the one with all contents.
      const turn = writing.then(async () => {
        const added = (names.length === 0 ? [''] : names).map((name): [string, Content] => [name, content])
        const contents = new Map([...byName, ...added])
        await write(contents, signal)
        byName = contents
      })
      writing = turn.catch(() => {})
      await turn
    },
  }
}

function grouped<Content extends { readonly digest: Digest }>(
  byName: ReadonlyMap<string, Content>,
): Archived<Content>[] {
  const groups = Map.groupBy(byName, ([, content]) => content.digest)
  return [...groups.values()].map(entries => ({
    content: (entries[0] as [string, Content])[1],
    names: entries.map(([name]) => name).filter(name => name !== ''),
  }))
}

/**
 * The file to replace, after following links.
 * @throws BaleError 'arguments' if it exists and is not an archive (O01)
 */
async function replaceable(path: string): Promise<string> {
  const target = await realpath(path).catch((error: unknown) => {
    if (isErrno(error, 'ENOENT')) return path
    return wrapErrno(path, () => Promise.reject(error as Error))
  })
  await wrapErrno(target, async () => {
    await using file = await open(target, constants.O_RDONLY | constants.O_NONBLOCK).catch((error: unknown) => {
      if (isErrno(error, 'ENOENT')) return undefined
      throw error
    })
    if (file === undefined) return
    const { buffer } = await file.read(Buffer.alloc(512), 0, 512, 0).catch(() => ({ buffer: Buffer.alloc(0) }))
    const found = await file.stat()
    if (found.isFile() && (found.size === 0 || buffer.toString('latin1', 257, 262) === 'ustar')) return
    throw new BaleError('arguments', found.isFile() ? 'it is a file, but not an archive' : 'it is not a file', {
      where: target,
      fix: 'choose another name, or delete it',
    })
  })
  return target
}

/** @throws BaleError always: every layer of an image must have come from `putLayer` */
export function unknownLayer(digest: Digest, where: string): never {
  throw new BaleError('failed', `the layer ${digest} was not written to the archive, so no image can use it`, {
    where,
  })
}
