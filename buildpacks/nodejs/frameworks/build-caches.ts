import { chmod, lstat, mkdir, readdir, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type App, type BuildContext, digestOf } from '../../sdk/index.ts'

/** Directories of an application in which build tools keep what makes their next run faster. */
const directories = [
  'node_modules/.cache',
  'node_modules/.vite',
  'node_modules/.vite-temp',
  'node_modules/.astro',
  '.next/cache',
  '.angular/cache',
  '.docusaurus',
  '.parcel-cache',
  '.turbo',
  '.nx/cache',
  '.rsbuild/cache',
] as const

/** What tools leave beside their caches, of no use to the application or to another build: Nx's database has the time of day in it. */
const leftovers = ['.nx/workspace-data']

/** Servers write to these of them as they run. */
const writtenAtLaunch = ['.next/cache']

/** The caches of a build's tools, in the application while it is built. */
export interface BuildCaches {
  /** Takes them out of the application, for the next build. */
  keep(): Promise<void>
}

/**
 * Brings back what the tools of the last build have kept. With another lock file, Node or set of scripts the caches start empty: nothing that
 * a dependency has put there outlives the dependency (X40).
 */
export async function restoreBuildCaches(
  { run, layer }: Pick<BuildContext, 'run' | 'layer'>,
  app: App,
  dependsOn: { readonly lockFile: string; readonly packageJson: string; readonly node: string },
  name = 'build-caches',
): Promise<BuildCaches> {
  const { path } = await layer(name, {
    types: { cache: true },
    key: {
      Node: dependsOn.node,
      'lock file': digestOf(dependsOn.lockFile),
      'package.json': digestOf(dependsOn.packageJson),
    },
    create: async () => {},
  })
  const move = (from: string, to: string) =>
    run(['mv', '-T', from, to], { quiet: true, name: 'moving a cache of the build' })
  // What the source brings is the source's.
  const own: string[] = []
  for (const dir of directories) if (await exists(app.at(dir))) own.push(dir)
  for (const dir of directories.filter(each => !own.includes(each))) {
    if (!(await exists(join(path, dir)))) continue
    await mkdir(dirname(app.at(dir)), { recursive: true })
    await move(join(path, dir), app.at(dir))
  }
  return {
    async keep() {
      for (const entry of await readdir(path)) {
        if (entry !== 'env' && !entry.startsWith('env.')) await rm(join(path, entry), { recursive: true, force: true })
      }
      for (const dir of directories.filter(each => !own.includes(each))) {
        if (!(await isDirectory(app.at(dir)))) continue
        await mkdir(dirname(join(path, dir)), { recursive: true })
        await move(app.at(dir), join(path, dir))
        if (!writtenAtLaunch.includes(dir)) continue
        await mkdir(app.at(dir))
        // The application's user is in the group of the build's.
        await chmod(app.at(dir), 0o775)
      }
      for (const dir of leftovers) await rm(app.at(dir), { recursive: true, force: true })
    },
  }
}

const exists = (path: string) =>
  lstat(path).then(
    () => true,
    () => false,
  )

/** A link may lead anywhere. */
const isDirectory = (path: string) =>
  lstat(path).then(
    found => found.isDirectory(),
    () => false,
  )
