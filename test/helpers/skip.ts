import { describe, it } from 'vitest'

/**
 * A suite that needs something of the machine. Without it, one skipped test says why; where BALE_FORBID_SKIPS=1 says that
 * everything should be there (CI), that is a failure.
 */
export function suiteWith<T>(title: string, needed: Available<T>, suite: (value: T) => void): void {
  describe(title, () => {
    if (needed.state === 'available') suite(needed.value)
    else if (process.env.BALE_FORBID_SKIPS !== '1') it.skip(needed.reason)
    else {
      it('has what it needs', () => {
        throw new Error(needed.reason)
      })
    }
  })
}

export type Available<T> =
  { readonly state: 'available'; readonly value: T } | { readonly state: 'missing'; readonly reason: string }
