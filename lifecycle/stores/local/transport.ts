import { join } from 'node:path'
import { BaleError } from '../../errors.ts'
import { requireOwn } from '../../files/own-directory.ts'
import { atDigest, formatReference, parseReference } from '../../image/reference.ts'
import { type LayoutStore, layoutStore } from '../layout/store.ts'
import { quoted } from '../path-transport.ts'
import type { Packing } from '../../layers/compression/packing.ts'
import type { ImageTransport, StoreSettings } from '../transport.ts'

/** Bale's own store. A plain name refers to it. There, images have their full reference as name. */
export const local: ImageTransport = {
  name: 'store',
  prefix: '',
  form: 'a plain name',
  isPath: false,
  keepsManifests: true,
  parse(text) {
    if (/^(\.{0,2}|~[^/]*)(\/|$)/.test(text) && text !== '') {
      throw new BaleError('arguments', `${quoted(text)} is a path, not the name of an image`, {
        fix: 'write oci:DIR, oci-archive:FILE or docker-archive:FILE for an image there; source code is given with --path',
      })
    }
    const docker = parseReference(text)
    return { transport: local, location: '', name: formatReference(docker), docker }
  },
  open: (_reference, { settings, packing }) => ({ store: openLocalStore(settings, packing) }),
  identify: ({ docker, name }, { digest }) => formatReference(atDigest(docker ?? parseReference(name), digest)),
}

/** Its layers contain source code and its images are run, so no other user may read or write the directory (X44). */
export function openLocalStore({ dataDir }: StoreSettings, packing: Packing): LayoutStore {
  const dir = join(dataDir, 'images')
  const check = async (): Promise<void> => {
    for (const path of [dataDir, dir]) await requireOwn(path, 'XDG_DATA_HOME')
  }
  return layoutStore(dir, { description: 'the local store', mode: 0o700, check, ...packing })
}

/** The name of an image in the local store: `index.docker.io/library/hello:latest`. */
export function localName(text: string): string {
  return formatReference(parseReference(text))
}
