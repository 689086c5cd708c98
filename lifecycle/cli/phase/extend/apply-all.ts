import { randomUUID } from 'node:crypto'
import { findAccount } from '../../../engines/accounts.ts'
import { BaleError } from '../../../errors.ts'
import type { ContainerConfig } from '../../../image/config.ts'
import { proxiesOf } from '../../../phases/proxies.ts'
import { findSupervisor } from '../../../phases/supervision.ts'
import type { PhaseContext } from '../context.ts'
import { applyDockerfile } from './apply.ts'
import type { ExtensionDockerfile } from './dockerfiles.ts'

const runPrefix = 'BALE_RUN_'

/** The image that Dockerfiles are applied to: its name and its config. */
interface Base {
  readonly reference: string
  readonly config: ContainerConfig
}

/** Returns the config for the next Dockerfile. The last one is the image's. */
type OnApplied = (file: ExtensionDockerfile, config: ContainerConfig) => Promise<ContainerConfig> | ContainerConfig

/**
 * Applies Dockerfiles to this container in their order. Each sees the config after the previous one (image_extension.md,
 * "Phase: Extension").
 */
export async function applyAll(
  context: PhaseContext,
  files: readonly ExtensionDockerfile[],
  { reference, config: base }: Base,
  onApplied: OnApplied = (_file, config) => config,
): Promise<ContainerConfig> {
  const { io, env, signal, log } = context
  if (env['CNB_REGISTRY_AUTH'])
    log.warn(
      'Dockerfiles run as root and can read the registry credentials of this container: start extender without CNB_REGISTRY_AUTH',
    )
  const supervisor = await findSupervisor(io.supervisor, log)
  if (supervisor === undefined)
    throw new BaleError('engine', 'the program that ends leftover processes of Dockerfiles does not work', {
      where: io.supervisor,
      fix: 'use a complete lifecycle, as npm run dist makes it',
    })
  let config = base
  for (const file of files) {
    const { uid, gid } = await findAccount('/', config.User ?? '')
    const args = new Map([
      ...file.args.map(({ name, value }): [string, string] => [name, value]),
      ...Object.entries({ base_image: reference, build_id: randomUUID(), user_id: String(uid), group_id: String(gid) }),
    ])
    log.event({ type: 'note', level: 'info', text: `Applying ${file.where}` })
    const input = { ...file, args, config, env: { ...proxiesOf(env), ...runVariables(env) }, supervisor, reporter: log }
    config = await onApplied(file, await applyDockerfile(input, signal))
  }
  return config
}

/** What `bale build` sets for RUN, such as the place of certificate authorities. Variables of the phases themselves do not reach RUN. */
function runVariables(env: PhaseContext['env']): Record<string, string> {
  const entries = Object.entries(env).flatMap(([name, value]): [string, string][] =>
    name.startsWith(runPrefix) && value !== undefined ? [[name.slice(runPrefix.length), value]] : [],
  )
  return Object.fromEntries(entries)
}
