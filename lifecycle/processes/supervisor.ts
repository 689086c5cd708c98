import type { ChildProcess } from 'node:child_process'
import { constants } from 'node:os'
import type { Duplex } from 'node:stream'
import { BaleError } from '../errors.ts'
import { exitOf, spawnProgram } from './launch.ts'
import { type Restrictions, restrictionOptions } from './restrictions.ts'

export interface SupervisorOptions {
  /** distribution/supervisor, built for this machine. */
  readonly supervisor: string
  readonly argv: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly cwd: string
  /** Undefined if the program runs as this process's user. */
  readonly user: { readonly uid: number; readonly gid: number } | undefined
  /** The program's first three descriptors. */
  readonly stdio: readonly [number | 'ignore', number | 'ignore', number | 'ignore']
  readonly restrictions?: Restrictions | undefined
  /** The most threads and processes at one time; no limit by default. */
  readonly pids?: number | undefined
}

type ExitStatus = { readonly code: number } | { readonly signal: string }

export interface Supervised {
  /** Sends SIGTERM to the program alone. */
  terminate(): void
  /** Sends SIGKILL to the program and to everything that it started. */
  kill(): void
  /**
   * Returns how the program ended, once nothing that it started is alive.
   * @throws BaleError 'engine' if it could not be started, or if its end is unknown
   */
  readonly ended: Promise<ExitStatus>
}

/** In bytes: a report is one short line. */
const longestReport = 4096

/**
 * Starts a program under a supervisor, which kills everything that the program leaves behind (X16, X36): see
 * distribution/supervisor.
 */
export function supervise(options: SupervisorOptions): Supervised {
  const { supervisor, argv, env, cwd, user, stdio, restrictions = {}, pids } = options
  const ids = user === undefined ? ['-', '-'] : [String(user.uid), String(user.gid)]
  const limits = [...(pids === undefined ? [] : ['--pids', String(pids)]), ...restrictionOptions(restrictions)]
  const child = spawnProgram(supervisor, [...limits, ...ids, ...argv], {
    env: { ...env },
    cwd,
    detached: true, // its own session: a terminal's Ctrl-C reaches it only through Bale
    stdio: [...stdio, 'pipe'],
  })
  const socket = child.stdio[3] as Duplex
  return {
    terminate: () => void socket.write('T'),
    kill: () => void socket.write('K'),
    ended: ending(child, socket, argv[0] ?? ''),
  }
}

async function ending(child: ChildProcess, socket: Duplex, program: string): Promise<ExitStatus> {
  const [report] = await Promise.all([readReport(socket), exitOf(child)])
  // The program's first process also reports if it cannot exec the program.
  const [first = '', ...rest] = report.trimEnd().split('\n')
  const failure = /^failed (.*)$/.exec(first)
  if (failure !== null) throw failureOf(failure[1] as string, program)
  const exceeded = /^exceeded pids (\d+)$/.exec(first)
  if (exceeded !== null && rest.length === 0) throw tooManyProcesses(Number(exceeded[1]))
  const ended = rest.length === 0 ? /^ended (code|signal) (\d+)$/.exec(first) : null
  if (ended === null) {
    throw new BaleError(
      'engine',
      'the process that supervises buildpacks was killed, so some of their processes may still run',
      {
        fix: 'build again; do not trust a buildpack that does this again. A creator that runs as root is protected from it',
      },
    )
  }
  const [, how, text] = ended
  if (how === 'code') return { code: Number(text) }
  const signal = Object.entries(constants.signals).find(([, number]) => number === Number(text))
  return { signal: signal?.[0] ?? `signal ${text}` }
}

/** `cause` is an error of the operating system for a program that cannot be executed. */
function failureOf(text: string, program: string): BaleError {
  const detail = /^the program cannot be started: (.*)$/.exec(text)?.[1]
  if (detail === undefined) return new BaleError('engine', text, { where: program })
  const code = detail === 'no such file or directory' ? 'ENOENT' : 'ENOEXEC'
  return new BaleError('engine', text, { where: program, cause: Object.assign(new Error(detail), { code }) })
}

function tooManyProcesses(limit: number): BaleError {
  const message = `the buildpacks had more than ${limit} processes and threads at one time, and were stopped`
  return new BaleError('failed', message, {
    fix: 'raise --pids (for creator: BALE_PIDS), or make the build start fewer',
  })
}

/** Waits until the other end is closed. A killed supervisor sends no report. */
function readReport(socket: Duplex): Promise<string> {
  let text = ''
  socket.on('data', chunk => {
    if (text.length < longestReport) text += String(chunk)
  })
  socket.on('error', () => {})
  return new Promise(resolve => socket.once('close', () => resolve(text)))
}
