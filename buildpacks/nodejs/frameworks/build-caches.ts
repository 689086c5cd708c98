import { chmod, lstat, mkdir, readdir, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type App, type BuildContext, digestOf } from '../../sdk/index.ts'

/** Directories of an application in which build tools keep data that speeds up their next run. */
const inFolder = [
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

/**
 * Files that tools write beside their caches and that neither the application nor another build can use: Nx's database contains the
 * time.
 */
const leftovers = ['.nx/workspace-data']

/** Caches among these that servers write to at run time. */
const writtenAtLaunch = ['.next/cache']

/** The caches of a build's tools. They are in the application's folder during the build. */
export interface BuildCaches {
  /** Moves the caches out of the application, for the next build. */
  keep(): Promise<void>
}

/**
 * Restores the caches of the last build's tools. With another lock file, Node or set of scripts the caches start empty: nothing that a
 * dependency has written outlives the dependency (X40).
 * @param folders the folders of the application that may have caches: those of its workspace's packages, or only its own, which is empty
 */
export async function restoreBuildCaches(
  { run, layer }: Pick<BuildContext, 'run' | 'layer'>,
  app: App,
  dependsOn: { readonly lockFile: string; readonly packageJson: string; readonly node: string },
  { name = 'build-caches', folders = [''] }: { readonly name?: string; readonly folders?: readonly string[] } = {},
): Promise<BuildCaches> {
  const directories = folders.flatMap(folder => inFolder.map(dir => join(folder, dir)))
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
  // Cache directories in the source belong to the source.
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
        if (!writtenAtLaunch.some(each => dir.endsWith(each))) continue
        await mkdir(app.at(dir))
        // The application's user is in the group of the build's user.
        await chmod(app.at(dir), 0o775)
      }
      for (const dir of folders.flatMap(folder => leftovers.map(each => join(folder, each))))
        await rm(app.at(dir), { recursive: true, force: true })
    },
  }
}

const exists = (path: string) =>
  lstat(path).then(
    () => true,
    () => false,
  )

/** True for a real directory: a link may point anywhere. */
const isDirectory = (path: string) =>
  lstat(path).then(
    found => found.isDirectory(),
    () => false,
  )
