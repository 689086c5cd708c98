import { spawn, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Pool } from 'undici'
import type { Available } from './skip.ts'

/** An empty daemon that only one test uses. */
export interface Daemon {
  readonly socketPath: string
  /** Its images and state. */
  readonly dir: string
  stop(): Promise<void>
}

/** dockerd without networks, which needs root. */
export async function startDocker(): Promise<Available<Daemon>> {
  return start('dockerd', (dir, socket) => [
    ...['--host', `unix://${socket}`, '--data-root', join(dir, 'data'), '--exec-root', join(dir, 'exec')],
    ...['--pidfile', join(dir, 'pid'), '--iptables=false', '--ip6tables=false', '--bridge=none'],
  ])
}

/** Podman's API, which is Docker's, with its storage to itself. */
export async function startPodman(): Promise<Available<Daemon>> {
  return start('podman', (dir, socket) => [
    ...['--root', join(dir, 'data'), '--runroot', join(dir, 'run'), '--tmpdir', join(dir, 'tmp')],
    ...[
      '--cgroup-manager',
      'cgroupfs',
      '--events-backend',
      'file',
      'system',
      'service',
      '--time',
      '0',
      `unix://${socket}`,
    ],
  ])
}

async function start(program: string, argv: (dir: string, socket: string) => string[]): Promise<Available<Daemon>> {
  if (!isInstalled(program)) return { state: 'missing', reason: `${program} is not installed` }
  if (process.getuid?.() !== 0) return { state: 'missing', reason: `${program} needs root` }
  const dir = await mkdtemp(join(tmpdir(), `bale-${program}-`))
  await mkdir(join(dir, 'tmp'))
  const socketPath = join(dir, 'api.sock')
  const child = spawn(program, argv(dir, socketPath), { stdio: ['ignore', 'ignore', 'pipe'] })
  let log = ''
  child.stderr.on('data', (chunk: Buffer) => (log = (log + chunk.toString()).slice(-4000)))
  const ended = new Promise<void>(resolve => {
    child.once('exit', () => resolve())
    child.once('error', () => resolve())
  })
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM')
    const killing = setTimeout(() => child.kill('SIGKILL'), 20_000)
    await ended
    clearTimeout(killing)
    await unmountBelow(dir)
    await rm(dir, { recursive: true, force: true })
  }
  const state = await Promise.race([answers(socketPath), ended.then(() => 'ended' as const)])
  if (state === 'answers') return { state: 'available', value: { socketPath, dir, stop } }
  await stop()
  return { state: 'missing', reason: `${program} does not start here: ${log.trim().split('\n').at(-1) ?? ''}` }
}

async function answers(socketPath: string): Promise<'answers' | 'silent'> {
  for (let i = 0; i < 300; i++) {
    await sleep(100)
    if (!existsSync(socketPath)) continue
    if ((await request({ socketPath }, 'GET', '/_ping').catch(() => 0)) === 200) return 'answers'
  }
  return 'silent'
}

/** The status of the answer to a request without a body. */
export async function request(
  daemon: { socketPath: string },
  method: 'GET' | 'POST' | 'DELETE',
  path: string,
): Promise<number> {
  const pool = new Pool('http://localhost', { socketPath: daemon.socketPath })
  try {
    const reply = await pool.request({ method, path })
    await reply.body.dump()
    return reply.statusCode
  } finally {
    await pool.destroy()
  }
}

/** A daemon's mounts prevent the deletion of its directory. */
async function unmountBelow(dir: string): Promise<void> {
  const mounts = (await readFile('/proc/self/mounts', 'utf8')).split('\n').map(line => line.split(' ')[1] ?? '')
  for (const mount of mounts.filter(m => m.startsWith(`${dir}/`)).reverse()) spawnSync('umount', ['-l', mount])
}

export function isInstalled(program: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${program}`]).status === 0
}
