import { promisify } from 'node:util'
import { zstdCompress } from 'node:zlib'
import { chunkKey, chunkedCache, generationKey } from '../../lifecycle/caches/chunks/cache.ts'
import { type Chunk, formatGeneration, parseGeneration } from '../../lifecycle/caches/chunks/generation.ts'
import { largestChunk } from '../../lifecycle/caches/chunks/split.ts'
import type { ObjectStorage } from '../../lifecycle/caches/storage/storage.ts'
import { type Digest, digestOf } from '../../lifecycle/image/digest.ts'
import { cacheContract } from './caches.ts'

const limit = 64 * 1024 * 1024

/** The contract of caches, over an object storage. `open` connects to one and the same place each time. */
export function chunkedCacheContract(kind: string, serve: () => Promise<{ open: () => ObjectStorage }>): void {
  cacheContract(kind, async () => {
    const { open } = await serve()
    const warnings: string[] = []
    const opened: ObjectStorage[] = []
    const reopen = () => {
      const storage = open()
      opened.push(storage)
      return chunkedCache(storage, 'team/app', { onWarning: text => warnings.push(text) })
    }
    const storage = open()
    opened.push(storage)
    const key = generationKey('team/app')
    const generation = async () => parseGeneration((await storage.get(key, limit))!)
    return {
      cache: reopen(),
      warnings,
      damageShowsInReading: true,
      reopen: () => Promise.resolve(reopen()),
      async close() {
        for (const one of opened) await one[Symbol.asyncDispose]()
      },
      /** Replaces a chunk by nothing: storages cannot delete. */
      async lose(diffId) {
        for (const [digest] of (await generation()).layers.get(diffId)!)
          await storage.put(chunkKey(digest), Buffer.of())
      },
      async damage(diffId: Digest, bytes) {
        const { layers, ...rest } = await generation()
        const chunks: Chunk[] = []
        for (let at = 0; at < bytes.length; at += largestChunk) {
          const part = bytes.subarray(at, at + largestChunk)
          const object = await promisify(zstdCompress)(part)
          await storage.put(chunkKey(digestOf(part)), object)
          chunks.push([digestOf(part), part.length, object.length])
        }
        await storage.put(key, formatGeneration({ ...rest, layers: new Map([...layers, [diffId, chunks]]) }))
      },
      /** In place of the metadata within the document, if it can stand there; else in place of the document. */
      async damageMetadata(bytes) {
        const text = Buffer.from(bytes).toString()
        const fits = Buffer.from(text).equals(Buffer.from(bytes))
        const document = fits ? formatGeneration({ ...(await generation()), metadata: text }) : bytes
        await storage.put(key, document)
      },
    }
  })
}
