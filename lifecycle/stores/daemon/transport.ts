import { hexOf, isDigest } from '../../image/digest.ts'
import { parseReference } from '../../image/reference.ts'
import { dockerName } from '../docker-name.ts'
import type { ImageReference, ImageTransport } from '../transport.ts'
import { daemonStore } from './store.ts'

interface DaemonTransport extends ImageTransport {
  /** @param text a reference, or an image ID with `sha256:` */
  at(text: string): ImageReference
}

/** The Docker or Podman daemon that the settings name. */
export const dockerDaemon: DaemonTransport = {
  name: 'docker-daemon',
  prefix: 'docker-daemon:',
  form: 'docker-daemon:NAME',
  isPath: false,
  keepsManifests: false,
  at(text) {
    if (isDigest(text)) return { transport: dockerDaemon, location: '', name: text }
    const docker = parseReference(text)
    return { transport: dockerDaemon, location: '', name: dockerName(docker), docker }
  },
  parse: rest => dockerDaemon.at(rest),
  async open(_reference, { settings, onTransfer, scratch }) {
    const { dockerSocket: socketPath } = settings
    const exact = daemonStore({ socketPath, tmpDir: await scratch(), onTransfer: onTransfer('load') })
    return { store: exact.lazy, exact }
  },
  identify: (_reference, { imageId }) => hexOf(imageId),
}
