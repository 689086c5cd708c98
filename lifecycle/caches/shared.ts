import { BaleError } from '../errors.ts'
import type { Digest } from '../image/digest.ts'
import type { LayerSource } from '../image/layer.ts'
import type { CacheMetadata } from '../spec/types.ts'
import type { Cache, CacheWriter } from './cache.ts'

/** A cache that a build stores its layers in, in addition to this machine's. */
export interface CacheTarget {
  readonly cache: Cache
  /** `min`: only layers that are also in the image; `max`: all cached layers. The terms are BuildKit's. */
  readonly mode: 'min' | 'max'
  /** Whether the build fails if the cache cannot be written. Otherwise that is a warning. */
  readonly required: boolean
}

/** A required cache could not be written. */
export class RequiredCacheError extends BaleError {
  constructor(error: BaleError) {
    super('cache', `the cache is required, but cannot be written: ${error.message}`, {
      ...(error.where !== undefined && { where: error.where }),
      fix: error.fix ?? 'make it writable, or leave out required',
      cause: error,
    })
  }
}

/**
 * The cache of this machine combined with shared caches. Reading uses the first one that is not empty, this
 * machine's first. Writing goes to this machine's and to all of `to`; one that cannot be written is skipped for the rest of
 * the build.
 */
export function sharedCache(
  own: Cache,
  from: readonly Cache[],
  to: readonly CacheTarget[],
  onWarning: (text: string) => void,
): Cache {
  let reading = own
  const targets: readonly CacheTarget[] = [{ cache: own, mode: 'max', required: false }, ...to]
  return {
    description: own.description,

    async metadata(signal) {
      for (const cache of [own, ...from]) {
        const metadata = await cache.metadata(signal)
        if (metadata === undefined) continue
        reading = cache
        return metadata
      }
      return undefined
    },

    open: (diffId, signal) => reading.open(diffId, signal),

    async begin(signal) {
      const writers: TargetWriter[] = []
      for (const target of targets) {
        const writer = await unlessRefused(target, onWarning, signal, () => target.cache.begin(signal))
        if (writer !== undefined) writers.push({ ...target, writer })
      }
      return sharedWriter(writers, onWarning)
    },
  }
}

type TargetWriter = CacheTarget & { readonly writer: CacheWriter }

function sharedWriter(begun: readonly TargetWriter[], onWarning: (text: string) => void): CacheWriter {
  const writers = new Set(begun)
  /** The layers of this generation, for targets that select among them later. */
  const sources = new Map<Digest, LayerSource>()
  const use = async <T>(
    target: TargetWriter,
    signal: AbortSignal | undefined,
    work: () => Promise<T>,
    source?: { readonly failure: unknown },
  ) => {
    const result = await unlessRefused(target, onWarning, signal, async () => [await work()] as const, source)
    if (result === undefined) writers.delete(target)
    return result?.[0]
  }
  const own = begun.find(({ writer }) => writer.chunks !== undefined)?.writer
  return {
    ...(own?.chunks !== undefined && { chunks: own.chunks.bind(own) }),

    async put(source, signal) {
      const watched = watchSource(source)
      let first: Awaited<ReturnType<CacheWriter['put']>> | undefined
      for (const target of writers) {
        if (target.mode === 'min' && first !== undefined) continue
        const stored = await use(target, signal, () => target.writer.put(watched.source, signal), watched)
        first ??= stored
      }
      if (first === undefined) throw new BaleError('cache', 'no cache can be written')
      sources.set(first.diffId, source)
      return first
    },

    async commit(metadata) {
      for (const target of writers) {
        await use(target, undefined, async () => {
          if (target.mode === 'max') return target.writer.commit(metadata)
          const wanted = imageLayers(metadata)
          for (const digest of digestsOf(wanted)) {
            const source = sources.get(digest)
            if (source !== undefined) await target.writer.put(source)
          }
          return target.writer.commit(wanted)
        })
      }
    },

    async [Symbol.asyncDispose]() {
      for (const { writer } of begun) await writer[Symbol.asyncDispose]()
    },
  }
}

/** Wraps a source to record its own failure, which is no failure of the cache that reads it. */
function watchSource(source: LayerSource): { readonly source: LayerSource; readonly failure: unknown } {
  const watched = { source, failure: undefined as unknown }
  watched.source = {
    ...source,
    async *tar(signal) {
      try {
        yield* source.tar(signal)
      } catch (error) {
        watched.failure = error
        throw error
      }
    },
  }
  return watched
}

/** The records of the layers that the image has. */
function imageLayers({ buildpacks }: CacheMetadata): CacheMetadata {
  return {
    buildpacks: buildpacks.map(buildpack => ({
      ...buildpack,
      layers: Object.fromEntries(Object.entries(buildpack.layers).filter(([, { launch }]) => launch)),
    })),
  }
}

const digestsOf = ({ buildpacks }: CacheMetadata): readonly Digest[] =>
  buildpacks.flatMap(({ layers }) => Object.values(layers).map(({ sha }) => sha as Digest))

/** @throws RequiredCacheError for a target that is required */
async function unlessRefused<T>(
  { cache, required }: CacheTarget,
  onWarning: (text: string) => void,
  signal: AbortSignal | undefined,
  work: () => Promise<T>,
  source?: { readonly failure: unknown },
): Promise<T | undefined> {
  try {
    return await work()
  } catch (error) {
    signal?.throwIfAborted()
    if (source?.failure !== undefined) throw source.failure
    if (!(error instanceof BaleError)) throw error
    if (required) throw new RequiredCacheError(error)
    onWarning(`${cache.description} could not be written, so the next build takes longer: ${error.message}`)
    return undefined
  }
}
