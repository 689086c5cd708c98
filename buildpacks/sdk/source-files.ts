import { readdir, rm, rmdir } from 'node:fs/promises'
import { join, matchesGlob } from 'node:path'
import type { BuildContext } from './buildpack.ts'
import { weighLanguages } from './detection.ts'
import { firstSetting, isSet } from './platform.ts'

/** Files for authors only, at the application's root. */
const authorsFiles =
  /^(Makefile|Taskfile\.ya?ml|Dockerfile[^/]*|Containerfile[^/]*|docker-compose[^/]*|compose\.ya?ml|(README|LICEN[CS]E|CHANGELOG|CONTRIBUTING|AUTHORS|NOTICE|CODE_OF_CONDUCT)[^/]*)$/i
/** Hidden files are settings of tools, except these two, which servers read. */
const hiddenFiles = /(^|\/)\.(?!env(\.|$)|well-known\/)[^/]+/
/** The sources of a front end. */
const frontEndFiles =
  /(^|\/)(node_modules(\/|$)|package\.json$|package-lock\.json$|yarn\.lock$|pnpm-(lock|workspace)\.yaml$|bun\.lockb?$|tsconfig[^/]*\.json$|[^/]+\.config\.[cm]?[jt]s$|[^/]+\.([cm]?tsx?|jsx|vue|svelte|scss|sass|less)$)/
/** Files that the Procfile buildpack still has to read, and files that other buildpacks wrote. */
const others = /^(Procfile$|app\.yaml$|node_modules(\/|$))/

export interface SourceRules {
  /** Paths of the language's sources, relative to the application's directory. */
  readonly sources: readonly RegExp[]
  /** Absolute paths of files that are compiled into a program. */
  readonly embedded?: readonly string[]
}

/**
 * Removes the sources of compiled programs from the image. It keeps the files that BP_KEEP_FILES names. Without BP_KEEP_FILES it keeps
 * all files that are not sources, not embedded in a program, and not named by BP_EXCLUDE_FILES. No file declares what a program reads
 * at run time, so files that it may read stay.
 */
export async function removeSources({ app, env, log }: BuildContext, rules: SourceRules): Promise<void> {
  const { builders } = await weighLanguages(app, env)
  const keep = keepRule(env, rules, { root: app.path, frontEnd: builders.length > 0 })
  const kept: string[] = []
  await clean(app.path, '', keep, kept)
  const mine = kept.filter(path => !others.test(path))
  if (mine.length === 0) log.info('The image contains no source files')
  else log.info(`The image keeps ${summary(mine)}; BP_KEEP_FILES selects other files`)
}

type Keep = (path: string) => boolean

function keepRule(
  env: Readonly<Record<string, string>>,
  { sources, embedded = [] }: SourceRules,
  { root, frontEnd }: { root: string; frontEnd: boolean },
): Keep {
  const named = filesNamed(env, 'BP_KEEP_FILES', 'BP_INCLUDE_FILES')
  if (named !== undefined) return path => others.test(path) || named(path)
  const excluded = filesNamed(env, 'BP_EXCLUDE_FILES')
  if (isSet(env, 'GOOGLE_CLEAR_SOURCE')) return path => others.test(path)
  const inPrograms = new Set(embedded)
  const dropped = [...sources, authorsFiles, hiddenFiles, ...(frontEnd ? [frontEndFiles] : [])]
  return path => {
    if (others.test(path) && !(frontEnd && frontEndFiles.test(path))) return true
    if (excluded?.(path) === true) return false
    return !dropped.some(pattern => pattern.test(path)) && !inPrograms.has(join(root, path))
  }
}

/** Whether a setting with patterns, `static/*.css:templates`, names a file; undefined if none of the settings is set. */
function filesNamed(env: Readonly<Record<string, string>>, ...settings: string[]): Keep | undefined {
  const patterns = firstSetting(env, ...settings)
    ?.value.split(':')
    .filter(Boolean)
  if (patterns === undefined) return undefined
  const paths = patterns.map(pattern => pattern.replace(/^\.?\//, ''))
  // A folder includes everything in it.
  const globs = paths.flatMap(path => [path, `${path.replace(/\/$/, '')}/**`])
  return path => globs.some(glob => matchesGlob(path, glob))
}

/** @returns true if the folder is empty afterwards */
async function clean(root: string, dir: string, keep: Keep, kept: string[]): Promise<boolean> {
  let isEmpty = true
  for (const entry of await readdir(join(root, dir), { withFileTypes: true })) {
    const path = dir === '' ? entry.name : `${dir}/${entry.name}`
    if (entry.isDirectory()) {
      if (await clean(root, path, keep, kept)) await rmdir(join(root, path))
      else isEmpty = false
    } else if (keep(path)) {
      kept.push(path)
      isEmpty = false
    } else await rm(join(root, path))
  }
  return isEmpty
}

/** `static/ (12 files), config.yaml`. */
function summary(paths: readonly string[]): string {
  const counts = new Map<string, number>()
  for (const path of paths.toSorted()) {
    const slash = path.indexOf('/')
    const name = slash < 0 ? path : path.slice(0, slash + 1)
    counts.set(name, (counts.get(name) ?? 0) + 1)
  }
  const all = Array.from(counts, ([name, n]) =>
    name.endsWith('/') ? `${name} (${n} file${n === 1 ? '' : 's'})` : name,
  )
  return all.length <= 8 ? all.join(', ') : `${all.slice(0, 8).join(', ')} and ${all.length - 8} more`
}
