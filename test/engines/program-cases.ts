import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import type { Mount } from '../../lifecycle/engines/engine.ts'
import { sh } from '../contracts/engines.ts'
import { failureOf } from '../helpers/failure.ts'
import { processesWith, uniqueWord } from '../helpers/processes.ts'
import { openSandbox, runChild, useProbe, user, usr } from './harness.ts'

export function programCases(): void {
  describe('bubblewrap: the system call filter', () => {
    const probe = useProbe()
    if (process.arch === 'x64')
      it('ends programs of another ABI, whose calls it cannot judge', async () => {
        const opened = await openSandbox()
        const run = { argv: ['/probe', 'foreign'], mounts: [probe] }
        expect(await sh(opened, '', run)).toMatchObject({ status: { signal: 'SIGSYS' }, stdout: '' })
        expect((await sh(opened, '', { ...run, argv: ['/probe', 'x32'] })).stdout).toBe('x32 ENOSYS\n')
      })

    it('lets programs with threads, children and pipes be', async () => {
      const node = process.execPath
      const script = `
        const { Worker } = require('worker_threads'), { execFileSync } = require('child_process')
        new Worker('require("worker_threads").parentPort.postMessage(6 * 7)', { eval: true }).on('message', n => {
          console.log(n, execFileSync('/bin/sh', ['-c', 'echo child | cat'], { encoding: 'utf8' }).trim())
        })`
      const opened = await openSandbox()
      const mounts: Mount[] = [{ hostPath: node, path: '/opt/node', access: 'read-only' }]
      expect(await sh(opened, '', { argv: ['/opt/node', '-e', script], mounts })).toEqual({
        status: { code: 0 },
        stdout: '42 child\n',
        stderr: '',
      })
    })
  })

  it("bubblewrap: output that looks like bubblewrap's own words is the program's", async () => {
    const opened = await openSandbox()
    for (const words of ['bwrap: no', 'bwrap: no\n', 'bwrap: no\nmore', 'bw', 'mount: x\n']) {
      const { stderr, status } = await sh(opened, `printf '${words}' >&2; exit 1`)
      expect([stderr, status]).toEqual([words, { code: 1 }])
    }
  })

  describe('bubblewrap: the end', () => {
    const probe = useProbe()
    it('X12 of many processes that do not want to', async () => {
      const opened = await openSandbox()
      const abort = new AbortController()
      const word = `multiply-${uniqueWord()}`
      const run = sh(
        opened,
        '',
        { argv: ['/probe', 'multiply', '300', word], mounts: [probe], onOutput: () => abort.abort() },
        abort.signal,
      )
      await failureOf(run)
      expect(await processesWith(word)).toEqual([])
    })

    it('X16 when we are killed ourselves', async () => {
      const opened = await openSandbox()
      const word = uniqueWord()
      const argv = ['/bin/sh', '-c', `(setsid sleep ${word} &); echo ready; exec sleep ${word}`]
      const settings = { rootfs: opened.rootfs, tmpDir: opened.tmpDir, argv, mounts: [usr], user }
      const child = spawn(process.execPath, [runChild, JSON.stringify(settings)], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      await once(child.stdout, 'data')
      expect((await processesWith(word)).length).toBeGreaterThan(2)
      child.kill('SIGKILL')
      await once(child, 'exit')
      for (let tries = 0; tries < 100 && (await processesWith(word)).length > 0; tries++) await sleep(20)
      expect(await processesWith(word)).toEqual([])
    })
  })
}
