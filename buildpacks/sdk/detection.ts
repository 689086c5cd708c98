import { relative } from 'node:path'
import { App } from './app.ts'
import { composerPackages, usesComposerPackages } from './composer-packages.ts'
import { BuildpackError } from './errors.ts'
import { type Evidence, findEvidence } from './evidence.ts'
import { findFrontEnd } from './front-end.ts'
import type { Language } from './language.ts'
import { FrontEnds, namedProject } from './node-project.ts'
import { languageNamed, listed } from './language-names.ts'
import { languages } from './languages.ts'
import { mixAssets } from './mix-assets.ts'
import { frontEndWork } from './package-json-evidence.ts'
import { readManifest } from './package-manifest.ts'
import { type BuildPlanBuilder, buildPlan } from './plan.ts'
import { firstSetting } from './platform.ts'
import { assetsTool } from './ruby-assets.ts'
import { strengths } from './strength.ts'
import { escapeRegExp } from './words.ts'

type Env = Readonly<Record<string, string>>

/** Settings with which a user selects the language: Bale's and Google's. */
export const languageSettings = ['BP_LANGUAGE', 'GOOGLE_RUNTIME'] as const

/** Which languages build an application, and why. */
export interface Detection {
  /** The evidence for each language, the strongest first; the user's choice comes before all. */
  readonly found: readonly Evidence[]
  /** The language whose buildpack starts the application; undefined if nothing is recognised. */
  readonly server: Evidence | undefined
  /** Languages that build something for that server, and why: Node.js builds the front end of a Python server. */
  readonly builders: readonly Evidence[]
}

/**
 * Weighs the evidence of all languages, so that every buildpack reaches the same answer in any order of the buildpacks.
 * @throws BuildpackError if a setting names an unknown language
 */
export async function weighLanguages(app: App, env: Env): Promise<Detection> {
  const frontEnds = new FrontEnds()
  const found = (await findEvidence(app, env, frontEnds)).toSorted(
    (a, b) => strengths.indexOf(b.strength) - strengths.indexOf(a.strength),
  )
  const chosen = chosenLanguages(env)
  if (chosen) {
    const evidence = chosen.languages.map(language => {
      const because = found.find(other => other.language === language)?.because
      return { language, strength: 'declared' as const, because: [chosen.where, because].filter(Boolean).join(' and ') }
    })
    const rest = found.filter(({ language }) => !chosen.languages.includes(language))
    const server = evidence.at(-1)
    const builders = await Promise.all(evidence.slice(0, -1).map(builder => withNeeds(app, env, server, builder)))
    return { found: [...evidence.toReversed(), ...rest], server, builders }
  }
  const server = found[0]
  const forMix = server?.language.id === 'elixir' ? await programsForMix(app, env) : undefined
  const programs = languageNamed('nodejs')
  if (forMix !== undefined && programs !== undefined)
    return { found, server, builders: [{ language: programs, strength: 'manifest', ...forMix }] }
  const node = found.find(({ language }) => language.id === 'nodejs')
  const makers = found.filter(({ language }) => language === server?.builtBy)
  const isRuby = server?.language.id === 'ruby'
  const tool = isRuby || server?.builtBy?.id === 'ruby' ? await assetsTool(app) : undefined
  // Without a package.json, only Node.js itself is needed; for the pages of a site, in the build.
  if (node === undefined && tool?.runsNode && programs !== undefined) {
    const builder: Evidence = { language: programs, strength: 'manifest', because: tool.why, runsNode: isRuby }
    return { found, server, builders: [builder, ...makers] }
  }
  if (server === undefined || node === undefined || node === server) return { found, server, builders: makers }
  const isSite = server.language.id === 'static'
  const project = isSite ? await frontEnds.project(app, env) : await namedProject(app, env)
  const frontEnd = await frontEnds.of(project)
  const isChosen = isSite && project !== app && (await namedProject(app, env)) === app
  const folder = isChosen ? { folder: relative(app.path, project.path) } : {}
  // A guessed front end counts only if its pages are the whole application.
  const shown = frontEnd?.guessed && !isSite ? undefined : frontEnd
  const work = (await frontEndWork(app, env, shown)) ?? tool?.why
  if (work === undefined) return { found, server, builders: makers }
  return {
    found,
    server,
    builders: [await withNeeds(app, env, server, { ...node, because: work, ...folder }), ...makers],
  }
}

