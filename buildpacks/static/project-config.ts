import { posix } from 'node:path'
import * as read from '../../lifecycle/spec/read.ts'
import type { App, Log } from '../sdk/index.ts'
import type { Redirect } from './redirects.ts'

/** The settings of `[com.heroku.static-web-server]` in project.toml, or of static.json, as in Heroku's buildpacks. */
export interface ProjectConfig {
  readonly root: string | undefined
  /** The file with the settings, and its key for the root. */
  readonly source: string
  /** The index page of a directory. */
  readonly index: string | undefined
  /** The page that answers for paths that are no file, with its status. */
  readonly notFound: { readonly page: string; readonly status: 200 | 404; readonly where: string } | undefined
  readonly headers: readonly ProjectHeader[]
  readonly redirects: readonly Redirect[]
  readonly forceHttps: boolean
  /** The command that generates the site. */
  readonly build: readonly [string, ...string[]] | undefined
  /** Pages that get variables at run time. Undefined: the page of the site's root. */
  readonly pages: { readonly names: readonly string[]; readonly where: string } | undefined
}

export interface ProjectHeader {
  /** A path with `*` for anything, or a regular expression. */
  readonly path: string | { readonly pattern: string }
  readonly name: string
  readonly value: string
  readonly where: string
}

const file = 'project.toml'

/**
 * Reads the settings. Leaves out unknown ones, with a warning.
 * @throws BaleError for a value of another type, with its place
 */
export async function readProjectConfig(app: App, log: Log): Promise<ProjectConfig> {
  const known = (node: read.Node, ...keys: string[]): void => {
    for (const key of Object.keys(node.table))
      if (!keys.includes(key)) log.warning(`${read.whereOf(node, key)} is unknown and is ignored`)
  }
  const document = read.readToml((await app.read(file)) ?? '', file)
  const own = inner(inner(inner(document, 'com'), 'heroku'), 'static-web-server')
  known(own, 'root', 'index', 'headers', 'errors', 'build', 'runtime_config')
  const errors = inner(own, 'errors')
  known(errors, '404')
  const lost = inner(errors, '404')
  known(lost, 'file_path', 'status')
  const build = inner(own, 'build')
  known(build, 'command', 'args')
  const runtime = inner(own, 'runtime_config')
  known(runtime, 'enabled', 'html_files')
  const command = read.text(build, 'command')
  const page = sitePath(lost, 'file_path', read.text(lost, 'file_path'))
  const pages = read.texts(runtime, 'html_files').map(name => sitePath(runtime, 'html_files', name))
  const isNamed = read.has(runtime, 'html_files')
  return {
    root: read.text(own, 'root'),
    source: 'project.toml com.heroku.static-web-server.root',
    index: sitePath(own, 'index', read.text(own, 'index')),
    notFound: page === undefined ? undefined : { page, status: statusOf(lost), where: read.whereOf(lost, 'file_path') },
    headers: headersOf(inner(own, 'headers')),
    redirects: [],
    forceHttps: false,
    build: command === undefined ? undefined : [command, ...read.texts(build, 'args')],
    pages: !read.flag(runtime, 'enabled', true)
      ? { names: [], where: '' }
      : isNamed
        ? { names: pages, where: read.whereOf(runtime, 'html_files') }
        : undefined,
  }
}

/** A table; empty if it does not exist. */
const inner = (node: read.Node, key: string): read.Node => read.table(node, key) ?? { ...node, table: {} }

function statusOf(lost: read.Node): 200 | 404 {
  const { status = 404 } = lost.table
  if (status === 200 || status === 404) return status
  throw read.errorAt(lost, 'status', `${read.quote(status)} is not a valid status here`, 'write 404 or 200')
}

function headersOf(headers: read.Node): ProjectHeader[] {
  return Object.keys(headers.table).flatMap(path => {
    const values = inner(headers, path)
    return Object.keys(values.table).map(name => ({
      path,
      name,
      value: read.text(values, name) ?? '',
      where: read.whereOf(values, name),
    }))
  })
}

/** A path within the site, which nginx and the shell can take literally. */
export function sitePath(node: read.Node, key: string, given: string): string
export function sitePath(node: read.Node, key: string, given: string | undefined): string | undefined
export function sitePath(node: read.Node, key: string, given: string | undefined): string | undefined {
  if (given === undefined) return undefined
  const path = posix.normalize(given.replace(/^\/+/, ''))
  if (!path.startsWith('..') && !/["'\\$;{}\s\x00-\x1f\x7f]/.test(path)) return path
  throw read.errorAt(
    node,
    key,
    `${read.quote(given)} is not a path in the site`,
    'write for example "pages/index.html"',
  )
}
