import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { DebianArchive } from '../debian/archive.ts'
import { debianOffers } from '../debian/offers.ts'
import {
  type App,
  type BuildContext,
  type BuildResult,
  BuildpackError,
  configuresWebServer,
  defineBuildpack,
  type DetectContext,
  detectLanguage,
  digestOf,
  documentationRoot,
  fail,
  findDocumentation,
  findRubySite,
  type Layer,
  type Log,
  pass,
  withTempDir,
} from '../sdk/index.ts'
import { findHtpasswd } from './auth.ts'
import { compressFiles } from './compress.ts'
import { isPage, siteConfig } from './config.ts'
import { type SiteFile, listFiles } from './files.ts'
import { readHeaders } from './headers.ts'
import type { GeneratedSite } from './generator.ts'
import { buildWithHugo } from './hugo.ts'
import { buildWithMdbook } from './mdbook.ts'
import { provideNginx } from '../debian/nginx.ts'
import { findOwnConfig, type OwnConfig } from './own-config.ts'
import { type ProjectConfig, readProjectConfig } from './project-config.ts'
import { type RuntimePage, runtimePages } from './runtime-pages.ts'
import { placeRules, readRedirects } from './redirects.ts'
import { readStaticJson } from './static-json.ts'
import { readStaticfile } from './staticfile.ts'
import { keepSiteOnly, placeSite } from './place.ts'
import { checkFrontEnd, findSite, hasPages, type Site } from './site.ts'
import { writeOwnStart, writeStart } from './start.ts'

/** Sites that consist of files only, served by nginx. */
export const staticSite = defineBuildpack({
  ownCommands: 'left',
  detect,
  build,
  offers: context => debianOffers(context, { nginx: ['nginx'], Hugo: ['hugo'], mdBook: ['mdbook'] }),
})

async function detect(context: DetectContext) {
  const found = await detectLanguage(context, 'static')
  if (found.role === 'none') return fail(found.reason)
  await checkFrontEnd(context.app, context.env)
  return pass(found.reason, found.plan)
}

async function build(context: BuildContext): Promise<BuildResult> {
  const { app, env, log } = context
  log.heading('Static site')
  const own = await findOwnConfig(app, env, await hasPages(app, env), log)
  const { nginx, generated } = await withTempDir(async temp => {
    const archive = await DebianArchive.open(context, temp)
    const server = await provideNginx(context, archive, own?.modules)
    return {
      nginx: server,
      generated: own ? undefined : await generate(context, archive),
    }
  })
  if (own) return serveAsConfigured(context, nginx, own)
  const project = await readConfig(app, log)
  const staticfile = await readStaticfile(app, log)
  if (project.build !== undefined) await buildSite(context, project.build)
  const site = await findSite(app, env, project, staticfile, generated)
  log.info(`Serves ${site.root === '.' ? 'the whole source' : `${site.root}/`}: ${site.why}`)
  if (env['BP_WEB_SERVER'] === 'httpd')
    log.warning('BP_WEB_SERVER is httpd: nginx serves the site, with the same settings')

  const files = await listFiles(app.at(site.root), { dotFiles: staticfile.dotFiles, isBuilt: site.isBuilt })
  const redirects = [...(await readRedirects(app, site.root, log)), ...placeRules(project.redirects, site.prefix)]
  const headers = await readHeaders(app, site, [...project.headers, ...staticfile.headers], log)
  // The included content of a page is not known before a request.
  const compressible = staticfile.ssi ? files.filter(({ path }) => !isPage(path)) : files
  const compressed = await log.step('Compressing', () => compressFiles(app.at(site.root), compressible))
  log.info(`${files.length} files; ${compressed} of them compressed with gzip and brotli`)
  const auth = await findHtpasswd(context)
  if (site.pushState) log.info(`${site.pushState} answers paths that are not files (push state)`)
  if (auth) log.info(`The site requires a password: ${auth.why}`)
  if (!(await app.has('Procfile'))) await keepSiteOnly(app, site.root)
  const root = await placeSite(app, site)
  const located = files.map(file => ({ ...file, path: `${site.prefix}${file.path}` }))
  const pages = runtimePages(site, project, located, root)
  const { dotFiles, ssi } = staticfile
  await writeConfig(context, { site, files: located, redirects, headers, root, pages, dotFiles, ssi }, nginx, auth)
  return { launch: { processes: [{ type: 'web', command: ['serve-site'], default: true }] } }
}

