export type Registries = Readonly<Record<string, RegistrySettings>>

/** How to reach one registry. The key is its host with its port, or `*` for all others. */
export interface RegistrySettings {
  /** Trusts the registry without a valid certificate, or without TLS. */
  readonly insecure?: boolean | undefined
  /** Does not check the certificate, but does not use http. */
  readonly skipTlsVerify?: boolean | undefined
  /** PEM files: additional certificate authorities, and the client's certificate and key (mutual TLS). */
  readonly ca?: string | undefined
  readonly clientCert?: string | undefined
  readonly clientKey?: string | undefined
  /** Mirrors to try first for run images and builders, in this order: `HOST[:PORT][/PATH]`. */
  readonly mirrors?: readonly string[] | undefined
  /** Uses only the mirrors. */
  readonly onlyMirrors?: boolean | undefined
  /** A tag that the registry protects keeps its image, with a warning. The new image is available by its digest. */
  readonly keepImmutableTags?: boolean | undefined
}
