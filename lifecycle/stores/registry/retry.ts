import { setTimeout as sleep } from 'node:timers/promises'
import type { BaleError } from '../../errors.ts'
import type { Limits } from './limits.ts'

/** A failure that another attempt may not meet. */
export class Transient extends Error {
  readonly failure: BaleError
  /** When the other side wants to be asked again, in milliseconds from now. */
  readonly retryAfter: number | undefined
  /** Of its answer, if there was one. */
  readonly status: number | undefined

  constructor(failure: BaleError, { retryAfter, status }: { retryAfter?: number; status?: number } = {}) {
    super(failure.message, { cause: failure })
    this.failure = failure
    this.retryAfter = retryAfter
    this.status = status
  }
}

/** After so many bytes without a fault, the faults before them count no more: a large layer may survive many. */
export const forgiving = 1024 * 1024

/**
 * The result of the first attempt that does not fail with a Transient. Pauses grow exponentially and are jittered, so
 * that a thousand builds which failed together do not come back together (RFC 9110, section 10.2.3 for Retry-After).
 * @param done how many bytes attempts have moved for good
 * @throws BaleError the failure of the last attempt
 */
export async function retrying<T>(
  work: () => Promise<T>,
  limits: Limits,
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

/** Waits before the attempt after this one. @throws the failure, if the other side wants us to wait for too long. */
export async function pause(attempt: number, error: Transient, limits: Limits, signal?: AbortSignal): Promise<void> {
  const { retryAfter = 0 } = error
  if (retryAfter > limits.longestRetryAfter) throw error.failure
  const longest = Math.min(limits.longestPause, limits.firstPause * 2 ** (attempt - 1))
  const ours = longest * (0.5 + Math.random() / 2)
  try {
    await sleep(Math.max(ours, retryAfter), undefined, { signal })
  } catch (aborted) {
    signal?.throwIfAborted() // the reason rather than Node's AbortError
    throw aborted
  }
}

/** The header's seconds or date as milliseconds from `now`; undefined if it says nothing, or nothing sensible. */
export function parseRetryAfter(header: string | undefined, now: number): number | undefined {
  if (header === undefined) return undefined
  const text = header.trim()
  if (/^\d{1,12}$/.test(text)) return Number(text) * 1000
  // An HTTP date names its day; `new Date('-5')` would be a date, too.
  const at = /^[A-Z][a-z]{2,8},? /.test(text) ? Date.parse(text) : Number.NaN
  return Number.isNaN(at) || at < now ? undefined : at - now
}
