/** RegistryLimits for a registry. Times in milliseconds, sizes in bytes. */
export interface RegistryLimits {
  /** Time limit for a connection, including TLS. */
  readonly connect: number
  /** Time limit from the end of the request to the start of the answer. */
  readonly answer: number
  /** The same for requests after which the registry moves a whole blob in its storage. */
  readonly commit: number
  /** Time limit without any byte, in either direction. */
  readonly idle: number
  /** Lowest acceptable rate in bytes a second (R05). */
  readonly slowest: number
  /** The maximum number of attempts. */
  readonly attempts: number
  /** The first pause between attempts. Each further pause is twice as long. */
  readonly firstPause: number
  readonly longestPause: number
  /** The longest Retry-After that is honoured. */
  readonly longestRetryAfter: number
  readonly redirects: number
  /** The distribution spec asks clients to support 4 MB ("Pushing Manifests"). */
  readonly manifest: number
  readonly config: number
  readonly token: number
  /** How much of an error's body is read. */
  readonly error: number
}

export const defaultLimits: RegistryLimits = {
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
