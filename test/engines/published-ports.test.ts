import { type AddressInfo, connect, createServer } from 'node:net'
import { text } from 'node:stream/consumers'
import { describe, expect, it, onTestFinished } from 'vitest'
import { publishPorts } from '../../lifecycle/engines/published-ports.ts'
import { failureOf } from '../helpers/failure.ts'
import { freePort } from '../helpers/bale.ts'

/** A program that answers with what it got, once its client has ended. */
async function startEcho(): Promise<number> {
  const server = createServer({ allowHalfOpen: true }, socket => {
    let got = ''
    socket.setEncoding('utf8').on('data', (more: string) => (got += more))
    socket.on('end', () => socket.end(`got ${got}`))
    socket.on('error', () => {})
  })
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  onTestFinished(() => void server.close())
  return (server.address() as AddressInfo).port
}

async function say(port: number, words: string): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  socket.end(words)
  return text(socket)
}

describe('published ports', () => {
  it('lead to the program, also what it says after its client has ended', async () => {
    const [port, to] = [await freePort(), await startEcho()]
    await using published = await publishPorts([{ port, to }])
    expect(published.ports).toEqual([port])
    const words = 'x'.repeat(1_000_000)
    expect(await Promise.all([say(port, 'one'), say(port, words)])).toEqual(['got one', `got ${words}`])
  })

  it('close the connection where nobody listens, and end with the program', async () => {
    const [port, to] = [await freePort(), await freePort()]
    const published = await publishPorts([{ host: '127.0.0.1', port, to }])
    expect(await say(port, 'hello').catch((error: NodeJS.ErrnoException) => error.code)).toMatch(/^$|ECONNRESET/)
    await published[Symbol.asyncDispose]()
    expect(await failureOf(say(port, 'hello'))).toMatchObject({ code: 'ECONNREFUSED' })
  })

  it('that the program has itself are left to it', async () => {
    const port = await freePort()
    await using published = await publishPorts([{ port, to: port }])
    expect(published.ports).toEqual([])
  })

  it('that cannot be had are an error that names them, and none stays open', async () => {
    const [first, taken] = [await freePort(), await startEcho()]
    const two = [
      { host: '127.0.0.1', port: first, to: 1 },
      { host: '127.0.0.1', port: taken, to: 1 },
    ]
    expect(await failureOf(publishPorts(two))).toMatchObject({
      code: 'arguments',
      where: `--publish 127.0.0.1:${taken}:1`,
      message: `port ${taken} is in use`,
    })
    expect(await failureOf(say(first, 'hello'))).toMatchObject({ code: 'ECONNREFUSED' })
    const elsewhere = await failureOf(publishPorts([{ host: '192.0.2.1', port: first, to: 1 }]))
    expect(elsewhere).toMatchObject({ message: '192.0.2.1 is not an address of this machine' })
  })
})
