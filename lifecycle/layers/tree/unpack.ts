import { mkdirSync, renameSync } from 'node:fs'
import { dirname } from 'node:path'
import { BaleError, isErrno } from '../../errors.ts'
import { leaseName } from '../../files/lease.ts'
import type { Layer } from '../../image/layer.ts'
import { type ByteString, toBytes } from '../../files/byte-string.ts'
import { Changeset } from './changeset.ts'
import { isAtOrBelow } from './cursor.ts'
import type { OpenDirectory } from '../../files/open-directory.ts'
import { type Owner, isWhiteout } from './entries.ts'
import { layerTar } from '../layer-tar.ts'
import { relativeName } from '../tar/names.ts'
import { removeEntry } from '../../files/remove.ts'
import { openParent } from '../../files/safe-open.ts'
import { damaged } from '../tar/fields.ts'
import { readTar, type TarEntry, type TarHandler, type TarLimits } from '../tar/reader.ts'
import { TreeWriter } from './tree-writer.ts'

export interface UnpackOptions {
  limits?: Partial<TarLimits>
  signal?: AbortSignal
}

/**
 * Restores a cached layer: all entries of the archive below the image path `from` go to the host directory `to`.
 * Parents of `from` may appear in it as directories. Refuses all other entries, and links to files, devices and whiteouts,
 * which no cached layer of Bale has. `to` appears complete or not at all.
 * @param options.within a directory above `to`, below which no part of it may be a link (X25)
 * @param options.owner the owner of all new files, if root unpacks for another user
 * @throws BaleError 'input', which names the entry, 'filesystem' if writing fails
 */
export async function unpackTree(
  tar: AsyncIterable<Uint8Array>,
  options: UnpackOptions & { from: string; to: string; within?: string; owner?: Owner | undefined },
): Promise<void> {
  await publish(options, async tree => {
    const handler = new SubtreeHandler(tree, relativeName(toBytes(options.from)))
    await readTar(tar, handler, options)
    if (!handler.found) throw new BaleError('input', `the archive contains nothing of ${options.from}`)
  })
}

/**
 * Unpacks a whole image as an ordinary user: its layers in order, with whiteouts (image-spec layer.md, "Applying
 * Changesets"). Preserves modes and times, but not owners, setuid bits, extended attributes, devices and fifos. Verifies
 * both digests of every layer. `to` appears complete or not at all.
 * @throws BaleError 'input', which names the entry or the digest, 'filesystem' if writing fails
 */
export async function unpackImage(layers: readonly Layer[], to: string, options: UnpackOptions = {}): Promise<void> {
  await publish({ to }, async tree => {
    for (const layer of layers) {
      await readTar(layerTar(layer, options.signal), new Changeset(tree), options)
    }
  })
}

/**
 * Unpacks an ordinary archive of files and directories: with links, without owners, devices and setuid bits. `to`
 * appears complete or not at all.
 * @throws BaleError 'input', which names the entry, 'filesystem' if writing fails
 */
export async function unpackTar(
  tar: AsyncIterable<Uint8Array>,
  to: string,
  options: UnpackOptions = {},
): Promise<void> {
  await publish({ to }, tree => readTar(tar, new Changeset(tree), options))
}

/**
 * Unpacks one layer of an image by itself, to overlay it on the lower layers. Otherwise like `unpackImage`.
 * @returns whether that is possible. If not, the layer deletes entries of lower layers, or has hard links to their files:
 * then `to` is not made.
 */
export async function unpackLayer(layer: Layer, to: string, options: UnpackOptions = {}): Promise<boolean> {
  try {
    await publish({ to }, async tree => {
      const changeset = new Changeset(tree)
      await readTar(layerTar(layer, options.signal), changeset, options).catch((error: unknown) => {
        // A hard link whose target is in a lower layer.
        throw changeset.needsLower ? new NeedsLower() : error
      })
      if (changeset.needsLower) throw new NeedsLower()
    })
    return true
  } catch (error) {
    if (error instanceof NeedsLower) return false
    throw error
  }
}

class NeedsLower extends Error {}

/**
 * Unpacks a layer of `changesSource` by itself, with whiteouts of overlayfs for the deleted entries. Otherwise like `unpackImage`.
 * @throws BaleError 'input' for a layer that hides whole directories, or has hard links to files of lower layers
 */
export async function unpackChanges(layer: Layer, to: string, options: UnpackOptions = {}): Promise<void> {
  await publish({ to }, async tree => {
    const deleted = new Set<ByteString>()
    const changeset = new Changeset(tree, deleted)
    await readTar(layerTar(layer, options.signal), changeset, options)
    if (changeset.needsLower) throw damaged('it depends on lower layers in a way that cannot be overlaid')
    tree.whiteOut([...deleted].sort())
  })
}

/** Makes a directory beside `to`, fills it, and renames it to `to` at the end. */
export async function publish(
  { to, within, owner }: { readonly to: string; readonly within?: string; readonly owner?: Owner | undefined },
  fill: (tree: TreeWriter) => Promise<void>,
): Promise<void> {
  if (within === undefined) orExplain(to, () => mkdirSync(dirname(to), { recursive: true }))
  const { parent, name } = openParent({ hostPath: to, within })
  const draft = toBytes(leaseName())
  try {
    const tree = orExplain(to, () => {
      mkdirSync(parent.path(draft), 0o700)
      return new TreeWriter(parent.enter(draft), owner)
    })
    try {
      await fill(tree)
      tree.finish()
    } finally {
      tree.close()
    }
    orExplain(to, () => renameSync(parent.path(draft), parent.path(name)))
  } catch (error) {
    removeDraft(parent, draft)
    throw error
  } finally {
    parent.close()
  }
}

/** Removes the incomplete tree. Ignores failures, since the earlier failure is reported. */
function removeDraft(parent: OpenDirectory, draft: ByteString): void {
  try {
    removeEntry(parent, draft, draft)
  } catch {
    // The clean-up of stale files removes it later.
  }
}

function orExplain<T>(to: string, call: () => T): T {
  try {
    return call()
  } catch (cause) {
    if (!isErrno(cause)) throw cause
    const why = cause.code === 'ENOTEMPTY' || cause.code === 'EEXIST' ? 'it exists and is not empty' : cause.code
    throw new BaleError('filesystem', `${to} cannot be made: ${why}`, { where: to, cause })
  }
}

class SubtreeHandler implements TarHandler {
  found = false
  readonly #tree: TreeWriter
  readonly #from: ByteString

  constructor(tree: TreeWriter, from: ByteString) {
    this.#tree = tree
    this.#from = from
  }

  entry({ type, name, target, mode, mtime }: TarEntry): void {
    const path = relativeName(name)
    if (type === 'directory' && path !== this.#from && isAtOrBelow(this.#from, path)) return
    if (!isAtOrBelow(path, this.#from)) throw damaged(`it is not under /${this.#from}`, name)
    if (isWhiteout(path)) throw damaged('it deletes a file, which is only valid in an image', name)
    const below = path.slice(this.#from.length + 1)
    if (below === '' && type !== 'directory') throw damaged('it should be a directory', name)
    this.found = true
    if (type === 'directory') this.#tree.directory(below, mode)
    else if (type === 'file') this.#tree.beginFile(below, mode, mtime)
    else if (type === 'symlink') this.#tree.symlink(below, target)
    else throw damaged(`it is a ${type}, which a cached layer cannot contain`, name)
  }

  data(chunk: Uint8Array): void {
    this.#tree.write(chunk)
  }

  endOfFile(): void {
    this.#tree.endFile()
  }
}
