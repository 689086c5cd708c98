import type { EventEmitter } from 'node:events'
import { resolve } from 'node:path'
import { BaleError } from '../errors.ts'
import type { ImageConfig } from '../image/config.ts'
import { type Account, findAccount } from './accounts.ts'
import { findBwrap } from './bwrap.ts'
import { openCgroup } from './cgroup.ts'
import type { Mount } from './engine.ts'
import { openFiles } from './files.ts'
import { type Starter, asRoot, findHostUser, openAs } from './host-user.ts'
import { isolate } from './isolation.ts'
import { findLandlock, withoutLandlock } from './landlock.ts'
import { orderMounts } from './mounts.ts'
import type { Places } from './places.ts'
import { checkVolumes, openWritable } from './run-files.ts'
import type { Emulator } from '../processes/emulation.ts'
import { checkEnvironment } from '../processes/launch.ts'
import { type Ending, type Sandbox, type SandboxOptions, startSandbox } from './sandbox.ts'
import { attend, lendOutputs } from './terminal.ts'
import { watchMemory } from './usage-watch.ts'

export interface RunImageOptions {
  /** The unpacked image, whose files belong to the user who runs this. It is not changed. */
  readonly rootfs: string
  readonly config: ImageConfig
  /** An existing directory for the files that the program writes. */
  readonly tmpDir: string
  /** Replaces the image's entrypoint and its Cmd. */
  readonly entrypoint?: readonly string[]
  /** Replace the image's Cmd, if given. */
  readonly args?: readonly string[]
  /** Added to the image's. */
  readonly env?: Readonly<Record<string, string>>
  /** Replaces the image's user: `user`, `uid`, `user:group` or `uid:gid`. */
  readonly user?: string
  readonly workingDir?: string
  /** Makes all but /tmp, /var/tmp and /home read-only. Those start empty, in memory. */
  readonly readOnly?: boolean
  /** This process's descriptors for the program's first three; 0, 1 and 2 by default. */
  readonly stdio?: readonly [number, number, number]
  /** Emits this process's signals, which are passed on to the program: `process` itself. */
  readonly signals?: Pick<EventEmitter, 'on' | 'off'>
  readonly warn?: (text: string) => void
  readonly bwrap?: string
  /** `host` by default: its servers are reachable at localhost. */
  readonly network?: 'none' | 'host' | undefined
  /** Files and directories of this machine, mounted over the image's own. */
  readonly volumes?: readonly Mount[] | undefined
  /** The memory limit in bytes for the program and all processes that it starts. */
  readonly memory?: number | undefined
  /** The emulator for the image's programs, if they are for another architecture than this machine's. */
  readonly emulator?: Emulator | undefined
  /** The program of landlock/main.c, which denies it abstract unix sockets of other processes. */
  readonly landlock?: string | undefined
}

const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
/**
 * Runs an image on this machine without a daemon or root until its program ends, and returns the program's exit
 * status: 128 plus the signal's number, if a signal ended it. The network is the host's unless it
 * is `none`.
 *
 * The root is the image under a writable layer, which is dropped at the end. Where ordinary users cannot have that
 * (see `openOverlay`), the image is read-only, with a warning. All files belong to the program's user, so it can write to
 * files that would be read-only in a container.
 *
 * The program has a session of its own, not the terminal's: it reads from and draws on Bale's terminal,
 * but cannot type into it (X10), and a shell has no job control. Ctrl-C reaches it through `signals`.
 * @throws BaleError 'engine' if it cannot be started, 'input' for an image that names an unknown user or no program
 */
