import { constants } from 'node:fs'
import { access, stat } from 'node:fs/promises'
import { BaleError } from '../errors.ts'
import type { Engine, EngineRun, ExitStatus } from './engine.ts'
import { confined } from './landlock.ts'
import { checkPath } from './mounts.ts'
import { checkEnvironment, requireLinux } from '../processes/launch.ts'
import { type Outputs, openOutputs } from '../processes/pipe.ts'
import { type Supervised, supervise } from '../processes/supervisor.ts'
import { onAbort } from './sandbox.ts'

export interface UnsandboxedOptions {
  /** An existing directory for temporary files of a run. */
  readonly tmpDir: string
  /** distribution/supervisor, built for this machine. */
  readonly supervisor: string
  /**
   * The program of landlock/main.c, if the kernel supports it (`landlockVersions.files`). A run then sees only the files of its
   * mounts and the system files that a build needs, and can neither inspect nor signal processes outside.
   */
  readonly landlock?: string | undefined
  /** Milliseconds from SIGTERM to SIGKILL when a run is aborted. */
  readonly grace?: number
  /** The most threads and processes at one time; 4096 by default. */
  readonly pids?: number | undefined
  /** Real paths of Bale's directories that no program may write to, as far as the kernel can enforce it. */
  readonly readOnly?: readonly string[] | undefined
}

const defaultPids = 4096

const defaultGrace = 10_000

/**
 * No sandbox: the program runs in Bale's own environment. This is for Bale inside a builder image, whose container is the sandbox
 * and whose files are the root file system. So the files of a mount must already be at its path, and the network is the container's.
 * Started by root, the program gets the run's user id; otherwise it has Bale's.
 *
 * It still isolates in these ways: no descriptors (X14), terminal (X10), environment variable or core dump of Bale is
 * handed on, setuid programs give nothing (X15), and no process that the run started is alive when it settles (X16, X36; under
 * QEMU, see `warnOfOrphans`).
 * On Linux 6.12 and newer, a program with Bale's user id cannot signal Bale's processes (X11) or read Bale's environment and
 * memory (K15, X05), reaches no abstract unix sockets (X06, X38), and cannot write to `readOnly` (X27). On older kernels, it
 * can kill the supervisor, which is an error of the run, and environment and memory are safe only if the kernel treats Bale as
 * an unreadable program (distribution/dispatcher). If root starts Bale, the program cannot reach it. With `landlock`, a program
 * also reads only files of its mounts and of the system, from Linux 5.19 on.
 *
 * Processes are counted four times a second: a fork bomb is ended when it exceeds the limit (X45). Memory and disk space
 * are those of the container.
 */
export function unsandboxedEngine(options: UnsandboxedOptions): Engine {
  let checked: Promise<void> | undefined
  const checkOnce = () => (checked ??= checkSupervisor(options.supervisor))
  return {
    name: options.landlock === undefined ? 'unsandboxed' : 'landlock',
    check: checkOnce,
    async run(run, signal) {
      signal?.throwIfAborted()
      await checkOnce()
      await checkRun(run)
      return await runHere(options, run, signal)
    },
  }
}

/** Runs nothing under the supervisor, to see whether this kernel has what it needs. */
async function checkSupervisor(supervisor: string): Promise<void> {
  requireLinux()
  await access(supervisor, constants.X_OK).catch((cause: unknown) => {
    throw new BaleError('engine', 'the program that supervises the processes of buildpacks is missing', {
      where: supervisor,
      fix: 'use a complete lifecycle, as npm run dist makes it',
      cause,
    })
  })
  const argv = ['/bin/sh', '-c', ':']
  await supervise({ supervisor, argv, env: {}, cwd: '/', user: undefined, stdio: ['ignore', 'ignore', 'ignore'] }).ended
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
      throw new BaleError('engine', 'without a sandbox, Bale cannot mount a file at another path', { where })
    }
    await stat(path).catch((cause: unknown) => {
      throw new BaleError('engine', 'the file to mount does not exist', { where: path, cause })
    })
  }
  const program = run.argv[0] ?? ''
  checkPath(program)
  const found = await stat(program).catch(() => undefined)
  if (!found?.isFile() || (found.mode & 0o111) === 0) {
    throw new BaleError('engine', 'the program does not exist', { where: program })
  }
}

async function runHere(options: UnsandboxedOptions, run: EngineRun, signal?: AbortSignal): Promise<ExitStatus> {
  const broken = new AbortController()
  const stop = AbortSignal.any([broken.signal, ...(signal ? [signal] : [])])
  using outputs = await openOutputs(options.tmpDir, run.onOutput.bind(run), error => broken.abort(error))
  let supervised
  try {
    supervised = supervise({
      supervisor: options.supervisor,
      argv: options.landlock === undefined ? run.argv : confined(options.landlock, run),
      env: run.env,
      cwd: run.workingDir,
      user: process.geteuid?.() === 0 ? run.user : undefined,
      restrictions: { systemCalls: true, sockets: true, signals: true, readOnly: options.readOnly ?? [] },
      pids: options.pids ?? defaultPids,
      stdio: [outputs.stdin, outputs.stdout, outputs.stderr],
    })
  } finally {
    outputs.release()
  }
  using _end = endOnAbort(supervised, stop, options.grace ?? defaultGrace)
  using _discard = onAbort(stop, () => outputs.discard())
  const status = await supervised.ended
  await closedIn(outputs, 5_000)
  stop.throwIfAborted()
  return status
}

/** Sends SIGTERM to the program, and SIGKILL to all processes if it has not ended after the grace time. */
function endOnAbort(supervised: Supervised, signal: AbortSignal, grace: number): Disposable {
  let timer: NodeJS.Timeout | undefined
  const end = () => {
    supervised.terminate()
    timer = setTimeout(() => supervised.kill(), grace)
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

/** Called when all processes of the run have ended: a process that keeps the output open existed before, and was given it. */
async function closedIn(outputs: Outputs, milliseconds: number): Promise<void> {
  if (await outputs.settled(milliseconds)) return
  throw new BaleError('engine', 'a process that this run did not start keeps the output open', {
    fix: 'find it in the list of processes; the builder image or a buildpack started it',
  })
}
