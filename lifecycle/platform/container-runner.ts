import { cp, mkdir, realpath, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Mount } from '../engines/engine.ts'
import { BaleError } from '../errors.ts'
import type { Reporter } from '../events.ts'
import { wrapErrno } from '../files/wrap-errno.ts'
import { bundleVariables } from '../phases/authorities.ts'
import { giveTree } from '../layers/tree/give.ts'
import { type PhaseRunner, type RunLimits, engineRunner } from '../phase-runner.ts'
import { escapeId } from '../spec/ids.ts'
import type { BuildEnvironment } from './build-environment.ts'
import { chooseContainerEngine } from './container-engine.ts'
import { environmentOf, writeBuildConfig } from './phase-sandbox.ts'
import type { EngineFactory } from './settings.ts'
import type { SshForwarding } from './ssh/forward.ts'
import { type Workspace, paths } from './workspace.ts'

export interface ContainerBuild {
  readonly environment: BuildEnvironment
  readonly workspace: Workspace
  readonly proxies: Readonly<Record<string, string>>
  readonly network: 'none' | 'host'
  /** Further directories of the container for buildpacks, each at its own path. */
  readonly volumes?: readonly Mount[] | undefined
  /** Access to SSH keys. */
  readonly ssh?: Pick<SshForwarding, 'mounts' | 'agent'> | undefined
  readonly limits: { readonly pids?: number; readonly memory?: number; readonly disk?: number } | undefined
  /** A PEM file that buildpacks may read, or a link to one, as in a volume of a ConfigMap. */
  readonly caBundle?: string | undefined
  /** The program of engines/landlock. */
  readonly landlock: string
  /** Makes sandboxes. */
  readonly sandbox: EngineFactory
  readonly reporter: Reporter
}

/**
 * Runs the phase binaries in the container that Bale is in. Isolates buildpacks from the surrounding job with the strongest engine
 * that the container allows, and reports it once.
 */
export async function containerRunner(given: ContainerBuild, limits: RunLimits): Promise<PhaseRunner> {
  // Engines mount no links, and in a sandbox a link may lead nowhere: buildpacks get the path of the file itself.
  const bundle = given.caBundle
  const caBundle = bundle === undefined ? undefined : await wrapErrno(bundle, () => realpath(bundle))
  const build = { ...given, caBundle }
  const { environment, workspace, network, reporter } = build
  const { user } = environment
  const isRoot = process.geteuid?.() === 0
  const supervisor = join(lifecycleDir, 'supervisor')
  const { engine, system } = await chooseContainerEngine({ ...build, supervisor, isRoot, user })
  if (build.ssh?.agent === 'user' && engine.name !== 'bubblewrap') throw openAgent()
  await prepareDirectories(build, caBundle === undefined || bundle === ownBundle ? {} : bundleVariables(caBundle))
  return engineRunner(
    engine,
    reporter,
    async (phase, signal) => {
      await engine.check(signal)
      // Gives the files that this process wrote as root to the buildpacks' user. No buildpack runs meanwhile.
      const { layers, app, platform, cnb } = workspace
      const { home, tmp } = ownOf(workspace)
      const made = [layers, app, platform, cnb, home, tmp, ...(build.ssh?.mounts ?? []).map(mount => mount.hostPath)]
      if (isRoot) for (const dir of made) await giveTree(dir, user)
      return {
        argv: [join(lifecycleDir, phase === 'detect' ? 'detector' : 'builder')],
        env: {
          ...environmentOf(build),
          HOME: home,
          TMPDIR: tmp, // for the phases themselves
          CNB_LAYERS_DIR: layers,
          CNB_APP_DIR: app,
          CNB_PLATFORM_DIR: platform,
          CNB_BUILDPACKS_DIR: join(cnb, 'buildpacks'),
          CNB_BUILD_CONFIG_DIR: join(cnb, 'build-config'),
        },
        workingDir: app,
        mounts: [...system, ...mountsOf(phase, build)],
        network,
        user,
      }
    },
    limits,
  )
}

/** Without a mount namespace, buildpacks reach every socket of the container, and so the whole agent. */
const openAgent = (): BaleError =>
  new BaleError('engine', 'without a sandbox, buildpacks could use the SSH agent of this job for everything', {
    where: '--ssh default',
    fix: 'name the file of a key, --ssh default=FILE; or use a container that allows user namespaces',
  })

/** The lifecycle of the builder image. */
const lifecycleDir = '/cnb/lifecycle'

function ownOf({ own }: Workspace): { readonly home: string; readonly tmp: string } {
  if (own === undefined) throw new TypeError('a build in a container has fixed directories')
  return own
}

function dirOf({ descriptor: { id, version }, dir }: BuildEnvironment['buildpacks'][number]): string {
  return dir ?? `${paths.buildpacks}/${escapeId(id)}/${version}`
}

const isInImage = (dir: string): boolean => dir.startsWith('/cnb/')

function mountsOf(phase: 'detect' | 'build', { workspace, caBundle, volumes = [], ssh }: ContainerBuild): Mount[] {
  const { layers, app, platform, cnb } = workspace
  const { home, tmp } = ownOf(workspace)
  const show = (access: Mount['access'], ...paths: string[]) => paths.map(path => ({ hostPath: path, path, access }))
  return [
    ...volumes,
    ...(ssh?.mounts ?? []),
    ...show('read-only', platform, cnb),
    ...show('read-only', ...(caBundle === undefined ? [] : [caBundle])),
    ...show('read-write', layers, home, tmp),
    // buildpack.md, "Detection": the app directory is read-only there.
    ...show(phase === 'detect' ? 'read-only' : 'read-write', app),
  ]
}

/** The image's certificate authorities. Package clients look for others in the job's SSL_CERT_FILE. */
const ownBundle = '/etc/ssl/certs/ca-certificates.crt'

/** Makes the buildpacks directory for detector and builder: links to the image's buildpacks, and copies of others. */
async function prepareDirectories(
  { environment, workspace }: ContainerBuild,
  variables: Readonly<Record<string, string>>,
): Promise<void> {
  const { cnb } = workspace
  const { tmp } = ownOf(workspace)
  // Buildpacks do not inherit such variables. /tmp itself belongs to the job.
  const tmpDir = { name: 'TMPDIR', value: tmp, suffix: 'override' } as const
  const authorities = Object.entries(variables).map(([name, value]) => ({ name, value, suffix: 'default' }) as const)
  await wrapErrno(cnb, async () => {
    await writeBuildConfig(join(cnb, 'build-config', 'env'), [...environment.buildConfig, tmpDir, ...authorities])
    for (const module of environment.buildpacks) {
      const { id, version } = module.descriptor
      const at = join(cnb, 'buildpacks', escapeId(id), version)
      const dir = dirOf(module)
      await mkdir(dirname(at), { recursive: true })
      // The user's buildpacks may be readable only for root.
      if (isInImage(dir)) await symlink(dir, at)
      else await cp(dir, at, { recursive: true, verbatimSymlinks: true })
    }
    await writeFile(join(cnb, 'order.toml'), '')
  })
}
