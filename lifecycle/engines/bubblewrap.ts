import type { EventEmitter } from 'node:events'
import { stat } from 'node:fs/promises'
import { totalmem } from 'node:os'
import { BaleError } from '../errors.ts'
import { type Bwrap, findBwrap } from './bwrap.ts'
import { type Cgroup, type Limits, openCgroup } from './cgroup.ts'
import type { Engine, EngineRun, ExitStatus } from './engine.ts'
import { type Warning, findLandlock, withoutLandlock } from './landlock.ts'
import { phaseExitStatus } from './exit.ts'
import { landlockInside, openFiles } from './files.ts'
import { type HostUser, type Starter, asRoot, asRootWithCapabilities, findHostUser, openAs } from './host-user.ts'
import { isolate, sizesFor, systemMounts } from './isolation.ts'
import { checkPath } from './mounts.ts'
import type { Places } from './places.ts'
import type { Emulator } from '../processes/emulation.ts'
import { type Outputs, openOutputs } from '../processes/pipe.ts'
import { checkEnvironment } from '../processes/launch.ts'
import { explainRefusal, readFacts } from './explain-failure.ts'
import { attend, lendOutputs } from './terminal.ts'
import { watchDisk, watchMemory } from './usage-watch.ts'
import { findSubordinateIds, mapperArgv } from './subordinate.ts'
import { type Ending, type Sandbox, type SandboxOptions, endOnAbort, onAbort, startSandbox } from './sandbox.ts'

export interface BubblewrapOptions {
  /**
   * The unpacked build image: one directory, or its layers, the lowest first, which are overlaid (Linux 5.11).
   * It is mounted read-only, and nothing is written to it.
   */
  readonly rootfs: string | readonly string[]
  /** An existing directory for temporary files of a run. */
  readonly tmpDir: string
  /** The bubblewrap program; by default the one in the system's directories. */
  readonly bwrap?: string
  /**
   * A PEM bundle on the host, for a proxy that intercepts TLS: with network `host` it is mounted as
   * /etc/ssl/certs/ca-certificates.crt. Programs that look elsewhere need a variable (SSL_CERT_FILE) from the caller.
   */
  readonly caBundle?: string
  /** The program of landlock/main.c; without it, and with network `host`, `onWarning` gets a warning. */
  readonly landlock?: string | undefined
  /** The emulator for the programs of the root file system, if they are for another architecture than this machine's. */
  readonly emulator?: Emulator | undefined
  /** Threads and processes at one time (4096 by default), and bytes of memory and of disk (no limits by default). */
  readonly limits?: Partial<Limits> | undefined
  /**
   * Programs run as root of a user namespace with 65536 ids, with the capabilities to install packages there, and may write to the root
   * file system. Their writes are discarded after the run. Needs subordinate ids, and Linux 5.11 to overlay directories of `tmpDir`.
   */
  readonly asRoot?: boolean
  /** Called once for each warning, at the first run that it applies to. */
  readonly onWarning?: ((warning: Warning) => void) | undefined
  /** Milliseconds from SIGTERM to SIGKILL when a run is aborted. */
  readonly grace?: number
}

const defaultGrace = 10_000
const defaultPids = 4096
const defaultHome = '/home/cnb'

