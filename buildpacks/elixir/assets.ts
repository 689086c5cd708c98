import { lstat, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type App, type BuildContext, digestOf, mixAssets } from '../sdk/index.ts'
import type { Dependency } from './dependencies.ts'
import type { Mix } from './mix.ts'
import { installNodePackages, runDeployScript } from './packages.ts'

/** Compiles assets as Phoenix's `assets.deploy` does, in each project that has the alias. */
export async function compileAssets(
  context: BuildContext,
  mix: Mix,
  dependencies: readonly Dependency[],
): Promise<void> {
  const { app, log } = context
  const projects = await projectsOf(app)
  const deploying = projects.filter(({ text }) => /["']?assets\.deploy["']?:/.test(text))
  const hasPhoenix = dependencies.some(({ name }) => name === 'phoenix')
  const folders = await mixAssets(app)
  for (const folder of folders) await installNodePackages(context, folder)
  const digesting: typeof projects = []
  for (const project of projects.filter(each => !deploying.includes(each))) {
    const folder = join(project.dir, 'assets')
    if (folders.includes(folder)) await runDeployScript(context, folder)
    const isPublic = await app.hasDirectory(join(project.dir, 'priv/static'))
    if (hasPhoenix && isPublic) digesting.push(project)
  }
  if (deploying.length + digesting.length === 0) return
  const tools = await restoreTools(context, dependencies)
  for (const { dir } of deploying) {
    await log.step(`Running mix assets.deploy${dir === '.' ? '' : ` in ${dir}`}`, () =>
      mix.run(['assets.deploy'], { cwd: app.at(dir) }),
    )
  }
  for (const { dir } of digesting) await mix.run(['phx.digest'], { cwd: app.at(dir) })
  for (const { dir } of [...deploying, ...digesting]) await fixTimes(app, join(dir, 'priv/static/cache_manifest.json'))
  await tools.keep()
}

/** The project, or the projects of an umbrella. */
async function projectsOf(app: App): Promise<{ readonly dir: string; readonly text: string }[]> {
  const names = (await readdir(app.at('apps')).catch(() => [])).toSorted()
  const projects: { dir: string; text: string }[] = []
  for (const dir of ['.', ...names.map(name => join('apps', name))]) {
    const text = (await app.hasDirectory(dir)) ? await app.read(join(dir, 'mix.exs')) : undefined
    if (text !== undefined) projects.push({ dir, text })
  }
  return projects
}

/** Phoenix records the time when it made each file, which only the removal of old files uses: the image must not depend on it. */
async function fixTimes(app: App, name: string): Promise<void> {
  const text = (await app.has(name)) ? await readFile(app.at(name), 'utf8') : undefined
  // The time of all files in an image, in seconds since the year 0.
  if (text !== undefined) await writeFile(app.at(name), text.replaceAll(/("mtime":\s*)\d+/g, '$162482752001'))
}

/** The packages esbuild and tailwind download their programs into `_build`. With other dependencies they download them again (X40). */
async function restoreTools(
  { app, layer, run }: BuildContext,
  dependencies: readonly Dependency[],
): Promise<{ keep(): Promise<void> }> {
  const { path } = await layer('assets-tools', {
    types: { cache: true },
    key: { dependencies: digestOf(JSON.stringify(dependencies)) },
    create: async () => {},
  })
  const dir = app.at('_build')
  const programs = async (of: string) => {
    const names = (await readdir(of).catch(() => [])).filter(name => /^(?:esbuild|tailwind)-/.test(name))
    const files = await Promise.all(names.map(async name => ((await lstat(join(of, name))).isFile() ? [name] : [])))
    return files.flat()
  }
  const copy = (from: string, to: string) => run(['cp', '-a', from, to], { quiet: true })
  await mkdir(dir, { recursive: true })
  for (const name of await programs(path)) await copy(join(path, name), dir)
  return {
    async keep() {
      for (const name of await programs(dir)) {
        await rm(join(path, name), { force: true })
        await copy(join(dir, name), path)
      }
    },
  }
}
