import { pathTransport } from '../path-transport.ts'
import { ociArchiveStore } from './store.ts'

/** OCI image layouts in tar files. */
export const ociArchive = pathTransport({
  name: 'oci-archive',
  form: 'oci-archive:FILE[:TAG]',
  keepsManifests: true,
  async open({ location }, { onTransfer, packing, scratch }) {
    return {
      store: ociArchiveStore(location, { tmpDir: await scratch(), onTransfer: onTransfer('push'), ...packing }),
    }
  },
})
