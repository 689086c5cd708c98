import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { mkdir } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it, onTestFinished } from 'vitest'
import { BaleError } from '../../../lifecycle/errors.ts'
import { countKeys, relayAgent } from '../../../lifecycle/platform/ssh/agent-relay.ts'
import { shortPathOf } from '../../../lifecycle/platform/ssh/short-path.ts'
import { failureOf } from '../../helpers/failure.ts'
import { failure, fakeAgent, field, message } from '../../helpers/fake-ssh-agent.ts'
import { temporaryDirectory } from '../../helpers/temporary.ts'

const key = field('a public key')
const flags = Buffer.alloc(4)
const hostBound = 'publickey-hostbound-v00@openssh.com'
/** What a client signs (RFC 4252, section 7), and more at its end. */
const signIn = (service = 'ssh-connection', method = 'publickey', signed = key, ...more: readonly Uint8Array[]) =>
  Buffer.concat([
    ...[field('session'), Buffer.from([50]), field('git'), field(service), field(method)],
    ...[Buffer.from([1]), field('ssh-ed25519'), signed, ...more],
  ])
const sign = (data: Uint8Array) => message(13, key, field(data), flags)

async function opened() {
  const agent = await fakeAgent()
  const dir = await temporaryDirectory()
  const relay = await relayAgent(dir, 'agent', agent.socket)
  onTestFinished(() => relay[Symbol.asyncDispose]())
  return { agent, socket: join(dir, 'agent') }
}

/** Sends bytes, and returns as many as are expected, or fewer if the connection ends. */
async function ask(socket: string, bytes: Uint8Array, expected: number): Promise<Buffer> {
  const client = connect(socket).on('error', () => {})
  client.write(bytes)
  let answer = Buffer.alloc(0)
  for await (const chunk of client) {
    answer = Buffer.concat([answer, chunk as Buffer])
    if (answer.length >= expected) break
  }
  return answer
}

describe('the socket of an SSH agent for buildpacks', () => {
  it.each([
    ['lists keys', message(11), 11],
    ['signs in to a server', sign(signIn()), 13],
    [
      'signs in to a server whose key the client names',
      sign(signIn('ssh-connection', hostBound, key, field('the key of the server'))),
      13,
    ],
    ['learns the server of a connection', message(27, field('session-bind@openssh.com'), field('host')), 27],
  ])('%s', async (_title, request, type) => {
    const { agent, socket } = await opened()
    const answer = await ask(socket, request, 6)
    expect(answer[4]).toBe(type === 11 ? 12 : 14)
    expect(agent.requests).toEqual([type])
  })

  it.each([
    ['adds a key', message(17, field('ssh-ed25519'))],
    ['removes a key', message(18, key)],
    ['removes all keys', message(19)],
    ['locks the agent', message(22, field('passphrase'))],
    ['adds the keys of a card', message(20, field('/lib/card.so'), field(''))],
    ['sends an unknown extension', message(27, field('query'))],
    ['signs a file or a commit', sign(Buffer.concat([Buffer.from('SSHSIG'), field('git'), field('')]))],
    ['signs a request of another service', sign(signIn('ssh-userauth'))],
    ['signs a request of another method', sign(signIn('ssh-connection', 'hostbased'))],
    ['signs in with another key', sign(signIn('ssh-connection', 'publickey', field('another key')))],
    ['signs a sign-in that has more at its end', sign(signIn('ssh-connection', 'publickey', key, field('more')))],
    ['signs a part of a sign-in', sign(signIn().subarray(0, -1))],
    ['signs nothing', sign(Buffer.alloc(0))],
    ['sends a request to sign that is cut off', message(13, key)],
    ['sends a request to sign whose field is longer than it', message(13, key, Buffer.from([255, 255, 255, 255]))],
  ])('K24 refuses a program that %s', async (_title, request) => {
    const { agent, socket } = await opened()
    expect(await ask(socket, Buffer.concat([request, message(11)]), 14)).toEqual(
      Buffer.concat([failure, message(12, Buffer.from([0, 0, 0, 1]))]),
    )
    expect(agent.requests).toEqual([11])
  })

  it.each([
    ['is longer than an agent reads', Buffer.from([0, 4, 0, 1, 11])],
    ['has no type', Buffer.from([0, 0, 0, 0])],
  ])('K24 ends the connection if a message %s', async (_title, bytes) => {
    const { agent, socket } = await opened()
    expect(await ask(socket, bytes, 1)).toHaveLength(0)
    expect(agent.requests).toEqual([])
  })

  it('passes messages that arrive in pieces, and several in one piece', async () => {
    const { agent, socket } = await opened()
    const client = connect(socket)
    for (const byte of message(11)) client.write(Buffer.from([byte]))
    client.write(Buffer.concat([sign(signIn()), message(19), message(11)]))
    let answer = Buffer.alloc(0)
    for await (const chunk of client) {
      answer = Buffer.concat([answer, chunk as Buffer])
      if (answer.length >= 9 + 6 + 5 + 9) break
    }
    expect([...answer.subarray(9 + 6)]).toEqual([...failure, ...message(12, Buffer.from([0, 0, 0, 1]))])
    expect(agent.requests).toEqual([11, 13, 11])
  })

  it('works in a directory whose path is too long for a socket', async () => {
    const agent = await fakeAgent()
    const dir = join(await temporaryDirectory(), 'a'.repeat(120))
    await mkdir(dir)
    await using _relay = await relayAgent(dir, 'agent', agent.socket)
    await using short = await shortPathOf(dir)
    expect((await ask(`${short.path}/agent`, message(11), 9))[4]).toBe(12)
  })

  it('refuses an agent that does not answer', async () => {
    const error = await failureOf(countKeys('/nowhere/agent'))
    expect(error).toBeInstanceOf(BaleError)
    expect((error as BaleError).message).toMatch(/^the SSH agent cannot be used: .*ENOENT/)
  })

  it('K24 reads no more requests while a program does not read the answers', async () => {
    const { agent, socket } = await opened()
    const client = connect(socket).on('error', () => {})
    onTestFinished(() => void client.destroy())
    client.pause()
    const requests = Buffer.concat(Array.from({ length: 400_000 }, () => message(11)))
    const sent = new Promise<boolean>(done => void client.write(requests, () => done(true)))
    expect(await Promise.race([sent, sleep(1000, false)])).toBe(false)
    expect(agent.requests.length).toBeLessThan(300_000)
  })

  it('gives up an agent that never answers when the build ends', async () => {
    const silent = join(await temporaryDirectory(), 'agent')
    const server = createServer().listen(silent)
    onTestFinished(() => void server.close())
    const reason = new Error('the end')
    expect(await failureOf(countKeys(silent, AbortSignal.abort(reason)))).toBe(reason)
    expect(await failureOf(countKeys(silent, AbortSignal.timeout(100)))).toMatchObject({ name: 'TimeoutError' })
  })

  it('counts the keys of an agent', async () => {
    expect(await countKeys((await fakeAgent(3)).socket)).toBe(3)
  })
})
