import { createServer } from 'node:net'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { temporaryDirectory } from './temporary.ts'

/** A field of a message: its length, and its bytes. */
export const field = (bytes: Uint8Array | string): Buffer => {
  const content = Buffer.from(bytes as string)
  const length = Buffer.alloc(4)
  length.writeUInt32BE(content.length)
  return Buffer.concat([length, content])
}

/** A message of the protocol of agents: draft-ietf-sshm-ssh-agent. */
export const message = (type: number, ...fields: readonly Uint8Array[]): Buffer =>
  field(Buffer.concat([Buffer.from([type]), ...fields]))

export const failure = message(5)

/** An agent whose answers name their request. Its number of keys is configurable. */
export async function fakeAgent(keys = 1): Promise<{ readonly socket: string; readonly requests: number[] }> {
  const requests: number[] = []
  const server = createServer(client => {
    let bytes = Buffer.alloc(0)
    client.on('error', () => {})
    client.on('data', chunk => {
      bytes = Buffer.concat([bytes, chunk])
      while (bytes.length >= 4 && bytes.length >= 4 + bytes.readUInt32BE(0)) {
        const type = bytes[4] as number
        requests.push(type)
        client.write(type === 11 ? message(12, Buffer.from([0, 0, 0, keys])) : message(14, Buffer.from([type])))
        bytes = bytes.subarray(4 + bytes.readUInt32BE(0))
      }
    })
  })
  const socket = join(await temporaryDirectory(), 'agent')
  await new Promise<void>(done => server.listen(socket, done))
  onTestFinished(() => void server.close())
  return { socket, requests }
}
