import { pathTransport } from '../path-transport.ts'
import { layoutStore } from './store.ts'

/** OCI image layouts in directories. */
export const ociLayout = pathTransport({
  name: 'oci',
  form: 'oci:DIR[:TAG]',
  keepsManifests: true,
  open: ({ location }, { onTransfer, packing }) => ({
    store: layoutStore(location, { onTransfer: onTransfer('push'), ...packing }),
  }),
})
