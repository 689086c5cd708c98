import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { supervise } from '../../lifecycle/processes/supervisor.ts'
import { unsandboxedEngine } from '../../lifecycle/engines/unsandboxed.ts'
import { type OpenEngine, engineContract, sh } from '../contracts/engines.ts'
import { failureOf } from '../helpers/failure.ts'
import { processesWith, uniqueWord } from '../helpers/processes.ts'
import { skip } from '../helpers/skip.ts'
import { landlockVersion, supervisorProgram } from '../helpers/supervisor.ts'

async function open(landlock?: string): Promise<OpenEngine> {
  const base = await mkdtemp(join(tmpdir(), 'bale-test-'))
  onTestFinished(() => rm(base, { recursive: true, force: true }))
  const [dir, tmpDir] = [join(base, 'dir'), join(base, 'tmp')]
  await Promise.all([mkdir(dir), mkdir(tmpDir)])
  return {
    engine: unsandboxedEngine({ tmpDir, grace: 1000, supervisor: supervisorProgram(), landlock }),
    dir,
    tmpDir,
    show: (hostPath, access) => ({ hostPath, path: hostPath, access }),
    mounts: [],
    network: 'host',
    user: { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 },
  }
}

if (process.platform === 'linux') engineContract('host', () => open())
else it.skip('the contract (skipped: engines need Linux)')

describe.runIf(process.platform === 'linux')('host: what it cannot do is an error', () => {
  it('closing the network', async () => {
    const error = await failureOf(sh(await open(), ':', { network: 'none' }))
    expect(error).toMatchObject({ code: 'engine', message: 'without a sandbox, Bale cannot close the network' })
  })

  it('showing a file in another place', async () => {
    const mounts = [{ hostPath: '/usr', path: '/layers', access: 'read-only' as const }]
    const error = await failureOf(sh(await open(), ':', { mounts }))
    expect(error).toMatchObject({ code: 'engine', where: '/usr as /layers' })
  })
})

if (process.geteuid?.() === 0)
  describe('host: started by root', () => {
    const user = { uid: 54_321, gid: 54_322 }

    it("the program gets the run's user, and no groups of root's", async () => {
      const result = await sh(await open(), 'id -u; id -g; id -G; echo x > /dev/stderr', { user })
      expect(result).toMatchObject({ stdout: '54321\n54322\n54322\n', stderr: 'x\n' })
    })

    it('K15 it cannot read our environment', async () => {
      process.env.BALE_TEST_CANARY = 'canary'
      onTestFinished(() => void delete process.env.BALE_TEST_CANARY)
      const script = `cat /proc/${process.pid}/environ /proc/${process.pid}/mem`
      const result = await sh(await open(), script, { user })
      expect(result.status).toEqual({ code: 1 })
      expect(result.stdout).toBe('')
    })
  })

