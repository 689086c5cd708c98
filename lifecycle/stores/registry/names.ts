import { BaleError } from '../../errors.ts'
import { type Digest, isDigest } from '../../image/digest.ts'
import { type Reference, formatReference, parseReference, repositoryName } from '../../image/reference.ts'

/** A tag or a digest in a repository. */
export type Name = { readonly kind: 'tag'; readonly tag: string } | { readonly kind: 'digest'; readonly digest: Digest }

/**
 * Parses a name in this repository: `v1`, `sha256:…`, or a full reference to the same repository.
 * @throws BaleError 'arguments'
 */
export function parseName(text: string, repository: Reference): Name {
  if (isDigest(text)) return { kind: 'digest', digest: text }
  if (/^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/.test(text)) return { kind: 'tag', tag: text }
  const reference = parseReference(text)
  if (repositoryName(reference) !== repositoryName(repository)) {
    throw new BaleError(
      'arguments',
      `${formatReference(reference)} is not in the repository ${repositoryName(repository)}`,
    )
  }
  if (reference.digest !== undefined) return { kind: 'digest', digest: reference.digest }
  return { kind: 'tag', tag: reference.tag ?? 'latest' }
}

/** The form in paths of the distribution spec. */
export const referenceOf = (name: Name): string => (name.kind === 'tag' ? name.tag : name.digest)

/** The full name: `registry.example.com/team/app:1.2`. */
export function nameIn(repository: Reference, name: Name): string {
  return formatReference({ ...repository, ...(name.kind === 'tag' ? { tag: name.tag } : { digest: name.digest }) })
}
