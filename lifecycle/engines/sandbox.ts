import { readdirSync } from 'node:fs'
import type { Readable, Writable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { BaleError } from '../errors.ts'
import type { Bwrap } from './bwrap.ts'
import { exitOf, launch, systemPath } from '../processes/launch.ts'
import { type ProcessHandle, findProcess, isRunning, readProc, sendSignal } from '../processes/proc.ts'
import { type Starter, starterArgv } from './host-user.ts'
import { seccompArch, seccompFilter } from '../processes/seccomp.ts'

export interface SandboxOptions {
  readonly bwrap: Bwrap
  /** bubblewrap's options; see `descriptor`. */
  readonly options: readonly string[]
  readonly argv: readonly string[]
  /** Descriptors stay ours: close them when this returns. Bytes can be read from theirs. */
  readonly descriptors?: readonly (number | Uint8Array)[]
  /** The first three descriptors of the program. */
  readonly stdio: readonly ['ignore' | number, 'ignore' | number, 'ignore' | number]
  readonly wrapper?: Wrapper
  /** Joins a control group and becomes the rest of its arguments. */
  readonly joinGroup?: readonly string[]
  /** For a sandbox without a control group: threads and processes, besides those that its user has now. */
  readonly pids?: number
  /** Becomes bubblewrap last: see landlock.ts. */
  readonly landlock?: string | undefined
  /** Makes all of it another user's than ours. */
  readonly as?: Starter | undefined
}

/** What becomes bubblewrap, which it finds at the end of its arguments: `unshare …`. */
export interface Wrapper {
  readonly argv: readonly string[]
  readonly cwd: string
  /** `cwd`, as a starter shows it. */
  readonly place?: string | undefined
  /** Shell commands to be run first. */
  readonly before: string
}

export interface Sandbox {
  /** To the program, or to all in its process group as a terminal does; false before it runs and afterwards. */
  signal(name: NodeJS.Signals, whom: 'program' | 'group'): boolean
  /** SIGKILL, to everything inside. */
  kill(): void
  /** The first process inside, whose descendants are all others; undefined before it runs. */
  first(): number | undefined
  /** When nothing inside is alive. */
  readonly ended: Promise<Ending>
}

/** `never-ran`: bubblewrap could not make the sandbox or found no such program in it; if not begun, it was not even reached. */
export type Ending =
  { readonly state: 'ran'; readonly code: number } | { readonly state: 'never-ran'; readonly begun: boolean }

const argsFd = 3
const seccompFd = 4
const statusFd = 5
/** Where a wrapper may keep standard error while it says nothing: shells name no descriptor above 9, and ours may go beyond that. */
export const keptFd = 6
export const firstFd = 7
/** How bubblewrap's options call the nth of `descriptors`. */
export const descriptor = (n: number): string => String(firstFd + n)

/** bubblewrap's MAX_ARGS. */
const mostOptions = 9000
/**
 * Threads and processes of one user, against a fork bomb (X12): those outside of the sandbox count too. The kernel never holds
 * root to it. Shells disagree on the letter.
 */
function processLimit(pids: number | undefined, user = process.geteuid?.()): string {
  const limit = pids === undefined ? 16_384 : pids + tasksOf(user)
  return `ulimit -u ${limit} 2>/dev/null || ulimit -p ${limit} 2>/dev/null`
}

/** Threads of all processes of a user. */
function tasksOf(user: number | undefined): number {
  let count = 0
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const status = readProc(`${name}/status`) ?? ''
    if (Number(/^Uid:\t\d+\t(\d+)/m.exec(status)?.[1]) !== user) continue
    count += Number(/^Threads:\t(\d+)/m.exec(status)?.[1] ?? 0)
  }
  return count
}

/** When the machine has no memory left, the kernel ends processes of the sandbox before us, who say what happened. */
const preferred = '{ echo 500 >/proc/self/oom_score_adj; } 2>/dev/null'
/**
 * The nodes in /dev are the host's, and for a sandbox that root starts they are its user's own: a chmod of /dev/null
 * would be the host's. On a read-only mount devices can be written to, and nothing about them changed. What is mounted
 * below, as /dev/shm, stays: what the sandbox is to see may be there. A descriptor of a device leads to the mount that it was
 * opened on, so those that the caller gave us are opened anew (X39); not those of a terminal, which is the user's to share.
 */
