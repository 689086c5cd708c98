import { BaleError } from '../../lifecycle/errors.ts'

/** The BaleError that a call throws; a call that succeeds, or throws something else, fails the test. */
export function errorOf(call: () => unknown): BaleError {
  try {
    call()
  } catch (error) {
    if (error instanceof BaleError) return error
    throw error
  }
  throw new Error('it should have failed')
}

/** The error as a person reads it: `where: message; fix`. */
export function failure(call: () => unknown): string {
  const { where, message, fix } = errorOf(call)
  return `${where === undefined ? '' : `${where}: `}${message}${fix === undefined ? '' : `; ${fix}`}`
}

/** A small repeatable source of numbers: `random(n)` is below n (Mulberry32). */
export function seeded(seed: number): (below: number) => number {
  let state = seed
  return below => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) % below
  }
}
