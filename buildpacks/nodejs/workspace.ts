import { tableOf } from '../sdk/tables.ts'
import type { BuildJob } from './build-job.ts'
import { parseYaml } from './yaml.ts'

/**
 * Builds the application of a workspace and the packages that it depends on. Turborepo and Nx know the order. Without them, each
 * package that the application needs is built before it, if it has a build script.
 * @returns true if that included the application's own build
 */
export async function buildWorkspace(job: BuildJob): Promise<boolean> {
  const { project, scripts, manager } = job
  if (project.dir === '' || !project.isWorkspace || scripts.command !== undefined) return false
  const onlyBuild = scripts.scripts.length === 1 && scripts.scripts[0] === 'build'
  if (onlyBuild && (await buildWithTool(job))) return true
  for (const { dir, json } of project.members) {
    if (dir === project.dir || !json.scripts['build']?.trim()) continue
    await manager.runScript('build', { nodeEnv: scripts.nodeEnv, cwd: project.root.at(dir), where: dir })
  }
  return false
}

async function buildWithTool({ context, project, scripts, manager }: BuildJob): Promise<boolean> {
  const { root, rootJson, app, json } = project
  const tools = { ...rootJson.dependencies.dependencies, ...rootJson.dependencies.devDependencies }
  const command = await toolCommand()
  if (command === undefined) return false
  const env = {
    NODE_ENV: scripts.nodeEnv,
    ...context.env,
    ...manager.env,
    PATH: `${root.at('node_modules/.bin')}:${manager.env['PATH']}`,
    TURBO_TELEMETRY_DISABLED: '1',
    NX_DAEMON: 'false',
  }
  const name = command.join(' ')
  await context.log.step(`Running ${name}`, () => context.run(command, { env, cwd: root.path, name }))
  return true

  async function toolCommand(): Promise<[string, ...string[]] | undefined> {
    if (
      tools['turbo'] !== undefined &&
      (await root.firstOf(['turbo.json', 'turbo.jsonc'])) &&
      json.name !== undefined
    ) {
      return ['turbo', 'run', 'build', `--filter=${json.name}`]
    }
    if (tools['nx'] === undefined || !(await root.has('nx.json'))) return undefined
    const own = tableOf(
      (await app.has('project.json')) ? parseYaml((await app.read('project.json')) ?? '', 'project.json') : {},
    )
    const projectName = typeof own['name'] === 'string' ? own['name'] : json.name
    return projectName === undefined ? undefined : ['nx', 'run', `${projectName}:build`]
  }
}
