import { expect, it } from 'vitest'
import { settleAll } from '../lifecycle/concurrency.ts'
import { failureOf } from './helpers/failure.ts'

it('returns what all promises return', async () => {
  expect(await settleAll([Promise.resolve(1), 'two'])).toEqual([1, 'two'])
})

it('throws the first failure after all have settled', async () => {
  const failure = new Error('first')
  let running = true
  const slow = new Promise<void>(resolve => setTimeout(resolve, 20)).then(() => void (running = false))
  expect(await failureOf(settleAll([slow, Promise.reject(failure), Promise.reject(new Error('second'))]))).toBe(failure)
  expect(running).toBe(false)
})