export async function runContainer(options: RunImageOptions, signal?: AbortSignal): Promise<number> {
  signal?.throwIfAborted()
  const [rootfs, tmpDir] = [resolve(options.rootfs), resolve(options.tmpDir)]
  const user = options.user ?? options.config.config?.User ?? ''
  const [account, bwrap] = await Promise.all([findAccount(rootfs, user), findBwrap(options.bwrap)])
  const mounts = await orderMounts(options.volumes ?? [])
  await checkVolumes(rootfs, mounts)
  const { memory, emulator } = options
  await using group = memory === undefined ? undefined : openCgroup({ pids: mostPids, memory })
  let isOut = false
  const program = describeProgram(options, account)
  const network = options.network ?? 'host'
  const isolation = isolate({ ...program, bwrap, network, user: account })
  // The landlock program cannot start a setuid bubblewrap, which would no longer become root.
  const landlock = network === 'none' || bwrap.isSetuid ? undefined : await findLandlock(options.landlock)
  if (network === 'host' && landlock === undefined) options.warn?.(`${withoutLandlock.text}; ${withoutLandlock.fix}`)
  const hostUser = bwrap.isSetuid ? undefined : findHostUser(options.landlock)
  const stdio = options.stdio ?? [0, 1, 2]
  using lent = new DisposableStack()
  let warned = false
  const onAsRoot = (): void => {
    if (!warned) options.warn?.(`${asRoot.text}; ${asRoot.fix}`)
    warned = true
  }
  const start = (files: Files, as: Starter | undefined) => {
    lent.use(lendOutputs(stdio, as?.user.id))
    return startSandbox({
      ...files,
      as,
      bwrap,
      landlock: landlock && (as?.places.open(landlock) ?? landlock),
      argv: program.argv,
      options: [...isolation, ...files.options],
      stdio,
      ...(group !== undefined && { joinGroup: group.join }),
    })
  }
  const attended = async (sandbox: Sandbox): Promise<Ending> => {
    const watched = memory !== undefined && group === undefined
    const onExceeded = (): void => {
      isOut = true
      sandbox.kill()
    }
    using _watch = watched ? watchMemory(() => sandbox.first(), memory, onExceeded) : undefined
    return await attend(sandbox, options, signal)
  }

  const ending = (await runWritable()) ?? (await runReadOnly())
  if (isOut || (ending.state === 'ran' && ending.code !== 0 && group?.ranOutOfMemory())) throw outOfMemory(memory ?? 0)
  if (ending.state === 'ran') return ending.code
  throw new BaleError('engine', 'the image could not be started; bubblewrap says above why', { where: program.argv[0] })

  /** Undefined if overlays are not available. */
  async function runWritable(): Promise<Ending | undefined> {
    if (options.readOnly) return undefined
    await using opened = await openAs(
      hostUser,
      bwrap,
      places => openWritable({ bwrap, rootfs, tmpDir, mounts, memory, places, emulator }),
      onAsRoot,
    )
    const ended = await attended(start(opened.files, opened.as))
    if (isOut) return ended
    if (ended.state === 'ran' || ended.begun) return ended
    options.warn?.('only /tmp, /var/tmp and /home are writable: ordinary users cannot mount overlays on this system')
    return undefined
  }

  async function runReadOnly(): Promise<Ending> {
    const open = (places?: Places) =>
      openFiles({ bwrap, rootfs, tmpDir, mounts, network, memory, home: program.env.HOME, places, emulator })
    await using opened = await openAs(hostUser, bwrap, open, onAsRoot)
    return await attended(start(opened.files, opened.as))
  }
}

/** Means no limit: a group always needs a number. */
const mostPids = 4_194_304

function outOfMemory(limit: number): BaleError {
  const message = `the program ran out of memory and was stopped; its limit is ${Math.round(limit / 1e6)} MB`
  return new BaleError('failed', message, { fix: 'raise --memory, or make it use less' })
}

type Files = Pick<SandboxOptions, 'options' | 'descriptors' | 'wrapper'>

interface Program {
  readonly argv: readonly string[]
  readonly env: Readonly<Record<string, string>> & { readonly HOME: string }
  readonly workingDir: string
}

/** Converts an image's configuration for an engine (image-spec config.md and conversion.md). */
function describeProgram(
  { config, entrypoint, args = [], env, workingDir }: RunImageOptions,
  account: Account,
): Program {
  const image = config.config ?? {}
  const command = args.length > 0 || entrypoint !== undefined ? args : (image.Cmd ?? [])
  const argv = [...(entrypoint ?? image.Entrypoint ?? []), ...command]
  if (argv.length === 0) {
    throw new BaleError('input', 'the image does not say what to run', { fix: 'name a program to run' })
  }
  const whole = {
    PATH: defaultPath,
    HOME: account.home,
    ...Object.fromEntries((image.Env ?? []).map(splitEntry)),
    ...env,
  }
  checkEnvironment(whole)
  return { argv, env: whole, workingDir: workingDir ?? (image.WorkingDir || '/') }
}

function splitEntry(entry: string): [string, string] {
  const at = entry.indexOf('=')
  return at === -1 ? [entry, ''] : [entry.slice(0, at), entry.slice(at + 1)]
}
