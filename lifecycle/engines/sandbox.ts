import { readdirSync } from 'node:fs'
import type { Readable, Writable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { BaleError } from '../errors.ts'
import type { Bwrap } from './bwrap.ts'
import { exitOf, launch, systemPath } from '../processes/launch.ts'
import { type ProcessHandle, findProcess, isRunning, readProc, sendSignal } from '../processes/proc.ts'
import { type Starter, starterArgv } from './host-user.ts'
import { seccompArch, seccompFilter } from '../processes/seccomp.ts'
import type { Wrapper } from './wrapper.ts'

export interface SandboxOptions {
  readonly bwrap: Bwrap
  /** bubblewrap's options; see `descriptor`. */
  readonly options: readonly string[]
  readonly argv: readonly string[]
  /** The caller keeps the descriptors: close them when this returns. Bytes become readable descriptors inside. */
  readonly descriptors?: readonly (number | Uint8Array)[]
  /** The first three descriptors of the program. */
  readonly stdio: readonly ['ignore' | number, 'ignore' | number, 'ignore' | number]
  readonly wrapper?: Wrapper
  /** A command that joins a control group and executes the rest of its arguments. */
  readonly joinGroup?: readonly string[]
  /** A command that maps the ids of the wrapper's user namespace, and executes the rest of its arguments: see subordinate.ts. */
  readonly mapper?: readonly string[]
  /** For a sandbox without a control group: the limit of threads and processes, in addition to its user's present ones. */
  readonly pids?: number
  /** The last command before bubblewrap: see landlock.ts. */
  readonly landlock?: string | undefined
  /** Runs the whole sandbox as another user. */
  readonly as?: Starter | undefined
}

export interface Sandbox {
  /** Signals the program or, as a terminal does, its process group; false if the program does not run. */
  signal(name: NodeJS.Signals, whom: 'program' | 'group'): boolean
  /** Sends SIGKILL to all processes inside. */
  kill(): void
  /** The first process inside, the ancestor of all others; undefined before it runs. */
  first(): number | undefined
  /** Resolves when all processes inside have ended. */
  readonly ended: Promise<Ending>
}

/** `never-ran`: bubblewrap could not make the sandbox or found no such program in it; without `begun`, bubblewrap itself was not reached. */
export type Ending =
  { readonly state: 'ran'; readonly code: number } | { readonly state: 'never-ran'; readonly begun: boolean }

const argsFd = 3
const seccompFd = 4
const statusFd = 5
/** Where a wrapper keeps standard error while it is silenced. Shells name no descriptor above 9, but Bale's may be higher. */
export const keptFd = 6
export const firstFd = 7
/** The name of the nth of `descriptors` in bubblewrap's options. */
export const descriptor = (n: number): string => String(firstFd + n)

/** bubblewrap's MAX_ARGS. */
const mostOptions = 9000
/**
 * Limits threads and processes of a user, against a fork bomb (X12). Processes outside of the sandbox count, too. The kernel does
 * not limit root. Shells disagree on ulimit's letter.
 */
function processLimit(pids: number | undefined, user = process.geteuid?.()): string {
  const limit = pids === undefined ? 16_384 : pids + tasksOf(user)
  return `ulimit -u ${limit} 2>/dev/null || ulimit -p ${limit} 2>/dev/null`
}

/** Counts the threads of all processes of a user. */
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

/** If the machine runs out of memory, the kernel kills processes of the sandbox first, so that Bale can report it. */
const preferred = '{ echo 500 >/proc/self/oom_score_adj; } 2>/dev/null'
/**
 * The nodes in /dev are the host's, and the user of a sandbox that root starts owns them: a chmod of /dev/null
 * would change the host's. On a read-only mount, programs can write to devices but not change their attributes. Mounts
 * below, such as /dev/shm, stay: files for the sandbox may be there. A descriptor of a device leads to the mount that it was
 * opened on, so the caller's descriptors are reopened (X39), except those of a terminal, which the user shares.
 */
const guardDevices = `
mount --rbind /dev /dev && mount -o remount,bind,ro /dev || exit
for fd in 0 1 2; do
  device=$(readlink "/proc/$$/fd/$fd") || continue
  case $device in /dev/null | /dev/zero | /dev/full | /dev/random | /dev/urandom) eval "exec $fd<>$device" || exit ;; esac
done
exec "$@"`
/**
 * Ends the sandbox when this process ends in any way: bubblewrap's --die-with-parent only works once its processes have
 * requested it. Before, the first of them would wait forever, or start a program that nothing ends (X16). The
 * watcher has the other end of a socket, which the kernel closes with this process. bubblewrap's parent is then a shell that
 * lives, so bubblewrap lives, too. The watcher stops it, so that it starts nothing more while its sandbox is being ended.
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
/** How long a killed process may take to end. Only one that waits for a broken disk or network share takes long. */
const patience = 60_000

/** Starts bubblewrap. Only the options get inside: no environment, descriptor or terminal of this process. */
export function startSandbox(sandbox: SandboxOptions): Sandbox {
  const { bwrap, argv, stdio, wrapper, landlock, joinGroup = [], mapper = [], pids, as } = sandbox
  const ours = sandbox.descriptors ?? []
  const descriptors = [...ours, ...(as?.places.descriptors ?? [])]
  const start = as === undefined ? deviceGuard() : starterArgv(as, firstFd + ours.length, wrapper)
  // Options contain the environment. In a pipe, other users cannot read them as a command line, and there is no size limit.
  const options = Buffer.from(joinOptions(sandbox.options))
  const filter = seccompFilter(seccompArch())
  const own = ['--args', String(argsFd), '--seccomp', String(seccompFd), '--json-status-fd', String(statusFd)]
  const child = launch({
    argv: [
      ...['sh', '-c', watch, 'sh', ...joinGroup, ...mapper, ...start, ...(wrapper?.argv ?? [])],
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

  // The first process of the PID namespace, bubblewrap's own: when it ends, the kernel has ended all others.
  let init: ProcessHandle | undefined
  let ran = false
  const onStatus = (line: string): void => {
    const status = JSON.parse(line) as Record<string, number>
    if (status['child-pid'] !== undefined) init = findProcess(status['child-pid'])
    if (status['exit-code'] !== undefined) ran = true // reported only if the program was started
  }
  const told = readLines(pipes[statusFd] as Readable, onStatus).catch(() => {}) // a cut-off report counts as none
  const killInit = (): void => {
    if (init !== undefined && isRunning(init)) sendSignal(init.pid, 'SIGKILL')
  }
  // A new init would wait for bubblewrap forever. Until bubblewrap reports it, it is in this sandbox's process group.
  const killStarting = (): void => {
    if (child.pid !== undefined) sendSignal(-child.pid, 'SIGKILL')
  }
  const end = async (): Promise<Ending> => {
    const { code } = await exitOf(child)
    killStarting()
    // bubblewrap ends with the program, but daemons of the program may still run (X16).
    killInit()
    await Promise.race([told, sleep(patience, undefined, { ref: false })])
    killInit()
    await untilGone(init)
    return ran && code !== null ? { state: 'ran', code } : { state: 'never-ran', begun: init !== undefined }
  }
  const signal: Sandbox['signal'] = (name, whom) => {
    const program = firstChild(init)
    if (init === undefined || program === undefined) return false
    // init leads the group, but is safe: the kernel delivers no signal but SIGKILL to the first process of a namespace.
    sendSignal(whom === 'group' ? -init.pid : program, name)
    return true
  }
  const first = (): number | undefined => init?.pid
  return { signal, first, kill: () => (init === undefined ? killStarting() : killInit()), ended: end() }
}

/**
 * When the signal is aborted, the program gets SIGTERM and, after `grace` milliseconds, all remaining processes SIGKILL.
 * bubblewrap itself passes no signals on: it would die, and everything inside with it.
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

/** Calls back when the signal is aborted, or at once if it already is; never after disposal. */
export function onAbort(signal: AbortSignal | undefined, callback: () => void): Disposable {
  if (signal?.aborted) callback()
  signal?.addEventListener('abort', callback, { once: true })
  return { [Symbol.dispose]: () => signal?.removeEventListener('abort', callback) }
}

/** Empty for an ordinary user, who does not own the devices, and for a root that cannot mount. */
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
  pipe.on('error', () => {}) // bubblewrap has ended already; its exit explains more
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

/** The program is the first child of bubblewrap's init. Orphans of the program come after it. */
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
