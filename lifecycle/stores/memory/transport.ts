import type { ImageStore } from '../store.ts'
import type { ImageTransport } from '../transport.ts'
import { memoryStore } from './store.ts'

/** `memory:NAME`, for programs and tests that list it in their settings: it uses no files. */
export function memoryTransport(store: ImageStore = memoryStore()): ImageTransport {
  const memory: ImageTransport = {
    name: 'memory',
    prefix: 'memory:',
    form: 'memory:NAME',
    isPath: false,
    keepsManifests: true,
    parse: name => ({ transport: memory, location: '', name }),
    open: () => ({ store }),
    identify: (_reference, { digest }) => digest,
  }
  return memory
}
