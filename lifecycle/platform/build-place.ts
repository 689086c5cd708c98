import { BaleError } from '../errors.ts'
import type { Reporter } from '../events.ts'
import type { PhaseRunner } from '../phase-runner.ts'
import type { Emulator } from '../processes/emulation.ts'
import { isAtOrBelow } from '../layers/tree/cursor.ts'
import type { BuildEnvironment } from './build-environment.ts'
import type { BuildOptions } from './build-options.ts'
import { containerRunner } from './container-runner.ts'
import { openContainerWorkspace } from './container-workspace.ts'
import type { Distribution } from './distribution.ts'
import { proxiesOf, warnOfPasswords } from '../phases/proxies.ts'
import { sandboxRunner } from './phase-sandbox.ts'
import type { SshForwarding } from './ssh/forward.ts'
import { type Workspace, openWorkspace, requireAppPath } from './workspace.ts'

// Buildpacks run in a sandbox on this machine or, in a container of the builder image, in that container.

/**
 * The directories of a build.
 * @param app the path of the application in the image, if not the default
 */
export function openPlace(
  { container }: Distribution,
  cacheDir: string,
  source: string,
  app?: string,
): Promise<Workspace> {
  const path = app === undefined ? undefined : requireAppPath(app)
  if (container === undefined) return openWorkspace(cacheDir, path)
  if (path !== undefined)
    throw new BaleError(
      'arguments',
      'in a container, applications are built in the directory that the builder image has for them',
      {
        where: '--workspace',
        fix: 'leave it out',
      },
    )
  return openContainerWorkspace(cacheDir, source)
}

export interface RunnerParts {
  readonly environment: BuildEnvironment
  readonly emulator: Emulator | undefined
  readonly workspace: Workspace
  /** Access to SSH keys, if the user gives it to buildpacks. */
  readonly ssh: SshForwarding | undefined
  readonly distribution: Distribution
  readonly reporter: Reporter
}

/** Opens the runner that starts buildpacks in the place of the build. */
export async function openRunner(options: BuildOptions, parts: RunnerParts): Promise<PhaseRunner> {
  const { settings, limits, network = 'host' } = options
  const { environment, emulator, workspace, ssh, distribution, reporter } = parts
  const { caBundle, engine } = settings
  const { landlock } = distribution
  // Without a network a proxy is useless, and its URL may contain a password.
  const proxies = network === 'none' ? {} : proxiesOf(settings.environment)
  warnOfPasswords(proxies, reporter, 'use --network none')
  const { volumes, execEnv } = options
  const run = { environment, workspace, network, proxies, volumes, ssh, execEnv }
  const { interaction } = options
  if (distribution.container !== undefined && interaction !== undefined)
    throw new BaleError('arguments', 'a build in a container of a builder image cannot open a shell', {
      where: '--interactive',
      fix: 'leave it out, and open a shell in the container: docker exec -it',
    })
  const elsewhere = volumes?.find(({ hostPath, path }) => hostPath !== path)
  if (distribution.container !== undefined && elsewhere !== undefined)
    throw new BaleError('arguments', 'a build in a container of a builder image cannot mount a directory elsewhere', {
      where: `--volume ${elsewhere.hostPath}:${elsewhere.path}`,
      fix: `mount it into the container at ${elsewhere.path}, and use --volume ${elsewhere.path}:${elsewhere.path}`,
    })
  if (distribution.container !== undefined)
    return containerRunner({ ...run, limits, caBundle, landlock, sandbox: engine, reporter }, options)
  const { app } = workspace.imagePaths
  if (volumes?.some(({ path }) => isAtOrBelow(path, app) || isAtOrBelow(app, path)))
    throw new BaleError(
      'arguments',
      `the application is in ${app}; a volume may not contain that directory or be inside it`,
      {
        where: '--volume',
        fix: 'choose another target, or another --workspace',
      },
    )
  const sandbox = engine({
    rootfs: environment.rootfs.layers,
    tmpDir: workspace.dir,
    landlock,
    limits,
    emulator,
    onWarning: warning => reporter.event({ type: 'warning', ...warning }),
    caBundle,
  })
  return sandboxRunner({ ...run, engine: sandbox, interaction }, reporter, options)
}
