import { lstat, mkdtemp, readdir, readlink, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import type { Engine, Mount } from '../engines/engine.ts'
import { systemDirectories } from '../engines/landlock.ts'
import { unsandboxedEngine } from '../engines/unsandboxed.ts'
import { BaleError } from '../errors.ts'
import type { Reporter } from '../events.ts'
import { wrapErrno } from '../files/wrap-errno.ts'
import { warnOfOrphans } from '../phases/supervision.ts'
import { landlockVersion, landlockVersions } from '../processes/landlock.ts'
import type { EngineFactory } from './settings.ts'
import type { Workspace } from './workspace.ts'

export interface ContainerEngineInput {
  readonly workspace: Workspace
  readonly network: 'none' | 'host'
  readonly limits: { readonly pids?: number; readonly memory?: number; readonly disk?: number } | undefined
  /** The program of engines/landlock, and that of distribution/supervisor. */
  readonly landlock: string
  readonly supervisor: string
  /** Makes sandboxes, if the container allows it. */
  readonly sandbox: EngineFactory
  /** Whether the job is root's. Its buildpacks run as `user`. */
  readonly isRoot: boolean
  readonly user: { readonly uid: number }
  readonly reporter: Reporter
}

/** An engine, and the mounts of every run in it besides the build's own. */
export interface ContainerEngine {
  readonly engine: Engine
  readonly system: readonly Mount[]
}

/**
 * Chooses the strongest engine that works in this container, and reports in one line how it isolates buildpacks and what would isolate
 * them more. Sandboxes need user namespaces and a /proc without masks. A job of root runs buildpacks as another user, which has no
 * rights to root's files even without a mount namespace; in a sandbox they would be root outside of it (X51).
 * @throws BaleError 'engine' for a limit that the engine cannot enforce
 */
export async function chooseContainerEngine(input: ContainerEngineInput): Promise<ContainerEngine> {
  const sandbox = input.isRoot ? undefined : await openSandbox(input)
  if (sandbox !== undefined) {
    const text =
      'Buildpacks run in a bubblewrap sandbox: they reach the source, their layers and the system, and no other file or process of this job'
    input.reporter.event({ type: 'note', level: 'info', text })
    return sandbox
  }
  refuseLimits(input)
  return { engine: await containerLocal(input), system: [] }
}

async function openSandbox(input: ContainerEngineInput): Promise<ContainerEngine | undefined> {
  const { workspace, landlock, limits, sandbox, reporter } = input
  const rootfs = await wrapErrno(workspace.dir, () => mkdtemp(join(workspace.dir, 'root-')))
  const system = await prepareRoot(rootfs)
  const engine = sandbox({
    rootfs,
    tmpDir: workspace.dir,
    landlock,
    limits,
    onWarning: warning => reporter.event({ type: 'warning', ...warning }),
  })
  try {
    await engine.check()
    return { engine, system }
  } catch (error) {
    if (!(error instanceof BaleError)) throw error
    reporter.event({ type: 'note', level: 'debug', text: `no sandboxes in this container: ${error.message}` })
    return undefined
  }
}

/** Fills a root with the image's links, such as /bin. Returns mounts for its directories: those of the job are not there. */
async function prepareRoot(rootfs: string): Promise<Mount[]> {
  await wrapErrno(rootfs, async () => {
    for (const entry of await readdir('/', { withFileTypes: true }))
      if (entry.isSymbolicLink() && systemDirectories.includes(`/${entry.name}`))
        await symlink(await readlink(`/${entry.name}`), join(rootfs, entry.name))
  })
  const found = await Promise.all(systemDirectories.map(isDirectory))
  return systemDirectories.filter((_path, n) => found[n]).map(path => ({ hostPath: path, path, access: 'read-only' }))
}

const isDirectory = async (path: string): Promise<boolean> =>
  lstat(path).then(
    found => found.isDirectory(),
    () => false,
  )

function refuseLimits({ limits, network }: Pick<ContainerEngineInput, 'limits' | 'network'>): void {
  const refuse = (option: string, fix: string) => {
    throw new BaleError('engine', 'without a sandbox, only the whole container can be limited', {
      where: option,
      fix,
    })
  }
  if (network === 'none') refuse('--network none', 'start the container without a network: docker run --network none')
  if (limits?.memory !== undefined)
    refuse('--memory', 'limit the container: docker run --memory, resources.limits.memory')
  if (limits?.disk !== undefined) refuse('--disk', 'limit the container: resources.limits.ephemeral-storage')
  if (limits?.pids !== undefined) refuse('--pids', 'limit the container: docker run --pids-limit')
}

/** No sandbox, but Landlock where the kernel has it. */
async function containerLocal(input: ContainerEngineInput): Promise<Engine> {
  const { workspace, landlock, supervisor, isRoot, user, reporter } = input
  const options = { tmpDir: workspace.dir, supervisor, grace: undefined }
  await warnOfOrphans(supervisor, reporter)
  const name = isRoot ? `user ${user.uid}` : 'the user of this job'
  const version = await landlockVersion(landlock)
  if (version >= landlockVersions.files) {
    const reach =
      version >= landlockVersions.scopes
        ? 'no other file or process of this job'
        : 'no other file of this job; from Linux 6.12 on, they cannot signal its processes either'
    const text = `Buildpacks run as ${name}, confined by Landlock: they reach the source, their layers and the system, and ${reach} (${stronger(input)})`
    reporter.event({ type: 'note', level: 'info', text })
    return unsandboxedEngine({ ...options, landlock })
  }
  const reach = isRoot ? 'every file that any user may read' : 'every file of this job, including its credentials'
  reporter.event({
    type: 'warning',
    text: `buildpacks run as ${name} without a sandbox, and can read ${reach}`,
    fix: `use Linux 5.19 or newer with Landlock, and a seccomp profile that allows it, as Docker’s own does (${stronger(input)})`,
  })
  return unsandboxedEngine(options)
}

/** What gives buildpacks a sandbox: see distribution/README.md. */
const stronger = ({ isRoot }: ContainerEngineInput): string =>
  isRoot
    ? 'for a sandbox, run the job as another user than root: --user 1000'
    : 'a sandbox needs a container that allows user namespaces and has no masks in /proc'
