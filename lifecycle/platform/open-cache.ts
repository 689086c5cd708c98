import { readFileSync } from 'node:fs'
import type { Cache } from '../caches/cache.ts'
import { chunkedCache } from '../caches/chunks/cache.ts'
import { imageCache } from '../caches/image.ts'
import { httpAccess, httpStorage } from '../caches/storage/http.ts'
import { redisStorage } from '../caches/storage/redis.ts'
import { type S3Credentials, s3Storage } from '../caches/storage/s3.ts'
import type { ObjectStorage } from '../caches/storage/storage.ts'
import { BaleError } from '../errors.ts'
import type { Reporter } from '../events.ts'
import { layoutStore } from '../stores/layout/store.ts'
import type { Stores } from '../stores/open.ts'
import { cacheName } from './app-cache.ts'
import type { CacheLocation } from './cache-location.ts'
import type { Settings } from './settings.ts'

export interface CacheContext {
  readonly settings: Settings
  readonly stores: Stores
  readonly reporter: Reporter
  /** The app's name in caches that several apps share, with its platform: see `cacheName`. */
  readonly app: string
  /** Registers a resource to close at the end of the build. */
  readonly use: (resource: AsyncDisposable) => void
}

export interface OpenedCache {
  readonly cache: Cache
  /** Checks at the start of a build whether the cache is writable. @throws BaleError */
  readonly checkWrite: (signal: AbortSignal) => Promise<void>
}

/** Opens a shared cache. Connects at the first use. */
export async function openCache(location: CacheLocation, context: CacheContext): Promise<OpenedCache> {
  const { settings, stores, reporter, use } = context
  const { timeToLive } = location
  const name = location.name === undefined ? context.app : cacheName(location.name, settings.platform)
  const onWarning = (text: string): void => reporter.event({ type: 'warning', text })
  const image = { platform: settings.platform, otherPlatforms: 'ignored', onWarning, timeToLive } as const
  switch (location.type) {
    case 'registry': {
      const [{ sink, previous }] = await stores.destinations([location.ref], true)
      const cache = imageCache({ ...previous, sink }, image)
      return { cache, checkWrite: signal => sink.checkWrite([previous.name], signal) }
    }
    case 'local': {
      const store = layoutStore(location.dir)
      const at = { source: store, sink: store, name: layoutName(name) }
      const cache = withoutGarbage(imageCache(at, image), () => store.collectGarbage())
      return { cache, checkWrite: signal => store.checkWrite([at.name], signal) }
    }
    default: {
      const storage = openStorage(location, settings)
      use(storage)
      const maxSize = location.type === 'redis' ? location.maxSize : undefined
      const cache = chunkedCache(storage, name, { onWarning, timeToLive, maxSize })
      return { cache, checkWrite: async signal => (await cache.begin(signal))[Symbol.asyncDispose]() }
    }
  }
}

type StorageLocation = Exclude<CacheLocation, { readonly type: 'registry' | 'local' }>

function openStorage(location: StorageLocation, settings: Settings): ObjectStorage {
  const { environment, caBundle } = settings
  const ca = caBundle === undefined ? [] : [readFileSync(caBundle, 'utf8')]
  const access = httpAccess(environment, ca)
  const { timeToLive } = location
  switch (location.type) {
    case 's3': {
      const { bucket, endpoint, prefix } = location
      const region = location.region ?? 'us-east-1' // the region's name on most servers other than Amazon's
      if (location.region === undefined && endpoint === undefined)
        throw new BaleError('arguments', 'the region of the bucket is not known', {
          where: location.text,
          fix: 'add region=…, or set AWS_REGION',
        })
      return s3Storage({
        ...access,
        bucket,
        region,
        endpoint,
        prefix,
        timeToLive,
        credentials: s3Credentials(location, settings),
      })
    }
    case 'http': {
      const authorization = environment['BALE_CACHE_AUTHORIZATION'] || undefined
      return httpStorage(location.url, { ...access, authorization, timeToLive })
    }
    case 'redis':
      return redisStorage(location.url, { timeToLive: location.timeToLive, ca })
  }
}

function s3Credentials({ text }: CacheLocation, { environment }: Settings): S3Credentials {
  const accessKeyId = environment['AWS_ACCESS_KEY_ID']
  const secretAccessKey = environment['AWS_SECRET_ACCESS_KEY']
  if (accessKeyId && secretAccessKey)
    return { accessKeyId, secretAccessKey, sessionToken: environment['AWS_SESSION_TOKEN'] || undefined }
  throw new BaleError('arguments', 'there are no credentials for the bucket', {
    where: text,
    fix: 'set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and AWS_SESSION_TOKEN if there is one',
  })
}

/** A reference in a layout may contain only printable ASCII characters. */
const layoutName = (name: string): string => encodeURIComponent(name).slice(-500)

/** Removes the layers of earlier generations after a new one is stored. */
function withoutGarbage(cache: Cache, collect: () => Promise<unknown>): Cache {
  return {
    ...cache,
    async begin(signal) {
      const writer = await cache.begin(signal)
      return {
        put: (source, putSignal) => writer.put(source, putSignal),
        async commit(metadata) {
          await writer.commit(metadata)
          await collect()
        },
        [Symbol.asyncDispose]: () => writer[Symbol.asyncDispose](),
      }
    },
  }
}
