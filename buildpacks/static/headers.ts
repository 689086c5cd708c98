import { type App, BuildpackError, escapeRegExp, type Log } from '../sdk/index.ts'
import { isPlain } from '../debian/nginx-text.ts'
import type { ProjectHeader } from './project-config.ts'
import type { Site } from './site.ts'

/** Values of one response header by path: the last matching pattern decides. */
export interface HeaderRules {
  readonly name: string
  readonly values: readonly { readonly pattern: string; readonly value: string }[]
}

/** Headers that nginx itself sets from the response. */
const own = new Set([
  'content-length',
  'content-encoding',
  'content-type',
  'date',
  'etag',
  'last-modified',
  'server',
  'connection',
  'transfer-encoding',
  'vary',
])

/**
 * The rules of `_headers` in the site or the source (docs.netlify.com, "Custom headers"): a path, and indented headers below it. The
 * rules of project.toml, static.json and Staticfile come first, so a line of `_headers` overrides them.
 * @throws BuildpackError at `_headers:LINE` for a line that is neither
 */
export async function readHeaders(
  app: App,
  site: Site,
  configured: readonly ProjectHeader[],
  log: Log,
): Promise<HeaderRules[]> {
  const file = await app.firstOf([`${site.root}/_headers`, '_headers'])
  const text = file === undefined ? '' : ((await app.read(file)) ?? '')
  const rules = new Map<string, { name: string; values: { pattern: string; value: string }[] }>()
  const add = (pattern: string, name: string, value: string, where: string): void => {
    const key = name.toLowerCase()
    const problem = own.has(key) ? `${name} is the server's` : isPlain(value) ? undefined : 'a "$" is not supported'
    if (problem !== undefined) return log.warning(`${where}: ${problem}: the header is ignored`)
    const known = rules.get(key) ?? { name, values: [] }
    rules.set(key, { ...known, values: [...known.values, { pattern, value }] })
  }
  for (const { path, name, value, where } of configured) {
    if (!/^[A-Za-z0-9-]+$/.test(name))
      throw new BuildpackError(`${JSON.stringify(name)} is not a header`, { where, fix: 'write Name = "value"' })
    const pattern = typeof path === 'object' ? path.pattern : pathPattern(path === '*' ? '/*' : path, where)
    add(pattern, name, value, where)
  }
  let pattern: string | undefined
  for (const [index, line] of text.split(/\r\n|\r|\n/).entries()) {
    const where = `_headers:${index + 1}`
    if (/^\s*(#|$)/.test(line)) continue
    if (/^\S/.test(line)) {
      pattern = pathPattern(line.trim(), where)
      continue
    }
    const [, name, value] = /^\s+([A-Za-z0-9-]+)\s*:\s*(.*?)\s*$/.exec(line) ?? []
    if (name === undefined || value === undefined || pattern === undefined) {
      throw new BuildpackError('is not a path or a header', {
        where,
        fix: 'write a path at the margin, and "Name: value" indented below',
      })
    }
    add(pattern, name, value, where)
  }
  return [...rules.values()]
}

function pathPattern(path: string, where: string): string {
  if (!path.startsWith('/') || !isPlain(path)) {
    throw new BuildpackError(`${JSON.stringify(path)} is not a path`, { where, fix: 'start it with "/"' })
  }
  const parts = path.split('*').map(part => part.split(/:\w+/).map(escapeRegExp).join('[^/]+'))
  return `^${parts.join('.*')}$`
}
