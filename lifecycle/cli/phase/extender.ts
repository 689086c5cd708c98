import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { BaleError } from '../../errors.ts'
import { directoryState } from '../../files/directories.ts'
import { readUntrusted } from '../../files/read.ts'
import type { ContainerConfig } from '../../image/config.ts'
import { findAccount } from '../../engines/accounts.ts'
import { applyDockerfile } from './extend/apply.ts'
import { readBaseConfig } from './extend/base-image.ts'
import { placesOf } from '../../phases/generated-dir.ts'
import { parseAnalyzed } from '../../spec/analyzed.ts'
import { parseExtendConfig } from '../../spec/extend-config.ts'
import type { GroupElement } from '../../spec/types.ts'
import type { PhaseContext, PhaseCommand } from './binary.ts'
import { containerRunner } from './container-runner.ts'
import { readRequired } from './files.ts'
import { readGroup } from './group.ts'

/**
 * platform.md, "extender", of the kind `build`: applies the build.Dockerfiles to this container, as root, and runs the build phase as
 * the buildpacks' user. Run images are not extended yet: `-kind run` refuses.
 */
export async function prepare(context: PhaseContext): Promise<PhaseCommand> {
  const { inputs, io } = context
  const kind = inputs.text('kind') ?? 'build'
  if (kind !== 'build' && kind !== 'run')
    throw new BaleError('arguments', `-kind is build or run, not ${kind}`, { where: '-kind' })
  const { extensions } = await readGroup(context)
  return {
    images: undefined,
    async run() {
      if (kind === 'run')
        throw new BaleError('failed', 'run images are not extended', {
          where: '-kind run',
          fix: 'use extensions whose run.Dockerfiles only select a run image, with FROM alone',
        })
      if (io.user.uid !== 0 || !inputs.number('uid'))
        throw new BaleError('failed', 'extender is to be run as root, with the user of the build image', {
          where: '-uid',
          fix: 'start it as root with -uid and -gid, or CNB_USER_ID and CNB_GROUP_ID: buildpacks run as that user',
        })
      const config = await extendBuildImage(context, extensions)
      const env = { ...context.env, ...variablesOf(config), BALE_EXTENDED: 'build' }
      await containerRunner({ ...context, env }, context.log).run('build', context.signal)
    },
  }
}

async function extendBuildImage(context: PhaseContext, extensions: readonly GroupElement[]): Promise<ContainerConfig> {
  const { inputs, io, features, signal, log } = context
  const path = inputs.path('analyzed')
  const { buildImage } = parseAnalyzed(await readRequired(readUntrusted, path), path)
  const reference = buildImage?.reference ?? ''
  let config = (await readBaseConfig(io.kanikoDir ?? '/kaniko', reference)).config ?? {}
  for (const { id, version } of extensions) {
    const { build } = placesOf(inputs.path('generated'), id, features.extensionContexts)
    const content = await readUntrusted(build)
    if (content === undefined) continue
    const { uid, gid } = await findAccount('/', config.User ?? '')
    const dir = join(build, '..')
    const configPath = join(dir, 'extend-config.toml')
    const { build: own } = parseExtendConfig((await readUntrusted(configPath)) ?? '', configPath)
    const args = new Map([
      ...own.map(({ name, value }): [string, string] => [name, value]),
      ...Object.entries({ base_image: reference, build_id: randomUUID(), user_id: String(uid), group_id: String(gid) }),
    ])
    log.event({ type: 'note', level: 'info', text: `Applying build.Dockerfile of ${id}@${version}` })
    const text = new TextDecoder().decode(content)
    const where = `build.Dockerfile of ${id}@${version}`
    config = await applyDockerfile(
      { text, where, context: await contextOf(context, dir), args, config, reporter: log },
      signal,
    )
  }
  return config
}

/** image_extension.md, "Context Folders": without one it is the application. */
async function contextOf({ inputs }: PhaseContext, dir: string): Promise<string> {
  for (const name of ['context', 'context.build']) {
    if ((await directoryState(join(dir, name))) === 'directory') return join(dir, name)
  }
  return inputs.path('app')
}

const variablesOf = ({ Env = [] }: ContainerConfig): Record<string, string> =>
  Object.fromEntries(Env.map(entry => [entry.slice(0, entry.indexOf('=')), entry.slice(entry.indexOf('=') + 1)]))
