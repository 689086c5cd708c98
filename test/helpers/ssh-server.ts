import { execFileSync, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { onTestFinished } from 'vitest'
import { freePort } from './bale.ts'
import type { Available } from './skip.ts'
import { temporaryDirectory } from './temporary.ts'
import { type Tree, writeTree } from './tree.ts'

const program = '/usr/sbin/sshd'

export function findSshServer(): Available<undefined> {
  return existsSync(program)
    ? { state: 'available', value: undefined }
    : { state: 'missing', reason: 'sshd is not installed: apt-get install openssh-server' }
}

export interface SshServer {
  /** The address of its git repository: `ssh://…`. */
  readonly repository: string
  /** The private key that may sign in. */
  readonly key: string
  /** A line for known_hosts. */
  readonly knownHost: string
}

/** OpenSSH's server on loopback, with a git repository that one key may read. */
export async function serveSsh(files: Tree): Promise<SshServer> {
  const dir = await temporaryDirectory()
  const at = (name: string): string => join(dir, name)
  for (const name of ['host', 'key']) execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', at(name)])
  await copyFile(at('key.pub'), at('authorized'))
  await writeTree(at('repository'), files)
  const git = (...args: string[]) =>
    execFileSync('git', ['-c', 'user.name=test', '-c', 'user.email=test@example.com', ...args], {
      cwd: at('repository'),
    })
  git('init', '--quiet', '--initial-branch=main')
  git('add', '--all')
  git('commit', '--quiet', '--message', 'new')

  const port = await freePort()
  const settings = {
    Port: port,
    ListenAddress: '127.0.0.1',
    HostKey: at('host'),
    AuthorizedKeysFile: at('authorized'),
    PidFile: 'none',
    StrictModes: 'no',
    UsePAM: 'no',
  }
  const lines = Object.entries(settings).map(([name, value]) => `${name} ${value}\n`)
  await writeFile(at('sshd_config'), lines.join(''))
  // Root's server requires the directory of its unprivileged processes.
  if (process.getuid?.() === 0) await mkdir('/run/sshd', { recursive: true })
  const server = spawn(program, ['-D', '-f', at('sshd_config'), '-E', at('log')], { stdio: 'ignore' })
  onTestFinished(() => void server.kill())
  await answers(port)
  const [type, hostKey] = (await readFile(at('host.pub'), 'utf8')).split(' ')
  return {
    repository: `ssh://${userInfo().username}@127.0.0.1:${port}${at('repository')}`,
    key: at('key'),
    knownHost: `[127.0.0.1]:${port} ${type} ${hostKey}\n`,
  }
}

async function answers(port: number): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const open = await new Promise<boolean>(done => {
      const socket = connect(port, '127.0.0.1', () => (socket.destroy(), done(true)))
      socket.once('error', () => done(false))
    })
    if (open) return
    await sleep(100)
  }
  throw new Error('sshd does not answer')
}