/**
 * Phoenix keeps the packages of its assets in a folder of their own, which Mix's build installs. If the root has something to build as
 * well, Node.js builds that, and its programs are also available for the folder.
 */
async function programsForMix(app: App, env: Env): Promise<Pick<Evidence, 'because' | 'programsFor'> | undefined> {
  const [folder] = await mixAssets(app)
  if (folder === undefined) return undefined
  const scripts = Object.values((await readManifest(app)).scripts).join('\n')
  // A script that builds the folder itself needs packages that Mix fetches.
  const callsFolder = new RegExp(`(?:cd|--prefix|--cwd|--dir|-C)[ =]+(?:\\./)?${escapeRegExp(folder)}(?![\\w-])`).test(
    scripts,
  )
  const isTop = (await namedProject(app, env)) === app && !callsFolder
  if (isTop && (await frontEndWork(app, env, undefined)) !== undefined) return undefined
  return { because: `${folder}/package.json`, programsFor: folder }
}

/** A front end in Node.js may use the packages of a PHP server, and a Ruby front end may call Node.js tools. */
async function withNeeds(app: App, env: Env, server: Evidence | undefined, builder: Evidence): Promise<Evidence> {
  if (builder.language.id !== 'nodejs') return builder
  if (server?.language.id === 'ruby') {
    const tool = await assetsTool(app)
    return { ...builder, ...(tool?.callsTools && { callsTools: true }), ...(tool?.runsNode && { runsNode: true }) }
  }
  if (server?.language.id === 'elixir') return { ...builder, ...(await programsForMix(app, env)) }
  if (server?.language.id !== 'php') return builder
  const needsPackages = await usesComposerPackages(app)
  return needsPackages === undefined ? builder : { ...builder, needsPackages }
}

/** `BP_LANGUAGE=nodejs,python`: exactly these build, and the last one starts. */
function chosenLanguages(env: Env): { languages: readonly Language[]; where: string } | undefined {
  const setting = firstSetting(env, ...languageSettings)
  if (setting === undefined) return undefined
  const names = setting.value.split(',').filter(name => name.trim() !== '')
  const known = names.map(name => {
    const language = languageNamed(name)
    if (language) return language
    const ids = languages.filter(({ provides }) => provides !== undefined).map(({ id }) => id)
    throw new BuildpackError(`${JSON.stringify(name.trim().slice(0, 60))} is not a language`, {
      where: setting.name,
      fix: `write one of ${ids.join(', ')}, without a version`,
    })
  })
  return { languages: known, where: `${setting.name} is ${setting.value}` }
}

/**
 * The role of a language's buildpack in an application: it builds and starts the application; or it builds something for a server in
 * another language; or it takes no part, since another language wins or there is no evidence for this one.
 */
export type LanguageRole =
  | { readonly role: 'server' | 'builder'; readonly reason: string; readonly plan: BuildPlanBuilder }
  | { readonly role: 'none'; readonly reason: string }

/**
 * The role of the buildpack of the language `id` in this application. The result has the reason for the user (what fits, what else
 * would have fitted, and how to choose it), and the build plan that ties a builder to the server's buildpack.
 */
