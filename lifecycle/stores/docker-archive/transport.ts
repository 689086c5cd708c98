import { BaleError } from '../../errors.ts'
import { parseReference } from '../../image/reference.ts'
import { dockerName } from '../docker-name.ts'
import { pathTransport, quoted } from '../path-transport.ts'
import { dockerArchiveStore } from './store.ts'

/** Tar files of `docker save`. */
export const dockerArchive = pathTransport({
  name: 'docker-archive',
  form: 'docker-archive:FILE[:NAME]',
  keepsManifests: false,
  parseName(name, text) {
    if (name === '') return ''
    const reference = parseReference(name)
    if (reference.digest === undefined) return dockerName(reference)
    throw new BaleError('arguments', `${quoted(text)} has a digest, which a Docker archive cannot store`, {
      fix: 'give a tag',
    })
  },
  async open({ location }, { onTransfer, scratch }) {
    return { store: dockerArchiveStore(location, { tmpDir: await scratch(), onTransfer: onTransfer('push') }) }
  },
})
