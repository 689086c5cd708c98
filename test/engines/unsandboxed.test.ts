import { spawn } from 'node:child_process'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { supervise } from '../../lifecycle/processes/supervisor.ts'
import { unsandboxedEngine } from '../../lifecycle/engines/unsandboxed.ts'
import { type OpenEngine, engineContract, sh } from '../contracts/engines.ts'
import { failureOf } from '../helpers/failure.ts'
import { processesWith, uniqueWord } from '../helpers/processes.ts'
import { supervisorProgram } from '../helpers/supervisor.ts'

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
  it('X36 that a program of its user has killed is an error: what the program left cannot be relied on', async () => {
    const opened = await open()
    const error = await failureOf(sh(opened, 'kill -KILL $PPID; sleep 0.2'))
    expect(error).toMatchObject({ code: 'engine', message: expect.stringContaining('was killed') as string })
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
