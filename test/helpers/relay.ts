import { type AddressInfo, type Socket, connect, createServer } from 'node:net'

export interface Relay {
  readonly host: string
  /** Bytes that clients have sent. */
  readonly sent: number
  close(): Promise<void>
}

/** Passes connections on to `to`; the first one that has sent `cutAfter` bytes is reset. */
export async function startRelay(to: string, cutAfter: number): Promise<Relay> {
  const [host = '', port = ''] = to.split(':')
  const sockets = new Set<Socket>()
  let [sent, cut] = [0, false]
  const server = createServer(client => {
    const onward = connect(Number(port), host)
    let passed = 0
    client.on('data', (chunk: Buffer) => {
      sent += chunk.length
      passed += chunk.length
      if (cut || passed < cutAfter) return
      cut = true
      client.resetAndDestroy()
      onward.destroy()
    })
    client.pipe(onward).pipe(client)
    for (const socket of [client, onward]) {
      sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => [client, onward].forEach(s => s.destroy()))
    }
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    get sent() {
      return sent
    },
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      }),
  }
}
