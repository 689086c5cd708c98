import { resolve } from 'node:path'
import { BaleError } from '../errors.ts'
import { dockerArchive } from './docker-archive/transport.ts'
import { dockerDaemon } from './daemon/transport.ts'
import { ociLayout } from './layout/transport.ts'
import { local } from './local/transport.ts'
import { ociArchive } from './oci-archive/transport.ts'
import { quoted } from './path-transport.ts'
import { registry } from './registry/transport.ts'
import type { ImageReference, ImageTransport } from './transport.ts'

/** Every transport. A new one is a folder here and an entry in this list. */
export const transports: readonly ImageTransport[] = [
  registry,
  dockerDaemon,
  dockerArchive,
  ociLayout,
  ociArchive,
  local,
]

/** Transports of skopeo that Bale does not have, and schemes of URLs. They are not names of images. */
const foreign = ['atomic', 'containers-storage', 'dir', 'ostree', 'sif', 'tarball', 'http', 'https']

/**
 * Reads an image reference as a user writes it. Prefixes have skopeo's meaning (containers-transports(5)), and a plain
 * name is an image in Bale's own store. `docker:24` is a plain name, since only `docker://` means a registry.
 * @throws BaleError 'arguments'
 */
export function parseImageReference(text: string, known: readonly ImageTransport[] = transports): ImageReference {
  const transport = known.find(({ prefix }) => prefix !== '' && text.startsWith(prefix))
  if (transport !== undefined) return transport.parse(text.slice(transport.prefix.length))
  const scheme = /^([^:]*):/.exec(text)?.[1]
  if (scheme === undefined || !foreign.includes(scheme)) return local.parse(text)
  const forms = known.map(({ form }) => form)
  throw new BaleError('arguments', `${quoted(text)}: Bale does not know "${scheme}:"`, {
    fix: `use one of ${forms.slice(0, -1).join(', ')}, or ${forms.at(-1)}`,
  })
}

/** Whether the reference is a plain name. */
export const isPlain = ({ transport }: ImageReference): boolean => transport === local

/** The same image, but with `publish` a plain name means its registry. */
export function asPublished(reference: ImageReference, publish: boolean): ImageReference {
  return publish && isPlain(reference) && reference.docker !== undefined ? registry.at(reference.docker) : reference
}

/** The places to look for an image: for a plain name Bale's own store, then its registry. */
export function candidates(
  reference: ImageReference,
  daemonFirst: boolean,
  only?: 'machine' | 'registry',
): readonly ImageReference[] {
  if (!isPlain(reference)) return [reference]
  const onMachine = [...(daemonFirst ? [dockerDaemon.at(reference.name)] : []), reference]
  const published = asPublished(reference, true)
  if (only === 'registry') return [published]
  return only === 'machine' ? onMachine : [...onMachine, published]
}

/** The same key for all references to one store, and a different one for each store: spaces in locations are escaped. */
export function storeKey({ transport, location }: ImageReference): string {
  const place = transport.isPath ? resolve(location) : location
  return place === '' ? transport.name : `${transport.name} ${place.replaceAll(/[\\ ]/g, '\\$&')}`
}

/** The user's name for an image. In a file or directory that is the path, which says more than the tag in it. */
export function displayName({ transport, location, name }: ImageReference): string {
  return transport.isPath ? [transport.name, location, name].filter(Boolean).join(':') : name
}
