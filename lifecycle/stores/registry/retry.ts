import { setTimeout as sleep } from 'node:timers/promises'
import type { BaleError } from '../../errors.ts'
import type { RegistryLimits } from './limits.ts'

/** A failure that another attempt may avoid. */
export class Transient extends Error {
  readonly failure: BaleError
  /** Retry-After of the answer, in milliseconds from now. */
  readonly retryAfter: number | undefined
  /** Status of the answer, if there was one. */
  readonly status: number | undefined

  constructor(failure: BaleError, { retryAfter, status }: { retryAfter?: number; status?: number } = {}) {
    super(failure.message, { cause: failure })
    this.failure = failure
    this.retryAfter = retryAfter
    this.status = status
  }
}

/** After this many bytes without a fault, earlier faults no longer count, so the transfer of a large layer survives several. */
export const forgiving = 1024 * 1024

/**
 * Repeats `work` while it fails with a Transient, and returns the result. Pauses grow exponentially and are jittered, so that
 * builds which failed together do not retry together (RFC 9110, section 10.2.3 for Retry-After).
 * @param done how many bytes the attempts have transferred so far
 * @throws BaleError the failure of the last attempt
 */
export async function retrying<T>(
  work: () => Promise<T>,
  limits: RegistryLimits,
  signal?: AbortSignal,
  done: () => number = () => 0,
): Promise<T> {
  for (let faults = 1, best = 0; ; faults++) {
    try {
      return await work()
    } catch (error) {
      signal?.throwIfAborted()
      if (!(error instanceof Transient)) throw error
      if (done() >= best + forgiving) [faults, best] = [1, done()]
      if (faults >= limits.attempts) throw error.failure
      await pause(faults, error, limits, signal)
    }
  }
}

/** Waits before the next attempt. @throws the failure if Retry-After exceeds `longestRetryAfter` */
export async function pause(
  attempt: number,
  error: Transient,
  limits: RegistryLimits,
  signal?: AbortSignal,
): Promise<void> {
  const { retryAfter = 0 } = error
  if (retryAfter > limits.longestRetryAfter) throw error.failure
  const longest = Math.min(limits.longestPause, limits.firstPause * 2 ** (attempt - 1))
  const ours = longest * (0.5 + Math.random() / 2)
  try {
    await sleep(Math.max(ours, retryAfter), undefined, { signal })
  } catch (aborted) {
    signal?.throwIfAborted() // the signal's reason rather than Node's AbortError
    throw aborted
  }
}

/** The header's seconds or date in milliseconds from `now`; undefined if it is absent, malformed or in the past. */
export function parseRetryAfter(header: string | undefined, now: number): number | undefined {
  if (header === undefined) return undefined
  const text = header.trim()
  if (/^\d{1,12}$/.test(text)) return Number(text) * 1000
  // An HTTP date begins with the day's name. Date.parse alone would accept '-5'.
  const at = /^[A-Z][a-z]{2,8},? /.test(text) ? Date.parse(text) : Number.NaN
  return Number.isNaN(at) || at < now ? undefined : at - now
}
