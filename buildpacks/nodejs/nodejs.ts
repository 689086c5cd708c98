import {
  type BuildContext,
  type BuildResult,
  type Component,
  defineBuildpack,
  type DetectContext,
  detectLanguage,
  fail,
  firstSetting,
  pass,
} from '../sdk/index.ts'
import { chooseManager } from './choose.ts'
import type { ManagerChoice, PackageManager } from './manager.ts'
import { bundledNpm } from './managers/npm-tool.ts'
import { restoreBuildCaches } from './frameworks/build-caches.ts'
import { developmentProgram } from './frameworks/development-tools.ts'
import { defaultBuild, findFramework, noServer } from './frameworks/server.ts'
import { findStart } from './frameworks/start.ts'
import { installPackages, type PackagePlan, planPackages } from './packages.ts'
import { findProject, type Project } from './project.ts'
import { Registry } from './registry.ts'
import { checkSources } from './sources.ts'
import { provideScriptVariables } from './script-variables.ts'
import { provideNode, type Runtime } from './runtime.ts'
import { type BuildScripts, buildScripts, mayCallManager } from './scripts.ts'
import { declaredStart, noStart, otherStart, webProcess } from './start.ts'
import { requestedVersion } from './version.ts'

/** Node.js applications, with each of the package managers. */
export const nodejs = defineBuildpack({ detect, build })

/** bin/detect has ruled out what has none of the files. */
async function detect(context: DetectContext) {
  const found = await detectLanguage(context, 'nodejs')
  if (found.role === 'none') return fail(found.reason)
  return pass(found.reason, found.plan)
}

/** Settings of other buildpacks that choose a part of the source. */
const unreadSettings = ['BP_NODE_PROJECT_PATH', 'GOOGLE_BUILDABLE']

async function build(given: BuildContext): Promise<BuildResult> {
  given.log.heading('Node.js')
  const project = await findProject(given)
  const framework = await findFramework(project.app)
  const context = { ...given, env: { ...framework?.env, ...given.env } }
  const { env, log, plan: requirements } = context
  const unread = firstSetting(env, ...unreadSettings)
  if (unread)
    log.warning(
      `${unread.name} is set, and Bale does not read it yet: the application is built from the top of the source`,
      'Give the directory of the application itself with --path.',
    )
  // Beside a server in another language, Node.js builds what that serves and is not in the image.
  const launch = requirements.length === 0 || requirements.some(({ metadata }) => metadata['launch'] !== false)
  const { app, json } = project
  checkSources(app, json)
  const choice = await chooseManager(env, project)
  const scripts = buildScripts(env, json, await defaultBuild(app, framework, json))
  const declared = declaredStart(env, json)
  const elsewhere = await otherStart(app, env)

  const bundled = await bundledNpm(context.buildpack.dir)
  const registry = new Registry(context, bundled)
  const node = await provideNode(context, registry, await requestedVersion(context, json), launch)
  const plan = await planPackages(context, project, choice.lockFile, scripts)
  // The package manager is in the image if something there may call it.
  const commands = [declared?.command, elsewhere].filter(command => command !== undefined)
  const launchManager = launch && commands.some(command => mayCallManager(command, choice.kind.commands))
  let packages: Packages | undefined
  if (launchManager || plan.how !== 'none' || plan.builds) {
    const job = { context, registry, bundled, node, project, choice, launch: launchManager }
    const needed = launch ? commands : []
    packages = await choice.kind.use(job, manager =>
      installAndBuild({ context, project, choice, plan, scripts, node, manager, needed }),
    )
  }

  const start = launch ? await findStart(app, { framework, declared, elsewhere, json }) : undefined
  if (launch && start === undefined && elsewhere === undefined) throw framework ? noServer(framework) : noStart(json)
  if (start) log.info(`Starts with: ${start.command} (${start.why})`)
  if (launch) await provideScriptVariables(context, json)
  return {
    launch: {
      ...(start && { processes: [webProcess(start)] }),
      // In a layer of their own, packages are not sent again with each change of the source.
      ...(packages && { slices: [{ paths: [...packages.paths, ...(start?.packages ?? [])] }] }),
    },
    ...(packages && { sbom: packages.components }),
  }
}

interface Job {
  readonly context: BuildContext
  readonly project: Project
  readonly choice: ManagerChoice
  readonly plan: PackagePlan
  readonly scripts: BuildScripts
  readonly node: Runtime
  readonly manager: PackageManager
  /** Commands that start the application. */
  readonly needed: readonly string[]
}

/** What the image has of packages. */
interface Packages {
  readonly paths: readonly string[]
  readonly components: readonly Component[]
}

async function installAndBuild(job: Job): Promise<Packages | undefined> {
  const { context, project, choice, plan, scripts, manager } = job
  const { log } = context
  const { app } = project
  if (plan.how === 'install' && choice.lockFile === undefined) {
    const expected = choice.kind.lockFiles.at(-1)
    log.warning(
      `there is no ${expected}, so each build may install other versions`,
      `Run "${choice.kind.commands[0]} install" and commit ${expected}.`,
    )
  }
  for (const script of scripts.before) await manager.runScript(script, scripts)
  await installPackages(context, project, choice, plan, manager)
  const caches = plan.builds ? await restoreBuildCaches(context, app, await cacheInputs(job)) : undefined
  for (const script of scripts.scripts) await manager.runScript(script, scripts)
  if (scripts.command !== undefined) {
    const env = {
      NODE_ENV: scripts.nodeEnv,
      ...context.env,
      ...manager.env,
      PATH: `${project.app.at('node_modules/.bin')}:${manager.env['PATH']}`,
    }
    const command = ['bash', '-c', scripts.command] as const
    await log.step(`Building with ${scripts.where}: ${scripts.command}`, () => context.run(command, { env }))
  }
  await caches?.keep()
  const tool = plan.prune ? await developmentProgram(app, project.json, job.needed) : undefined
  if (tool) log.info(`devDependencies stay in the image: the start command calls ${tool.program}, of ${tool.name}`)
  else if (plan.prune) await log.step('Removing devDependencies', () => manager.prune())
  return plan.how === 'none' ? undefined : { paths: manager.installedPaths, components: await manager.sbom() }
}

async function cacheInputs({ project, choice, node }: Job) {
  const lockFile = choice.lockFile === undefined ? '' : await project.root.read(choice.lockFile)
  const packageJson = await project.app.read('package.json')
  return { lockFile: lockFile ?? '', packageJson: packageJson ?? '', node: node.version }
}
