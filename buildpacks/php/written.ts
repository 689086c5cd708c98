import { chmod, lstat, mkdir, readdir, realpath, stat } from 'node:fs/promises'
import { join, posix } from 'node:path'
import type { App } from '../sdk/index.ts'
import type { Framework } from './frameworks.ts'

/** A framework whose writable directories are below the served one, whatever its name. */
export async function placeWritten(app: App, framework: Framework, served: string | undefined): Promise<Framework> {
  const { usualRoot } = framework
  if (usualRoot === undefined) return framework
  const root = served ?? ((await isDirectory(app.at(usualRoot))) ? usualRoot : undefined)
  const written = framework.written.flatMap(name => {
    if (!name.startsWith(`${usualRoot}/`)) return [name]
    return root === undefined ? [] : [posix.join(root, posix.relative(usualRoot, name))]
  })
  return { ...framework, written }
}

/** Creates the directories that the framework writes to. The application's user is in the group of the build's user. */
export async function openDirectories(app: App, { written }: Pick<Framework, 'written'>): Promise<void> {
  for (const name of written) {
    const dir = await ownDirectory(app, name)
    if (dir !== undefined) await open(dir)
  }
}

/** A directory of the source, created if it is missing; undefined if a link leads elsewhere, which is often to a volume. */
async function ownDirectory(app: App, name: string): Promise<string | undefined> {
  const top = await realpath(app.path)
  let dir = top
  for (const part of name.split('/')) {
    const path = join(dir, part)
    if ((await lstat(path).catch(() => undefined)) === undefined) await mkdir(path)
    const real = await realpath(path).catch(() => undefined)
    if (real === undefined || !(real === top || real.startsWith(`${top}/`)) || !(await isDirectory(real)))
      return undefined
    dir = real
  }
  return dir
}

async function open(dir: string): Promise<void> {
  await chmod(dir, 0o775)
  for (const entry of await readdir(dir, { withFileTypes: true })) {
    const path = join(dir, entry.name)
    if (entry.isDirectory()) await open(path)
    else if (entry.isFile()) await chmod(path, 0o664)
  }
}

const isDirectory = async (path: string) => (await stat(path).catch(() => undefined))?.isDirectory() ?? false
