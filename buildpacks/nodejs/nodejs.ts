import { join } from 'node:path'
import { satisfies } from 'semver'
import {
  type BuildContext,
  type BuildResult,
  buildOnlyPaths,
  defineBuildpack,
  type DetectContext,
  detectLanguage,
  fail,
  type HomeFiles,
  isForDevelopment,
  override,
  pass,
  withHomeFiles,
} from '../sdk/index.ts'
import { noteFolders } from '../sdk/version-files.ts'
import { type Built, installAndBuild, leaveOut } from './build.ts'
import { findBrowser, orDebianChromium, provideBrowser } from './browser.ts'
import { bunStart, needsOnlyBun } from './bun-start.ts'
import { chooseManager } from './choose.ts'
import { explainFailures, toolVariables } from './failures.ts'
import { buildDeno } from './deno/build.ts'
import { findDeno } from './deno/project.ts'
import { checkLockFile } from './lock-check.ts'
import { bundledNpm } from '../npm/bundled.ts'
import { warnOfUnknownHosts } from './frameworks/angular-hosts.ts'
import { provideHost } from './frameworks/host.ts'
import { checkAdapter, defaultBuild, findFramework, type FrameworkStart, noServer } from './frameworks/server.ts'
import { gitVariables } from './git.ts'
import { functionStart } from './frameworks/functions.ts'
import { findStart } from './frameworks/start.ts'
import { provideLaunchPrograms } from './launch-programs.ts'
import { chooseVersion } from './managers/fetch.ts'
import { readPackageJson } from './package-json.ts'
import { nodejsOffers } from './offers.ts'
import { nxVariables } from './nx.ts'
import { planPackages } from './packages.ts'
import { checkChoice, findProject } from './project.ts'
import { warnOfAddress } from './port.ts'
import { Registry } from '../npm/registry.ts'
import { checkSources } from './sources.ts'
import { provideScriptVariables } from './script-variables.ts'
import { providePrograms, provideRuntime } from './programs.ts'
import { provideNode } from './runtime.ts'
import {
  buildScripts,
  buildsNothing,
  hasInstallScripts,
  mayCallManager,
  namesProgram,
  withCalled,
  withCompiler,
} from './scripts.ts'
import { missingFile, warnOfMissingFile } from './started-file.ts'
import { checkTypes, declaredStart, noStart, otherStart, sourceStart, webProcess } from './start.ts'
import { withVariables } from './variables.ts'
import { requestedNode } from './version.ts'

/** Node.js applications, with each of the package managers. */
export const nodejs = defineBuildpack({
  detect,
  build: context => withHomeFiles(context, homeFiles, () => build(context)),
  offers: nodejsOffers,
})

/** Settings of package managers by binding: registries, and their credentials. */
const homeFiles: HomeFiles = {
  npmrc: { '.npmrc': '.npmrc' },
  netrc: { '.netrc': '.netrc' },
  yarnrc: { '.yarnrc.yml': '.yarnrc.yml', '.yarnrc': '.yarnrc' },
}

/** bin/detect has excluded sources that have none of the files. */
async function detect(context: DetectContext) {
  const found = await detectLanguage(context, 'nodejs')
  if (found.role === 'none') return fail(found.reason)
  return pass(found.reason, found.plan)
}

