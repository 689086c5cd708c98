import { expect } from 'vitest'

/** What a function threw or a promise was rejected with; one that succeeds is a failed test. */
export async function failureOf(attempt: Promise<unknown> | (() => unknown)): Promise<unknown> {
  let value: unknown
  try {
    value = await (typeof attempt === 'function' ? attempt() : attempt)
  } catch (error) {
    return error
  }
  expect.unreachable(`it did not fail, but gave ${JSON.stringify(value)?.slice(0, 200)}`)
}
