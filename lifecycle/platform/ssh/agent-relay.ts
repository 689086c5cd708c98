import { type Socket, connect, createServer } from 'node:net'
import { BaleError } from '../../errors.ts'
import { wrapErrno } from '../../files/wrap-errno.ts'
import { shortPathOf } from './short-path.ts'

// The protocol of agents: draft-ietf-sshm-ssh-agent. A message is a length of 4 bytes, a type, and its contents.

const requestIdentities = 11
const signRequest = 13
const extension = 27
const identitiesAnswer = 12

/** The answer SSH_AGENT_FAILURE. */
const refusal = Buffer.from([0, 0, 0, 1, 5])

/** Bytes: the limit of OpenSSH's agent. */
const longestMessage = 256 * 1024
const mostConnections = 64
/** Milliseconds for the first answer of an agent, such as one at the other end of a connection that is gone. */
const patience = 10_000

/**
 * Listens on a socket of a directory for programs that may sign in to servers with the keys of an agent. They cannot add or remove keys, lock the
 * agent, or sign anything else with them, such as a commit or a file.
 * @param dir a directory that only the users of the socket can enter
 * @param agent the path of the agent's socket
 */
export async function relayAgent(dir: string, name: string, agent: string): Promise<AsyncDisposable> {
  await using resources = new AsyncDisposableStack()
  const within = resources.use(await shortPathOf(dir))
  const open = new Set<Socket>()
  const track = (socket: Socket): Socket => {
    open.add(socket)
    return socket.on('error', () => {}).once('close', () => open.delete(socket))
  }
  const server = createServer(client => {
    const upstream = track(connect(agent))
    void relay(track(client), upstream)
      .catch(() => {}) // a message that is not of the protocol, or a connection that has ended
      .finally(() => [client, upstream].forEach(socket => socket.destroy()))
  })
  server.maxConnections = mostConnections
  await wrapErrno(dir, () => listen(server, `${within.path}/${name}`))
  resources.defer(async () => {
    const closed = new Promise<void>(done => void server.close(() => done()))
    for (const socket of open) socket.destroy()
    await closed
  })
  return resources.move()
}

function listen(server: ReturnType<typeof createServer>, path: string): Promise<void> {
  return new Promise((done, failed) => {
    server.once('error', failed)
    // Programs in the sandbox may be of another user than this process.
    server.listen({ path, writableAll: true, readableAll: true }, done)
  })
}

/** An agent answers each request before it reads the next one. */
async function relay(client: Socket, upstream: Socket): Promise<void> {
  const answers = messagesOf(upstream)
  for await (const message of messagesOf(client)) {
    if (!isAllowed(message)) {
      await send(client, refusal)
      continue
    }
    await send(upstream, message)
    const answer = await answers.next()
    if (answer.done === true) return
    await send(client, answer.value)
  }
}

/** Waits for a slow reader: what it does not read would be in the memory of this process. */
function send(socket: Socket, bytes: Uint8Array): Promise<void> {
  return new Promise((done, failed) => void socket.write(bytes, error => (error ? failed(error) : done())))
}

/**
 * Counts the keys of an agent.
 * @throws BaleError 'arguments' if no agent answers there
 */
export async function countKeys(agent: string, signal?: AbortSignal): Promise<number> {
  signal?.throwIfAborted()
  const socket = connect(agent)
  const limit = AbortSignal.any([AbortSignal.timeout(patience), ...(signal === undefined ? [] : [signal])])
  const end = (): void => void socket.destroy(limit.reason as Error)
  limit.addEventListener('abort', end)
  try {
    socket.write(Buffer.from([0, 0, 0, 1, requestIdentities]))
    const { value: answer } = await messagesOf(socket).next()
    if (answer !== undefined && answer[4] === identitiesAnswer && answer.length >= 9) return answer.readUInt32BE(5)
    throw new Error('it does not answer as an agent does')
  } catch (cause) {
    signal?.throwIfAborted()
    throw new BaleError('arguments', `the SSH agent cannot be used: ${(cause as Error).message}`, {
      where: agent,
      fix: 'start an agent and add your key: eval $(ssh-agent); ssh-add; or name the file of a key: --ssh default=FILE',
      cause,
    })
  } finally {
    limit.removeEventListener('abort', end)
    socket.destroy()
  }
}

/** @throws Error for a length that no message has */
async function* messagesOf(socket: Socket): AsyncGenerator<Buffer, undefined> {
  let bytes = Buffer.alloc(0)
  for await (const chunk of socket) {
    bytes = Buffer.concat([bytes, chunk as Buffer])
    while (bytes.length >= 4) {
      const length = bytes.readUInt32BE(0)
      if (length === 0 || length > longestMessage) throw new Error(`a message of ${length} bytes`)
      if (bytes.length < 4 + length) break
      yield bytes.subarray(0, 4 + length)
      bytes = bytes.subarray(4 + length)
    }
  }
  return undefined
}

/** Whether a program may send this to the agent. Any message that is not understood is refused. */
function isAllowed(message: Buffer): boolean {
  const fields = fieldsOf(message.subarray(5))
  if (message[4] === requestIdentities) return true
  // With it, the agent knows the server of a connection, and obeys the restrictions of its keys (OpenSSH, PROTOCOL.agent).
  if (message[4] === extension) return fields.string()?.toString() === 'session-bind@openssh.com'
  if (message[4] !== signRequest) return false
  const [key, data] = [fields.string(), fields.string()]
  return key !== undefined && data !== undefined && isSignIn(data, key)
}

const userAuthRequest = 50

/**
 * Whether this is what a client signs to sign in with a key (RFC 4252, section 7), possibly with the server's key at its end (OpenSSH,
 * PROTOCOL, "publickey-hostbound-v00@openssh.com").
 */
function isSignIn(data: Buffer, key: Buffer): boolean {
  const fields = fieldsOf(data)
  const session = fields.string()
  if (session === undefined || fields.byte() !== userAuthRequest) return false
  const [user, service, method] = [fields.string(), fields.string()?.toString(), fields.string()?.toString()]
  if (user === undefined || service !== 'ssh-connection') return false
  const [hasSignature, algorithm, named] = [fields.byte(), fields.string(), fields.string()]
  if (hasSignature !== 1 || algorithm === undefined || named === undefined || !named.equals(key)) return false
  if (method === 'publickey') return fields.atEnd()
  return method === 'publickey-hostbound-v00@openssh.com' && fields.string() !== undefined && fields.atEnd()
}

/** Reads the fields of a message one after the other; undefined beyond the end. */
function fieldsOf(bytes: Buffer) {
  let at = 0
  return {
    byte: (): number | undefined => bytes[at++],
    atEnd: (): boolean => at === bytes.length,
    string(): Buffer | undefined {
      if (at + 4 > bytes.length) return undefined
      const start = at + 4
      const end = start + bytes.readUInt32BE(at)
      if (end > bytes.length) return undefined
      at = end
      return bytes.subarray(start, end)
    },
  }
}
