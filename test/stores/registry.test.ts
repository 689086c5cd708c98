import { parseReference } from '../../lifecycle/image/reference.ts'
import { anonymous } from '../../lifecycle/stores/credentials.ts'
import { openRegistry, registryStore } from '../../lifecycle/stores/registry/store.ts'
import { storeContract } from '../contracts/stores.ts'
import { startRegistry } from '../helpers/registry.ts'

storeContract('registry', async () => {
  const server = await startRegistry()
  const registry = openRegistry({ registry: server.host, credentials: anonymous })
  const repository = parseReference(`${server.host}/team/app`)
  const store = registryStore(repository, { registry })
  return {
    store,
    name: text => text,
    close: async () => {
      await registry.close()
      await server.close()
    },
  }
})
