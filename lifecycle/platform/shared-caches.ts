import { resolve } from 'node:path'
import type { Cache } from '../caches/cache.ts'
import { type CacheTarget, RequiredCacheError } from '../caches/shared.ts'
import { BaleError } from '../errors.ts'
import { type CacheDestination, type CacheLocation, parseCacheFrom, parseCacheTo } from './cache-location.ts'
import { type CacheContext, openCache } from './open-cache.ts'
import type { Settings } from './settings.ts'

export interface CacheLocations {
  readonly from: readonly CacheLocation[]
  readonly to: readonly CacheDestination[]
}

/** @throws BaleError 'usage' for a location that is malformed, or that excludes another option */
export function cacheLocations(options: {
  readonly settings: Settings
  readonly cacheImage?: string | undefined
  readonly cacheFrom?: readonly string[] | undefined
  readonly cacheTo?: readonly string[] | undefined
}): CacheLocations {
  const { settings, cacheImage, cacheFrom = [], cacheTo = [] } = options
  if (cacheImage !== undefined && cacheFrom.length + cacheTo.length > 0)
    throw new BaleError('usage', 'a cache image replaces all other caches', {
      where: '--cache-image',
      fix: `give it with --cache-from and --cache-to too: type=registry,ref=${cacheImage}`,
    })
  return {
    from: cacheFrom.map(text => parseCacheFrom(text, settings.environment)),
    to: cacheTo.map(text => parseCacheTo(text, settings.environment)),
  }
}

/** Directories with caches, which are not part of the source. */
export function localDirs({ from, to }: CacheLocations): string[] {
  return [...from, ...to].flatMap(location => (location.type === 'local' ? [resolve(location.dir)] : []))
}

/**
 * Opens the caches. Checks at once, before the build, whether required caches are writable.
 * @throws RequiredCacheError
 */
export async function openShared(
  { from, to }: CacheLocations,
  context: CacheContext,
  signal: AbortSignal,
): Promise<{ readonly from: readonly Cache[]; readonly to: readonly CacheTarget[] }> {
  const targets: CacheTarget[] = []
  for (const location of to) {
    const { mode, required } = location
    const { cache, checkWrite } = await openCache(location, context)
    if (required) await asRequired(() => checkWrite(signal), signal)
    targets.push({ cache, mode, required })
  }
  const sources: Cache[] = []
  for (const location of from) sources.push((await openCache(location, context)).cache)
  return { from: sources, to: targets }
}

async function asRequired(check: () => Promise<void>, signal: AbortSignal): Promise<void> {
  try {
    await check()
  } catch (error) {
    signal.throwIfAborted()
    throw error instanceof BaleError ? new RequiredCacheError(error) : error
  }
}
