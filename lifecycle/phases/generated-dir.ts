import { cp, lstat, mkdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { BaleError } from '../errors.ts'
import { directoryState, namesIn } from '../files/directories.ts'
import { removeTree } from '../files/remove.ts'
import type { ExtendKind } from '../spec/extend-config.ts'
import { escapeId } from '../spec/ids.ts'

// `<generated>`: the output of image extensions, for restorer and extender (platform.md, "detector", Outputs).

/** Folders of an output that Dockerfiles copy from (image_extension.md, "Context Folders"). */
export const contexts = ['context', 'context.build', 'context.run'] as const
const files = ['build.Dockerfile', 'run.Dockerfile', 'run.Dockerfile.ignore', 'Dockerfile', 'Dockerfile.ignore']

/** Where the files of one extension go. */
export interface GeneratedPlaces {
  readonly run: string
  readonly build: string
  /** Directories that get extend-config.toml and, if the Platform API has them, the context folders. */
  readonly folders: readonly string[]
  readonly contexts: boolean
}

/** Since Platform API 0.13, an extension has one folder. Before, it has one for each kind, without a context. */
export function placesOf(generatedDir: string, id: string, isOneFolder: boolean): GeneratedPlaces {
  const name = escapeId(id)
  if (isOneFolder) {
    const folder = join(generatedDir, name)
    const [run, build] = [join(folder, 'run.Dockerfile'), join(folder, 'build.Dockerfile')]
    return { run, build, folders: [folder], contexts: true }
  }
  const [run, build] = [join(generatedDir, 'run', name), join(generatedDir, 'build', name)]
  return { run: join(run, 'Dockerfile'), build: join(build, 'Dockerfile'), folders: [run, build], contexts: false }
}

/**
 * Removes the output of an earlier detection, and makes the directory.
 * @throws BaleError 'arguments' if it contains other files: a wrong -generated must not delete a user's files
 */
export async function clearGenerated(dir: string): Promise<void> {
  const names = await namesIn(dir)
  for (const name of names) {
    if (!(await isOurs(join(dir, name), name)))
      throw new BaleError('arguments', `${name} in it was not made by an image extension`, {
        where: dir,
        fix: 'give a separate directory as -generated',
      })
  }
  for (const name of names) await removeTree(join(dir, name))
  await mkdir(dir, { recursive: true })
}

async function isOurs(path: string, name: string): Promise<boolean> {
  if (!(await lstat(path)).isDirectory()) return false
  const own = await namesIn(path)
  if (own.some(file => files.includes(file))) return true
  if (name !== 'run' && name !== 'build') return false
  const below = await Promise.all(
    own.map(async id => (await namesIn(join(path, id))).some(file => files.includes(file))),
  )
  return below.every(Boolean)
}

/** The directory that COPY reads (image_extension.md, "Context Folders"). Undefined means the application. */
export async function contextOf(dir: string, kind: ExtendKind): Promise<string | undefined> {
  for (const name of ['context', `context.${kind}`]) {
    if ((await directoryState(join(dir, name))) === 'directory') return join(dir, name)
  }
  return undefined
}

/** Copies a checked output. */
export async function keepOutput(
  output: string,
  places: GeneratedPlaces,
  has: { readonly run: boolean; readonly build: boolean; readonly where: string },
): Promise<void> {
  const copy = (from: string, to: string): Promise<void> => copyPlain(from, to, has.where)
  const folders = places.folders.filter(
    folder => (has.run && places.run.startsWith(`${folder}/`)) || (has.build && places.build.startsWith(`${folder}/`)),
  )
  for (const folder of folders) {
    await mkdir(folder, { recursive: true })
    await copy(join(output, 'extend-config.toml'), join(folder, 'extend-config.toml'))
    if (places.contexts) for (const name of contexts) await copy(join(output, name), join(folder, name))
  }
  if (has.run) await copy(join(output, 'run.Dockerfile'), places.run)
  if (has.build) await copy(join(output, 'build.Dockerfile'), places.build)
}

/** Copies files, directories, and links as they are. @throws BaleError 'input' for a fifo, a socket or a device */
async function copyPlain(from: string, to: string, where: string): Promise<void> {
  if ((await stat(from).catch(() => undefined)) === undefined) return
  await cp(from, to, {
    recursive: true,
    verbatimSymlinks: true,
    async filter(path) {
      const found = await lstat(path)
      if (found.isFile() || found.isDirectory() || found.isSymbolicLink()) return true
      throw new BaleError('input', `${path.slice(from.length + 1)} is not a file, directory or link`, { where })
    },
  })
}
