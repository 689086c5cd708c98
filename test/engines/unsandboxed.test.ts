import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { chmod, chown, copyFile, lstat, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { supervise } from '../../lifecycle/processes/supervisor.ts'
import { unsandboxedEngine } from '../../lifecycle/engines/unsandboxed.ts'
import type { Mount } from '../../lifecycle/engines/engine.ts'
import { type OpenEngine, engineContract, sh } from '../contracts/engines.ts'
import { failureOf } from '../helpers/failure.ts'
import { processesWith, uniqueWord } from '../helpers/processes.ts'
import { skip } from '../helpers/skip.ts'
import { landlockVersion, supervisorProgram } from '../helpers/supervisor.ts'
import { useProbe } from './harness.ts'
import { readAttempts, systemCallCases } from './system-call-cases.ts'

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

describe.runIf(process.platform === 'linux')('host: a hostile build', () => {
  const probe = useProbe()
  let attempts: Map<string, string>
  beforeAll(async () => {
    // Of root only as another user: with root's capabilities some of this works.
    const user = process.geteuid?.() === 0 ? { uid: 54_321, gid: 54_322 } : undefined
    await chmod(dirname(probe.hostPath), 0o755)
    const tmpDir = await mkdtemp(join(tmpdir(), 'bale-test-'))
    const engine = unsandboxedEngine({ tmpDir, supervisor: supervisorProgram() })
    const self = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 }
    const opened = { engine, dir: tmpDir, tmpDir, mounts: [], network: 'host', user: user ?? self } as const
    const show = (hostPath: string, access: Mount['access']) => ({ hostPath, path: hostPath, access })
    const { stdout } = await sh({ ...opened, show }, '', { argv: [probe.hostPath, 'attempts'] })
    await rm(tmpDir, { recursive: true })
    attempts = readAttempts(stdout)
  })
  systemCallCases(() => attempts)
})

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

    it('K15 it reads nothing of a process of ours, and signals none, by which Node would open an inspector', async () => {
      // Our own environment would do only if we had been started with it.
      const job = spawn('sleep', ['60'], { env: { PATH: '/usr/bin:/bin', SECRET: 'canary' } })
      onTestFinished(() => void job.kill('SIGKILL'))
      const script = `for pid in ${job.pid} ${process.pid} $PPID; do
        for file in environ mem maps auxv stack; do head -c 1 /proc/$pid/$file | grep -q . && echo read $file; done
        ls /proc/$pid/fd/ /proc/$pid/root/ /proc/$pid/cwd/ && echo entered
        for signal in 0 USR1 USR2 QUIT TERM KILL; do kill -$signal $pid && echo sent $signal; done
      done 2>/dev/null; tr '\\0' ' ' </proc/${job.pid}/cmdline`
      const result = await sh(await open(), script, { user })
      expect(result.stdout).toBe('sleep 60 ')
      expect([job.exitCode, job.signalCode]).toEqual([null, null])
    })

    it('X15 a setuid program of root makes it nobody else', async () => {
      const opened = await open()
      await copyFile('/usr/bin/id', join(opened.dir, 'id'))
      await chmod(join(opened.dir, 'id'), 0o6755)
      await Promise.all([opened.dir, dirname(opened.dir)].map(dir => chmod(dir, 0o755)))
      const { stdout } = await sh(opened, `${opened.dir}/id -u; ${opened.dir}/id -g`, { user })
      expect(stdout).toBe('54321\n54322\n')
    })

    it('X22 it gives no file of root a second name where the kernel protects hard links', async ctx => {
      if (readFileSync('/proc/sys/fs/protected_hardlinks', 'utf8') !== '1\n')
        return skip(ctx, 'fs.protected_hardlinks is off')
      const opened = await open()
      const own = join(opened.dir, 'own')
      await mkdir(own)
      await Promise.all([own, opened.dir, dirname(opened.dir)].map(dir => chmod(dir, 0o755)))
      await chown(own, user.uid, user.gid)
      const modes = [0o600, 0o644, 0o4755]
      const files = modes.map(mode => join(opened.dir, `root-${mode.toString(8)}`))
      for (const [n, file] of files.entries()) {
        await writeFile(file, 'secret')
        await chmod(file, modes[n] ?? 0)
      }
      const script = `cd ${own}; for file in ${files.join(' ')}; do ln $file link; ( exec 3<$file; ln -L /proc/self/fd/3 link ); done 2>/dev/null
        echo x > mine; ln mine link && echo linked`
      expect((await sh(opened, script, { user })).stdout).toBe('linked\n')
      for (const file of files) expect((await lstat(file)).nlink, file).toBe(1)
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

  it('X14 hands on no descriptor that Bale was started with, however high its number', async () => {
    const { dir } = await open()
    await writeFile(join(dir, 'secret'), 'secret')
    const inherited: Record<number, number> = {
      ...{ 5: openSync(join(dir, 'secret'), 'r'), 20: openSync('/', 'r'), 40: openSync(join(dir, 'secret'), 'r+') },
      ...{ 100: openSync('/proc/self/ns/mnt', 'r'), 200: openSync(join(dir, 'secret'), 'a') },
    }
    onTestFinished(() => Object.values(inherited).forEach(fd => closeSync(fd)))
    const stdio = Array.from({ length: 201 }, (_, fd) => inherited[fd] ?? (fd < 3 ? 'inherit' : 'ignore'))
    const program = join(import.meta.dirname, 'unsandboxed-child.ts')
    const list = (file: string) => `for fd in /proc/$$/fd/*; do readlink $fd; done >${join(dir, file)}`
    const script = `${list('shell')}; for fd in 5 20 40 100 200; do (: <&$fd) && echo $fd >>${join(dir, 'open')}; done 2>/dev/null`
    const child = spawn(process.execPath, [program, supervisorProgram(), script], { stdio: stdio as never })
    expect((await once(child, 'exit'))[0]).toBe(0)
    const found = readFileSync(join(dir, 'shell'), 'utf8').trim().split('\n')
    const harmless = /\/(?:bale-empty-\S+|stdin) \(deleted\)$|^\/dev\/null$|\/dir\/shell$/
    expect(found.filter(target => !harmless.test(target))).toEqual([])
    expect(found.length).toBeGreaterThan(3)
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
