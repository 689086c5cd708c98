import * as read from '../../lifecycle/spec/read.ts'
import { isPlain } from '../debian/nginx-text.ts'
import { type App, escapeRegExp, type Log } from '../sdk/index.ts'
import { type ProjectConfig, type ProjectHeader, sitePath } from './project-config.ts'
import type { Redirect } from './redirects.ts'

const file = 'static.json'

/** Settings that need no action: pages are found without their extension, and requests are logged. */
const settled = ['clean_urls', 'logging', 'encoding']
const known = ['root', 'https_only', 'error_page', 'routes', 'redirects', 'headers', ...settled]

/** What to do instead of a key that is left out. */
const instead: Readonly<Record<string, string>> = {
  basic_auth: 'For a password, use a binding of the type htpasswd, or a Staticfile.auth.',
  proxies: 'An nginx.conf with templates can have proxy_pass.',
  canonical_host: 'An nginx.conf with templates can redirect from other hosts.',
}

/**
 * Reads static.json with the meaning of Heroku's buildpack for static sites; undefined if there is none. Leaves out settings that nginx
 * does not support, with a warning.
 * @throws BaleError for a value of another type, with its place
 */
export async function readStaticJson(app: App, log: Log): Promise<ProjectConfig | undefined> {
  const text = await app.read(file)
  if (text === undefined) return undefined
  const document = read.readJson(text, file)
  for (const key of Object.keys(document.table))
    if (!known.includes(key))
      log.warning(`${read.whereOf(document, key)} is not supported and is ignored`, instead[key])
  const page = sitePath(document, 'error_page', read.text(document, 'error_page'))
  const root = read.text(document, 'root')
  return {
    root: root ?? ((await app.hasDirectory('public_html')) ? 'public_html' : undefined),
    source: file,
    index: undefined,
    notFound: page === undefined ? undefined : { page, status: 404, where: read.whereOf(document, 'error_page') },
    headers: headersOf(document),
    redirects: [...redirectsOf(document, log), ...routesOf(document)],
    forceHttps: read.flag(document, 'https_only'),
    build: undefined,
    pages: undefined,
  }
}

/** The page of each pattern, for paths that are no file. */
function routesOf(document: read.Node): Redirect[] {
  const routes = read.table(document, 'routes')
  if (routes === undefined) return []
  return Object.keys(routes.table).map(path => {
    const page = sitePath(routes, path, read.requiredText(routes, path))
    return { pattern: patternOf(routes, path), target: `/${page}`, status: 200, force: false }
  })
}

function redirectsOf(document: read.Node, log: Log): Redirect[] {
  return read.tableMap(document, 'redirects').flatMap(([path, rule]) => {
    const url = read.requiredText(rule, 'url')
    const { status = 301 } = rule.table
    if (typeof status !== 'number' || ![301, 302, 303, 307, 308].includes(status))
      throw read.errorAt(rule, 'status', `${read.quote(status)} is not a status of a redirect`, 'write 301 or 302')
    if (isPlain(url)) return [{ pattern: patternOf(rule, path), target: url, status, force: true }]
    log.warning(`${read.whereOf(rule, 'url')}: a "$" is not supported: the rule is ignored`)
    return []
  })
}

function headersOf(document: read.Node): ProjectHeader[] {
  return read.tableMap(document, 'headers').flatMap(([path, values]) =>
    Object.keys(values.table).map(name => ({
      path: { pattern: patternOf(values, path) },
      name,
      value: read.text(values, name) ?? '',
      where: read.whereOf(values, name),
    })),
  )
}

/** A regular expression for a path: `*` stands for a part of one name, and `**` for anything. */
function patternOf(node: read.Node, path: string): string {
  if (!path.startsWith('/') || !isPlain(path))
    throw read.errorAt(node, '', `${read.quote(path)} is not a path`, 'start it with "/"')
  // Like `/*` in _redirects: the page of an application with its own router.
  if (path === '/**') return '^(?:/+(.*))?$'
  const parts = path.split('**').map(part => part.split('*').map(escapeRegExp).join('[^/]*'))
  return `^${parts.join('.*')}$`
}
