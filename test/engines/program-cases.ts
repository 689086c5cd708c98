import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import type { Mount } from '../../lifecycle/engines/engine.ts'
import { sh } from '../contracts/engines.ts'
import { failureOf } from '../helpers/failure.ts'
import { processesWith, uniqueWord } from '../helpers/processes.ts'
import { writeTree } from '../helpers/tree.ts'
import { type Limits, openCgroup } from '../../lifecycle/engines/cgroup.ts'
import { skip } from '../helpers/skip.ts'
import { type OpenSandbox, openSandbox, runChild, starter, useProbe, user, usr } from './harness.ts'

/** Whether the current user can create control groups with these limits. */
async function hasGroups(limits: Limits): Promise<boolean> {
  await using group = openCgroup(limits)
  return group !== undefined
}

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

    it('X12 X45 of a fork bomb: as many processes as are allowed, whoever started it', async ctx => {
      // As many as there can be, counted while all of them live; the shell says `Cannot fork` and goes on.
      const script = 'for i in $(seq 1 200); do sleep 5 & done 2>/dev/null; set -- /proc/[0-9]*; echo $#'
      const opened = await openSandbox({ limits: { pids: 64 } })
      if (process.geteuid?.() === 0 && !(await hasGroups({ pids: 64 })))
        return skip(ctx, 'root is held by control groups only, and there can be none here')
      // dash ends when it cannot fork: what counts is how many there were.
      const { stdout } = await sh(opened, `(${script}); set -- /proc/[0-9]*; echo $#`)
      expect(Number(stdout.trim().split('\n')[0])).toBeGreaterThan(30)
      expect(Number(stdout.trim().split('\n')[0])).toBeLessThanOrEqual(66)
    })

    it('X12 of a build that takes more memory than it may: it says so, and we live', async () => {
      const limits = { pids: 4096, memory: 64 * 1024 * 1024 }
      const opened = await openSandbox({ limits })
      const run = failureOf(sh(opened, 'head -c 300000000 /dev/zero | tail -c 250000000 >/dev/null; exit 3'))
      // Without a control group it is measured.
      expect(await run).toMatchObject({
        message: expect.stringContaining('ran out of memory') as string,
        fix: expect.stringContaining('--memory') as string,
      })
    })

    it('X12 of a build that writes more than it may: it says how much, and what to do', async () => {
      const opened = await openSandbox({ limits: { disk: 20_000_000 } })
      const mounts = [opened.show(opened.dir, 'read-write')]
      const run = failureOf(sh(opened, 'head -c 60000000 /dev/zero >/layers/large; sleep 60', { mounts }))
      expect(await run).toMatchObject({
        message: expect.stringContaining('more than the limit of 20 MB') as string,
        fix: expect.stringContaining('--disk') as string,
      })
    })

    it('X46 of what fills all file systems in memory: together they are smaller than the memory', async () => {
      const { stdout } = await sh(
        await openSandbox(),
        'df -B1 --output=size /tmp /var/tmp /home /dev/shm | tail -n +2; grep MemTotal /proc/meminfo',
      )
      const numbers = stdout.match(/\d+/g)?.map(Number) ?? []
      const total = (numbers.pop() ?? 0) * 1024
      expect(numbers.length).toBe(4)
      expect(numbers.reduce((a, b) => a + b)).toBeLessThanOrEqual(0.76 * total)
    })

    const sandboxIn = ({ rootfs, tmpDir }: OpenSandbox, argv: string[], bwrap?: string): ChildProcess => {
      const settings = { rootfs, tmpDir, argv, mounts: [usr], user, bwrap, ...starter() }
      return spawn(process.execPath, [runChild, JSON.stringify(settings)], { stdio: ['ignore', 'pipe', 'inherit'] })
    }
    const kill = async (child: ChildProcess): Promise<void> => {
      const exit = once(child, 'exit')
      child.kill('SIGKILL')
      await exit
    }
    /** When there is none with the word, or after some seconds. */
    const gone = async (word: string): Promise<number[]> => {
      for (let tries = 0; tries < 200 && (await processesWith(word)).length > 0; tries++) await sleep(20)
      return processesWith(word)
    }

    it('X16 when we are killed ourselves', async () => {
      const word = uniqueWord()
      const argv = ['/bin/sh', '-c', `(setsid sleep ${word} &); echo ready; exec sleep ${word}`]
      const child = sandboxIn(await openSandbox(), argv)
      await once(child.stdout!, 'data')
      expect((await processesWith(word)).length).toBeGreaterThan(2)
      await kill(child)
      expect(await gone(word)).toEqual([])
    })

    it('X16 when we are killed ourselves before bubblewrap has begun', async () => {
      const opened = await openSandbox()
      const [bwrap, begun, goOn] = ['bwrap', 'begun', 'go-on'].map(name => join(opened.base, name)) as [
        string,
        string,
        string,
      ]
      const script = `[ "$1" = --help ] || { : >${begun}; until [ -e ${goOn} ]; do sleep 0.01; done; }; exec bwrap "$@"`
      await writeTree(opened.base, { bwrap: { script } })
      const word = uniqueWord()
      const child = sandboxIn(opened, ['/bin/sleep', word], bwrap)
      while (!existsSync(begun)) await sleep(5)
      await kill(child)
      await writeFile(goOn, '')
      expect(await gone(word)).toEqual([])
    })

    it('X16 when we are killed ourselves at any moment of its start', async () => {
      const opened = await openSandbox()
      for (const milliseconds of [0, 1, 2, 3, 4, 6, 8, 10, 12, 14, 16, 20]) {
        const word = uniqueWord()
        const child = sandboxIn(opened, ['/bin/sleep', word])
        while ((await processesWith(word)).length < 2) await sleep(1) // ours, and the first of the sandbox's
        await sleep(milliseconds)
        await kill(child)
        expect(await gone(word), `killed after ${milliseconds} ms`).toEqual([])
      }
    })
  })
}
