import { expect } from 'vitest'

/** The error of a function or promise. Fails the test if there is none. */
export async function failureOf(attempt: Promise<unknown> | (() => unknown)): Promise<unknown> {
  let value: unknown
  try {
    value = await (typeof attempt === 'function' ? attempt() : attempt)
  } catch (error) {
    return error
  }
  expect.unreachable(`it did not fail, but gave ${JSON.stringify(value)?.slice(0, 200)}`)
}