/**
 * Rootless sandboxes made by bubblewrap: own user, PID, IPC, UTS, cgroup and mount namespaces, a read-only root, fresh
 * /tmp, /var/tmp and /home, a small /dev, no capabilities and a system call filter. HOME is /home/cnb unless the run
 * says otherwise, and bubblewrap sets PWD; nothing else is added to the environment. The umask is 022.
 *
 * Limits of the isolation:
 * - With network `host` the program is in the host's network: it reaches servers on the loopback (X08), where package mirrors
 *   may be. Before Linux 6.12, or without Landlock, it also reaches abstract unix sockets (X06, X38), but no sockets in files.
 *   Such a server sees it as the user who started Bale.
 * - A control group limits processes and memory where one is available: as root, or in a delegated part of the tree.
 *   Elsewhere RLIMIT_NPROC limits processes, except those of root (X45), and memory is measured ten times a second:
 *   a build that allocates quickly can exceed its limit for a moment (X12). /tmp, /var/tmp, /home and /dev/shm are in
 *   memory, and together take at most three quarters of it (X46). Disk space is measured twice a second.
 * - The supplementary groups of an ordinary user who started Bale stay; they only matter for the files in the mounts.
 * - Started by root, the sandbox runs as another user, without an account and without groups. The mounts appear to belong to that
 *   user. Where that is not possible, `onWarning` gets a warning, and the sandbox runs as root, without capabilities except with
 *   `asRoot` (X51).
 */
export function bubblewrapEngine(options: BubblewrapOptions): Engine {
  // Looked up early, so that the result is known when the first run begins. `run` reports a missing bubblewrap.
  const found = findBwrap(options.bwrap)
  found.catch(() => {})
  let landlock: Promise<string | undefined> | undefined
  const forNetwork = async (network: EngineRun['network']): Promise<string | undefined> => {
    if (network === 'none') return undefined
    landlock ??= findLandlock(options.landlock).then(program => {
      if (program === undefined) options.onWarning?.(withoutLandlock)
      return program
    })
    return await landlock
  }
  let hostUser: { readonly found: HostUser | 'refused' | undefined } | undefined
  let warned = false
  const onAsRoot = (): void => {
    if (!warned) options.onWarning?.(options.asRoot === true ? asRootWithCapabilities : asRoot)
    warned = true
  }
  return {
    name: 'bubblewrap',
    async check(signal) {
      await checkRootfs(options.rootfs)
      await checkSandbox(await found, options.tmpDir, signal)
    },
    async run(run, signal) {
      signal?.throwIfAborted()
      hostUser ??= { found: findHostUser(options.landlock) }
      const settings = { ...options, landlock: await forNetwork(run.network), hostUser: hostUser.found, onAsRoot }
      return await runInSandbox(await found, settings, run, signal)
    },
    async attach(run, signals) {
      hostUser ??= { found: findHostUser(options.landlock) }
      const settings = { ...options, landlock: await forNetwork(run.network), hostUser: hostUser.found, onAsRoot }
      await attachToSandbox(await found, settings, run, signals)
    },
  }
}

async function checkRootfs(rootfs: string | readonly string[]): Promise<void> {
  for (const dir of typeof rootfs === 'string' ? [rootfs] : rootfs) {
    checkPath(dir)
    const isDirectory = await stat(dir).then(
      s => s.isDirectory(),
      () => false,
    )
    if (!isDirectory) throw new BaleError('engine', 'the build image is not unpacked there', { where: dir })
  }
}

/** Makes a sandbox of this machine's own files, with all features of a run, and starts a shell in it. */
async function checkSandbox(bwrap: Bwrap, tmpDir: string, signal?: AbortSignal): Promise<void> {
  const isolation = { bwrap, network: 'none', user: { uid: 1000, gid: 1000 }, env: {}, workingDir: '/' } as const
  const options = [...isolate(isolation), '--ro-bind', '/', '/', ...systemMounts(sizesFor(totalmem()))]
  let said = ''
  const note: EngineRun['onOutput'] = (_stream, chunk) => void (said += Buffer.from(chunk).toString())
  using outputs = await openOutputs(tmpDir, note, () => {})
  const ending = await runToEnd({ bwrap, options, argv: ['/bin/sh', '-c', ':'] }, outputs, signal, 0)
  if (ending.state !== 'ran' || ending.code !== 0) throw explainRefusal(said, readFacts(bwrap.path))
}

interface RunSettings extends BubblewrapOptions {
  readonly hostUser: HostUser | 'refused' | undefined
  /** Called if the sandbox will run as root. */
  readonly onAsRoot: () => void
}

