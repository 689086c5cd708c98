import { randomInt } from 'node:crypto'

const asked = process.env.BALE_FAULT_SEED
/** What random tests start from; a run is repeated with `BALE_FAULT_SEED=<it> npm run test:faults`. */
export const seed = asked === undefined ? randomInt(2 ** 31) : Number(asked)
if (!Number.isSafeInteger(seed)) throw new Error(`BALE_FAULT_SEED is to be a number, not ${asked}`)

/** How many of something there are: `--count` of `npm run test:faults` overrides what the test wants. */
export function countOf(usual: number): number {
  return Number(process.env.BALE_FAULT_COUNT ?? usual)
}

/** Numbers that look random, the same for the same seed (mulberry32). */
export class Random {
  #state: number

  constructor(...seeds: number[]) {
    this.#state = seeds.reduce((state, seed) => Math.imul(state ^ seed, 0x9e3779b1) ^ (state >>> 15), 0x2545f491)
  }

  /** From 0, below `end`. */
  below(end: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0
    let bits = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state)
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits
    return Math.floor((((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32) * end)
  }

  oneOf<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T
  }
}
