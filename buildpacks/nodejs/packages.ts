import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type BuildContext, drop, firstSetting, keep, type LayerKey, type Run } from '../sdk/index.ts'
import { installedPackages } from './installed.ts'
import { developmentImport } from './frameworks/development-imports.ts'
import { namesDevelopmentTool } from './frameworks/development-tools.ts'
import type { Installation, ManagerChoice, PackageManager } from './manager.ts'
import type { Project } from './project.ts'
import { type BuildScripts, hasInstallScripts } from './scripts.ts'

/**
 * How the application gets its packages. `none`. `install`: in its own directory as on a developer's machine, since packages look for
 * their application relative to their own place. `vendored`: they are in the source, and native modules are compiled again.
 */
export interface PackagePlan {
  readonly how: 'none' | 'install' | 'vendored'
  /** Scripts run to build the application. */
  readonly builds: boolean
  /** devDependencies are installed as well, for the application's scripts or for tests. */
  readonly dev: boolean
  /** The application's own files do not affect the installed packages. */
  readonly sourceDoesNotMatter: boolean
  /** devDependencies are removed after the build. */
  readonly prune: boolean
}

type Env = Readonly<Record<string, string>>

export async function planPackages(
  { env, execEnv }: Pick<BuildContext, 'env' | 'execEnv'>,
  project: Project,
  lockFile: string | undefined,
  scripts: BuildScripts,
  startCommands: readonly string[] = [],
): Promise<PackagePlan> {
  const { root, rootJson, json, isWorkspace, members } = project
  const builds = [...scripts.before, ...scripts.scripts].length > 0 || scripts.command !== undefined
  // npm compiles an application that has a binding.gyp, as if a script requested it.
  const ownInstall = hasInstallScripts(rootJson) || hasInstallScripts(json) || (await root.has('binding.gyp'))
  const wantsDev = execEnv !== 'production' || !wantsPruning(env)
  // Any script of the application may call a development tool: `"prepare": "husky"`.
  const startsWithDev =
    [json, rootJson].some(({ devPackageNames }) => namesDevelopmentTool(startCommands, devPackageNames)) ||
    (await developmentImport(project, startCommands)) !== undefined
  const dev = builds || ownInstall || wantsDev || startsWithDev
  const prune =
    dev && !wantsDev && [json, rootJson, ...members.map(member => member.json)].some(each => each.hasDevDependencies)
  const sourceDoesNotMatter = !ownInstall && !rootJson.hasWorkspaces && !isWorkspace && scripts.before.length === 0
  const plan = { builds, dev, prune, sourceDoesNotMatter }
  if (lockFile === undefined && (await root.hasDirectory('node_modules')))
    return { ...plan, how: 'vendored', prune: false }
  const isEmpty = !isWorkspace && !json.hasDependencies && !rootJson.hasDependencies && !ownInstall
  return isEmpty ? { ...plan, how: 'none', prune: false } : { ...plan, how: 'install' }
}

/** The settings of Heroku and Railpack that keep devDependencies, and those of npm and Yarn. */
function wantsPruning(env: Env): boolean {
  const nodeEnv = env['NODE_ENV']
  if (nodeEnv === 'development' || nodeEnv === 'test') return false
  const settings = ['NPM_CONFIG_PRODUCTION', 'YARN_PRODUCTION', 'PNPM_CONFIG_PRODUCTION', 'RAILPACK_PRUNE_DEPS']
  return !settings.some(name => env[name]?.toLowerCase() === 'false')
}

