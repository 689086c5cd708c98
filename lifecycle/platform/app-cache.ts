import { createHash } from 'node:crypto'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { BuildCache } from '../caches/build-cache.ts'
import type { Cache } from '../caches/cache.ts'
import { directoryCache } from '../caches/directory.ts'
import { imageCache } from '../caches/image.ts'
import { BlobInfoCache } from '../caches/blob-info-cache.ts'
import { type CacheTarget, sharedCache } from '../caches/shared.ts'
import { cachedTrees } from '../caches/cached-trees.ts'
import { isErrno } from '../errors.ts'
import type { Reporter } from '../events.ts'
import { leaseName } from '../files/lease.ts'
import { removeStale } from '../files/stale.ts'
import { removeTree } from '../files/remove.ts'
import type { Platform } from '../image/manifest.ts'
import type { Destination } from '../stores/open.ts'

export interface AppCacheOptions {
  /** Uses nothing from earlier builds. */
  readonly clear: boolean
  /** A cache image, used instead of the directory: one cache for all machines. */
  readonly image?: Destination | undefined
  /** Caches that other machines share: read after that of this machine, and written beside it. */
  readonly shared?: { readonly from: readonly Cache[]; readonly to: readonly CacheTarget[] } | undefined
  /** The platform of the build. Each platform has its own cache. */
  readonly platform: Platform
  readonly reporter: Reporter
}

/** Adds the platform to the name of a cache, except for linux/amd64. */
export const cacheName = (name: string, platform: Platform): string =>
  platform.architecture === 'amd64' ? name : `${name} ${platform.os}/${platform.architecture}`

/** Files in the cache of an app: the name of the app, rewritten by each build, and a file for each process that uses it. */
export const identityFile = 'app'
export const usersDir = 'users'

/** The directory of an app's cache. */
export function appCacheDir(cacheDir: string, destination: Destination, platform: Platform): string {
  const key = cacheName(destination.identity, platform)
  const readable = key.replaceAll(/[^A-Za-z0-9.]+/g, '-').slice(-60)
  return join(cacheDir, 'apps', `${readable}-${createHash('sha256').update(key).digest('hex').slice(0, 16)}`)
}

/**
 * Opens the cache of one app: a directory named after the image's destination, or an image. Apps never share a directory, so
 * that one app's build cannot reach another through it (C14). The registry decides who may write a cache image.
 */
export async function appCache(
  cacheDir: string,
  destination: Destination,
  options: AppCacheOptions,
): Promise<BuildCache> {
  const onWarning = (text: string): void => options.reporter.event({ type: 'warning', text })
  const key = cacheName(destination.identity, options.platform)
  const dir = appCacheDir(cacheDir, destination, options.platform)
  if (options.clear) await removeTree(dir)
  const lease = { [Symbol.asyncDispose]: await use(dir, key) }
  const blobInfo = await BlobInfoCache.open(dir)
  if (options.image !== undefined) {
    const { sink, previous } = options.image
    const layers = imageCache(
      { ...previous, sink },
      { platform: options.platform, otherPlatforms: 'ignored', onWarning },
    )
    return new BuildCache({ layers: options.clear ? forgetful(layers) : layers, blobInfo, lease }, options.reporter)
  }
  const own = directoryCache(dir, { onWarning, index: blobInfo, compressed: true })
  const { from = [], to = [] } = options.shared ?? {}
  const shared = from.length + to.length > 0
  const layers = shared ? sharedCache(own, options.clear ? [] : from, to, onWarning) : own
  // Discarded trees go to the directory that openWorkspace cleans up.
  const trees = cachedTrees(dir, blobInfo, join(cacheDir, 'work'))
  return new BuildCache({ layers, blobInfo, trees, lease }, options.reporter)
}

/**
 * Marks the cache as in use, for `bale cache`. Returns a function that removes the mark. A cache that cannot be written reports
 * that later.
 */
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

/** Returns the cache as an empty one: it is written, but not read. */
function forgetful(cache: Cache): Cache {
  return { ...cache, metadata: () => Promise.resolve(undefined), open: () => Promise.resolve(undefined) }
}
