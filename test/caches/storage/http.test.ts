import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, it, onTestFinished } from 'vitest'
import { httpStorage } from '../../../lifecycle/caches/storage/http.ts'
import { failureOf } from '../../helpers/failure.ts'

// What the servers of servers.e2e.test.ts do not do: WebDAV's folders, faults, redirects.

const limits = { attempts: 3, firstPause: 1, longestPause: 2 }

/** A WebDAV server in memory: a PUT below a folder that is not there is refused (RFC 4918, section 9.7.1). */
async function startDav(faults: number[] = []) {
  const folders = new Set(['/'])
  const files = new Map<string, Buffer>()
  const requests: string[] = []
  const server = createServer((request, response) => {
    const { method = '', url = '' } = request
    const parent = url.replace(/[^/]*\/?$/, '')
    requests.push(`${method} ${url}`)
    const body: Buffer[] = []
    request.on('data', (chunk: Buffer) => body.push(chunk))
    request.on('end', () => {
      const answer = (status: number, bytes = '') => response.writeHead(status).end(bytes)
      const fault = faults.shift()
      if (fault !== undefined) return answer(fault, 'no luck\nmore')
      if (method === 'GET' || method === 'HEAD') {
        const file = files.get(url)
        return file === undefined ? answer(404) : response.end(method === 'GET' ? file : '')
      }
      if (!folders.has(parent)) return answer(409)
      if (method === 'MKCOL') {
        if (folders.has(url)) return answer(405)
        folders.add(url)
      } else files.set(url, Buffer.concat(body))
      return answer(201)
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const storage = httpStorage(`http://127.0.0.1:${(server.address() as AddressInfo).port}/cache`, { limits })
  onTestFinished(async () => {
    await storage[Symbol.asyncDispose]()
    server.close()
  })
  return { storage, files, requests }
}

it('makes the folders that an object needs', async () => {
  const { storage, files } = await startDav()
  await storage.put('chunks/ab/cdef', Buffer.from('one'))
  await storage.put('chunks/ab/0123', Buffer.from('two'))
  expect([...files.keys()]).toEqual(['/cache/chunks/ab/cdef', '/cache/chunks/ab/0123'])
  expect(Buffer.from((await storage.get('chunks/ab/cdef', 9))!).toString()).toBe('one')
})

it('tries again after a fault that may pass', async () => {
  const { storage, requests } = await startDav([503, 500])
  expect(await storage.get('a', 9)).toBeUndefined()
  expect(requests).toHaveLength(3)
})

it.each<[number, object]>([
  [500, { message: 'it answered 500 to GET: no luck' }],
  [
    403,
    {
      message: 'it answered 403 to GET: no luck',
      fix: 'check the credentials of the cache, and their permissions',
    },
  ],
  [301, { fix: 'give the address or the region that it redirects to' }],
])('fails on %s with what the server says', async (status, failure) => {
  const { storage } = await startDav(Array.from({ length: 3 }, () => status))
  expect(await failureOf(storage.get('a', 9))).toMatchObject({ code: 'cache', ...failure })
})

it.each(['', 'cache.example.com', 'ftp://h/', 'http://', 'https://h/?sig=hunter2'])(
  'refuses the URL %j unseen',
  async text => {
    expect(await failureOf(Promise.resolve().then(() => httpStorage(text)))).toMatchObject({
      code: 'arguments',
      message: 'the URL of a cache is not one of http or https without a query',
    })
  },
)
