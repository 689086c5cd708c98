import { readdir } from 'node:fs/promises'
import { join, normalize, relative } from 'node:path'
import type { GeneratedSite } from './generator.ts'
import type { ProjectConfig } from './project-config.ts'
import type { Staticfile } from './staticfile.ts'
import {
  type App,
  BuildpackError,
  configuresWebServer,
  findFrontEnd,
  firstSetting,
  type FrontEnd,
  hugoConfig,
  isSet,
  nodeProject,
  rootSettings,
  siteRoots,
} from '../sdk/index.ts'

type Env = Readonly<Record<string, string>>

/** The site, and how it is served. */
export interface Site {
  /** Relative to the application. */
  readonly root: string
  /** The setting or file that names the root. */
  readonly why: string
  /** The page that answers for each path that is not a file, relative to the site: `index.html`. */
  readonly pushState: string | undefined
  /** The index page of a directory. */
  readonly index: string
  /** Error pages with names other than `404.html` and so on, by status. */
  readonly errors: Readonly<Record<string, string>>
  readonly forceHttps: boolean
  /** nginx lists the files of a directory without an index page. */
  readonly listing: boolean
  /** The path below which the site is served: `/shop`, or empty. */
  readonly prefix: string
  /** Directories of the site in which a file's name changes with its contents. */
  readonly hashed: readonly string[]
  /** A tool generated it: a node_modules below its root is part of the site, as with Expo. In other sites it contains packages. */
  readonly isBuilt: boolean
}

/**
 * Finds the site, after the front end's build.
 * @param generated the result of this buildpack's generator
 * @throws BuildpackError if a named directory does not exist, or no directory has pages
 */
export async function findSite(
  app: App,
  env: Env,
  project: ProjectConfig,
  staticfile: Staticfile,
  generated?: GeneratedSite,
): Promise<Site> {
  const found = await findBuilt(app, env)
  // A site with its own configuration file is not a guess.
  const frontEnd = found?.guessed && (await isConfigured(app)) ? undefined : found
  const { root, why } = await findRoot(app, env, [project, staticfile.root], generated ?? frontEnd)
  const asked = env['BP_WEB_SERVER_ENABLE_PUSH_STATE']
    ? isSet(env, 'BP_WEB_SERVER_ENABLE_PUSH_STATE')
    : staticfile.pushState || frontEnd?.pushState || undefined
  const { notFound } = project
  if (notFound !== undefined && !(await app.has(join(root, notFound.page))))
    throw new BuildpackError(`there is no page ${notFound.page} in ${root === '.' ? 'the source' : root}`, {
      where: notFound.where,
      fix: 'correct the name, or let a build make it',
    })
  return {
    root,
    why,
    pushState: notFound?.status === 200 ? notFound.page : await fallbackPage(app, root, asked),
    index: project.index ?? 'index.html',
    errors: {
      ...(await notFoundPage(app, root)),
      ...staticfile.errors,
      ...(notFound?.status === 404 && { 404: notFound.page }),
    },
    forceHttps: isSet(env, 'BP_WEB_SERVER_FORCE_HTTPS') || staticfile.forceHttps || project.forceHttps,
    listing: staticfile.listing,
    prefix: prefixOf(firstSetting(env, 'BP_WEB_SERVER_LOCATION_PATH')),
    hashed: frontEnd?.hashed ?? [],
    isBuilt: root !== '.' && (generated !== undefined || (frontEnd !== undefined && !frontEnd.guessed)),
  }
}

/** Whether anything says where pages are: a setting, a file, a front end's build, or a generator's configuration. */
export async function hasPages(app: App, env: Env): Promise<boolean> {
  if (firstSetting(env, ...rootSettings)) return true
  if ((await isConfigured(app)) || (await findBuilt(app, env))) return true
  return (await app.firstOf(siteRoots.map(root => join(root, 'index.html')))) !== undefined
}

/** A front end, and the folder of its build: a workspace package's, or `.`. */
type Built = FrontEnd & { readonly dir: string }

async function findBuilt(app: App, env: Env): Promise<Built | undefined> {
  const project = await nodeProject(app, env)
  const frontEnd = await findFrontEnd(project)
  return frontEnd && { ...frontEnd, dir: relative(app.path, project.path) || '.' }
}

/** @throws BuildpackError if the front end's settings require more than static files */
export async function checkFrontEnd(app: App, env: Env): Promise<void> {
  const built = await findBuilt(app, env)
  if (built?.needsServer === undefined || firstSetting(env, ...rootSettings)) return
  throw new BuildpackError(`the settings of ${built.name} require a server, but its build makes none`, {
    fix: built.needsServer,
  })
}

