import { createHash } from 'node:crypto'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { BuildCache } from '../caches/build-cache.ts'
import type { Cache } from '../caches/cache.ts'
import { directoryCache } from '../caches/directory.ts'
import { imageCache } from '../caches/image.ts'
import { BlobInfoCache } from '../caches/blob-info-cache.ts'
import { cachedTrees } from '../caches/cached-trees.ts'
import { isErrno } from '../errors.ts'
import type { Reporter } from '../events.ts'
import { leaseName } from '../files/lease.ts'
import { removeStale } from '../files/stale.ts'
import { removeTree } from '../files/remove.ts'
import type { Platform } from '../image/manifest.ts'
import type { Destination } from '../stores/open.ts'

export interface AppCacheOptions {
  /** Nothing of what earlier builds left is used. */
  readonly clear: boolean
  /** A cache image, which takes the directory's place: one cache, in one place, whichever machine builds. */
  readonly image?: Destination | undefined
  /** Of the cache image. */
  readonly platform: Platform
  readonly reporter: Reporter
}

/** In the cache of an app: what app it is of, written anew by each build; and who is using it, a file for each process. */
export const identityFile = 'app'
export const usersDir = 'users'

/**
 * The cache of one app: a directory named for where its image goes, or an image. Apps never share a directory, so that
 * what one app's build leaves there cannot reach another (C14); who may write a cache image is the registry's to say.
 */
export async function appCache(
  cacheDir: string,
  destination: Destination,
  options: AppCacheOptions,
): Promise<BuildCache> {
  const onWarning = (text: string): void => options.reporter.event({ type: 'warning', text })
  const key = destination.identity
  const readable = key.replaceAll(/[^A-Za-z0-9.]+/g, '-').slice(-60)
  const dir = join(cacheDir, 'apps', `${readable}-${createHash('sha256').update(key).digest('hex').slice(0, 16)}`)
  if (options.clear) await removeTree(dir)
  const lease = { [Symbol.asyncDispose]: await use(dir, key) }
  const blobInfo = await BlobInfoCache.open(dir)
  if (options.image !== undefined) {
    const { sink, previous } = options.image
    const layers = imageCache({ ...previous, sink }, { platform: options.platform, onWarning })
    return new BuildCache({ layers: options.clear ? forgetful(layers) : layers, blobInfo, lease }, options.reporter)
  }
  const layers = directoryCache(dir, { onWarning, index: blobInfo, compressed: true })
  // Discarded trees wait in the directory that openWorkspace sweeps.
  const trees = cachedTrees(dir, blobInfo, join(cacheDir, 'work'))
  return new BuildCache({ layers, blobInfo, trees, lease }, options.reporter)
}

/** Tells `bale cache` who uses it and for what; returns how to stop. A cache that cannot be written says so later. */
async function use(dir: string, identity: string): Promise<() => Promise<void>> {
  const users = join(dir, usersDir)
  const ticket = join(users, leaseName())
  try {
    await mkdir(users, { recursive: true })
    await removeStale(users)
    await writeFile(ticket, '', { flag: 'wx' })
    await writeFile(join(dir, identityFile), identity)
  } catch (error) {
    if (!isErrno(error)) throw error
  }
  return () => rm(ticket, { force: true }).catch(() => {})
}

/** The cache as one that holds nothing yet: it is written, but not read. */
function forgetful(cache: Cache): Cache {
  return { ...cache, metadata: () => Promise.resolve(undefined), open: () => Promise.resolve(undefined) }
}
