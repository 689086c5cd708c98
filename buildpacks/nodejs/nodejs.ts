import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import semver from 'semver'
import {
  type BuildContext,
  type BuildResult,
  defineBuildpack,
  type DetectContext,
  detectLanguage,
  fail,
  firstSetting,
  keep,
  pass,
  withTempDir,
} from '../sdk/index.ts'
import { findLockFile } from './manager.ts'
import { bundledNpm, provideNpm, requestedNpm, writeWrappers } from './npm.ts'
import { noPackageJson, type PackageJson, readPackageJson } from './package-json.ts'
import {
  copyTree,
  installArguments,
  installedPackages,
  type NpmCommand,
  type PackagePlan,
  packagesKey,
  planPackages,
  pruneArguments,
} from './packages.ts'
import { type Npm, npmEnv, Registry } from './registry.ts'
import { checkSources } from './sources.ts'
import { provideScriptVariables } from './script-variables.ts'
import { provideNode, type Runtime } from './runtime.ts'
import { type BuildScripts, buildScripts, callsNpm } from './scripts.ts'
import { declaredStart, noStart, otherStart, startFile, webProcess } from './start.ts'
import { requestedVersion } from './version.ts'

/** Node.js applications, with npm. */
export const nodejs = defineBuildpack({ detect, build })

/** bin/detect has ruled out what has none of the files. */
async function detect(context: DetectContext) {
  const found = await detectLanguage(context, 'nodejs')
  if (found.role === 'none') return fail(found.reason)
  return pass(found.reason, found.plan)
}

/** Settings of other buildpacks that choose a part of the source. */
const unreadSettings = ['BP_NODE_PROJECT_PATH', 'GOOGLE_BUILDABLE']

async function build(context: BuildContext): Promise<BuildResult> {
  const { app, env, log, plan: requirements } = context
  log.heading('Node.js')
  const unread = firstSetting(env, ...unreadSettings)
  if (unread)
    log.warning(
      `${unread.name} is set, and Bale does not read it yet: the application is built from the top of the source`,
      'Give the directory of the application itself with --path.',
    )
  // Beside a server in another language, Node.js builds what that serves and is not in the image.
  const launch = requirements.length === 0 || requirements.some(({ metadata }) => metadata['launch'] !== false)
  const json = (await readPackageJson(app)) ?? noPackageJson
  await checkSources(app, json)
  const lockFile = await findLockFile(app, json)
  const scripts = buildScripts(env, json)
  const declared = declaredStart(env, json)
  const elsewhere = await otherStart(app, env)

  const bundled = await bundledNpm(context.buildpack.dir)
  const registry = new Registry(context, bundled)
  const node = await provideNode(context, registry, await requestedVersion(context, json), launch)
  const plan = await planPackages(context, json, lockFile, scripts)
  // npm is in the image if something there calls it.
  const launchNpm = launch && [declared?.command, elsewhere].some(command => command !== undefined && callsNpm(command))
  if (launchNpm || plan.how !== 'none' || plan.builds) {
    const request = requestedNpm(env, json, node.version, bundled)
    const npm = await provideNpm(context, registry, bundled, request, launchNpm)
    await withTools(context, node, npm, tools => installAndBuild(context, { json, plan, scripts, node, npm, tools }))
  }

  const start = launch ? (declared ?? (await startFile(app, json))) : undefined
  if (launch && start === undefined && elsewhere === undefined) throw noStart(json)
  if (start) log.info(`Starts with: ${start.command} (${start.why})`)
  if (launch) await provideScriptVariables(context, json)
  const inApp = plan.how !== 'none'
  return {
    launch: {
      ...(start && { processes: [webProcess(start)] }),
      // In a layer of their own, packages are not sent again with each change of the source.
      ...(inApp && { slices: [{ paths: ['node_modules'] }] }),
    },
    ...(inApp && { sbom: await installedPackages(app.path) }),
  }
}

/** How to run npm and the application's scripts. */
interface Tools {
  readonly npm: NpmCommand
  readonly env: Readonly<Record<string, string>>
}

