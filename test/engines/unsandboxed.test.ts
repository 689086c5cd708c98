import { copyFile, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { unsandboxedEngine } from '../../lifecycle/engines/unsandboxed.ts'
import { hasMark } from '../../lifecycle/engines/surviving-processes.ts'
import { type OpenEngine, engineContract, sh } from '../contracts/engines.ts'
import { failureOf } from '../helpers/failure.ts'

async function open(): Promise<OpenEngine> {
  const base = await mkdtemp(join(tmpdir(), 'bale-test-'))
  onTestFinished(() => rm(base, { recursive: true, force: true }))
  const [dir, tmpDir] = [join(base, 'dir'), join(base, 'tmp')]
  await Promise.all([mkdir(dir), mkdir(tmpDir)])
  return {
    engine: unsandboxedEngine({ tmpDir, grace: 1000 }),
    dir,
    tmpDir,
    show: (hostPath, access) => ({ hostPath, path: hostPath, access }),
    mounts: [],
    network: 'host',
    user: { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 },
  }
}

if (process.platform === 'linux') engineContract('host', open)
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

  it('passing an odd variable to a program that looks like one', async () => {
    const env = { 'npm_config_//x.test/:a': '1' }
    const opened = await open()
    const program = join(opened.dir, 'a=b')
    await copyFile('/bin/true', program)
    const error = await failureOf(sh(opened, '', { argv: [program], env }))
    expect(error).toMatchObject({ code: 'engine', where: program })
    expect((await sh(opened, '', { argv: [program] })).status).toEqual({ code: 0 })
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

describe.runIf(process.platform === 'linux')('the mark of a run', () => {
  it('is read from the hard limit, which a program cannot raise', async () => {
    const limits = await readFile('/proc/self/limits', 'latin1')
    expect(hasMark(limits, 5)).toBe(false)
    const line = 'Max file locks            7                    5                    locks     '
    const marked = limits.replace(/^Max file locks.*$/m, line)
    expect(hasMark(marked, 5)).toBe(true)
    expect(hasMark(marked, 7)).toBe(false)
  })
})