/** A run that is ready to start, with its resources of this machine. */
interface Prepared extends AsyncDisposable {
  readonly start: Omit<SandboxOptions, 'stdio'>
  readonly limits: Limits
  readonly group: Cgroup | undefined
}

async function prepareRun(bwrap: Bwrap, settings: RunSettings, run: Omit<EngineRun, 'onOutput'>): Promise<Prepared> {
  const env = { HOME: defaultHome, ...run.env }
  checkEnvironment(env)
  checkPath(run.argv[0] ?? '')
  checkPath(run.workingDir)
  const limits = { pids: defaultPids, ...settings.limits }
  await using resources = new AsyncDisposableStack()
  const group = openCgroup(limits)
  if (group !== undefined) resources.use(group)
  const ids = settings.asRoot === true ? await findSubordinateIds() : undefined
  const mapper = (as: Starter | undefined): string[] => {
    const [uid, gid] = [as?.user.id ?? process.geteuid?.() ?? 0, as?.user.id ?? process.getegid?.() ?? 0]
    return ids === undefined ? [] : mapperArgv(ids, { uid, gid })
  }
  const wanted = { ...run, ...settings, bwrap, home: env.HOME, memory: limits.memory, ids }
  const open = (places?: Places) => openFiles({ ...wanted, places })
  const { files, as } = resources.use(await openAs(settings.hostUser, bwrap, open, settings.onAsRoot, mapper))
  const start = {
    bwrap,
    options: [...isolate({ ...run, bwrap, env, isRoot: ids !== undefined }), ...files.options],
    // Restricted inside, so that programs there can restrict themselves further and still move files (see landlock/restrict.h).
    argv: settings.landlock === undefined ? run.argv : [landlockInside, '--sockets', ...run.argv],
    descriptors: files.descriptors,
    as,
    mapper: mapper(as),
    ...(files.wrapper && { wrapper: files.wrapper }),
    ...(group === undefined ? { pids: limits.pids } : { joinGroup: group.join }),
  }
  const kept = resources.move()
  return { start, limits, group, [Symbol.asyncDispose]: async () => kept.disposeAsync() }
}

async function attachToSandbox(
  bwrap: Bwrap,
  settings: RunSettings,
  run: Omit<EngineRun, 'onOutput'>,
  signals: Pick<EventEmitter, 'on' | 'off'>,
): Promise<void> {
  await using prepared = await prepareRun(bwrap, settings, run)
  const stdio = [0, 1, 2] as const
  using _lent = lendOutputs(stdio, prepared.start.as?.user.id)
  const sandbox = startSandbox({ ...prepared.start, stdio })
  // An interactive shell ignores SIGTERM.
  const end = (): void => sandbox.kill()
  for (const name of ['SIGTERM', 'SIGHUP']) signals.on(name, end)
  try {
    const ending = await attend(sandbox, { stdio, signals })
    if (ending.state === 'never-ran')
      throw new BaleError('engine', 'the shell could not be started; bubblewrap says above why', { where: run.argv[0] })
  } finally {
    for (const name of ['SIGTERM', 'SIGHUP']) signals.off(name, end)
  }
}

