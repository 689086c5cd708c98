import { resolve } from 'node:path'
import { BaleError } from '../errors.ts'
import { isDigest } from '../image/digest.ts'
import { type Reference, formatReference, parseReference, repositoryName } from '../image/reference.ts'

/** Where an image is or goes. `name` is what its store calls it; empty where one can do without. */
export type Place =
  /** Bale's own store; the name is the full reference. */
  | { readonly kind: 'store'; readonly reference: Reference; readonly name: string }
  | { readonly kind: 'registry'; readonly reference: Reference; readonly name: string }
  | { readonly kind: 'oci'; readonly path: string; readonly name: string }
  | { readonly kind: 'oci-archive'; readonly path: string; readonly name: string }
  | { readonly kind: 'docker-archive'; readonly path: string; readonly name: string }
  /** The name is a reference as Docker writes it, or an image ID. */
  | { readonly kind: 'docker-daemon'; readonly name: string }

const known = [
  'docker://NAME',
  'docker-daemon:NAME',
  'docker-archive:FILE[:NAME]',
  'oci:DIR[:TAG]',
  'oci-archive:FILE[:TAG]',
]
/** Words before a colon that mean something else to skopeo: no image of such a name is meant. */
const foreign = ['atomic', 'containers-storage', 'dir', 'ostree', 'sif', 'tarball', 'http', 'https']

/**
 * Reads an image's place as a user writes it: the transports mean what they mean to skopeo (containers-transports(5)), and
 * a plain name is an image in Bale's own store.
 * @throws BaleError 'arguments'
 */
export function parseDestination(text: string): Place {
  const [transport, rest] = splitOnce(text)
  if (rest === undefined) return inStore(text)
  switch (transport) {
    case 'docker':
      if (rest.startsWith('//')) return inRegistry(rest.slice(2))
      return inStore(text) // the image `docker` on Docker Hub has tags, too
    case 'docker-daemon':
      return { kind: 'docker-daemon', name: isDigest(rest) ? rest : dockerName(parseReference(rest)) }
    case 'oci':
    case 'oci-archive':
      return { kind: transport, ...pathAndName(text, rest) }
    case 'docker-archive': {
      const { path, name } = pathAndName(text, rest)
      return { kind: 'docker-archive', path, name: name === '' ? '' : dockerName(taggedReference(name, text)) }
    }
    default:
      if (!foreign.includes(transport)) return inStore(text)
      throw new BaleError('arguments', `${quote(text)}: Bale does not know "${transport}:"`, {
        fix: `use one of ${known.join(', ')}, or a plain name`,
      })
  }
}

/**
 * A reference as Docker and Podman understand it alike: `docker.io/library/hello:latest`. Only Docker takes `hello` for
 * that, and only registries know `index.docker.io`.
 */
export function dockerName(reference: Reference): string {
  return formatReference(reference).replace(/^index\.docker\.io\//, 'docker.io/')
}

/** What a user calls an image there: a file or directory by its path, which says more than the tag in it. */
export function displayName(place: Place): string {
  if (!('path' in place)) return place.name
  return [place.kind, place.path, place.name].filter(Boolean).join(':')
}

/** Where an image of that name may be. */
export function placesOf(text: string, daemonFirst: boolean): Place[] {
  const place = parseDestination(text)
  if (place.kind !== 'store') return [place]
  const inDaemon: Place = { kind: 'docker-daemon', name: dockerName(place.reference) }
  return [...(daemonFirst ? [inDaemon] : []), place, asPublished(place, true)]
}

/** The same place, where a plain name means its registry. */
export function asPublished(place: Place, publish: boolean): Place {
  return publish && place.kind === 'store' ? { ...place, kind: 'registry' } : place
}

/** The same for all names that one store has. */
export function keyOf(place: Place): string {
  switch (place.kind) {
    case 'store':
    case 'docker-daemon':
      return place.kind
    case 'registry':
      return `registry ${repositoryName(place.reference)}`
    default:
      return `${place.kind} ${resolve(place.path)}`
  }
}

function inStore(text: string): Place {
  if (/^(\.{0,2}|~[^/]*)(\/|$)/.test(text) && text !== '') {
    throw new BaleError('arguments', `${quote(text)} is a path, not the name of an image`, {
      fix: 'write oci:DIR, oci-archive:FILE or docker-archive:FILE for an image there; source code is given with --path',
    })
  }
  const reference = parseReference(text)
  return { kind: 'store', reference, name: formatReference(reference) }
}

function inRegistry(text: string): Place {
  const reference = parseReference(text)
  return { kind: 'registry', reference, name: formatReference(reference) }
}

/** The path ends at the first colon, as it does for skopeo; so neither of them can write into a path that has one. */
function pathAndName(text: string, rest: string): { path: string; name: string } {
  const [path, name = ''] = splitOnce(rest)
  if (path !== '' && !path.includes('\0')) return { path, name }
  throw new BaleError('arguments', `${quote(text)} names no path`, {
    fix: `write ${text.slice(0, text.indexOf(':'))}:PATH`,
  })
}

function taggedReference(name: string, text: string): Reference {
  const reference = parseReference(name)
  if (reference.digest === undefined) return reference
  throw new BaleError('arguments', `${quote(text)} names a digest, which a Docker archive cannot hold`, {
    fix: 'give a tag',
  })
}

function splitOnce(text: string): [string, string | undefined] {
  const colon = text.indexOf(':')
  return colon < 0 ? [text, undefined] : [text.slice(0, colon), text.slice(colon + 1)]
}

const quote = (text: string): string => JSON.stringify(text.slice(0, 300))
