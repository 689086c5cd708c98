import { createHash } from 'node:crypto'
import { join } from 'node:path'
import type { Cache } from '../caches/cache.ts'
import { directoryCache } from '../caches/directory.ts'
import type { Reporter } from '../events.ts'
import { removeTree } from '../layers/remove.ts'
import type { Destination } from '../stores/open.ts'

/**
 * The cache of one app: a directory named for where its image goes. Apps never share one, so that what one app's build
 * leaves there cannot reach another (C14).
 */
export async function appCache(
  cacheDir: string,
  destination: Destination,
  options: { clear: boolean; reporter: Reporter },
): Promise<Cache> {
  const key = destination.identity
  const readable = key.replaceAll(/[^A-Za-z0-9.]+/g, '-').slice(-60)
  const dir = join(cacheDir, 'apps', `${readable}-${createHash('sha256').update(key).digest('hex').slice(0, 16)}`)
  if (options.clear) await removeTree(dir)
  return directoryCache(dir, { onWarning: text => options.reporter.event({ type: 'warning', text }) })
}
