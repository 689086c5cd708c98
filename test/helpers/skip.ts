import type { TestContext } from 'vitest'

/** Skips a test for a reason that is shown; where everything should be there (BALE_FORBID_SKIPS=1), that is a failure. */
export function skip(context: TestContext, reason: string): void {
  if (process.env.BALE_FORBID_SKIPS === '1')
    throw new Error(`skips are forbidden here, and this would be one: ${reason}`)
  context.skip(reason)
}
