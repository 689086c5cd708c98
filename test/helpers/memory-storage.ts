import { BaleError } from '../../lifecycle/errors.ts'
import type { ObjectStorage } from '../../lifecycle/caches/storage/storage.ts'

export interface MemoryStorage extends ObjectStorage {
  readonly objects: Map<string, Uint8Array>
  /** Bytes written and read so far. */
  readonly moved: { put: number; got: number }
  /** Throws if the request should fail. */
  fail?: ((method: 'get' | 'size' | 'put', key: string) => void) | undefined
}

/** An object storage in memory, which answers in another turn of the event loop. */
export function memoryStorage(objects = new Map<string, Uint8Array>()): MemoryStorage {
  const turn = async (method: 'get' | 'size' | 'put', key: string, signal?: AbortSignal): Promise<void> => {
    signal?.throwIfAborted()
    if (!/^[a-z0-9._/-]+$/.test(key)) throw new TypeError(`the key ${key}`)
    await new Promise(resolve => setImmediate(resolve))
    signal?.throwIfAborted()
    storage.fail?.(method, key)
  }
  const storage: MemoryStorage = {
    description: 'cache in memory',
    objects,
    moved: { put: 0, got: 0 },

    async get(key, limit, signal) {
      await turn('get', key, signal)
      const bytes = objects.get(key)
      if (bytes !== undefined && bytes.length > limit) throw new BaleError('input', 'it is too long')
      this.moved.got += bytes?.length ?? 0
      return bytes
    },

    async size(key, signal) {
      await turn('size', key, signal)
      return objects.get(key)?.length
    },

    async put(key, bytes, signal) {
      await turn('put', key, signal)
      this.moved.put += bytes.length
      objects.set(key, Buffer.from(bytes))
    },

    async [Symbol.asyncDispose]() {},
  }
  return storage
}
