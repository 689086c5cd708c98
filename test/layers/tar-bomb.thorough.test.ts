import { expect, it } from 'vitest'
import { readTar } from '../../lifecycle/layers/tar/reader.ts'
import { failureOf } from '../helpers/failure.ts'
import { file } from '../helpers/tar.ts'

it('T37 ten million empty files are refused at the limit, in little memory', { timeout: 120_000 }, async () => {
  const some = Buffer.concat(Array.from({ length: 1000 }, (_, n) => file(`file-${n}`)))
  let given = 0
  async function* bomb() {
    for (; given < 10_000_000; given += 1000) yield await Promise.resolve(some)
  }
  let entries = 0
  const handler = { entry: () => void entries++, data() {}, endOfFile() {} }
  const before = process.memoryUsage.rss()
  const error = await failureOf(readTar(bomb(), handler, {}))
  expect(error).toMatchObject({
    code: 'input',
    message: expect.stringContaining('more than 2000000 entries') as string,
  })
  expect(entries).toBe(2_000_000)
  expect(given).toBeLessThan(2_010_000)
  expect(process.memoryUsage.rss() - before).toBeLessThan(300_000_000)
})
