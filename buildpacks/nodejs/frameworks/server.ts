import { mkdir, readdir, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import {
  type App,
  BuildpackError,
  configOf,
  findFrontEnd,
  findWebFramework,
  isForDevelopment,
  shellQuote,
  svelteConfig,
  type WebFramework,
} from '../../sdk/index.ts'
import type { Project } from '../project.ts'
import type { Start } from '../start.ts'
import { missingFile } from '../started-file.ts'
import { type Candidate, type FrameworkFacts, frameworks } from './table.ts'

/** The framework of an application that is a server. */
export interface Framework extends FrameworkFacts {
  readonly name: WebFramework
}

export async function findFramework(app: App): Promise<Framework | undefined> {
  const name = (await findFrontEnd(app)) ? undefined : await findWebFramework(app)
  return name === undefined ? undefined : { name, ...frameworks[name] }
}

/** A build command, and the place that declares it. */
export interface DefaultBuild {
  readonly command: string
  readonly where: string
  readonly atTop?: true
}

/** The build of an application that has no build script: with Nx, with the framework's command, or with the front end's tool. */
export async function defaultBuild(
  { app, json: { packageNames }, nx }: Project,
  framework: Framework | undefined,
): Promise<DefaultBuild | undefined> {
  // Nx also finds the repository from a subfolder, but then takes that for the root (its plugin for esbuild does).
  if (nx) return { command: `nx run ${shellQuote(`${nx.name}:build`)}`, where: 'Nx', atTop: true }
  if (framework && packageNames.has(framework.builder)) return { command: framework.build, where: framework.name }
  const frontEnd = await findFrontEnd(app)
  return frontEnd && { command: frontEnd.build, where: frontEnd.name }
}

/** A start that a framework's build wrote. */
export interface FrameworkStart extends Start {
  /** Directories of packages that the server needs. They get a slice of the image. */
  readonly packages?: readonly string[]
  /** A program that the command calls and the application does not include. */
  readonly host?: Candidate['host']
}

/**
 * True if the framework's server is better than the script: the script is for development, needs more for the same result, or starts a
 * file that does not exist. Some frameworks build a folder in which the script would be valid: `node bin/server.js`.
 */
export async function isReplaceable(
  app: App,
  { replaces }: Framework,
  script: string,
  candidate: Candidate,
): Promise<boolean> {
  if (isForDevelopment(script)) return true
  if (candidate.complete !== undefined && replaces?.test(script) === true) return true
  return (await missingFile(app, script)) !== undefined
}

/** The server that the build wrote; undefined if there is none. */
export async function builtServer(
  app: App,
  framework: Framework,
): Promise<{ candidate: Candidate; file: string } | undefined> {
  for (const candidate of await candidatesOf(app, framework)) {
    const [file] = await matching(app, candidate.file)
    if (file !== undefined) return { candidate, file }
  }
  return undefined
}

/**
 * The start of that server. If it is self-contained, the packages and other files that only the build needs are removed, unless the
 * application has other processes.
 */
export async function startServer(
  app: App,
  framework: Framework,
  { candidate, file }: { candidate: Candidate; file: string },
  isAlone: boolean,
): Promise<FrameworkStart> {
  const { command = 'node FILE', complete, host } = candidate
  const why = `${framework.name} built ${file}`
  const start = { command: command.replaceAll('FILE', shellQuote(file)), why, ...(host && { host }) }
  if (complete === undefined) return start
  if (framework.name === 'Next') await completeNext(app, file)
  if (isAlone) await removeOthers(app, [...(framework.intermediate ?? []), 'node_modules', '.next'], complete)
  return { ...start, packages: [join(complete, 'node_modules'), join(complete, 'server/node_modules')] }
}

/** @throws BuildpackError: the framework's build wrote no server that can start */
export function noServer({ name, candidates, fix }: Framework): BuildpackError {
  const files = candidates.map(({ file }) => file).join(', ')
  return new BuildpackError(`the build with ${name} made no server that Node.js can start: none of ${files} exists`, {
    fix,
  })
}

/**
 * Checks the settings before the build runs.
 * @throws BuildpackError if they say that the build writes no server that Node.js can start
 */
export async function checkAdapter(app: App, framework: Framework, packages: ReadonlySet<string>): Promise<void> {
  if (framework.name === 'Qwik') {
    const adapters = await readdir(app.at('adapters')).catch(() => [])
    if (adapters.length > 0) return
    throw new BuildpackError('Qwik has no adapter, so its build makes no server', { fix: framework.fix })
  }
  if (framework.name !== 'Astro' || packages.has('@astrojs/node')) return
  const other = [...packages].find(name => /^@astrojs\/(vercel|netlify|cloudflare)$/.test(name))
  if (other !== undefined)
    throw new BuildpackError(`Astro has the adapter ${other}, which makes no server that Node.js can start`, {
      where: 'package.json',
      fix: framework.fix,
    })
}

/** The candidates of a framework. Some frameworks' configuration names the output directory. */
async function candidatesOf(app: App, { name, candidates }: Framework): Promise<readonly Candidate[]> {
  const named = async (config: Promise<string>, pattern: RegExp) => pattern.exec(await config)?.[1]
  const dir =
    name === 'SvelteKit'
      ? await named(svelteConfig(app), /\bout\s*:\s*['"`](?:\.\/)?([\w./-]+)['"`]/)
      : name === 'Next'
        ? await named(configOf(app, 'next.config'), /\bdistDir\s*:\s*['"`](?:\.\/)?([\w./-]+)['"`]/)
        : name === 'Astro'
          ? await named(configOf(app, 'astro.config'), /\boutDir\s*:\s*['"`](?:\.\/)?([\w./-]+)['"`]/)
          : undefined
  if (dir === undefined) return candidates
  const usual = { SvelteKit: 'build', Next: '.next', Astro: 'dist' }[name as 'SvelteKit' | 'Next' | 'Astro']
  const moved = (path: string) => path.replace(usual, () => dir.replace(/\/$/, ''))
  return candidates.map(({ file, complete, ...rest }) => ({
    ...rest,
    file: moved(file),
    ...(complete !== undefined && { complete: moved(complete) }),
  }))
}

async function matching(app: App, pattern: string): Promise<string[]> {
  let found = ['']
  for (const part of pattern.split('/')) {
    const next = found.map(async dir => {
      if (part !== '*') return [join(dir, part)]
      const entries = await readdir(app.at(dir), { withFileTypes: true }).catch(() => [])
      return entries
        .filter(entry => entry.isDirectory() && entry.name !== 'node_modules')
        .map(({ name }) => join(dir, name))
    })
    found = (await Promise.all(next)).flat().toSorted()
  }
  const files = await Promise.all(found.map(async file => ((await app.has(file)) ? [file] : [])))
  return files.flat()
}

/** Next writes the browsers' files beside the standalone server (nextjs.org, "output"). This moves them into it. */
async function completeNext(app: App, file: string): Promise<void> {
  const server = dirname(file)
  const dist = file.slice(0, file.indexOf('/standalone/'))
  for (const [from, to] of [
    [join(dist, 'static'), join(server, dist, 'static')],
    ['public', join(server, 'public')],
  ] as const) {
    if (!(await app.hasDirectory(from)) || (await app.hasDirectory(to))) continue
    await mkdir(dirname(app.at(to)), { recursive: true })
    await rename(app.at(from), app.at(to))
  }
}

/** Removes everything in the directories except `kept`. */
async function removeOthers(app: App, dirs: readonly string[], kept: string): Promise<void> {
  for (const dir of dirs) {
    if (!kept.startsWith(`${dir}/`)) {
      if (dir !== kept) await rm(app.at(dir), { recursive: true, force: true })
      continue
    }
    const name = kept.slice(dir.length + 1)
    for (const other of await readdir(app.at(dir))) {
      if (other !== name) await rm(app.at(dir, other), { recursive: true, force: true })
    }
  }
}
