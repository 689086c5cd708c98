/** A piece of software in a layer. */
export interface Component {
  readonly name: string
  readonly version: string
  /** Package URL, which says what kind of package it is and where it came from: `pkg:npm/%40babel/core@7.28.4`. */
  readonly purl: string
  /** An SPDX expression, or the package's own words. */
  readonly license?: string
  /** For runtimes, which vulnerability databases know by this name rather than by their package. */
  readonly cpe?: string
}

type PackageType = 'npm' | 'pypi' | 'deb' | 'golang' | 'cargo' | 'generic'

/**
 * A package URL (package-url/purl-spec): type/namespace/name@version?qualifiers, each part percent-encoded, qualifiers
 * sorted.
 */
export function packageUrl(
  type: PackageType,
  name: string,
  version: string,
  qualifiers: Readonly<Record<string, string>> = {},
): string {
  const parts = (type === 'pypi' ? pypiName(name) : name).split('/').map(encode)
  const query = Object.entries(qualifiers)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${encode(value)}`)
  return `pkg:${type}/${parts.join('/')}@${encode(version)}${query.length > 0 ? `?${query.join('&')}` : ''}`
}

/** PyPI's names are the same in every spelling; package URLs have them in lower case, with dashes. */
function pypiName(name: string): string {
  return name.toLowerCase().replaceAll('_', '-')
}

/** Percent-encoding leaves `:` alone (purl-spec, "Character encoding"), and JavaScript's leaves more than the spec does. */
function encode(text: string): string {
  return encodeURIComponent(text)
    .replaceAll('%3A', ':')
    .replaceAll(/[!'()*]/g, c => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)
}
