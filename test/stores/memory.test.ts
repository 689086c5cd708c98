import { memoryStore } from '../../lifecycle/stores/memory/store.ts'
import { storeContract } from '../contracts/stores.ts'

storeContract('memory', () =>
  Promise.resolve({ store: memoryStore(), name: (text: string) => text, close: () => Promise.resolve() }),
)
