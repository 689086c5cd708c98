import { mkdir, readdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { BaleError, isErrno } from '../errors.ts'
import { leaseName } from '../files/lease.ts'
import { type Digest, hexOf } from '../image/digest.ts'
import { fingerprintTree } from '../layers/tree/fingerprint.ts'
import { removeSoon } from '../files/remove.ts'
import type { BlobInfoCache } from './blob-info-cache.ts'

/** A layer's directory, and the fingerprint that it had before it was read. */
export interface CachedTree {
  readonly diffId: Digest
  readonly path: string
  readonly fingerprint: string
}

export interface CachedTrees {
  /**
   * Starts to check whether the trees are unchanged. A change between this check and `checkout` goes unseen: only the user
   * who builds can write there.
   */
  prefetch(): void
  /** Moves the layer's tree to `to` if it is there and proven unchanged; returns false otherwise. */
  checkout(diffId: Digest, to: string): Promise<boolean>
  /** Takes the trees of the layers that were committed for the next build, in place of all others. */
  checkin(trees: readonly CachedTree[]): Promise<void>
}

/**
 * The trees of cached layers, kept beside their tars: a build gets them by a rename and gives them back by another one. A
 * tree is in one place at a time, so what a killed or failed build took is gone, and the tar is what is restored next. A
 * tree that is not exactly as the index has it is never used. One that is moved keeps the times that its build gave it; one
 * from a tar has those of every layer.
 * @param dir on the file system of the builds' layers directories; only this user can write there
 * @param discarded where trees wait that are being deleted; names there tell whose they are
 */
export function cachedTrees(dir: string, index: BlobInfoCache, discarded: string): CachedTrees {
  const folder = join(dir, 'trees')
  const pathOf = (diffId: Digest): string => join(folder, hexOf(diffId))
  const looks = new Map<Digest, Promise<string | undefined>>()
  const discard = async (path: string): Promise<void> => {
    const aside = join(discarded, leaseName())
    await rename(path, aside)
    await removeSoon(aside)
  }
  return {
    prefetch() {
      for (const diffId of index.trees()) {
        const look = fingerprintTree(pathOf(diffId))
        look.catch(() => {}) // told to who takes it
        looks.set(diffId, look)
      }
    },

    async checkout(diffId, to) {
      const fingerprint = index.tree(diffId)
      if (fingerprint === undefined) return false
      const path = pathOf(diffId)
      const look = looks.get(diffId)
      looks.delete(diffId)
      return await unlessRefused(async () => {
        if ((await (look ?? fingerprintTree(path))) !== fingerprint) return false
        await rename(path, to)
        return true
      })
    },

    async checkin(trees) {
      await unlessRefused(async () => {
        await mkdir(folder, { recursive: true, mode: 0o700 })
        for (const name of await readdir(folder)) await discard(join(folder, name))
        for (const { diffId, path, fingerprint } of trees) {
          await rename(path, pathOf(diffId))
          index.setTree(diffId, fingerprint)
        }
        return true
      })
    },
  }
}

/** Trees are for speed: where the system refuses (another file system, somebody else's directory), there are the tars. */
async function unlessRefused(work: () => Promise<boolean>): Promise<boolean> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof BaleError || isErrno(error)) return false
    throw error
  }
}