const guardDevices = `
mount --rbind /dev /dev && mount -o remount,bind,ro /dev || exit
for fd in 0 1 2; do
  device=$(readlink "/proc/$$/fd/$fd") || continue
  case $device in /dev/null | /dev/zero | /dev/full | /dev/random | /dev/urandom) eval "exec $fd<>$device" || exit ;; esac
done
exec "$@"`
/**
 * Ends what it starts when we are gone, killed or not: bubblewrap's --die-with-parent is only heard once its processes have
 * asked for it, and before that the first of them would wait for ever, or start the program with nobody to end it (X16). Who
 * watches has the other end of a socket of ours, which the kernel closes with us. bubblewrap's parent is then a shell that
 * lives, so bubblewrap does too; it is stopped, for it to start nothing more while the sandbox it may have made is ended.
 */
const watch = `
{
  read -r _ <&${statusFd}
  read -r self _ </proc/self/stat
  for pid in $(cat /proc/$$/task/$$/children); do
    [ "$pid" = "$self" ] || { kill -STOP "$pid"; kill -KILL $(cat "/proc/$pid/task/$pid/children"); }
  done
  kill -KILL 0
} 2>/dev/null &
"$@"
exit $?`
/** How long a killed process may take to go; only one that waits for a broken disk or network share takes long. */
const patience = 60_000

/** Starts bubblewrap. Nothing of ours but what is in the options gets inside: no environment, descriptor or terminal. */
export function startSandbox(sandbox: SandboxOptions): Sandbox {
  const { bwrap, argv, stdio, wrapper, landlock, joinGroup = [], pids, as } = sandbox
  const ours = sandbox.descriptors ?? []
  const descriptors = [...ours, ...(as?.places.descriptors ?? [])]
  const start = as === undefined ? deviceGuard() : starterArgv(as, firstFd + ours.length, wrapper)
  // Options hold the environment: in a pipe they are in no command line that others can read, and have no size limit.
  const options = Buffer.from(joinOptions(sandbox.options))
  const filter = seccompFilter(seccompArch())
  const own = ['--args', String(argsFd), '--seccomp', String(seccompFd), '--json-status-fd', String(statusFd)]
  const child = launch({
    argv: [
      ...['sh', '-c', watch, 'sh', ...joinGroup, ...start, ...(wrapper?.argv ?? [])],
      ...(landlock === undefined ? [] : [landlock, '--sockets', '--mounting']),
      ...[bwrap.path, ...own, '--', ...argv],
    ],
    cwd: wrapper?.cwd ?? '/',
    env: { PATH: systemPath },
    before: [
      `exec ${keptFd}>&-`,
      processLimit(pids, as?.user.id),
      preferred,
      ...(wrapper ? [wrapper.before] : []),
    ].join('; '),
    stdio: [...stdio, 'pipe', 'pipe', 'pipe', 'ignore', ...descriptors.map(d => (typeof d === 'number' ? d : 'pipe'))],
  })
  const pipes: readonly unknown[] = child.stdio
  feed(pipes[argsFd] as Writable, options)
  feed(pipes[seccompFd] as Writable, filter)
  for (const [n, content] of descriptors.entries()) {
    if (typeof content !== 'number') feed(pipes[firstFd + n] as Writable, content)
  }

  // The first process of the PID namespace, bubblewrap's own: when it is gone the kernel has ended all others.
  let init: ProcessHandle | undefined
  let ran = false
  const onStatus = (line: string): void => {
    const status = JSON.parse(line) as Record<string, number>
    if (status['child-pid'] !== undefined) init = findProcess(status['child-pid'])
    if (status['exit-code'] !== undefined) ran = true // told only if the program was started
  }
  const told = readLines(pipes[statusFd] as Readable, onStatus).catch(() => {}) // cut off: as good as not told
  const killInit = (): void => {
    if (init !== undefined && isRunning(init)) sendSignal(init.pid, 'SIGKILL')
  }
  // An init that bubblewrap has only just made would wait for it for ever; until it is told of, it is in our group.
  const killStarting = (): void => {
    if (child.pid !== undefined) sendSignal(-child.pid, 'SIGKILL')
  }
  const end = async (): Promise<Ending> => {
    const { code } = await exitOf(child)
    killStarting()
    // bubblewrap leaves as soon as the program has ended, and daemons of the program may still be there (X16).
    killInit()
    await Promise.race([told, sleep(patience, undefined, { ref: false })])
    killInit()
    await untilGone(init)
    return ran && code !== null ? { state: 'ran', code } : { state: 'never-ran', begun: init !== undefined }
  }
  const signal: Sandbox['signal'] = (name, whom) => {
    const program = firstChild(init)
    if (init === undefined || program === undefined) return false
    // init leads the group; the kernel spares the first process of a namespace all signals but SIGKILL.
    sendSignal(whom === 'group' ? -init.pid : program, name)
    return true
  }
  const first = (): number | undefined => init?.pid
  return { signal, first, kill: () => (init === undefined ? killStarting() : killInit()), ended: end() }
}

