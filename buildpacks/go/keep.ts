import { readdir, rm, rmdir } from 'node:fs/promises'
import { join, matchesGlob } from 'node:path'
import { type BuildContext, firstSetting, isSet } from '../sdk/index.ts'

type Env = Readonly<Record<string, string>>

/** Says of a file, by its path from the application's directory, whether it stays in the image. */
type Keep = (path: string) => boolean

/** Files that only the build and its authors read. */
const sourceNames = /(\.(go|s|S|c|cc|cpp|cxx|m|h|hh|hpp|hxx|syso|swig|swigcxx)|_test\.\w+)$/
const sourceFolders = /(^|\/)(vendor|testdata|Godeps)\//
const rootFiles =
  /^(go\.(mod|sum|work|work\.sum)|Makefile|Taskfile\.ya?ml|Dockerfile[^/]*|Containerfile[^/]*|docker-compose[^/]*|compose\.ya?ml|(README|LICEN[CS]E|CHANGELOG|CONTRIBUTING|AUTHORS|NOTICE|CODE_OF_CONDUCT)[^/]*)$/i
const nestedFiles = /(^|\/)go\.(mod|sum|work|work\.sum)$/
/** Hidden files are tools' settings, but for these two, which servers read. */
const hidden = /(^|\/)\.(?!env(\.|$)|well-known\/)[^/]+/
/** What a front end is built from. */
const frontEndFiles =
  /(^|\/)(node_modules(\/|$)|package\.json$|package-lock\.json$|yarn\.lock$|pnpm-(lock|workspace)\.yaml$|bun\.lockb?$|tsconfig[^/]*\.json$|[^/]+\.config\.[cm]?[jt]s$|[^/]+\.([cm]?tsx?|jsx|vue|svelte|scss|sass|less)$)/
/** What another buildpack needs, or brought. */
const others = /^(Procfile$|app\.yaml$|node_modules(\/|$))/

/** What is known of an application's files. */
export interface FilesOfApp {
  /** Absolute paths of those that are compiled into a program. */
  readonly embedded: readonly string[]
  /** Another buildpack has built a front end for the programs, and nothing of its sources is needed. */
  readonly frontEnd: boolean
}

/**
 * Takes the sources out of the image: all but what BP_KEEP_FILES names or, without it, all that is no source and not compiled into
 * a program. What a program reads as it runs is nowhere declared, so what may be read stays.
 */
export async function removeSources({ app, env, log }: BuildContext, files: FilesOfApp): Promise<void> {
  const keep = keepRule(env, files, app.path)
  const kept: string[] = []
  await clean(app.path, '', keep, kept)
  const mine = kept.filter(path => !others.test(path))
  if (mine.length === 0) log.info('The image holds no file of the source')
  else log.info(`The image keeps ${summary(mine)}; BP_KEEP_FILES names others`)
}

function keepRule(env: Env, { embedded, frontEnd }: FilesOfApp, root: string): Keep {
  const patterns = firstSetting(env, 'BP_KEEP_FILES')?.value.split(':').filter(Boolean)
  if (patterns !== undefined) {
    const globs = patterns.flatMap(p => [p.replace(/^\.?\//, ''), `${p.replace(/^\.?\//, '').replace(/\/$/, '')}/**`])
    return path => others.test(path) || globs.some(glob => matchesGlob(path, glob))
  }
  if (isSet(env, 'GOOGLE_CLEAR_SOURCE')) return path => others.test(path)
  const inPrograms = new Set(embedded)
  const sources = [sourceNames, sourceFolders, rootFiles, nestedFiles, hidden, ...(frontEnd ? [frontEndFiles] : [])]
  return path => {
    if (others.test(path) && !(frontEnd && frontEndFiles.test(path))) return true
    return !sources.some(pattern => pattern.test(path)) && !inPrograms.has(join(root, path))
  }
}

/** @returns true if nothing is left in the folder */
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