/** Whether a file that only sites have configures the site. */
async function isConfigured(app: App): Promise<boolean> {
  if ((await app.firstOf(['Staticfile', 'static.json'])) !== undefined) return true
  return (await configuresWebServer(app)) || (await hugoConfig(app)) !== undefined
}

/** SvelteKit, Nuxt and others write a page of this name for all paths that are no file. */
async function fallbackPage(app: App, root: string, asked: boolean | undefined): Promise<string | undefined> {
  if (asked === false) return undefined
  if (await app.has(join(root, '200.html'))) return '200.html'
  return asked ? 'index.html' : undefined
}

/** Expo's name for the page. */
async function notFoundPage(app: App, root: string): Promise<Site['errors']> {
  return (await app.has(join(root, '+not-found.html'))) ? { 404: '+not-found.html' } : {}
}

function prefixOf(setting: { readonly name: string; readonly value: string } | undefined): string {
  const path = (setting?.value ?? '').replaceAll(/^\/+|\/+$/g, '')
  if (path === '') return ''
  if (/^[\w.~-]+(\/[\w.~-]+)*$/.test(path) && !path.split('/').some(part => part.startsWith('.'))) return `/${path}`
  throw new BuildpackError(`${JSON.stringify(setting?.value)} is not a path`, {
    where: setting?.name ?? '',
    fix: 'write for example "/shop"',
  })
}

async function findRoot(
  app: App,
  env: Env,
  [project, inStaticfile]: readonly [ProjectConfig, string | undefined],
  built: GeneratedSite | Built | undefined,
): Promise<{ root: string; why: string }> {
  const setting = firstSetting(env, ...rootSettings)
  if (setting) return { root: await existing(app, setting.value, setting.name), why: setting.name }
  if (project.root) {
    const root = await existing(app, project.root, project.source)
    return { root, why: project.source.replace(/ .*/, '') }
  }
  if (inStaticfile) return { root: await existing(app, inStaticfile, 'Staticfile root'), why: 'Staticfile' }
  if (built && 'root' in built) return built
  const made = built && (await builtRoot(app, built))
  if (made) return made
  for (const root of siteRoots) {
    if (await app.has(join(root, 'index.html'))) return { root, why: `${join(root, 'index.html')} is there` }
  }
  if (await app.has('Staticfile')) return { root: '.', why: 'Staticfile is there' }
  if (await app.hasDirectory('public')) return { root: 'public', why: 'public/ is there' }
  throw new BuildpackError(
    `no directory has an index.html: ${siteRoots.map(root => (root === '.' ? 'the source itself' : root)).join(', ')}`,
    {
      fix: 'set BP_WEB_SERVER_ROOT to the directory with the pages',
    },
  )
}

async function existing(app: App, named: string, where: string): Promise<string> {
  const root = normalize(named.replace(/^\/+(workspace\/)?/, '') || '.').replace(/\/$/, '')
  if (root.startsWith('..'))
    throw new BuildpackError(`${named} is outside the source`, { where, fix: 'name a directory in it' })
  if (await app.hasDirectory(root)) return root
  throw new BuildpackError(`there is no directory ${named}`, { where, fix: 'correct the name, or let a build make it' })
}

/** The directory with the pages of the front end's build: its output, or Angular's `browser` below it. */
async function builtRoot(
  app: App,
  { name, output: named, guessed, dir }: Built,
): Promise<{ root: string; why: string } | undefined> {
  const output = join(dir, named)
  const below = (await readdir(app.at(output), { withFileTypes: true }).catch(() => []))
    .filter(entry => entry.isDirectory())
    .map(entry => entry.name)
    .toSorted()
  const candidates = [
    output,
    join(output, 'browser'),
    ...below.flatMap(dir => [join(output, dir), join(output, dir, 'browser')]),
  ]
  const usual = siteRoots.filter(other => other !== '.' && other !== 'public').map(other => join(dir, other))
  for (const root of [...candidates, ...usual]) {
    if (await app.has(join(root, 'index.html'))) return { root, why: `${name} built it` }
  }
  // A build may write its files beside the page, as Sass does.
  if (guessed && (await app.firstOf(siteRoots.map(root => join(root, 'index.html')))) !== undefined) return undefined
  throw new BuildpackError(`${name} made no index.html in ${output}/`, {
    where: 'npm run build',
    fix: 'set BP_WEB_SERVER_ROOT to the directory with the pages that the build makes',
  })
}