async function runInSandbox(
  bwrap: Bwrap,
  settings: RunSettings,
  run: EngineRun,
  signal?: AbortSignal,
): Promise<ExitStatus> {
  await using prepared = await prepareRun(bwrap, settings, run)
  const { start, limits, group } = prepared

  const broken = new AbortController()
  const stop = AbortSignal.any([broken.signal, ...(signal ? [signal] : [])])
  const stderr = holdBack(chunk => run.onOutput('stderr', chunk))
  const onOutput: EngineRun['onOutput'] = (stream, chunk) =>
    stream === 'stderr' ? stderr.push(chunk) : run.onOutput(stream, chunk)
  using outputs = await openOutputs(settings.tmpDir, onOutput, error => broken.abort(error))

  const writable = run.mounts.filter(mount => mount.access === 'read-write').map(mount => mount.hostPath)
  using _disk =
    limits.disk === undefined
      ? undefined
      : await watchDisk(writable, limits.disk, used => broken.abort(outOfDisk(used, limits.disk ?? 0)))
  const watch = (sandbox: Sandbox): Disposable | undefined => {
    const { memory } = limits
    if (memory === undefined || group !== undefined) return undefined
    return watchMemory(
      () => sandbox.first(),
      memory,
      () => {
        broken.abort(outOfMemory(memory))
        sandbox.kill() // no memory is left for an orderly end
      },
    )
  }
  const ending = await runToEnd(start, outputs, stop, settings.grace ?? defaultGrace, watch)
  if (ending.state === 'never-ran' || isRefused(ending.code, stderr.held()))
    throw explainRefusal(stderr.held(), readFacts(bwrap.path))
  await stderr.release()
  if (ending.code !== 0 && group?.ranOutOfMemory()) throw outOfMemory(limits.memory ?? 0)
  return phaseExitStatus(ending.code)
}

function outOfMemory(limit: number): BaleError {
  const message = `the build ran out of memory and was stopped; its limit is ${Math.round(limit / 1e6)} MB`
  return new BaleError('failed', message, { fix: 'raise --memory, or make the build use less' })
}

function outOfDisk(used: number, limit: number): BaleError {
  const sizes = `${Math.round(used / 1e6)} MB, more than the limit of ${Math.round(limit / 1e6)} MB`
  return new BaleError('failed', `the build was stopped: its layers and application take ${sizes}`, {
    fix: 'raise --disk, or make the build write less',
  })
}

/** Resolves when all processes inside have ended and all output is handed over; rejects with the signal's reason if aborted. */
async function runToEnd(
  start: Omit<SandboxOptions, 'stdio'>,
  outputs: Outputs,
  signal: AbortSignal | undefined,
  grace: number,
  watch?: (sandbox: Sandbox) => Disposable | undefined,
): Promise<Ending> {
  let sandbox
  try {
    signal?.throwIfAborted()
    sandbox = startSandbox({ ...start, stdio: [outputs.stdin, outputs.stdout, outputs.stderr] })
  } finally {
    outputs.release()
  }
  using _end = endOnAbort(sandbox, signal, grace)
  using _watch = watch?.(sandbox)
  using _discard = onAbort(signal, () => outputs.discard())
  const ending = await sandbox.ended
  await outputs.drained
  signal?.throwIfAborted()
  return ending
}

/** Returns whether the landlock program could not execute the program: see landlock/main.c. */
const isRefused = (code: number, said: string): boolean => code === 125 && said.startsWith('ERROR: landlock: ')

/** The beginnings of messages that say why the program was not started: from bubblewrap, or from a program before it. */
const starters = ['bwrap: ', 'unshare: ', 'mount: ', 'newuidmap: ', 'newgidmap: ', 'sh: ', 'ERROR: landlock: ']

/**
 * If the program cannot be started, standard error has the reason in one line, which belongs in the error, not in the
 * program's output. So output that begins like such a line is held back until more output or the end. Blanks begin a line that
 * continues the reason, as mount(8) writes it.
 */
function holdBack(pass: (chunk: Uint8Array) => void | Promise<void>) {
  let kept: Buffer | undefined = Buffer.alloc(0)
  const release = (): void | Promise<void> => {
    const all = kept
    kept = undefined
    if (all?.length) return pass(all)
  }
  return {
    push(chunk: Uint8Array): void | Promise<void> {
      if (kept === undefined) return pass(chunk)
      kept = Buffer.concat([kept, chunk])
      const text = kept.toString('latin1')
      const isOneLine = text.length < 8192 && /^[^\n]*(\n[ \t][^\n]*)*\n?$/.test(text)
      if (!isOneLine || !starters.some(name => text.startsWith(name) || name.startsWith(text))) return release()
    },
    release,
    held: () => kept?.toString() ?? '',
  }
}
