import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createConnection } from 'node:net'

/** A server program that was started for a test. */
export interface Served {
  readonly port: number
  readonly child: ChildProcess
  close(): Promise<void>
}

/** Starts a program that listens on that port of 127.0.0.1, and waits until it does. */
export async function serve(
  port: number,
  [program, ...args]: readonly [string, ...string[]],
  options: { readonly env?: Readonly<Record<string, string>>; readonly cwd?: string } = {},
): Promise<Served> {
  const child = spawn(program, args, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const said: string[] = []
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text: Buffer) => said.push(text.toString()))
  let failed: Error | undefined
  child.once('error', error => (failed = error))
  for (const deadline = Date.now() + 60_000; ;) {
    if (failed !== undefined) throw failed
    if (child.exitCode !== null) throw new Error(`${program} ended with ${child.exitCode}: ${said.join('')}`)
    if (await listens(port)) break
    if (Date.now() > deadline) throw new Error(`${program} does not listen: ${said.join('')}`)
    await new Promise(resolve => setTimeout(resolve, 50))
  }
  return {
    port,
    child,
    async close() {
      if (child.exitCode !== null || child.signalCode !== null) return
      child.kill()
      await once(child, 'exit')
    },
  }
}

function listens(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = createConnection(port, '127.0.0.1')
    socket.once('error', () => resolve(false))
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
  })
}
