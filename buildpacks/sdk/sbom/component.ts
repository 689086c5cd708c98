import { PackageURL } from 'packageurl-js'

/** A piece of software in a layer. */
export interface Component {
  readonly name: string
  readonly version: string
  /** The package URL, which names the kind and the origin of the package: `pkg:npm/%40babel/core@7.28.4`. */
  readonly purl: string
  /** An SPDX expression, or the package's own text. */
  readonly license?: string
  /** For runtimes: vulnerability databases know them by this name rather than by their package. */
  readonly cpe?: string
}

type PackageType = 'npm' | 'pypi' | 'deb' | 'golang' | 'cargo' | 'maven' | 'gem' | 'composer' | 'hex' | 'generic'

/**
 * A package URL (package-url/purl-spec). `name` may have a namespace before its last slash: `@babel/core`, `debian/zlib1g`.
 */
export function packageUrl(
  type: PackageType,
  name: string,
  version: string,
  qualifiers: Readonly<Record<string, string>> = {},
): string {
  const slash = name.lastIndexOf('/')
  const namespace = slash < 0 ? undefined : name.slice(0, slash)
  const url = new PackageURL(type, namespace, name.slice(slash + 1), version, { ...qualifiers }, undefined).toString()
  // packageurl-js leaves these unencoded; purl-spec, "Character encoding", allows none of them.
  return url.replaceAll(/[+!'()*]/g, c => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)
}

/** The subject of a bill of materials, and the buildpack that writes it. */
export interface SbomSubject {
  readonly name: string
  /** The default is a part of an image. */
  readonly type?: 'application'
  readonly tool: { readonly id: string; readonly version: string }
}