/** Installs the packages, or copies those of an earlier build if the lock file alone determines them. */
export async function installPackages(
  context: BuildContext,
  project: Project,
  { lockFile }: ManagerChoice,
  plan: PackagePlan,
  manager: PackageManager,
): Promise<void> {
  const { log, run } = context
  if (plan.how === 'none') return
  if (plan.how === 'vendored') {
    await log.step('Compiling packages that are in the source', () => manager.rebuild())
    return
  }
  const command = firstSetting(context.env, 'RAILPACK_INSTALL_CMD')
  if (command) {
    const argv = ['bash', '-c', command.value] as const
    await log.step(`Installing packages with ${command.name}: ${command.value}`, () =>
      run(argv, { env: manager.env, cwd: project.root.path, name: command.name }),
    )
    return
  }
  const key = plan.sourceDoesNotMatter ? await manager.key({ dev: plan.dev }) : undefined
  if (key === undefined)
    await log.step(`Installing packages with ${manager.installTitle}`, () => manager.install({ dev: plan.dev }))
  const withScripts =
    key === undefined ? undefined : await installKept(context, project, key, `packages of ${lockFile}`, manager, plan)
  // No code of a package has run yet, and none may change the store that the next build uses.
  if (manager.store !== undefined) context.seal(manager.store)
  if (withScripts?.length === 0) return
  const runAll = manager.runInstallScripts?.bind(manager)
  const runSome = manager.inSteps?.runScripts?.bind(manager.inSteps)
  if (runAll) await log.step('Running the scripts of packages', () => runAll({ dev: plan.dev }))
  else if (withScripts && runSome)
    await log.step(`Running the scripts of ${withScripts.join(', ')}`, () => runSome(withScripts))
}

/**
 * Installs packages that the lock file alone determines, or copies those of an earlier build. They are stored before their scripts run,
 * since scripts could read anything, unless their manager runs scripts only while it installs.
 * @returns the folders of the packages whose scripts still have to run, relative to `node_modules`
 */
async function installKept(
  context: BuildContext,
  { root }: Project,
  key: LayerKey,
  title: string,
  manager: PackageManager,
  { dev }: Installation,
): Promise<readonly string[]> {
  const modules = root.at('node_modules')
  const install = () => (manager.inSteps ?? manager).install({ dev })
  const byName = manager.inSteps?.runScripts !== undefined
  // Scripts that cannot run on installed packages run during the installation, in each build.
  const areKept = (scripts: readonly string[]) =>
    scripts.length === 0 || manager.runInstallScripts !== undefined || (byName && scripts.every(isSafeName))
  const layer = await context.layer('modules', {
    title,
    types: { cache: true },
    key: { ...key, ...((manager.inSteps ?? manager.runInstallScripts) && { scripts: 'still to be run' }) },
    isCurrent: ({ notes }) => Promise.resolve(scriptsIn(notes) === undefined ? drop('its notes are unreadable') : keep),
    create: async dir => {
      await install()
      const installed = await installedPackages(root.path, [''])
      const scripts = [...new Set(installed.filter(({ hasScripts }) => hasScripts).map(({ folder }) => folder))]
      const notes = { scripts: JSON.stringify(scripts) }
      if (!areKept(scripts)) return { notes }
      // A manager creates no directory if all packages are for development only.
      await mkdir(modules, { recursive: true })
      await copyTree(context.run, modules, join(dir, 'node_modules'))
      return { notes }
    },
  })
  // Programs that run from here on, such as the application's own build script, must not change the layer that the next build uses.
  context.seal(layer)
  const scripts = scriptsIn(layer.notes) ?? []
  if (!areKept(scripts)) {
    const odd = scripts.filter(name => !isSafeName(name)).map(name => JSON.stringify(name))
    const why = byName ? `: the scripts of ${odd.join(', ')} cannot run separately` : ''
    context.log.info(`Packages are installed in each build, with scripts${why}`)
    await manager.install({ dev })
    return []
  }
  if (layer.state === 'restored') {
    await rm(modules, { recursive: true, force: true })
    await copyTree(context.run, join(layer.path, 'node_modules'), modules)
  }
  return scripts
}

/** Names that npm takes for package names, and not for options or archives. */
function isSafeName(name: string): boolean {
  return /^(@[a-z\d][\w.~-]*\/)?[a-z\d][\w.~-]*$/i.test(name) && !/\.(tgz|tar|tar\.gz)$/i.test(name)
}

/** undefined if the notes are not those that `installKept` writes. */
function scriptsIn(notes: Readonly<Record<string, string>>): string[] | undefined {
  try {
    const list: unknown = JSON.parse(notes['scripts'] ?? '')
    return Array.isArray(list) && list.every(name => typeof name === 'string') ? list : undefined
  } catch {
    return undefined
  }
}

/** Copies a whole tree unchanged. */
async function copyTree(run: Run, from: string, to: string): Promise<void> {
  await run(['cp', '-a', '--reflink=auto', from, to], { quiet: true, name: 'copying node_modules' })
}