/**
 * Once the signal is aborted the program gets a SIGTERM, and after `grace` milliseconds all that is left a SIGKILL.
 * bubblewrap itself passes no signal on: it would just die, and everything inside with it.
 */
export function endOnAbort(sandbox: Sandbox, signal: AbortSignal | undefined, grace: number): Disposable {
  let timer: NodeJS.Timeout | undefined
  const end = () => {
    if (grace === 0 || !sandbox.signal('SIGTERM', 'program')) return sandbox.kill()
    timer = setTimeout(() => sandbox.kill(), grace)
  }
  if (signal?.aborted) end()
  signal?.addEventListener('abort', end, { once: true })
  return {
    [Symbol.dispose]() {
      signal?.removeEventListener('abort', end)
      clearTimeout(timer)
    },
  }
}

/** Calls back once the signal is aborted, at once if it is already; not after disposal. */
export function onAbort(signal: AbortSignal | undefined, callback: () => void): Disposable {
  if (signal?.aborted) callback()
  signal?.addEventListener('abort', callback, { once: true })
  return { [Symbol.dispose]: () => signal?.removeEventListener('abort', callback) }
}

/** Nothing for an ordinary user, and for a root that cannot mount. To another user than root the devices are root's. */
function deviceGuard(): string[] {
  const capabilities = /^CapEff:\s*([0-9a-f]+)$/m.exec(readProc('self/status') ?? '')?.[1] ?? '0'
  const canMount = (BigInt(`0x${capabilities}`) >> 21n) & 1n // CAP_SYS_ADMIN
  if (process.geteuid?.() !== 0 || !canMount) return []
  return ['unshare', '--mount', '--', 'sh', '-c', guardDevices, 'sh']
}

function joinOptions(options: readonly string[]): string {
  const bad = options.find(option => option.includes('\0'))
  if (bad !== undefined) throw new BaleError('engine', 'a NUL in a path', { where: JSON.stringify(bad) })
  if (options.length > mostOptions) {
    throw new BaleError('engine', `bubblewrap takes ${mostOptions} words of options, and these are ${options.length}`, {
      fix: 'pass fewer environment variables: each takes three words',
    })
  }
  return options.map(option => `${option}\0`).join('')
}

function feed(pipe: Writable, bytes: Uint8Array): void {
  pipe.on('error', () => {}) // bubblewrap has ended already; how it ended says more
  pipe.end(bytes)
}

async function readLines(stream: Readable, onLine: (line: string) => void): Promise<void> {
  let rest = ''
  stream.setEncoding('utf8')
  for await (const text of stream) {
    const lines = (rest + (text as string)).split('\n')
    rest = lines.pop() ?? ''
    lines.filter(Boolean).forEach(onLine)
  }
}

/** bubblewrap's init has the program as its first child; what the program leaves behind comes after it. */
function firstChild(init: ProcessHandle | undefined): number | undefined {
  if (init === undefined || !isRunning(init)) return undefined
  const children = readProc(`${init.pid}/task/${init.pid}/children`)
  return children ? parseInt(children, 10) || undefined : undefined
}

async function untilGone(init: ProcessHandle | undefined): Promise<void> {
  const deadline = performance.now() + patience
  for (let pause = 1; init !== undefined && isRunning(init); pause = Math.min(2 * pause, 100)) {
    if (performance.now() > deadline) {
      throw new BaleError('engine', 'the sandbox does not end, although it was killed', {
        where: `process ${init.pid}`,
      })
    }
    await sleep(pause)
  }
}
