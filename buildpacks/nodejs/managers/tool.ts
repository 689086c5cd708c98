import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import semver from 'semver'
import { type BuildContext, type LayerEnv, packageUrl } from '../../sdk/index.ts'
import type { ManagerJob, ManagerSource } from '../manager.ts'
import { npmEnv } from '../../npm/registry.ts'
import { namesProgram } from '../scripts.ts'
import { chooseVersion } from './fetch.ts'
import { bundledWrappers, provideNpm } from './npm-tool.ts'

/** A package manager that comes from npm's registry. */
export interface ToolSource extends ManagerSource {
  /** The name of its layer and its command. */
  readonly command: string
  /** The name for users. */
  readonly name: string
  /** Variables for the image. */
  readonly env?: LayerEnv
  /** Fills the layer with commands in `bin`. */
  create(dir: string, version: string): Promise<void>
}

export interface Tool {
  readonly version: string
  /** The directory of its commands. */
  readonly bin: string
}

/** Puts a package manager into a layer. The layer is in the image as well if something there calls the manager. */
export async function provideTool({ context, registry, launch }: ManagerJob, source: ToolSource): Promise<Tool> {
  const { command, name, request, preferred } = source
  const version = await chooseVersion(registry, source)
  const decides = preferred !== undefined && preferred !== request && semver.valid(request.range) === null
  const line =
    decides && semver.satisfies(version, preferred.range) ? `, ${preferred.where} for ${preferred.range}` : ''
  context.log.info(`${name} ${version}: ${request.where} asks for ${request.range}${line}`)
  const layer = await context.layer(command, {
    title: `${name} ${version}`,
    // Build layers are protected against changes (X40); cache-only layers are not.
    types: { launch, build: true, cache: true },
    key: { [name]: version, architecture: context.target.arch, digest: request.hash ?? 'of the registry' },
    create: async dir => {
      await source.create(dir, version)
      return source.env === undefined ? {} : { env: source.env }
    },
    sbom: () => Promise.resolve([{ name: command, version, purl: packageUrl('npm', source.package, version) }]),
  })
  return { version, bin: join(layer.path, 'bin') }
}

/** A command that runs a script with the `node` on PATH. */
export async function writeNodeCommand(bin: string, command: string, script: string): Promise<void> {
  await mkdir(bin, { recursive: true })
  await writeFile(join(bin, command), `#!/bin/sh\nexec node '${script}' "$@"\n`, { mode: 0o755 })
}

/**
 * Variables for a manager other than npm, and for the scripts that it runs. Scripts may call npm with any manager, so npm is available;
 * in the image as well if the start needs it.
 */
export async function toolEnv(job: ManagerJob, bin: string, temp: string): Promise<Record<string, string>> {
  const { context, node, bundled } = job
  const paths = [join(node.layer.path, 'bin'), bin]
  if (job.launchNpm || scriptsCallNpm(job)) {
    const npm = await provideNpm({ ...job, launch: job.launchNpm, choice: { ...job.choice, request: undefined } })
    paths.push(await bundledWrappers(join(temp, 'bin'), npm.dir))
  } else paths.push(await bundledWrappers(join(temp, 'bin'), bundled.dir))
  return {
    ...npmEnv(context.env, join(temp, 'npm-cache')),
    PATH: [...paths, context.env['PATH']].join(':'),
    npm_package_config_node_gyp_nodedir: node.layer.path,
    // node-gyp 9 and older, which comes with older managers, reads this variable.
    npm_config_nodedir: node.layer.path,
    // The manager asks no questions, and does not change lock files.
    CI: context.env['CI'] ?? 'true',
  }
}

/**
 * Since Node 24, Node prints warnings about the code of older managers. An older Node fails if NODE_OPTIONS has the option, which
 * exists since 20.11 and 21.3.
 */
export function withoutWarnings({ context: { env }, node }: ManagerJob): Record<string, string> {
  if (semver.lt(node.version, '24.0.0')) return {}
  return { NODE_OPTIONS: [env['NODE_OPTIONS'], '--disable-warning=DEP0169'].filter(Boolean).join(' ') }
}

function scriptsCallNpm({ project: { json, rootJson } }: ManagerJob): boolean {
  const scripts = [...Object.values(json.scripts), ...Object.values(rootJson.scripts)]
  return scripts.some(script => namesProgram(script, ['npm', 'npx']))
}

/** The error of a manager that cannot install, with a fix if the lock file is the cause. */
export function outdatedLock(pattern: RegExp, command: string, lockFile: string | undefined) {
  return (output: string): string | undefined =>
    pattern.test(output) ? `run "${command}" and commit ${lockFile ?? 'the lock file'}` : undefined
}

export type RunCommand = (
  args: readonly [string, ...string[]],
  env?: Record<string, string | undefined>,
) => Promise<unknown>

/** Runs a manager's command from the project's root. */
export function commandOf(
  { run }: BuildContext,
  program: string,
  options: {
    readonly cwd: string
    readonly env: Readonly<Record<string, string | undefined>>
    readonly fix?: (output: string) => string | undefined
  },
): RunCommand {
  return (args, env = {}) =>
    run([program, ...args], {
      name: `${program} ${args.join(' ')}`,
      cwd: options.cwd,
      env: { ...options.env, ...env },
      ...(options.fix && { fix: options.fix }),
    })
}
