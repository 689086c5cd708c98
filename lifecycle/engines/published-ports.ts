import { type AddressInfo, type Server, type Socket, connect, createServer } from 'node:net'
import { once } from 'node:events'
import { BaleError, isErrno } from '../errors.ts'

/** A port of this machine, and the port that a program listens on. */
export interface PublishedPort {
  /** An address of this machine; all of them by default, as in Docker. */
  readonly host?: string | undefined
  readonly port: number
  readonly to: number
}

/**
 * Forwards connections to a program in this machine's network. A program that listens on the published port itself needs no
 * forwarding.
 * @throws BaleError 'arguments' for a port that is in use or not allowed for this user, or an address of another machine
 */
export async function publishPorts(ports: readonly PublishedPort[]): Promise<AsyncDisposable & { ports: number[] }> {
  const servers: Server[] = []
  const sockets = new Set<Socket>()
  const close = async (): Promise<void> => {
    for (const socket of sockets) socket.destroy()
    await Promise.all(servers.splice(0).map(server => new Promise<void>(done => server.close(() => done()))))
  }
  try {
    for (const port of ports) {
      if (isOwn(port)) continue
      const server = createServer({ allowHalfOpen: true }, socket => join(socket, port.to, sockets))
      servers.push(server)
      server.listen({ port: port.port, ...(port.host !== undefined && { host: port.host }) })
      await once(server, 'listening')
    }
    const listening = servers.map(server => (server.address() as AddressInfo).port)
    return { ports: listening, [Symbol.asyncDispose]: close }
  } catch (error) {
    const failed = servers.length
    await close()
    throw explain(error, ports.filter(port => !isOwn(port))[failed - 1])
  }
}

const everywhere = new Set([undefined, '0.0.0.0', '::'])

/** Returns whether the program itself listens on the port, at all addresses. */
const isOwn = ({ host, port, to }: PublishedPort): boolean => port === to && everywhere.has(host)

function join(outer: Socket, port: number, sockets: Set<Socket>): void {
  const inner = connect({ host: 'localhost', port, allowHalfOpen: true })
  for (const [socket, other] of [
    [outer, inner],
    [inner, outer],
  ] as const) {
    sockets.add(socket)
    socket.on('error', () => other.destroy()) // no program listens yet, or the other side is closed
    socket.on('close', () => {
      sockets.delete(socket)
      other.destroy()
    })
  }
  outer.pipe(inner)
  inner.pipe(outer)
}

function explain(cause: unknown, published: PublishedPort | undefined): unknown {
  if (!isErrno(cause) || published === undefined) return cause
  const { host, port } = published
  const where = `--publish ${host === undefined ? '' : `${host}:`}${port}:${published.to}`
  const told = {
    EADDRINUSE: [`port ${port} is in use`, 'publish another port, or stop the program that listens on it'],
    EACCES: [`only root can use port ${port}`, 'publish a port of 1024 or higher'],
    EADDRNOTAVAIL: [`${host} is not an address of this machine`, 'use one of its addresses, or leave it out'],
  }[cause.code]
  const [message = cause.message, fix] = told ?? []
  return new BaleError('arguments', message, { where, cause, ...(fix !== undefined && { fix }) })
}
