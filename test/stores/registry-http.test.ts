import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import { expect, it, onTestFinished } from 'vitest'
import { defaultLimits } from '../../lifecycle/stores/registry/limits.ts'
import { HttpClient } from '../../lifecycle/stores/registry/http.ts'
import { noise } from '../helpers/images.ts'

// Blocks are compressed into memory that is used again. Oracle: whatever the sizes of the chunks, and though the sender's
// buffers are full nearly all the time, what arrives is what the chunks held when they were handed over.
it.each([
  ['as large as a piece', 65_536],
  ['a piece and a little', 65_537],
  ['just below two pieces', 131_071],
  ['two pieces and a little', 131_080],
  ['large', 1_000_003],
  ['small', 1000],
])('a body arrives as it was, though its memory is used again at once: chunks %s', async (_what, size) => {
  const bytes = noise(20_000_000)
  const hash = createHash('sha256')
  const server = createServer(socket => {
    const read = async (): Promise<void> => {
      let head = true
      for (let left = bytes.length; left > 0;) {
        const chunk = socket.read() as Buffer | null
        if (chunk === null) {
          await once(socket, 'readable')
          continue
        }
        const body = head ? chunk.subarray(chunk.indexOf('\r\n\r\n') + 4) : chunk
        head = false
        hash.update(body)
        left -= body.length
        if (left % 40 === 0) await setTimeout(1) // slower than it is sent
      }
      socket.end('HTTP/1.1 201 Created\r\ncontent-length: 0\r\nconnection: close\r\n\r\n')
    }
    void read()
  })
  server.listen(0, '127.0.0.1')
  onTestFinished(() => void server.close())
  await once(server, 'listening')

  async function* body(): AsyncGenerator<Uint8Array> {
    const memory = new Uint8Array(new SharedArrayBuffer(size))
    for (let at = 0; at < bytes.length; at += size) {
      const part = bytes.subarray(at, at + size)
      memory.set(part)
      yield await Promise.resolve(memory.subarray(0, part.length))
      memory.fill(0)
    }
  }
  const http = new HttpClient({
    insecure: false,
    ca: [],
    proxy: { http: undefined, https: undefined, no: undefined },
    limits: defaultLimits,
  })
  onTestFinished(() => http.close())
  const url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
  const headers = { 'content-length': `${bytes.length}` }
  const reply = await http.exchange({ method: 'PUT', url, purpose: 'registry', headers, body: body() })
  await reply.discard()
  expect(hash.digest('hex')).toBe(createHash('sha256').update(bytes).digest('hex'))
})
