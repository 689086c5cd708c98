import { createServer, request } from 'node:http'
import { type AddressInfo, type Socket, connect } from 'node:net'

export interface FakeProxy {
  readonly url: string
  /** `CONNECT registry.example.com:443`, `GET http://registry.example.com/v2/`. */
  readonly lines: string[]
  close(): Promise<void>
}

/** An HTTP proxy that takes everything to one address, whatever name is asked for; with `login`, for those who know it. */
export async function startProxy(to: string, login?: string): Promise<FakeProxy> {
  const [host = '', port = ''] = to.split(':')
  const lines: string[] = []
  const sockets = new Set<Socket>()
  const wanted = login && `Basic ${Buffer.from(login).toString('base64')}`
  const refused = (header: string | undefined) => wanted !== undefined && header !== wanted
  const server = createServer((incoming, outgoing) => {
    lines.push(`${incoming.method} ${incoming.url}`)
    if (refused(incoming.headers['proxy-authorization'])) return void outgoing.writeHead(407).end()
    const { pathname, search } = new URL(incoming.url ?? '')
    const { method, headers } = incoming
    const onward = request({ host, port, method, path: pathname + search, headers }, answer => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(outgoing)
    })
    onward.on('error', () => outgoing.destroy())
    incoming.pipe(onward)
  })
  server.on('connect', (incoming, client: Socket) => {
    lines.push(`CONNECT ${incoming.url}`)
    if (refused(incoming.headers['proxy-authorization'])) {
      return void client.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n')
    }
    const onward = connect(Number(port), host, () => {
      client.write('HTTP/1.1 200 Connection Established\r\n\r\n')
      client.pipe(onward).pipe(client)
    })
    for (const socket of [client, onward]) {
      sockets.add(socket)
      socket.on('error', () => [client, onward].forEach(s => s.destroy()))
    }
  })
  server.on('connection', (socket: Socket) => sockets.add(socket))
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    lines,
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      }),
  }
}
