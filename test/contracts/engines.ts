import { chmod, copyFile, mkdir, readFile, readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { Engine, EngineRun, ExitStatus, Mount } from '../../lifecycle/engines/engine.ts'
import { BaleError } from '../../lifecycle/errors.ts'
import { attackProgram } from '../helpers/attack.ts'
import { processesWith, uniqueWord } from '../helpers/processes.ts'
import { failureOf } from '../helpers/failure.ts'

/** An engine in whose runs /bin/sh, setsid(1), env(1) and the like can be started. */
export interface OpenEngine {
  readonly engine: Engine
  /** A fresh directory on the host for a test's files, which the programs' user can write to. */
  readonly dir: string
  /** Where programs see `dir`, or what is below it. */
  show(hostPath: string, access: Mount['access']): Mount
  /** What each run has beside its own mounts. */
  readonly mounts: readonly Mount[]
  readonly network: EngineRun['network']
  readonly user: EngineRun['user']
  /** The directory that the engine may use while it runs. */
  readonly tmpDir: string
}

export interface Result {
  readonly status: ExitStatus
  readonly stdout: string
  readonly stderr: string
}

/** Runs a shell script; what the run does not say is the plainest. */
export async function sh(
  open: OpenEngine,
  script: string,
  changes: Partial<EngineRun> = {},
  signal?: AbortSignal,
): Promise<Result> {
  const chunks: Record<'stdout' | 'stderr', Uint8Array[]> = { stdout: [], stderr: [] }
  const run: EngineRun = {
    argv: ['/bin/sh', '-c', script],
    env: { PATH: '/usr/bin:/bin' },
    workingDir: '/',
    network: open.network,
    user: open.user,
    onOutput: (stream, chunk) => void chunks[stream].push(Buffer.from(chunk)),
    ...changes,
    mounts: [...open.mounts, ...(changes.mounts ?? [])],
  }
  const status = await open.engine.run(run, signal)
  return {
    status,
    stdout: Buffer.concat(chunks.stdout).toString('latin1'),
    stderr: Buffer.concat(chunks.stderr).toString('latin1'),
  }
}

/** What every engine promises (lifecycle/engines/engine.ts). */
export function engineContract(kind: string, openEngine: () => Promise<OpenEngine>): void {
  describe(`${kind}: a run`, () => {
    it('can be checked for beforehand', async () => {
      const { engine } = await openEngine()
      await engine.check()
    })

    it('says how the program ended', async () => {
      const open = await openEngine()
      expect((await sh(open, ':')).status).toEqual({ code: 0 })
      expect((await sh(open, 'exit 7')).status).toEqual({ code: 7 })
      expect((await sh(open, 'exit 127')).status).toEqual({ code: 127 })
      expect((await sh(open, 'kill -KILL $$')).status).toEqual({ signal: 'SIGKILL' })
    })

    it('hands over both streams, to the last byte', async () => {
      const open = await openEngine()
      const { stdout, stderr } = await sh(open, 'head -c 3000000 /dev/zero; printf "\\377\\000end"; printf "err" >&2')
      expect(stdout.length).toBe(3_000_005)
      expect(stdout.slice(-5)).toBe('\xff\0end')
      expect(stderr).toBe('err')
    })

    it('has output that can be opened by its name, as scripts do', async () => {
      const open = await openEngine()
      const result = await sh(open, 'echo one > /dev/stdout; echo two > /dev/stderr; echo three | tee /dev/stderr')
      expect(result).toEqual({ status: { code: 0 }, stdout: 'one\nthree\n', stderr: 'two\nthree\n' })
    })

    it('has nothing to read on standard input', async () => {
      const open = await openEngine()
      expect(await sh(open, 'cat; echo read')).toMatchObject({ status: { code: 0 }, stdout: 'read\n' })
    })

    it('has the environment that was given, and none of ours', async () => {
      const open = await openEngine()
      process.env.BALE_TEST_CANARY = 'canary'
      onTestFinished(() => void delete process.env.BALE_TEST_CANARY)
      const env = {
        PATH: '/usr/bin:/bin',
        A: ' b  c',
        EMPTY: '',
        LINES: 'a\nb\n',
        QUOTES: `'"$(id)\\`,
        'npm_config_//x.test/:a': '1',
      }
      const { stdout } = await sh(open, '', { argv: ['/usr/bin/env', '-0'], env })
      const found = Object.fromEntries(
        stdout
          .split('\0')
          .filter(Boolean)
          .map(entry => [entry.slice(0, entry.indexOf('=')), entry.slice(entry.indexOf('=') + 1)]),
      )
      for (const added of ['PWD', 'HOME', 'SHLVL', '_']) delete found[added]
      expect(found).toEqual(env)
    })

    it('X18 has the arguments that were given, whatever they look like', async () => {
      const open = await openEngine()
      const args = ['--', '--bind', '/etc', '-c', '', ' ', '$(id)', `'"\\`, 'a\nb', '--share-net']
      const { stdout } = await sh(open, '', { argv: ['/bin/sh', '-c', 'printf "%s\\0" "$@"', 'sh', ...args] })
      expect(stdout.split('\0').slice(0, -1)).toEqual(args)
    })

    it('starts in its working directory', async () => {
      const open = await openEngine()
      const mount = open.show(open.dir, 'read-only')
      const { stdout } = await sh(open, 'pwd', { workingDir: mount.path, mounts: [mount] })
      expect(stdout).toBe(`${mount.path}\n`)
    })

    it('reads and writes the files that it is shown, with umask 022 whatever ours is', async () => {
      const open = await openEngine()
      await writeFile(join(open.dir, 'in'), 'from the host')
      await mkdir(join(open.dir, 'sub'), { mode: 0o777 })
      const mount = open.show(open.dir, 'read-write')
      const ours = process.umask(0o077)
      onTestFinished(() => void process.umask(ours))
      const script = `cat in; printf made > out; mkdir made; umask`
      const result = await sh(open, script, { workingDir: mount.path, mounts: [mount] })
      expect(result).toMatchObject({ status: { code: 0 }, stdout: 'from the host0022\n', stderr: '' })
      expect(await readFile(join(open.dir, 'out'), 'utf8')).toBe('made')
      expect((await stat(join(open.dir, 'out'))).mode & 0o777).toBe(0o644)
      expect((await stat(join(open.dir, 'made'))).mode & 0o777).toBe(0o755)
    })

    it('X14 has no descriptors but the three', async () => {
      const open = await openEngine()
      const { stdout } = await sh(open, '', { argv: ['/bin/ls', '-l', '/proc/self/fd'] })
      const descriptors = [...stdout.matchAll(/(\d+) -> (.*)$/gm)].map(match => [match[1], match[2]])
      expect(descriptors[0]).toEqual(['0', expect.stringMatching(/\/stdin \(deleted\)$/)])
      // ls has the directory open, and what leaked into the test itself leads nowhere
      const others = descriptors
        .slice(3)
        .filter(([, to]) => !/\/bale-empty-\S+ \(deleted\)$|^\/proc\/\d+\/fd$/.test(to ?? ''))
      expect(others).toEqual([])
    })

    it('X15 gains nothing by a setuid and setgid program', async () => {
      const open = await openEngine()
      await copyFile('/usr/bin/id', join(open.dir, 'id'))
      await chmod(join(open.dir, 'id'), 0o6755)
      const mount = open.show(open.dir, 'read-only')
      const script = '/usr/bin/id -u; /usr/bin/id -g; ./id -u; ./id -g; ./id -ru; ./id -rg'
      const { stdout } = await sh(open, script, { workingDir: mount.path, mounts: [mount] })
      const [user, group, ...others] = stdout.trim().split('\n')
      expect(others).toEqual([user, group, user, group])
    })

    it('X10 has no terminal, and a session of its own', async () => {
      const open = await openEngine()
      const { stdout } = await sh(open, '(: </dev/tty) 2>/dev/null || echo none; cut -d" " -f6 /proc/self/stat')
      const session = (await readFile('/proc/self/stat', 'utf8')).replace(/^.*\) /, '').split(' ')[3]
      expect(stdout).toMatch(/^none\n\d+\n$/)
      expect(stdout.trim().split('\n')[1]).not.toBe(session)
    })

    it('leaves no core dumps, which hold secrets', async () => {
      const open = await openEngine()
      expect((await sh(open, 'ulimit -H -c')).stdout).toBe('0\n')
    })

    it('keeps runs at the same time apart', async () => {
      const open = await openEngine()
      const long = sh(open, 'sleep 1; echo finished')
      await sh(open, ':')
      await sh(open, ':')
      expect(await long).toMatchObject({ status: { code: 0 }, stdout: 'finished\n' })
    })

    it('leaves nothing in its directory', async () => {
      const open = await openEngine()
      await sh(open, 'echo x >&2')
      await failureOf(sh(open, ':', { workingDir: '/does/not/exist' }))
      expect(await readdir(open.tmpDir)).toEqual([])
    })
  })

  describe(`${kind}: a run that cannot be`, () => {
    const cases: [string, Partial<EngineRun>][] = [
      ['a program that is not there', { argv: ['/does/not/exist', 'argument'] }],
      ['a program that is a directory', { argv: ['/usr'] }],
      ['a program without a path', { argv: ['sh', '-c', ':'] }],
      ['no program', { argv: [] }],
      ['X18 an option for a program', { argv: ['--bind', '/', '/'] }],
      ['a working directory that is not there', { workingDir: '/does/not/exist' }],
      ['a relative working directory', { workingDir: 'tmp' }],
      ['E01 NUL in a variable', { env: { A: 'x\0--bind\0/\0/' } }],
      ['E05 a variable without a name', { env: { '': 'x' } }],
      ['E05 a name with an equals sign', { env: { 'A=B': 'x' } }],
      [
        'a mount of what is not there',
        { mounts: [{ hostPath: '/does/not/exist', path: '/does/not/exist', access: 'read-only' }] },
      ],
      ['X18 a relative mount', { mounts: [{ hostPath: 'usr', path: 'usr', access: 'read-only' }] }],
    ]
    it.each(cases)('is an error of the engine, in one line: %s', async (_name, changes) => {
      const open = await openEngine()
      const output: string[] = []
      const error = await failureOf(
        sh(open, 'echo started', { onOutput: (_, chunk) => void output.push(String(chunk)), ...changes }),
      )
      expect(error).toBeInstanceOf(BaleError)
      expect(error).toMatchObject({ code: 'engine' })
      expect((error as BaleError).message).toMatch(/^[^\n\0]+$/)
      expect(output).toEqual([])
      expect(await readdir(open.tmpDir)).toEqual([])
    })
  })

  describe(`${kind}: the end of a run`, () => {
    it('X16 no process that it started is alive, however it hides', async () => {
      const open = await openEngine()
      const word = uniqueWord()
      const scripts = [
        `sleep ${word} &`,
        `setsid sleep ${word} & setsid sleep ${word} >/dev/null 2>&1 </dev/null & sleep 0.1`,
        // a daemon as they are made: in a session of its own, an orphan, with nothing of its maker's environment
        `(setsid env -i /bin/sh -c '(trap "" TERM HUP INT; sleep ${word}) >/dev/null 2>&1 &') & wait; sleep 0.1`,
        `nohup sleep ${word} >/dev/null 2>&1 & (sleep ${word} &) ; kill -KILL $$`,
      ]
      for (const script of scripts) {
        await sh(open, script)
        expect(await processesWith(word), script).toEqual([])
      }
    })

    it('X16 nothing is written any more', async () => {
      const open = await openEngine()
      const mount = open.show(open.dir, 'read-write')
      await sh(
        open,
        '(setsid sh -c "while :; do echo x >> log; done" >/dev/null 2>&1 &); while ! [ -s log ]; do :; done',
        {
          workingDir: mount.path,
          mounts: [mount],
        },
      )
      const { size } = await stat(join(open.dir, 'log'))
      await sleep(100)
      expect((await stat(join(open.dir, 'log'))).size).toBe(size)
    })

    it('X36 a daemon that resets its limits, closes its descriptors and forks twice is gone', async () => {
      const open = await openEngine()
      const mount = open.show(open.dir, 'read-write')
      const word = uniqueWord()
      await copyFile(attackProgram(), join(open.dir, 'attack'))
      await writeFile(join(open.dir, 'log'), '')
      const script = `./attack chain ${word}; ./attack chain ${word}; ./attack daemon log ${word}
while ! [ -s log ]; do :; done`
      await sh(open, script, { workingDir: mount.path, mounts: [mount] })
      const { size } = await stat(join(open.dir, 'log'))
      expect(size).toBeGreaterThan(0)
      expect(await processesWith(word)).toEqual([])
      await sleep(100)
      expect((await stat(join(open.dir, 'log'))).size).toBe(size)
    })

    it('does not start when it is aborted before', async () => {
      const open = await openEngine()
      const reason = new BaleError('cancelled', 'stop')
      const output: string[] = []
      const run = sh(
        open,
        'echo started',
        { onOutput: (_, chunk) => void output.push(String(chunk)) },
        AbortSignal.abort(reason),
      )
      expect(await failureOf(run)).toBe(reason)
      expect(output).toEqual([])
    })

    it('comes at any moment of its start', async () => {
      const open = await openEngine()
      const word = uniqueWord()
      for (const milliseconds of [0, 1, 2, 4, 8, 12, 16, 24, 32]) {
        const reason = new BaleError('cancelled', `after ${milliseconds} ms`)
        const abort = new AbortController()
        const run = failureOf(sh(open, `sleep ${word}`, {}, abort.signal))
        await sleep(milliseconds)
        abort.abort(reason)
        expect(await run).toBe(reason)
        expect(await processesWith(word)).toEqual([])
      }
    })

    it('lets the program clean up when it is aborted', async () => {
      const open = await openEngine()
      const mount = open.show(open.dir, 'read-write')
      const abort = new AbortController()
      const reason = new BaleError('cancelled', 'stop')
      const script = 'trap "echo cleaned > cleaned; exit 3" TERM; echo ready; while :; do sleep 0.05; done'
      const run = sh(
        open,
        script,
        { workingDir: mount.path, mounts: [mount], onOutput: () => abort.abort(reason) },
        abort.signal,
      )
      expect(await failureOf(run)).toBe(reason)
      expect(await readFile(join(open.dir, 'cleaned'), 'utf8')).toBe('cleaned\n')
    })

    it('D17 comes for a program that ignores SIGTERM', async () => {
      const open = await openEngine()
      const word = uniqueWord()
      const abort = new AbortController()
      const script = `trap "" TERM; (sleep ${word} &); echo ready; while :; do sleep ${word}; done`
      const started = performance.now()
      await failureOf(sh(open, script, { onOutput: () => abort.abort() }, abort.signal))
      expect(await processesWith(word)).toEqual([])
      expect(performance.now() - started).toBeLessThan(15_000)
    })

    it('comes when nobody can take its output', async () => {
      const open = await openEngine()
      const word = uniqueWord()
      const broken = new Error('the terminal is gone')
      const run = sh(open, `echo x; yes; sleep ${word}`, {
        onOutput() {
          throw broken
        },
      })
      expect(await failureOf(run)).toBe(broken)
      expect(await processesWith(word)).toEqual([])
    })
  })
}
