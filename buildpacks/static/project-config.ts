import { posix } from 'node:path'
import { parseToml } from '../../lifecycle/spec/toml.ts'
import { type App, BuildpackError } from '../sdk/index.ts'

/** What project.toml says in `[com.heroku.static-web-server]`, as that buildpack has it. */
export interface ProjectConfig {
  readonly root?: string | undefined
  /** The page of a directory. */
  readonly index?: string | undefined
  /** Which page answers for what is no file, and with which status. */
  readonly notFound?: { readonly page: string; readonly status: 200 | 404 } | undefined
  readonly headers: readonly { readonly path: string; readonly name: string; readonly value: string }[]
  /** The command that makes the site. */
  readonly build?: readonly [string, ...string[]] | undefined
  /** Pages that get variables where the image runs. Undefined: the page of the site's root. */
  readonly pages?: readonly string[] | undefined
}

const file = 'project.toml'
const name = 'com.heroku.static-web-server'

type Table = Readonly<Record<string, unknown>>

/** @throws BuildpackError for a value of another form, with its place */
export async function readProjectConfig(app: App): Promise<ProjectConfig> {
  const document = parseToml((await app.read(file)) ?? '', file)
  const own = table(table(table(document, 'com'), 'heroku'), 'static-web-server')
  const build = table(own, 'build')
  const command = text(build, 'command', `${name}.build`)
  const runtime = table(own, 'runtime_config')
  const notFound = table(table(own, 'errors'), '404')
  const page = text(notFound, 'file_path', `${name}.errors.404`)
  const status = notFound['status'] ?? 404
  if (status !== 200 && status !== 404)
    throw new BuildpackError(`${JSON.stringify(status)} is no status for it`, {
      where: `${file} ${name}.errors.404.status`,
      fix: 'write 404 or 200',
    })
  return {
    root: text(own, 'root', name),
    index: pathOf(text(own, 'index', name), `${name}.index`),
    notFound: page === undefined ? undefined : { page: pathOf(page, `${name}.errors.404.file_path`) ?? '', status },
    headers: headersOf(table(own, 'headers')),
    build: command === undefined ? undefined : [command, ...(texts(build, 'args', `${name}.build`) ?? [])],
    pages:
      runtime['enabled'] === false
        ? []
        : texts(runtime, 'html_files', `${name}.runtime_config`)?.map(
            page => pathOf(page, `${name}.runtime_config.html_files`) ?? '',
          ),
  }
}

function headersOf(headers: Table): ProjectConfig['headers'] {
  return Object.keys(headers).flatMap(path =>
    Object.keys(table(headers, path)).map(header => ({
      path,
      name: header,
      value: text(table(headers, path), header, `${name}.headers.${JSON.stringify(path)}`) ?? '',
    })),
  )
}

/** A path within the site. */
function pathOf(given: string | undefined, where: string): string | undefined {
  if (given === undefined) return undefined
  const path = posix.normalize(given.replace(/^\/+/, ''))
  if (path.startsWith('..') || /["\\$;{}\s\x00-\x1f\x7f]/.test(path))
    throw new BuildpackError(`${JSON.stringify(given)} is no path in the site`, {
      where: `${file} ${where}`,
      fix: 'write for example "pages/index.html"',
    })
  return path
}

function table(parent: Table, key: string): Table {
  const value = parent[key]
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Table) : {}
}

function text(parent: Table, key: string, where: string): string | undefined {
  const value = parent[key]
  if (value === undefined || typeof value === 'string') return value
  throw new BuildpackError(`${JSON.stringify(value)} is no text`, {
    where: `${file} ${where}.${key}`,
    fix: 'put it in quotes',
  })
}

function texts(parent: Table, key: string, where: string): string[] | undefined {
  const value = parent[key]
  if (value === undefined) return undefined
  if (Array.isArray(value) && value.every(each => typeof each === 'string')) return value
  throw new BuildpackError(`${JSON.stringify(value)} is no list of texts`, {
    where: `${file} ${where}.${key}`,
    fix: 'write ["a", "b"]',
  })
}
