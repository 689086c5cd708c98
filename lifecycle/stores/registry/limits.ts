/** What a registry may cost us. Times in milliseconds, sizes in bytes; tests shorten them. */
export interface Limits {
  /** Until a connection stands, TLS included. */
  readonly connect: number
  /** Until an answer begins once the request is sent. */
  readonly answer: number
  /** The same where the registry has work to do: it moves a whole blob in its storage before it answers. */
  readonly commit: number
  /** Without any byte, in either direction. */
  readonly idle: number
  /** Bytes a second that must come or go on the whole, or else the other side only keeps us waiting. */
  readonly slowest: number
  /** How often a request is made before its failure is final. */
  readonly attempts: number
  /** The first pause between attempts; each one is twice as long as the one before. */
  readonly firstPause: number
  readonly longestPause: number
  /** How long we wait because a registry asks us to (Retry-After). */
  readonly longestRetryAfter: number
  readonly redirects: number
  /** The distribution spec asks clients to support 4 MB ("Pushing Manifests"). */
  readonly manifest: number
  readonly config: number
  readonly token: number
  /** Of an error's body; the rest is not read. */
  readonly error: number
}

export const defaultLimits: Limits = {
  connect: 15_000,
  answer: 60_000,
  commit: 300_000,
  idle: 60_000,
  slowest: 1024,
  attempts: 5,
  firstPause: 500,
  longestPause: 15_000,
  longestRetryAfter: 60_000,
  redirects: 5,
  manifest: 4 * 1024 * 1024,
  config: 16 * 1024 * 1024,
  token: 1024 * 1024,
  error: 64 * 1024,
}
