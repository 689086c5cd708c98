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
  /** The unpacked image, whose files belong to the user who runs this; it stays as it is. */
  readonly rootfs: string
  readonly config: ImageConfig
  /** An existing directory, for what the program writes. */
  readonly tmpDir: string
  /** In place of the image's; then its Cmd is not used either. */
  readonly entrypoint?: readonly string[]
  /** In place of the image's Cmd, if there are any. */
  readonly args?: readonly string[]
  /** Added to the image's. */
  readonly env?: Readonly<Record<string, string>>
  /** In place of the image's: `user`, `uid`, `user:group` or `uid:gid`. */
  readonly user?: string
  readonly workingDir?: string
  /** Nothing can be written but /tmp, /var/tmp and /home, which are empty at the start and in memory. */
  readonly readOnly?: boolean
  /** Descriptors of ours that become the program's first three; 0, 1 and 2 by default. */
  readonly stdio?: readonly [number, number, number]
  /** Tells of signals that this process gets, which are for the program then: `process` itself. */
  readonly signals?: Pick<EventEmitter, 'on' | 'off'>
  readonly warn?: (text: string) => void
  readonly bwrap?: string
  /** `host` by default: servers that it starts are reached at localhost. */
  readonly network?: 'none' | 'host' | undefined
  /** Files and directories of this machine, shown in the place of what the image has there. */
  readonly volumes?: readonly Mount[] | undefined
  /** Bytes that the program and all that it starts may use. */
  readonly memory?: number | undefined
  /** What runs the programs of the image, if they are for another architecture than this machine's. */
  readonly emulator?: Emulator | undefined
  /** The program of landlock/main.c, which closes abstract unix sockets of others to it. */
  readonly landlock?: string | undefined
}

const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
/**
 * Runs an image on this machine without a daemon or root until its program ends, and answers with the program's exit
 * status: 128 and the signal's number, if it was ended by one. The network is the host's unless it
 * is `none`.
 *
 * The root is the image under a layer to write on, which is dropped in the end; where ordinary users cannot have that
 * (see `openOverlay`), the image is read-only, with a warning. All files belong to the program's user, so it may write
 * where it could not in a container.
 *
 * The program has a session of its own, not the terminal's: it reads and draws on the terminal that we were started in,
 * but cannot type into it (X10), and a shell has no job control. Ctrl-C comes to it by way of `signals`.
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
  // It cannot start a setuid bubblewrap, which would not become root any more.
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

  /** Undefined if there can be no overlay here. */
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
    options.warn?.('only /tmp, /var/tmp and /home can be written to: ordinary users have no overlays on this system')
    return undefined
  }

  async function runReadOnly(): Promise<Ending> {
    const open = (places?: Places) =>
      openFiles({ bwrap, rootfs, tmpDir, mounts, network, memory, home: program.env.HOME, places, emulator })
    await using opened = await openAs(hostUser, bwrap, open, onAsRoot)
    return await attended(start(opened.files, opened.as))
  }
}

/** No limit: a group has one all the same. */
const mostPids = 4_194_304

function outOfMemory(limit: number): BaleError {
  const message = `the program ran out of memory and was ended: it may use ${Math.round(limit / 1e6)} MB`
  return new BaleError('failed', message, { fix: 'raise --memory, or make it use less' })
}

type Files = Pick<SandboxOptions, 'options' | 'descriptors' | 'wrapper'>

interface Program {
  readonly argv: readonly string[]
  readonly env: Readonly<Record<string, string>> & { readonly HOME: string }
  readonly workingDir: string
}

/** What an engine makes of an image's configuration (image-spec config.md and conversion.md). */
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
