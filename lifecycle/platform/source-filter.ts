import { realpath } from 'node:fs/promises'
import { dirname, join, relative, resolve, sep } from 'node:path'
import { BaleError } from '../errors.ts'
import type { BuildEvent, Reporter } from '../events.ts'
import { readTrusted } from '../files/read.ts'
import { isIgnoredByDocker, parseDockerignore } from '../spec/dockerignore.ts'
import { fromUtf16, textOf } from '../spec/text.ts'
import { type ProjectDescriptor, parseProjectDescriptor } from '../spec/project-descriptor.ts'
import { displayName, parseImageReference } from '../stores/transports.ts'

/**
 * Decides what to leave out: nothing (`no`), only the `entry` (files below a directory may stay), or the whole `subtree`.
 * @param path from the root of the source
 */
export type SourceFilter = (path: string, isDirectory: boolean) => 'no' | 'entry' | 'subtree'

/** The settings of the source for its own build. */
export interface SourceSettings {
  readonly filter: SourceFilter
  /** Variables of project.toml for buildpacks. */
  readonly env: Readonly<Record<string, string>>
  /** project.toml, if there is one. */
  readonly project: ProjectDescriptor | undefined
  /** Whether the settings request `.git`, which is left out by default: `!.git` in .dockerignore or `exclude`, `.git` in `include`. */
  readonly keepsGit: boolean
}

export interface SourceSettingsInput {
  /** The directory of the source. */
  readonly dir: string
  /** The destinations of the image and its cache, as the user wrote them. */
  readonly images: readonly string[]
  /** Another project.toml than the one in the source. */
  readonly descriptor?: string | undefined
  /** Directories that Bale itself writes to in this build. */
  readonly outputs: readonly string[]
  readonly reporter: Reporter
}

/**
 * Reads project.toml and, if that does not choose files, .dockerignore. Leaves out the outputs of this build: an image that
 * contains the last image grows with each build (S18).
 * @throws BaleError 'input' for a malformed file, 'arguments' for a destination that is the source itself
 */
export async function readSourceSettings(input: SourceSettingsInput): Promise<SourceSettings> {
  const { dir, reporter } = input
  const descriptor = await readDescriptor(dir, input.descriptor)
  if (descriptor?.unread !== undefined) reporter.event(unreadTable(descriptor.unread))
  const ignored = (descriptor?.include ?? descriptor?.exclude) ? undefined : await readDockerignore(dir)
  const filters = [await ownOutputs(input), (await patterns(descriptor)) ?? dockerignore(ignored, reporter)]
  return {
    keepsGit: [...(descriptor?.include ?? []), ...exceptions(descriptor?.exclude ?? ignored?.split('\n') ?? [])].some(
      pattern => /^\/?\.git\/?(\*\*)?$/.test(pattern.trim()),
    ),
    filter: (path, isDirectory) => {
      const verdicts = filters.map(filter => filter?.(path, isDirectory) ?? 'no')
      return verdicts.find(v => v === 'subtree') ?? verdicts.find(v => v === 'entry') ?? 'no'
    },
    env: descriptor?.env ?? {},
    project: descriptor,
  }
}

function unreadTable({ where, table, schema }: NonNullable<ProjectDescriptor['unread']>): BuildEvent {
  return {
    type: 'warning',
    text: `${where}: [${table}] is ignored: the file has schema version ${schema}`,
    fix:
      table === 'build'
        ? 'write [io.buildpacks] in place of [build] (docs/from-pack.md)'
        : 'begin the file with [_] and schema-version = "0.2"',
  }
}

async function readDescriptor(dir: string, named: string | undefined): Promise<ProjectDescriptor | undefined> {
  const file = named === undefined ? join(dir, 'project.toml') : resolve(named)
  const content = await readTrusted(file)
  if (content !== undefined)
    return parseProjectDescriptor(fromUtf16(content), named === undefined ? 'project.toml' : file)
  if (named === undefined) return undefined
  throw new BaleError('arguments', 'there is no project descriptor', { where: file, fix: 'correct --descriptor' })
}

/** Patterns of project.toml, with the meaning that they have in .gitignore (gitignore(5)). */
async function patterns(descriptor: ProjectDescriptor | undefined): Promise<SourceFilter | undefined> {
  const { include, exclude } = descriptor ?? {}
  const list = include ?? exclude
  if (list === undefined) return undefined
  const { default: ignore } = await import('ignore')
  const rules = ignore().add([...list])
  const matches = (path: string, isDirectory: boolean): boolean => rules.ignores(isDirectory ? `${path}/` : path)
  if (include === undefined) return (path, isDirectory) => (matches(path, isDirectory) ? 'subtree' : 'no')
  return (path, isDirectory) => (matches(path, isDirectory) ? 'no' : 'entry')
}

const exceptions = (lines: readonly string[]): string[] =>
  lines.filter(line => line.trim().startsWith('!')).map(line => line.trim().slice(1))

async function readDockerignore(dir: string): Promise<string | undefined> {
  const content = await readTrusted(join(dir, '.dockerignore'))
  return content === undefined ? undefined : textOf(content)
}

function dockerignore(text: string | undefined, reporter: Reporter): SourceFilter | undefined {
  if (text === undefined) return undefined
  const rules = parseDockerignore(text)
  reporter.event({ type: 'note', level: 'info', text: 'Excluding files that .dockerignore lists' })
  const hasExceptions = rules.some(rule => rule.keeps)
  return path => (isIgnoredByDocker(rules, path) ? (hasExceptions ? 'entry' : 'subtree') : 'no')
}

/** The destinations and directories of this build that lie in the source. */
async function ownOutputs({ dir, images, outputs, reporter }: SourceSettingsInput): Promise<SourceFilter> {
  const top = await realpath(dir).catch(() => resolve(dir))
  const left = new Set<string>()
  const add = async (path: string, what: string): Promise<void> => {
    const below = relative(top, await realOf(resolve(path)))
    if (below === '..' || below.startsWith(`..${sep}`)) return
    if (below === '')
      throw new BaleError('arguments', `${what} is the source directory itself`, {
        where: path,
        fix: 'choose another directory',
      })
    if (left.has(below)) return
    left.add(below)
    reporter.event({ type: 'note', level: 'info', text: `Excluding ${below}, where this build writes ${what}` })
  }
  for (const image of images) {
    const reference = parseImageReference(image)
    if (reference.transport.isPath) await add(reference.location, displayName(reference))
  }
  for (const output of outputs) await add(output, 'its own files')
  // A directory that contains nothing but outputs is left out, too.
  const parents = new Set([...left].flatMap(parentsOf))
  return path => (left.has(path) ? 'subtree' : parents.has(path) ? 'entry' : 'no')
}

/** `a/b/c`: `a/b` and `a`. */
function parentsOf(path: string): string[] {
  const parent = dirname(path)
  return parent === '.' ? [] : [parent, ...parentsOf(parent)]
}

/** Returns the real path of a file that need not exist yet. */
async function realOf(path: string): Promise<string> {
  try {
    return await realpath(path)
  } catch {
    return path === dirname(path) ? path : join(await realOf(dirname(path)), path.slice(dirname(path).length))
  }
}
