import { BaleError } from '../errors.ts'
import { type Digest, isDigest } from './digest.ts'

/**
 * The name of an image in a registry, with Docker's rules: no registry means `docker.io`, one component there means
 * `library/`, no tag and no digest means `latest` (distribution/reference grammar).
 */
export interface Reference {
  /** Host and optional port: `index.docker.io`, `localhost:5000`. */
  readonly registry: string
  readonly repository: string
  readonly tag?: string
  readonly digest?: Digest
}

export const dockerHub = 'index.docker.io'

const component = /^[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*$/
const host =
  /^(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?$/
const tagPattern = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/

/** A reference or URL for a message, without user name and password, which must not get into logs (K08, K17). */
export const withoutUserInfo = (text: string): string => text.replace(/^([\w-]+:(?:\/\/)?)?.*@(?!sha256:)/s, '$1***@')

/**
 * Text for a message, without the user names and passwords of URLs in it, even if they have characters that
 * URLs do not allow (K08).
 */
export const withoutPasswordsOfUrls = (text: string): string => text.replaceAll(/:\/\/[^\s'"]*@/g, '://***@')

/** Parses an image reference. The error names the wrong part. */
export function parseReference(text: string): Reference {
  const bad = (why: string, fix?: string): never => {
    throw new BaleError(
      'arguments',
      `${JSON.stringify(withoutUserInfo(text).slice(0, 300))} is not an image reference: ${why}`,
      {
        fix: fix ?? 'write it as NAME, NAME:TAG or HOST/NAME:TAG',
      },
    )
  }
  const scheme = /^\w+:\/\//.exec(text)?.[0]
  if (scheme !== undefined) bad('it is a URL', `leave out ${scheme}`)
  if (/^[^/]*@[^/]*\//.test(text))
    bad('it has a user name', 'leave it out, and give credentials with docker login HOST')
  const [rest, digest, ...more] = text.split('@') as [string, ...string[]]
  if (more.length > 0) bad('it has more than one @')
  if (digest !== undefined && !isDigest(digest))
    bad(`${JSON.stringify(digest.slice(0, 100))} is not sha256: and 64 hex digits`)
  const colon = rest.lastIndexOf(':')
  const hasTag = colon > rest.lastIndexOf('/')
  const name = hasTag ? rest.slice(0, colon) : rest
  const tag = hasTag ? rest.slice(colon + 1) : undefined
  if (tag !== undefined && !tagPattern.test(tag))
    bad(`the tag ${JSON.stringify(tag)} has characters that a tag cannot have`)
  const { registry, repository } = splitName(name)
  if (!host.test(registry)) bad(`${JSON.stringify(registry)} is not a host name`)
  if (repository === '') bad('it names no repository')
  const wrong = repository.split('/').find(c => !component.test(c))
  if (wrong !== undefined)
    bad(
      `${JSON.stringify(wrong)} is not allowed in a repository`,
      /[A-Z]/.test(wrong) ? 'use lower case' : 'use letters and digits, and . _ or - between them',
    )
  if (repository.length > 255) bad('it is longer than 255 characters')
  if (digest !== undefined) return { registry, repository, tag, digest: digest as Digest }
  return { registry, repository, tag: tag ?? 'latest' }
}

function splitName(name: string): { registry: string; repository: string } {
  const slash = name.indexOf('/')
  const first = slash < 0 ? '' : name.slice(0, slash)
  // Docker's rule: the first component is a host if it has a dot or a colon, or is `localhost`.
  const isHost = first.includes('.') || first.includes(':') || first === 'localhost'
  if (!isHost) return { registry: dockerHub, repository: slash < 0 && name !== '' ? `library/${name}` : name }
  const repository = name.slice(slash + 1)
  if (first !== 'docker.io' && first !== dockerHub) return { registry: first, repository }
  return { registry: dockerHub, repository: repository.includes('/') ? repository : `library/${repository}` }
}

/** `registry/repository`, without tag or digest. */
export function repositoryName(ref: Reference): string {
  return `${ref.registry}/${ref.repository}`
}

/** The full reference. A digest takes precedence over a tag, since it decides what is read. */
export function formatReference(ref: Reference): string {
  const name = repositoryName(ref)
  if (ref.digest !== undefined) return `${name}@${ref.digest}`
  return `${name}:${ref.tag ?? 'latest'}`
}

/** The same repository, at a digest. */
export function atDigest(ref: Reference, digest: Digest): Reference {
  return { registry: ref.registry, repository: ref.repository, digest }
}

/** An image's path below a layout directory (platform.md, "Map an image reference to a path in the layout directory"). */
export function layoutPath(ref: Reference): string {
  const last = ref.digest === undefined ? (ref.tag ?? 'latest') : ref.digest.replace(':', '/')
  return `${repositoryName(ref)}/${last}`
}