async function build(given: BuildContext): Promise<BuildResult> {
  const bundled = await bundledNpm(given.buildpack.dir)
  const deno = await findDeno(given.app, await readPackageJson(given.app))
  given.log.heading(deno ? 'Deno' : 'Node.js')
  // The request that needs a file reports an unreadable one.
  await noteFolders(given.app, given.log).catch(() => undefined)
  if (deno) return buildDeno(given, new Registry(given, bundled), deno)
  const programsFor = given.plan.map(({ metadata }) => metadata['programs']).find(each => typeof each === 'string')
  if (programsFor !== undefined) return providePrograms(given, bundled, programsFor)
  const isCalled = given.plan.some(({ metadata }) => metadata['runtime'] === true)
  if (isCalled && !(await given.app.has('package.json'))) return provideRuntime(given, bundled)
  const site = given.plan.map(({ metadata }) => metadata['folder']).find(each => typeof each === 'string')
  const project = await findProject(given, site)
  const framework = await findFramework(project.app)
  // Beside a server in another language, Node.js builds the files that it serves, and is not in the image.
  const launch = given.plan.length === 0 || given.plan.some(({ metadata }) => metadata['launch'] !== false)
  // The server's build calls the tools, and removes packages that nothing needs any more.
  const tools = given.plan.some(({ metadata }) => metadata['tools'] === true)
  const browser = launch ? await findBrowser(given, project) : undefined
  const ofGit = given.env['GIT_CONFIG_COUNT'] === undefined ? await gitVariables(given.env) : {}
  const ofTools = { ...ofGit, ...toolVariables(given.execEnv), ...framework?.env, ...(project.nx && nxVariables) }
  const context = withVariables({ ...given, run: explainFailures(given.run) }, { ...ofTools, ...browser?.env })
  const { env, log } = context
  const { app, json } = project
  if (project.because !== undefined) log.info(`The application is ${project.dir}: ${project.because}`)
  if (project.dir !== '' && (await app.has('Procfile'))) {
    log.warning(
      `${project.dir}/Procfile has no effect: only a Procfile at the top of the source is read`,
      `Move its lines there, each with the folder: "web: cd ${project.dir} && COMMAND".`,
    )
  }
  checkSources(context.app, project)
  const choice = await chooseManager(env, project)
  for (const text of choice.contradictions) log.warning(text, 'Change one of the two.')
  await checkLockFile(project, choice)
  const ownScripts = buildScripts(env, json, await defaultBuild(project, framework))
  const ownStart = declaredStart(env, json)
  const startsMissing = launch && ownStart !== undefined && (await missingFile(app, ownStart.command)) !== undefined
  const scripts = startsMissing ? withCompiler(ownScripts, json) : ownScripts
  const isBun = choice.kind.id === 'bun'
  const elsewhere = await otherStart(context.app, env)
  const mayWatch = launch && elsewhere === undefined && framework === undefined && buildsNothing(scripts)
  const declared =
    ownStart ??
    (launch ? await functionStart(app, env, json) : undefined) ??
    (isBun && framework === undefined ? await bunStart(app, json) : undefined) ??
    (mayWatch ? await sourceStart(app, json) : undefined)
  if (launch && declared === undefined && elsewhere === undefined && framework === undefined) {
    checkChoice(project)
    // No script that could create a file runs.
    const installs = [json, project.rootJson].some(hasInstallScripts)
    const runsNothing = !project.nx && !installs && buildsNothing(scripts) && scripts.before.length === 0
    if (runsNothing) throw await noStart(app, json)
  }
  // The start commands that are known so far: the image contains the package manager if one of them may call it.
  const commands = [declared?.command, elsewhere].filter(command => command !== undefined)
  const startsOtherwise = elsewhere !== undefined || (declared !== undefined && !isForDevelopment(declared.command))
  if (launch && framework && !startsOtherwise) await checkAdapter(app, framework, json.packageNames)
  const called = (starts: readonly string[]) => withCalled(starts, json.scripts, project.rootJson.scripts)
  const planned = await planPackages(context, project, choice.lockFile, scripts, launch ? called(commands) : [])
  const plan = tools ? { ...planned, dev: true, prune: false } : planned
  const launchManager = launch && commands.some(command => mayCallManager(command, choice.kind.commands))
  const needsManager = launchManager || plan.how !== 'none' || plan.builds

  const registry = new Registry(context, bundled)
  // Every version is chosen before anything is downloaded.
  const source = await choice.kind.source(choice, project, context.target.arch)
  const isThere = choice.kind.id === 'npm' && satisfies(bundled.version, source?.request.range ?? '*')
  if (needsManager && source !== undefined && !isThere)
    await chooseVersion(registry, { name: choice.kind.name, ...source })
  const nodeRequests = await requestedNode(context, project)
  const withoutNode = isBun && nodeRequests.length === 0 && needsOnlyBun(commands)
  const node = await provideNode(context, registry, nodeRequests, isCalled || (launch && !withoutNode), project)
  const launchNpm = launch && commands.some(command => namesProgram(command, ['npm', 'npx']))
  const findOwnStart = async () => (launch ? findStart(project, { framework, declared, elsewhere }) : undefined)
  // The server that the build writes replaces a start script for development, so that script keeps no devDependency.
  const startCommands = async () => {
    const own = await findOwnStart()
    const starts = [own?.command ?? declared?.command, elsewhere].filter(command => command !== undefined)
    return launch ? called(starts) : []
  }
  let built: Built = { paths: [], components: [] }
  if (needsManager) {
    const job = {
      context,
      registry,
      bundled,
      node,
      project,
      choice,
      launch: launchManager,
      launchNpm,
      starts: launch,
      withoutNode,
    }
    built = await choice.kind.use(job, manager =>
      installAndBuild({ context, project, choice, plan, scripts, node, manager, startCommands }),
    )
  }
  await leaveOut(context, project)

  const found = await findOwnStart()
  if (launch && found === undefined && elsewhere === undefined)
    throw framework ? noServer(framework) : await noStart(app, json)
  if (found) checkTypes(found, node.version)
  if (found) log.info(`Starts with: ${found.command} (${found.why})`)
  if (launch && found) await warnOfAddress(app, log, found.command)
  if (launch && found) await warnOfMissingFile(app, log, found.command)
  if (launch && framework?.name === 'Angular SSR') await warnOfUnknownHosts(app, env, log)
  if (found?.host) await provideHost(context, registry, found.host)
  if (browser) await provideBrowser(context, await orDebianChromium(context, project, browser))
  if (launch)
    await provideLaunchPrograms(
      context,
      [found?.command, elsewhere].filter(each => each !== undefined),
    )
  if (launch) await provideScriptVariables(context, app, json)
  const paths = tools ? [] : built.paths
  if (tools && built.paths.length > 0) await provideForBuild(context, built.paths)
  const process = found && webProcess({ ...found, command: commandOf(found, built) })
  const folder = app.path.slice(context.app.path.length + 1)
  const own = (found?.packages ?? []).map(path => join(folder, path))
  const inFolder = app.path === context.app.path ? {} : { workingDir: app.path }
  return {
    launch: {
      ...(process && { processes: [{ ...process, ...inFolder }] }),
      // In a slice of their own, packages are not uploaded again with each change of the source.
      ...(paths.length > 0 && { slices: [{ paths: [...paths, ...own] }] }),
    },
    ...(paths.length > 0 && { sbom: built.components }),
  }
}

/** Tells the server's buildpack which directories are only for the build. */
async function provideForBuild({ layer }: BuildContext, paths: readonly string[]): Promise<void> {
  const value = paths.join(':')
  await layer('build-only', {
    types: { build: true },
    key: { paths: value },
    create: () => Promise.resolve({ env: { build: { [buildOnlyPaths]: override(value) } } }),
  })
}

/** A self-contained server needs no packages, and so no command that finds them. */
function commandOf(start: FrameworkStart, { startCommand }: Built): string {
  return start.packages === undefined ? (startCommand?.(start) ?? start.command) : start.command
}
