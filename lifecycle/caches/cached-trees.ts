import { mkdir, readdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { BaleError, isErrno } from '../errors.ts'
import { leaseName } from '../files/lease.ts'
import { type Digest, hexOf } from '../image/digest.ts'
import { fingerprintTree } from '../layers/tree/fingerprint.ts'
import { removeSoon } from '../files/remove.ts'
import type { BlobInfoCache } from './blob-info-cache.ts'

/** A layer's directory, with its fingerprint from before it was read. */
export interface CachedTree {
  readonly diffId: Digest
  readonly path: string
  readonly fingerprint: string
}

export interface CachedTrees {
  /**
   * Starts to check whether the trees are unchanged. A change between this check and `checkout` is not noticed: only the user
   * who builds can write there.
   */
  prefetch(): void
  /** Moves the layer's tree to `to` if it exists and is proven unchanged; returns false otherwise. */
  checkout(diffId: Digest, to: string): Promise<boolean>
  /** Stores the trees of the committed layers for the next build, and removes all others. */
  checkin(trees: readonly CachedTree[]): Promise<void>
}

/**
 * The trees of cached layers, stored beside their tars. A build checks a tree out with one rename and checks it in with
 * another. A tree is in one place at a time: a tree that a killed or failed build took is gone, and the next build restores
 * the tar. A tree that differs from its recorded fingerprint is never used. A checked-out tree keeps the times that its
 * build gave it; a tree from a tar has the fixed time of every layer.
 * @param dir on the file system of the builds' layers directories; only this user can write there
 * @param discarded directory of trees that are being deleted; their names hold a lease
 */
export function cachedTrees(dir: string, index: BlobInfoCache, discarded: string): CachedTrees {
  const folder = join(dir, 'trees')
  const pathOf = (diffId: Digest): string => join(folder, hexOf(diffId))
  const prefetched = new Map<Digest, Promise<string | undefined>>()
  const discard = async (path: string): Promise<void> => {
    const aside = join(discarded, leaseName())
    await rename(path, aside)
    await removeSoon(aside)
  }
  return {
    prefetch() {
      for (const diffId of index.trees()) {
        const fingerprint = fingerprintTree(pathOf(diffId))
        fingerprint.catch(() => {}) // `checkout` throws it
        prefetched.set(diffId, fingerprint)
      }
    },

    async checkout(diffId, to) {
      const fingerprint = index.tree(diffId)
      if (fingerprint === undefined) return false
      const path = pathOf(diffId)
      const current = prefetched.get(diffId)
      prefetched.delete(diffId)
      return await unlessRefused(async () => {
        if ((await (current ?? fingerprintTree(path))) !== fingerprint) return false
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

/** Trees only save time. If the system refuses (another file system, another user's directory), the tars are used. */
async function unlessRefused(work: () => Promise<boolean>): Promise<boolean> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof BaleError || isErrno(error)) return false
    throw error
  }
}