describe.runIf(process.platform === 'linux')('host: the supervisor', () => {
  it('X36 that was killed is an error: what the program left cannot be relied on', async () => {
    const opened = await open()
    // As a program of its user could before Linux 6.12.
    const onOutput = (_stream: string, chunk: Uint8Array): void =>
      void process.kill(Number(Buffer.from(chunk)), 'SIGKILL')
    const error = await failureOf(sh(opened, 'echo $PPID; sleep 5', { onOutput }))
    expect(error).toMatchObject({ code: 'engine', message: expect.stringContaining('was killed') as string })
  })

  it('X11 X36 X05 K15 K19 is out of reach of a program of its user, and so are we', async ctx => {
    if (landlockVersion() < 6) return skip(ctx, 'Linux 6.12 with Landlock is needed')
    const us = process.pid // root reads every environment (CAP_PERFMON)
    const { stdout } = await sh(
      await open(),
      `exec 2>/dev/null
      for pid in $PPID ${us}; do kill -0 $pid && echo signalled $pid; done
      for file in ${process.geteuid?.() === 0 ? '' : 'environ'} mem; do head -c 1 /proc/$PPID/$file | grep -q . && echo read $file of the supervisor; done
      for file in /proc/${us}/mem /proc/${us}/fd/1; do (: >>$file) && echo opened $file; done
      sleep 60 & kill $! && echo a child is reached`,
    )
    expect(stdout).toBe('a child is reached\n')
  })

  it('X06 X38 lets no program connect to abstract unix sockets of others', async ctx => {
    if (landlockVersion() < 6) return skip(ctx, 'Linux 6.12 with Landlock is needed')
    const name = `bale-test-${uniqueWord()}`
    const server = createServer().listen(`\0${name}`)
    await once(server, 'listening')
    onTestFinished(() => void server.close())
    const script = `const say = text => process.stdout.write(text), net = require('node:net')
      net.connect('\\0${name}', () => { say('connected'); process.exit() }).on('error', e => say(e.code))`
    const argv = [process.execPath, '-e', script]
    expect((await sh(await open(), '', { argv })).stdout).toBe('EPERM')
  })

  it('X27 lets no program write to what is read-only', async ctx => {
    if (landlockVersion() < 3) return skip(ctx, 'Linux 6.2 with Landlock is needed')
    const opened = await open()
    const [cache, other] = [join(opened.dir, 'cache'), join(opened.dir, 'other')]
    await Promise.all([mkdir(cache), mkdir(other)])
    const engine = unsandboxedEngine({ tmpDir: opened.tmpDir, supervisor: supervisorProgram(), readOnly: [cache] })
    const script = `echo x >${other}/file && echo there; (echo x >${cache}/file) 2>/dev/null || echo not there`
    expect((await sh({ ...opened, engine }, script)).stdout).toBe('there\nnot there\n')
    expect(await readdir(cache)).toEqual([])
  })

  it.each(['native', 'sanitize'] as const)('X12 X45 ends a fork bomb, and says so (%s)', async kind => {
    const opened = await open()
    const engine = unsandboxedEngine({ tmpDir: opened.tmpDir, supervisor: supervisorProgram(kind), pids: 100 })
    const word = uniqueWord()
    // Each starts two and lives on: 1,023 in the end.
    const script = `spread() { [ $1 -eq 0 ] || { spread $(($1 - 1)) & spread $(($1 - 1)) & }; exec sleep ${word}; }; spread 9`
    const error = await failureOf(sh({ ...opened, engine }, script))
    expect(error).toMatchObject({
      code: 'failed',
      message: expect.stringContaining('more than 100 processes') as string,
      fix: expect.stringContaining('BALE_PIDS') as string,
    })
    expect(await processesWith(word)).toEqual([])
  })

  it('does not mistake a build with fewer processes for one', async () => {
    const opened = await open()
    const engine = unsandboxedEngine({ tmpDir: opened.tmpDir, supervisor: supervisorProgram(), pids: 3000 })
    const script = 'i=0; while [ $i -lt 40 ]; do sleep 1 & i=$((i + 1)); done; wait; echo done'
    expect(await sh({ ...opened, engine }, script)).toMatchObject({ stdout: 'done\n', status: { code: 0 } })
  })

  it('X16 ends everything when Bale is killed', async () => {
    const word = uniqueWord()
    const script = `(setsid sleep ${word} >/dev/null 2>&1 &); sleep ${word}`
    const program = join(import.meta.dirname, 'unsandboxed-child.ts')
    const child = spawn(process.execPath, [program, supervisorProgram(), script], { stdio: 'inherit' })
    await vi.waitFor(
      async () => expect(await processesWith(`sleep ${word}`.replace(' ', '\0'))).toHaveLength(2),
      10_000,
    )
    child.kill('SIGKILL')
    await vi.waitFor(async () => expect(await processesWith(word)).toEqual([]), 10_000)
  })

  it('X15 disarms setuid programs, for whom it could not kill', async () => {
    const { stdout } = await sh(await open(), 'grep NoNewPrivs /proc/self/status')
    expect(stdout).toBe('NoNewPrivs:\t1\n')
  })

  it.each(['native', 'sanitize'] as const)('reports what cannot be started (%s)', async kind => {
    const supervisor = supervisorProgram(kind)
    const start = { supervisor, env: {}, cwd: '/', user: undefined, stdio: ['ignore', 'ignore', 'ignore'] } as const
    const missing = await failureOf(supervise({ ...start, argv: ['/does/not/exist'] }).ended)
    expect(missing).toMatchObject({
      code: 'engine',
      message: 'the program cannot be started: no such file or directory',
    })
    const text = await failureOf(supervise({ ...start, argv: [import.meta.filename] }).ended)
    expect(text).toMatchObject({ code: 'engine', message: 'the program cannot be started: permission denied' })
    expect(await supervise({ ...start, argv: ['/bin/sh', '-c', 'exit 3'] }).ended).toEqual({ code: 3 })
    expect(await supervise({ ...start, argv: ['/bin/sh', '-c', 'kill -SEGV $$'] }).ended).toEqual({ signal: 'SIGSEGV' })
  })

  it('that is missing is an error that names it', async () => {
    const engine = unsandboxedEngine({ tmpDir: tmpdir(), supervisor: '/does/not/exist' })
    expect(await failureOf(engine.check())).toMatchObject({ code: 'engine', where: '/does/not/exist' })
  })
})
