import { readdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { isErrno } from '../../lifecycle/errors.ts'
import type { App } from './app.ts'
import { declaredPrograms, declaredRuntime, declaredStart } from './declared-start.ts'
import type { FrontEnd } from './front-end-tools.ts'
import { languageNamed } from './language-names.ts'
import type { Language } from './language.ts'
import { hugoConfigs, languages, pythonStarts, requirementsFiles } from './languages.ts'
import { startsOnJvm } from './deps-edn.ts'
import { findDocumentation } from './documentation.ts'
import { isForNode } from './front-end.ts'
import { FrontEnds } from './node-project.ts'
import { packageJsonEvidence } from './package-json-evidence.ts'
import { firstSetting } from './platform.ts'
import { mayStart } from './python-starts.ts'
import { findRubySite } from './ruby-sites.ts'
import { namedRoot } from './site-roots.ts'
import type { Strength } from './strength.ts'

type Env = Readonly<Record<string, string>>

/** The evidence for a language in an application. */
export interface Evidence {
  readonly language: Language
  readonly strength: Strength
  /** The files and settings, for a message: `requirements.txt and app.py`. */
  readonly because: string
  /** The language whose packages generate the files that this one serves. */
  readonly builtBy?: Language
  /** Why it is built after the server's packages are installed, and with them. */
  readonly needsPackages?: string
  /** The server's own build calls its tools, so they stay until that build has ended. */
  readonly callsTools?: boolean
  /** The server runs Node.js, so Node.js is in the image although nothing starts with it. */
  readonly runsNode?: boolean
  /** The folder that is built, if the detection has chosen one. */
  readonly folder?: string
  /** The folder for which the server's build itself installs packages: only the programs are needed. */
  readonly programsFor?: string
}

/** Collects the evidence of every language, in the order of `languages`. */
export async function findEvidence(app: App, env: Env, frontEnds = new FrontEnds()): Promise<Evidence[]> {
  const files = new Files(app)
  const declared = await declaredLanguage(app, env)
  const found: Evidence[] = []
  for (const language of languages) {
    const evidence = await evidenceOf(language, files, env, frontEnds)
    if (evidence === undefined) continue
    // A declaration without a file of the language does not count: its program may come from elsewhere.
    const because = declared && `${declared.because}, and ${evidence.because}`
    found.push(declared?.language === language && because ? { language, strength: 'declared', because } : evidence)
  }
  const site = (await documentationSite(app, env, found)) ?? (await siteOfGem(app, env, found))
  return site ?? (await guessedSite(app, env, found, frontEnds)) ?? found
}

/** The evidence for a site that a gem generates, if no Ruby program starts; else undefined. */
async function siteOfGem(app: App, env: Env, found: readonly Evidence[]): Promise<Evidence[] | undefined> {
  const site = languageNamed('static')
  const ruby = found.find(({ language }) => language.id === 'ruby')
  if (site === undefined || ruby?.strength !== 'manifest') return undefined
  const made = (await declaredStart(app, env)) === undefined ? await findRubySite(app) : undefined
  if (made === undefined || (await app.has('Procfile')) || (await hugoConfig(app)) !== undefined) return undefined
  const named = await namedRoot(app, env)
  if (named !== undefined && named !== made.root) return undefined
  const others = found.filter(({ language }) => ![site.id, ruby.language.id, 'jekyll'].includes(language.id))
  const page = `${made.root}/index.html`
  const served: Evidence = (await app.has(page))
    ? { language: site, strength: 'server', because: page }
    : { language: site, strength: 'server', because: `${made.name} makes it of ${made.config}`, builtBy: ruby.language }
  return [...others, { ...ruby, strength: 'sources' }, served]
}

/** The evidence for a site that Python packages generate, if no Python program starts; else undefined. */
async function documentationSite(app: App, env: Env, found: readonly Evidence[]): Promise<Evidence[] | undefined> {
  const site = languageNamed('static')
  const python = found.find(({ language }) => language.id === 'python')
  if (site === undefined || python === undefined || python.strength === 'server' || python.strength === 'declared')
    return undefined
  const documentation = (await declaredStart(app, env)) === undefined ? await findDocumentation(app) : undefined
  if (documentation === undefined || (await app.has('Procfile')) || (await mayStart(app, env))) return undefined
  const because = `${documentation.name} makes it of ${documentation.config}`
  const others = found.filter(({ language }) => language !== site && language !== python.language)
  return [
    ...others,
    { ...python, strength: 'sources' },
    { language: site, strength: 'server', because, builtBy: python.language },
  ]
}

/**
 * The evidence for a static site by a build script beside a page. undefined if anything contradicts: a start command, a file of another
 * language, or a file or setting of the static buildpack, which itself says what the application is.
 */
async function guessedSite(
  app: App,
  env: Env,
  found: readonly Evidence[],
  frontEnds: FrontEnds,
): Promise<Evidence[] | undefined> {
  const site = languageNamed('static')
  const node = found.find(({ language }) => language.id === 'nodejs')
  const givesWay = ({ language, strength }: Evidence) =>
    language === site ? strength === 'sources' : language === node?.language && strength !== 'declared'
  if (site === undefined || node === undefined || !found.every(givesWay)) return undefined
  if ((await declaredStart(app, env)) !== undefined || (await frontEnds.project(app, env)) !== app) return undefined
  const frontEnd = await frontEnds.of(app)
  if (frontEnd?.guessed !== true) return undefined
  return [
    { ...node, strength: 'sources' },
    { language: site, strength: 'manifest', because: becauseOf(frontEnd) },
  ]
}

const becauseOf = ({ name }: FrontEnd) => `package.json builds a front end with ${name}`

/** The language whose program a declared command starts, or that app.yaml names. */
async function declaredLanguage(app: App, env: Env): Promise<Pick<Evidence, 'language' | 'because'> | undefined> {
  for (const { program, where } of await declaredPrograms(app, env)) {
    const names = [program, baseName(program)]
    const language = languages.find(({ programs }) => programs.some(known => names.includes(known)))
    if (language) return { language, because: `${where} starts ${program}` }
  }
  const runtime = await declaredRuntime(app)
  const language = runtime === undefined ? undefined : languageNamed(runtime)
  return language && { language, because: `app.yaml has the runtime ${runtime}` }
}

/** `venv/bin/gunicorn` starts gunicorn, and `python3.12` Python. */
function baseName(program: string): string {
  return (program.split('/').at(-1) ?? program).replace(/[\d.]+$/, '')
}

async function evidenceOf(
  language: Language,
  files: Files,
  env: Env,
  frontEnds: FrontEnds,
): Promise<Evidence | undefined> {
  const setting = firstSetting(env, ...(language.settings ?? []))
  // The folder that BP_NODE_PROJECT_PATH names may be a front end, which Node.js builds and does not start.
  if (setting && !(setting.name === 'BP_NODE_PROJECT_PATH' && (await isFrontEnd(files.app, env, frontEnds))))
    return { language, strength: 'declared', because: `${setting.name} is set` }
  if (language.id === 'nodejs') {
    const project = await frontEnds.project(files.app, env)
    const found = await packageJsonEvidence(project, await frontEnds.of(project))
    if (found) return { language, ...found }
  }
  if (language.id === 'static') {
    const found = await frontEnds.of(await frontEnds.project(files.app, env))
    if (found && !found.guessed) return { language, strength: 'server', because: becauseOf(found) }
  }
  const manifest = await firstMatch(files, language.manifests, name => isManifest(name, files.app))
  const source = await firstMatch(files, language.sources ?? [], name => isSource(name, files.app))
  if (manifest !== undefined) {
    if (manifest === 'deps.edn' && !(await startsOnJvm(files.app))) {
      return { language, strength: 'manifest', because: manifest }
    }
    if (language.starts === undefined) return { language, strength: 'server', because: manifest }
    const start = await firstMatch(files, language.starts)
    if (start === undefined) return { language, strength: 'manifest', because: manifest }
    return { language, strength: 'server', because: start === manifest ? manifest : `${manifest} and ${start}` }
  }
  if (source === undefined) return undefined
  const helper = await firstMatch(files, language.helpers ?? [])
  if (helper !== undefined) return { language, strength: 'server', because: `${helper} and ${source}` }
  return { language, strength: 'sources', because: source }
}

async function isFrontEnd(app: App, env: Env, frontEnds: FrontEnds): Promise<boolean> {
  const found = await frontEnds.of(await frontEnds.project(app, env))
  return found !== undefined && !found.guessed
}

async function firstMatch(
  files: Files,
  patterns: readonly string[],
  accepts: (name: string) => Promise<boolean> = () => Promise.resolve(true),
): Promise<string | undefined> {
  for (const pattern of patterns) {
    for (const name of await files.matching(pattern)) if (await accepts(name)) return name
  }
  return undefined
}

/** Some files have a manifest's name but hold only settings of tools. */
async function isManifest(name: string, app: App): Promise<boolean> {
  if (hugoConfigs.includes(name)) return (await hugoConfig(app)) === name
  if (name === 'project.toml') return configuresWebServer(app)
  // Applications in other languages have such lists for their tools.
  if (requirementsFiles.includes(name)) return (await app.firstOf(pythonStarts)) !== undefined
  // Only Heroku's static sites have this content; other tools use the same file name.
  if (name === 'static.json')
    return /"(root|routes|clean_urls|https_only|error_page|redirects|headers|proxies)"\s*:/.test(
      await textOf(app, name),
    )
  if (name === 'pyproject.toml') {
    return /^\s*\[(project|build-system|dependency-groups|tool\.(poetry|pdm|uv|hatch|flit))\b/m.test(
      await textOf(app, name),
    )
  }
  return true
}

/** Whether project.toml has settings for a web server of files, as Heroku's static-web-server reads them. */
export async function configuresWebServer(app: App): Promise<boolean> {
  return /^\s*\[+com\.heroku\.static-web-server\b/m.test(await textOf(app, 'project.toml'))
}

/** The configuration file of a site that Hugo generates (gohugo.io, "Configuration"); undefined if there is none. */
export async function hugoConfig(app: App): Promise<string | undefined> {
  const name = await app.firstOf(hugoConfigs)
  if (name === undefined || name.startsWith('hugo.')) return name
  const parts = ['content', 'layouts', 'themes', 'archetypes']
  const found = await Promise.all(parts.map(dir => app.hasDirectory(dir)))
  return found.filter(Boolean).length >= 2 ? name : undefined
}

/** The configuration file of a book that mdBook generates; undefined if there is none. */
export async function bookConfig(app: App): Promise<string | undefined> {
  const isBook =
    /^\s*\[(?:book|output\.html)\]/m.test(await textOf(app, 'book.toml')) || (await app.has('src/SUMMARY.md'))
  return isBook && (await app.has('book.toml')) ? 'book.toml' : undefined
}

/** A site's own scripts have the names of servers. Beside an index.html, only a script that uses Node.js is a server. */
async function isSource(name: string, app: App): Promise<boolean> {
  if (name === 'book.toml') return (await bookConfig(app)) !== undefined
  if (name === '_config.yml') return isJekyll(app)
  if (name === 'config.toml') return /^base_url\s*=/m.test(await textOf(app, name)) && app.hasDirectory('templates')
  if (/^(?!WEB-INF\/)([^/]+\/)?lib\/[^/]+\.jar$/.test(name)) return isDistribution(app, dirname(dirname(name)))
  if (!/^(app|main|index|server)\.[cm]?js$/.test(name) || !(await app.has('index.html'))) return true
  return isForNode(await textOf(app, name))
}

/** Whether libraries belong to an unpacked distribution, which has a script in `bin` that starts Java. */
async function isDistribution(app: App, dir: string): Promise<boolean> {
  for (const name of await readdir(app.at(dir, 'bin')).catch(() => [])) {
    // A directory is not a script, and neither is an unreadable file.
    const text = await app.read(join(dir, 'bin', name)).catch(() => undefined)
    if (/java/i.test(text ?? '')) return true
  }
  return false
}

/** True if there is Jekyll's configuration and one of its directories, and nobody has committed the generated pages. */
async function isJekyll(app: App): Promise<boolean> {
  const own = await Promise.all(['_layouts', '_includes', '_posts', '_sass'].map(dir => app.hasDirectory(dir)))
  const frontMatter = (await app.read((await app.firstOf(['index.md', 'index.html'])) ?? 'index.md')) ?? ''
  return (own.some(Boolean) || frontMatter.startsWith('---')) && !(await app.has('_site/index.html'))
}

async function textOf(app: App, name: string): Promise<string> {
  return (await app.read(name)) ?? ''
}

/** The names of the application's files. It reads each directory only once. */
class Files {
  readonly app: App
  readonly #listed = new Map<string, Promise<readonly string[]>>()

  constructor(app: App) {
    this.app = app
  }

  /** The files and directories that a pattern names, sorted; `*` stands for a part of one name, without a leading dot. */
  async matching(pattern: string): Promise<string[]> {
    let found = ['']
    for (const part of pattern.split('/')) {
      const matches = part.includes('*') ? globOf(part) : undefined
      const next: string[] = []
      for (const dir of found) {
        const names = (await this.#names(dir)).filter(name => (matches ? matches.test(name) : name === part))
        next.push(...names.map(name => (dir === '' ? name : `${dir}/${name}`)))
      }
      found = next
    }
    return found
  }

  #names(dir: string): Promise<readonly string[]> {
    const known = this.#listed.get(dir)
    if (known) return known
    const names = readdir(this.app.at(dir)).then(
      all => all.filter(name => name !== 'node_modules').toSorted(),
      (error: unknown) => {
        if (isErrno(error, 'ENOENT', 'ENOTDIR', 'EACCES', 'ELOOP')) return []
        throw error
      },
    )
    this.#listed.set(dir, names)
    return names
  }
}

function globOf(part: string): RegExp {
  const escaped = part.replaceAll(/[.+?^${}()|[\]\\]/g, '\\$&').replaceAll('*', '.*')
  return new RegExp(`^(?!\\.)${escaped}$`)
}
