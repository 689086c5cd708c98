import { rm } from 'node:fs/promises'
import { App, type BuildContext, type Component } from '../sdk/index.ts'
import type { BuildJob } from './build-job.ts'
import { restoreBuildCaches } from './frameworks/build-caches.ts'
import { setTimesByContent } from './frameworks/source-times.ts'
import { developmentImport } from './frameworks/development-imports.ts'
import { developmentProgram } from './frameworks/development-tools.ts'
import type { PackageManager } from './manager.ts'
import { installPackages } from './packages.ts'
import type { Project } from './project.ts'
import { buildWorkspace } from './workspace.ts'

/** The installed packages for the image. */
export interface Built {
  /** Relative to the root of the source. */
  readonly paths: readonly string[]
  readonly components: readonly Component[]
  /** The command that starts the application with its packages, if the shell alone does not find them. */
  startCommand?: PackageManager['startCommand']
}

export async function installAndBuild(job: BuildJob): Promise<Built> {
  const { context, project, choice, plan, scripts, manager } = job
  const { log } = context
  if (plan.how === 'install' && choice.lockFile === undefined) {
    const expected = choice.kind.newLockFile
    log.warning(
      `there is no ${expected}, so each build may install other versions`,
      `Run "${choice.kind.commands[0]} install" and commit ${expected}.`,
    )
  }
  for (const script of scripts.before)
    await manager.runScript(script, { nodeEnv: scripts.nodeEnv, cwd: project.app.path })
  await installPackages(context, project, choice, plan, manager)
  if (plan.builds) await withCaches(job, () => runScripts(job))
  const needed = plan.prune ? await whatNeedsDevelopment(project, await job.startCommands()) : undefined
  if (needed !== undefined) log.info(`devDependencies stay in the image: ${needed}`)
  else if (plan.prune) await log.step('Removing devDependencies', () => manager.prune())
  await manager.finish?.()
  const base = project.root.path.slice(context.app.path.length + 1)
  const startCommand = manager.startCommand && { startCommand: manager.startCommand.bind(manager) }
  if (plan.how === 'none') return { paths: [], components: [], ...startCommand }
  const paths = manager.installedPaths.map(path => (base === '' ? path : `${base}/${path}`))
  return { paths, components: await manager.sbom(), ...startCommand }
}

/** The reason why the application would not start without devDependencies; undefined if there is none. */
async function whatNeedsDevelopment(project: Project, commands: readonly string[]): Promise<string | undefined> {
  const tool = await developmentProgram(project, commands)
  if (tool) return `the start command calls ${tool.program}, of ${tool.name}`
  const imported = await developmentImport(project, commands)
  return imported && `${imported.file} imports ${imported.name}`
}

async function runScripts(job: BuildJob): Promise<void> {
  const { context, project, scripts, manager } = job
  const cwd = project.app.path
  if (await buildWorkspace(job)) return
  for (const script of scripts.scripts) await manager.runScript(script, { nodeEnv: scripts.nodeEnv, cwd })
  if (scripts.command !== undefined) {
    const bins = [...new Set([project.app, project.root])].map(folder => folder.at('node_modules/.bin'))
    const env = {
      NODE_ENV: scripts.nodeEnv,
      ...context.env,
      ...manager.env,
      PATH: [...bins, manager.env['PATH']].join(':'),
    }
    const command = ['bash', '-c', scripts.command] as const
    await context.log.step(`Building with ${scripts.where}: ${scripts.command}`, () =>
      context.run(command, { env, cwd: scripts.atTop ? project.root.path : cwd, name: scripts.command }),
    )
  }
}

/** Runs a build with the caches of its tools, which may be in the application's folder and at the root of its workspace. */
async function withCaches({ context, project, choice, node }: BuildJob, build: () => Promise<void>): Promise<void> {
  const { root, app, members } = project
  const lockFile = (choice.lockFile === undefined ? undefined : await root.read(choice.lockFile)) ?? ''
  const folders = ['', ...members.map(({ dir }) => dir)].filter(dir => root.at(dir) !== app.path)
  const texts = [app, ...folders.map(dir => new App(root.at(dir)))].map(each => each.read('package.json'))
  const packageJson = JSON.stringify(await Promise.all(texts))
  const inputs = { lockFile, packageJson, node: node.version }
  const caches = [await restoreBuildCaches(context, app, inputs)]
  if (folders.length > 0)
    caches.push(await restoreBuildCaches(context, root, inputs, { name: 'workspace-build-caches', folders }))
  await setTimesByContent(root.path)
  await build()
  for (const each of caches) await each.keep()
}

/** Removes the packages of a workspace that the application does not need. */
export async function leaveOut({ log }: BuildContext, { root, dir, others }: Project): Promise<void> {
  if (others.length === 0) return
  log.info(`Leaving out ${others.join(', ')}: ${dir} does not need ${others.length === 1 ? 'it' : 'them'}`)
  await Promise.all(others.map(other => rm(root.at(other), { recursive: true, force: true })))
}