export async function detectLanguage({ app, env }: { app: App; env: Env }, id: string): Promise<LanguageRole> {
  const { found, server, builders } = await weighLanguages(app, env)
  const builder = builders.find(({ language }) => language.id === id)
  const own = found.find(({ language }) => language.id === id) ?? builder
  if (own === undefined || server === undefined) {
    return { role: 'none', reason: `no files of ${languageNamed(id)?.name ?? id} found` }
  }
  const runtime = own.language.provides ?? id
  if (server.language.id === id) {
    const rest = found.filter(other => ![server, ...builders].some(({ language }) => language === other.language))
    const left = builders.length === 0 ? await unbuiltFrontEnd(app, id) : []
    const reason = [`${own.language.name}: ${own.because}`, ...left, ...otherwise(rest)].join('\n')
    return { role: 'server', reason, plan: serverPlan(runtime, server, builders) }
  }
  if (builder) {
    const { needsPackages } = builder
    const after = needsPackages === undefined ? '' : `; Composer's packages come first: ${needsPackages}`
    const reason = `${builder.language.name}: ${builder.because}${after}; the application starts with ${describe(server)}`
    return { role: 'builder', reason, plan: builderPlan(runtime, needsPackages !== undefined) }
  }
  const reason = `${describe(server)} rather than ${describe(own)}; BP_LANGUAGE=${id} selects ${own.language.name}`
  return { role: 'none', reason }
}

/**
 * The server's plan requires the builder: a group without the server's buildpack does not take part. A builder that needs the server's
 * packages requires them. Only a group where the builder comes after the server provides them.
 */
function builderPlan(runtime: string, needsPackages: boolean): BuildPlanBuilder {
  const own = buildPlan().provides(runtime)
  if (!needsPackages) return own
  return own.or().provides(runtime).requires(runtime, { launch: false }).requires(composerPackages)
}

/** Requires the builders' runtimes for the build, or does without them if their buildpacks are not in the group. */
function serverPlan(runtime: string, { builtBy }: Evidence, builders: readonly Evidence[]): BuildPlanBuilder {
  if (builders.length === 0) return buildPlan().provides(runtime).requires(runtime)
  // Tells the static buildpack who generates what it serves: committed pages look the same.
  const own = buildPlan()
    .provides(runtime)
    .requires(runtime, builtBy && { builtBy: builtBy.id })
  const needed = builders.some(({ needsPackages }) => needsPackages !== undefined)
  const all = builders.reduce(
    (plan, { language, callsTools, runsNode, programsFor, folder }) =>
      plan.requires(language.provides ?? language.id, {
        launch: false,
        ...(callsTools && { tools: true }),
        ...(runsNode && { runtime: true }),
        ...(programsFor !== undefined && { programs: programsFor }),
        ...(folder !== undefined && { folder }),
      }),
    needed ? own.provides(composerPackages).or().provides(runtime).requires(runtime) : own,
  )
  return all.or().provides(runtime).requires(runtime)
}

const describe = ({ language, because }: Evidence) => `${language.name} (${because})`

const frontEndFolders = ['frontend', 'front-end', 'client', 'web', 'webapp', 'ui']

/**
 * A front end in a folder beside a server in another language, whose files no buildpack generates. It may be deployed elsewhere, so the
 * build only reports it.
 */
async function unbuiltFrontEnd(app: App, server: string): Promise<string[]> {
  if (server === 'nodejs' || server === 'static') return []
  for (const folder of frontEndFolders) {
    if (!(await app.has(`${folder}/package.json`))) continue
    const frontEnd = await findFrontEnd(new App(app.at(folder)))
    if (frontEnd === undefined || frontEnd.guessed || (await app.hasDirectory(`${folder}/${frontEnd.output}`))) continue
    return [
      `not built: the front end in ${folder}/ (${frontEnd.name}); BP_NODE_PROJECT_PATH=${folder} builds it for this server`,
    ]
  }
  return []
}

/** What else fits, and how to choose it. */
function otherwise(rest: readonly Evidence[]): string[] {
  const choices = rest.filter(({ language }) => language.provides !== undefined)
  if (choices.length === 0) return []
  const settings = choices.map(({ language }) => `BP_LANGUAGE=${language.id}`)
  return [`also fits: ${listed(choices.map(describe))}; ${settings.join(' or ')} selects it`]
}
