import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createConnection, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { certificateFor } from './certificate.ts'

/** A process of the registry that Docker made (Debian's docker-registry), with its storage in a temporary directory. */
export interface DockerRegistry {
  readonly host: string
  /** In PEM, if it speaks TLS. */
  readonly certificate?: string
  /** Where the bytes of a blob are. */
  blobPath(hex: string): string
  close(): Promise<void>
}

export const login = { username: 'ann', password: 'hunter2-s3cret' }
/** The login as `htpasswd -Bbn` prints it. */
const htpasswd = 'ann:$2y$05$WlZD10A3J/nBRncc54kiR.aUlIPhO0SoyudfNBHzmDtQ07urgRL1q\n'

/** The reason why it cannot start on this machine; undefined if it can. */
export function missing(program: string): string | undefined {
  try {
    execFileSync('sh', ['-c', `command -v ${program}`])
    return undefined
  } catch {
    return `${program} is not installed`
  }
}

export interface DockerRegistryOptions {
  /** With TLS, and requires the login. */
  readonly secure: boolean
  /** Requires the login, without TLS. */
  readonly withLogin?: boolean
  /** Manifests may be deleted. */
  readonly deletes?: boolean
  /** The address to listen on; by default a free port of the loopback address. */
  readonly address?: string
}

export async function startDockerRegistry({
  secure,
  withLogin = secure,
  deletes = false,
  address,
}: DockerRegistryOptions): Promise<DockerRegistry> {
  const dir = mkdtempSync(join(tmpdir(), 'bale-registry-'))
  const host = address ?? `127.0.0.1:${await freePort()}`
  const tls = secure ? certificateFor('127.0.0.1') : undefined
  const config = {
    version: '0.1',
    log: { level: 'error', accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: join(dir, 'storage') }, delete: { enabled: deletes } },
    http: {
      addr: host,
      secret: 'for one process',
      ...(tls && { tls: { certificate: join(dir, 'cert.pem'), key: join(dir, 'key.pem') } }),
    },
    ...(withLogin && { auth: { htpasswd: { realm: 'test', path: join(dir, 'htpasswd') } } }),
  }
  // YAML takes JSON.
  writeFileSync(join(dir, 'config.yml'), JSON.stringify(config))
  writeFileSync(join(dir, 'htpasswd'), htpasswd)
  if (tls) {
    writeFileSync(join(dir, 'cert.pem'), tls.cert)
    writeFileSync(join(dir, 'key.pem'), tls.key)
  }
  const server = spawn('docker-registry', ['serve', join(dir, 'config.yml')], { stdio: ['ignore', 'ignore', 'pipe'] })
  const said: string[] = []
  server.stderr.on('data', (chunk: Buffer) => said.push(chunk.toString()))
  await listening(server, host, said)
  return {
    host,
    ...(tls && { certificate: tls.cert }),
    blobPath: hex => join(dir, 'storage/docker/registry/v2/blobs/sha256', hex.slice(0, 2), hex, 'data'),
    async close() {
      if (server.exitCode === null && server.signalCode === null) {
        server.kill()
        await once(server, 'exit')
      }
      rmSync(dir, { recursive: true, force: true })
    },
  }
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo
      server.close(() => resolve(port))
    })
  })
}

async function listening(server: ChildProcess, host: string, said: string[]): Promise<void> {
  const [address = '', port = ''] = host.split(':')
  for (let attempt = 0; attempt < 200; attempt++) {
    if (server.exitCode !== null) throw new Error(`docker-registry ended: ${said.join('')}`)
    const open = await new Promise<boolean>(resolve => {
      const socket = createConnection(Number(port), address)
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
      socket.once('connect', () => socket.destroy())
    })
    if (open) return
    await new Promise(resolve => setTimeout(resolve, 50))
  }
  throw new Error(`docker-registry does not listen: ${said.join('')}`)
}
