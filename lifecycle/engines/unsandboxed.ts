import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { stat } from 'node:fs/promises'
import { BaleError } from '../errors.ts'
import type { Engine, EngineRun, ExitStatus } from './engine.ts'
import { hasMark, killMarked, newMark, setMark } from './surviving-processes.ts'
import { checkPath } from './mounts.ts'
import { type Outputs, openOutputs } from '../processes/pipe.ts'
import { checkEnvironment, exitOf, launch, requireLinux } from '../processes/launch.ts'
import { onAbort } from './sandbox.ts'

export interface UnsandboxedOptions {
  /** An existing directory for what a run needs for a moment. */
  readonly tmpDir: string
  /** Milliseconds from SIGTERM to SIGKILL when a run is aborted. */
  readonly grace?: number
}

const defaultGrace = 10_000

/**
 * No sandbox: the program is run where Bale is. This is for Bale inside a builder image, whose container is the sandbox
 * and whose files are the root file system; so a mount must be where it is to be, and the network is the container's.
 * Started by root the program gets the run's user id, otherwise it has ours.
 *
 * Of the hostile cases these hold: no descriptors (X14), terminal (X10), environment variable or core dump of ours is
 * handed on, and no process that the run started is alive when it settles (X16), see `killMarked`. These do not: a
 * program with our user id can read our environment and memory (K15, X05), and all files of ours, also those that a
 * run's mount calls read-only; it can signal our processes (X11). Keep secrets out of such a container, or start Bale as
 * root in it. The shell that we start the program with sets PWD, and bash SHLVL.
 */
export function unsandboxedEngine(options: UnsandboxedOptions): Engine {
  let checked: Promise<void> | undefined
  const checkOnce = () => (checked ??= checkMark())
  return {
    name: 'unsandboxed',
    check: checkOnce,
    async run(run, signal) {
      signal?.throwIfAborted()
      await checkOnce()
      await checkRun(run)
      return await runHere(options, run, signal)
    },
  }
}

/** A kernel that only looks like Linux (gVisor) may not have the limit that a run's processes are known by. */
async function checkMark(): Promise<void> {
  requireLinux()
  const mark = newMark()
  const argv = ['/bin/cat', '/proc/self/limits']
  const child = launch({ argv, env: {}, before: setMark(mark), stdio: ['ignore', 'pipe', 'ignore'] })
  let limits = ''
  child.stdout?.on('data', chunk => (limits += String(chunk)))
  await Promise.all([exitOf(child), once(child, 'close')])
  if (hasMark(limits, mark)) return
  throw new BaleError('engine', 'processes that a run leaves behind could not be found', {
    where: 'RLIMIT_LOCKS in /proc/self/limits',
    fix: 'run each phase in a container of its own',
  })
}

async function checkRun(run: EngineRun): Promise<void> {
  checkEnvironment(run.env)
  checkPath(run.workingDir)
  if (run.network === 'none') {
    throw new BaleError('engine', 'without a sandbox, Bale cannot close the network', {
      fix: 'start the container without a network, or use an engine that makes sandboxes',
    })
  }
  for (const { hostPath, path } of run.mounts) {
    checkPath(hostPath)
    if (hostPath !== path) {
      const where = `${hostPath} as ${path}`
      throw new BaleError('engine', 'without a sandbox, Bale cannot show a file in another place', { where })
    }
    await stat(path).catch((cause: unknown) => {
      throw new BaleError('engine', 'what is to be shown is not there', { where: path, cause })
    })
  }
  const program = run.argv[0] ?? ''
  checkPath(program)
  const found = await stat(program).catch(() => undefined)
  if (!found?.isFile() || (found.mode & 0o111) === 0) {
    throw new BaleError('engine', 'there is no such program', { where: program })
  }
}

async function runHere(options: UnsandboxedOptions, run: EngineRun, signal?: AbortSignal): Promise<ExitStatus> {
  const mark = newMark()
  const broken = new AbortController()
  const stop = AbortSignal.any([broken.signal, ...(signal ? [signal] : [])])
  using outputs = await openOutputs(options.tmpDir, run.onOutput.bind(run), error => broken.abort(error))
  let child
  try {
    child = launch({
      ...throughShell(run),
      cwd: run.workingDir,
      user: process.geteuid?.() === 0 ? run.user : undefined,
      before: setMark(mark),
      stdio: [outputs.stdin, outputs.stdout, outputs.stderr],
    })
  } finally {
    outputs.release()
  }
  using _end = endOnAbort(child, stop, options.grace ?? defaultGrace)
  using _discard = onAbort(stop, () => outputs.discard())
  const { code, signal: killedBy } = await exitOf(child)
  await killMarked(mark)
  await closedIn(outputs, 5_000)
  stop.throwIfAborted()
  return killedBy === null ? { code: code ?? 0 } : { signal: killedBy }
}

/** SIGTERM to the program, and SIGKILL if it is still there in the end; what it started goes when it is gone. */
function endOnAbort(child: ChildProcess, signal: AbortSignal, grace: number): Disposable {
  let timer: NodeJS.Timeout | undefined
  const end = () => {
    child.kill('SIGTERM')
    timer = setTimeout(() => child.kill('SIGKILL'), grace)
  }
  if (signal.aborted) end()
  signal.addEventListener('abort', end, { once: true })
  return {
    [Symbol.dispose]() {
      signal.removeEventListener('abort', end)
      clearTimeout(timer)
    },
  }
}

/** dash drops variables whose names it could not use itself, such as npm's; they take the way through env(1). */
function throughShell({ argv, env }: EngineRun): { argv: readonly string[]; env: Readonly<Record<string, string>> } {
  const odd = Object.entries(env).filter(([name]) => !/^[A-Za-z_]\w*$/.test(name))
  if (odd.length === 0) return { argv, env }
  if (argv[0]?.includes('=')) {
    throw new BaleError('engine', 'env(1) would take the program for a variable', { where: argv[0] })
  }
  return { argv: ['/usr/bin/env', '--', ...odd.map(([name, value]) => `${name}=${value}`), ...argv], env }
}

/** Who keeps the output open when all is killed has got rid of the mark on purpose. */
async function closedIn(outputs: Outputs, milliseconds: number): Promise<void> {
  if (await outputs.settled(milliseconds)) return
  throw new BaleError('engine', 'a process that hides from us has survived the run', {
    fix: 'find it in the list of processes; the builder image or a buildpack started it',
  })
}