async function generate(context: BuildContext, archive: DebianArchive): Promise<GeneratedSite | undefined> {
  const made = (await madeBefore(context)) ?? (await buildWithHugo(context, archive))
  return made ?? buildWithMdbook(context, archive)
}

/** The pages that the Python or Ruby buildpack has just generated. Committed pages are like any others. */
async function madeBefore({ app, plan }: BuildContext): Promise<GeneratedSite | undefined> {
  if (!plan.some(({ metadata }) => metadata['builtBy'] !== undefined)) return undefined
  const site = await findRubySite(app)
  if (site !== undefined && (await app.hasDirectory(site.root)))
    return { root: site.root, why: `${site.name} built it` }
  const documentation = await findDocumentation(app)
  if (documentation === undefined || !(await app.has(join(documentationRoot, 'index.html')))) return undefined
  return { root: documentationRoot, why: `${documentation.name} built it` }
}

/** project.toml's section, or the older static.json. */
async function readConfig(app: App, log: Log): Promise<ProjectConfig> {
  const own = (await configuresWebServer(app)) ? undefined : await readStaticJson(app, log)
  return own ?? readProjectConfig(app, log)
}

/** nginx runs with the application's own configuration, which alone determines what it does. */
async function serveAsConfigured(context: BuildContext, { path }: Layer, own: OwnConfig): Promise<BuildResult> {
  const { app, layer, log, run } = context
  log.info(`nginx runs with ${own.name}`)
  const { path: site } = await layer('site', {
    types: { launch: true },
    key: { config: digestOf(JSON.stringify(own.pieces)), nginx: path },
    create: async dir => writeOwnStart(dir, { nginx: path, app: app.path, pieces: own.pieces }),
  })
  // Values of variables are only known at run time.
  const isWhole = own.pieces.every(piece => typeof piece === 'string' || piece.is !== 'env')
  const program = join(site, 'bin/serve-site')
  if (isWhole && existsSync(program)) {
    const { exitCode, stderr } = await run([program, '-t'], { quiet: true, allowFailure: true })
    const faults = stderr.split('\n').filter(line => line.includes('[emerg]') && !line.includes('host not found'))
    if (exitCode !== 0 && faults.length > 0)
      throw new BuildpackError(`nginx cannot run with it:\n${faults.join('\n')}`, { where: own.name })
  }
  return { launch: { processes: [{ type: 'web', command: ['serve-site'], default: true }] } }
}

/** Runs the site's own command, such as a generator that another buildpack has installed. */
async function buildSite({ log, run }: BuildContext, command: readonly [string, ...string[]]): Promise<void> {
  const fix = 'correct the command, in project.toml com.heroku.static-web-server.build'
  await log.step(`Running ${command.join(' ')}`, () => run(command, { fix }))
}

interface Contents {
  readonly site: Site
  readonly files: readonly SiteFile[]
  readonly redirects: Awaited<ReturnType<typeof readRedirects>>
  readonly headers: Awaited<ReturnType<typeof readHeaders>>
  readonly root: string
  readonly pages: readonly RuntimePage[]
  readonly dotFiles: boolean
  readonly ssi: boolean
}

async function writeConfig(
  context: BuildContext,
  contents: Contents,
  nginx: { readonly path: string },
  auth: Awaited<ReturnType<typeof findHtpasswd>>,
): Promise<void> {
  const { pages } = contents
  const config = siteConfig({ ...contents, pages: new Set(pages.map(({ path }) => path)) })
  await context.layer('site', {
    types: { launch: true },
    key: { config: digestOf(config.http, config.server), nginx: nginx.path, auth: auth?.why ?? '' },
    create: async dir => {
      await writeStart(dir, { nginx: nginx.path, config, auth, pages })
      return {}
    },
  })
}
