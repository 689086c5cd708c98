import { randomUUID } from 'node:crypto'
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { BaleError } from '../../errors.ts'
import { directoryState } from '../../files/directories.ts'
import { readUntrusted } from '../../files/read.ts'
import type { ContainerConfig } from '../../image/config.ts'
import { findAccount } from '../../engines/accounts.ts'
import { applyDockerfile } from './extend/apply.ts'
import { readBaseConfig } from './extend/base-image.ts'
import { placesOf } from '../../phases/generated-dir.ts'
import { proxiesOf } from '../../phases/proxies.ts'
import { findSupervisor } from '../../phases/supervision.ts'
import { parseAnalyzed } from '../../spec/analyzed.ts'
import { type BuildArg, parseExtendConfig } from '../../spec/extend-config.ts'
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
      if (io.user.uid !== 0 || !inputs.number('uid') || inputs.number('gid') === undefined)
        throw new BaleError('failed', 'extender is to be run as root, with the user of the build image', {
          where: '-uid',
          fix: 'start it as root with -uid and -gid, or CNB_USER_ID and CNB_GROUP_ID: buildpacks run as that user',
        })
      const env = { ...context.env, ...(await extendBuildImage(context, extensions)), BALE_EXTENDED: 'build' }
      await containerRunner({ ...context, env }, context.log).run('build', context.signal)
    },
  }
}

interface BuildFile {
  readonly text: string
  readonly where: string
  readonly args: readonly BuildArg[]
  /** A directory that only root can change, or the application. */
  readonly context: string
}

/**
 * Reads all that extensions have made before anything of it runs: `<generated>` is the buildpacks' user's, whom a USER instruction may
 * become.
 * @param own a directory of root's, for copies of what they copy from
 */
async function readDockerfiles(
  { inputs, features }: PhaseContext,
  extensions: readonly GroupElement[],
  own: string,
): Promise<BuildFile[]> {
  const files: BuildFile[] = []
  for (const [index, { id, version }] of extensions.entries()) {
    const { build } = placesOf(inputs.path('generated'), id, features.extensionContexts)
    const content = await readUntrusted(build, inputs.path('generated'))
    if (content === undefined) continue
    const configPath = join(dirname(build), 'extend-config.toml')
    const { build: args } = parseExtendConfig((await readUntrusted(configPath)) ?? '', configPath)
    const from = await contextOf(dirname(build))
    const context = from === undefined ? inputs.path('app') : join(own, String(index))
    if (from !== undefined) await cp(from, context, { recursive: true, verbatimSymlinks: true })
    const where = `build.Dockerfile of ${id}@${version}`
    files.push({ text: new TextDecoder().decode(content), where, args, context })
  }
  return files
}

/** @returns the variables that the Dockerfiles have set or changed */
async function extendBuildImage(
  context: PhaseContext,
  extensions: readonly GroupElement[],
): Promise<Readonly<Record<string, string>>> {
  const own = await mkdtemp(join(tmpdir(), 'bale-extend-'))
  try {
    return await applyAll(context, await readDockerfiles(context, extensions, own))
  } finally {
    await rm(own, { recursive: true, force: true })
  }
}

async function applyAll(context: PhaseContext, files: readonly BuildFile[]): Promise<Readonly<Record<string, string>>> {
  if (files.length === 0) return {}
  const { inputs, io, env, signal, log } = context
  if (env['CNB_REGISTRY_AUTH'])
    log.warn(
      'Dockerfiles run as root can read the registry credentials of this container: start extender without CNB_REGISTRY_AUTH',
    )
  const path = inputs.path('analyzed')
  const { buildImage } = parseAnalyzed(await readRequired(readUntrusted, path), path)
  const reference = buildImage?.reference ?? ''
  const base = (await readBaseConfig(io.kanikoDir ?? '/kaniko', reference)).config ?? {}
  const supervisor = await findSupervisor(io.supervisor, log)
  if (supervisor === undefined)
    throw new BaleError('engine', 'the program that ends what Dockerfiles leave running does not work', {
      where: io.supervisor,
      fix: 'use a whole lifecycle, as npm run dist makes it',
    })
  let config: ContainerConfig = base
  for (const { args: own, ...file } of files) {
    const { uid, gid } = await findAccount('/', config.User ?? '')
    const args = new Map([
      ...own.map(({ name, value }): [string, string] => [name, value]),
      ...Object.entries({ base_image: reference, build_id: randomUUID(), user_id: String(uid), group_id: String(gid) }),
    ])
    log.event({ type: 'note', level: 'info', text: `Applying ${file.where}` })
    config = await applyDockerfile({ ...file, args, config, env: proxiesOf(env), supervisor, reporter: log }, signal)
  }
  const before = variablesOf(base)
  // The platform's own variables count more than the image's.
  const set = Object.entries(variablesOf(config)).filter(([name, value]) => before[name] !== value)
  return Object.fromEntries(set.filter(([name]) => !/^(?:CNB|BALE)_/.test(name)))
}

/** image_extension.md, "Context Folders": without one it is the application. */
async function contextOf(dir: string): Promise<string | undefined> {
  for (const name of ['context', 'context.build']) {
    if ((await directoryState(join(dir, name))) === 'directory') return join(dir, name)
  }
  return undefined
}

const variablesOf = ({ Env = [] }: ContainerConfig): Record<string, string> =>
  Object.fromEntries(
    Env.filter(entry => entry.includes('=')).map(entry => {
      const at = entry.indexOf('=')
      return [entry.slice(0, at), entry.slice(at + 1)]
    }),
  )
