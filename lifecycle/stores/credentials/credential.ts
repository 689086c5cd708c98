/** A proof of identity for a registry. Never printed. */
export type Credential =
  | { readonly kind: 'password'; readonly username: string; readonly password: string }
  /** An OAuth2 refresh token, which the registry's token server takes. */
  | { readonly kind: 'identity-token'; readonly token: string }
  /** A bearer token, which the registry itself takes. */
  | { readonly kind: 'registry-token'; readonly token: string }