async function withTools(context: BuildContext, node: Runtime, npm: Npm, work: (tools: Tools) => Promise<void>) {
  // It outlives the buildpack's version, as npm checks whatever it takes out.
  const cache = await context.layer('npm-cache', {
    types: { cache: true },
    key: {},
    restore: () => keep,
    create: async () => {},
  })
  await withTempDir(async bin => {
    await writeWrappers(bin, npm.dir)
    const nodeBin = join(node.layer.path, 'bin')
    const env = {
      ...npmEnv(context.env, cache.path),
      PATH: [nodeBin, bin, context.env['PATH']].join(':'),
      // Headers for packages in C++, which node-gyp would download.
      npm_package_config_node_gyp_nodedir: node.layer.path,
      // The same for node-gyp before 10, which npm of that age brings; newer npm warns of a setting that it does not know.
      ...(semver.lt(npm.version, '10.0.0') && { npm_config_nodedir: node.layer.path }),
    }
    const cli = join(npm.dir, 'bin/npm-cli.js')
    const command: NpmCommand = (args, cwd) => {
      // npm's code for a lock file that does not match package.json; other failures have nothing to do with it.
      const fix = (stderr: string) =>
        /\bcode EUSAGE\b/.test(stderr) ? 'run "npm install" and commit package-lock.json' : undefined
      const options = { env, name: `npm ${args.join(' ')}`, ...(cwd && { cwd }), fix }
      return context.run([join(nodeBin, 'node'), cli, ...args], options)
    }
    await work({ npm: command, env })
  })
}

interface Job {
  readonly json: PackageJson
  readonly plan: PackagePlan
  readonly scripts: BuildScripts
  readonly node: Runtime
  readonly npm: Npm
  readonly tools: Tools
}

async function installAndBuild(context: BuildContext, job: Job): Promise<void> {
  const { plan, scripts, tools } = job
  const { log } = context
  for (const script of scripts.before) await runScript(context, tools, script, scripts.nodeEnv)
  await install(context, job)
  for (const script of scripts.scripts) await runScript(context, tools, script, scripts.nodeEnv)
  if (scripts.command !== undefined) {
    const env = { ...tools.env, PATH: `${context.app.at('node_modules/.bin')}:${tools.env['PATH']}` }
    const command = ['bash', '-c', scripts.command] as const
    await log.step(`Building with ${scripts.where}: ${scripts.command}`, () => context.run(command, { env }))
  }
  if (plan.prune) await log.step('Removing devDependencies', () => tools.npm(pruneArguments(plan)))
}

async function runScript(
  { env, log, run }: BuildContext,
  tools: Tools,
  script: string,
  nodeEnv: string,
): Promise<void> {
  const options = { env: { NODE_ENV: nodeEnv, ...env, ...tools.env }, name: `npm run ${script}` }
  await log.step(`Running npm run ${script}`, () => run(['npm', 'run', script], options))
}

async function install(context: BuildContext, { json, plan, node, npm, tools }: Job): Promise<void> {
  const { app, log, run } = context
  if (plan.how === 'none') return
  if (plan.how === 'vendored') {
    await log.step('Compiling the packages that came with the source', () => tools.npm(['rebuild']))
    return
  }
  if (plan.lockFile === undefined) {
    log.warning(
      'there is no package-lock.json, so each build may install other versions',
      'Run "npm install" and commit package-lock.json.',
    )
  }
  const installInApp = async () => {
    await rm(app.at('node_modules'), { recursive: true, force: true })
    await tools.npm(installArguments(plan))
  }
  if (!plan.keyed) {
    await log.step(`Installing packages with npm ${installArguments(plan)[0]}`, installInApp)
    return
  }
  const key = await packagesKey(context, plan, json, { node: node.version, npm: npm.version })
  const title = `packages of ${plan.lockFile}`
  const modules = app.at('node_modules')
  const layer = await context.layer('modules', {
    title,
    types: { cache: true },
    key,
    create: async dir => {
      await installInApp()
      await copyTree(run, modules, join(dir, 'node_modules'))
    },
  })
  if (layer.state !== 'restored') return
  await rm(modules, { recursive: true, force: true })
  await copyTree(run, join(layer.path, 'node_modules'), modules)
}
