import { type TestContext, describe, it } from 'vitest'

/** Skips a test for a reason that is shown; where everything should be there (BALE_FORBID_SKIPS=1), that is a failure. */
export function skip(context: TestContext, reason: string): void {
  if (process.env.BALE_FORBID_SKIPS === '1')
    throw new Error(`skips are forbidden here, and this would be one: ${reason}`)
  context.skip(reason)
}

/** Something of the machine that tests need, or why it is not there. */
export type Available<T> =
  { readonly state: 'available'; readonly value: T } | { readonly state: 'missing'; readonly reason: string }

/** A suite that needs such a thing. Without it, one skipped test says why. */
export function suiteWith<T>(title: string, needed: Available<T>, suite: (value: T) => void): void {
  describe(title, () => {
    if (needed.state === 'available') suite(needed.value)
    else it('has what it needs', context => skip(context, needed.reason))
  })
}
