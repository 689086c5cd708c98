import { type App, BuildpackError, escapeRegExp, type Log } from '../sdk/index.ts'
import { isPlain } from '../debian/nginx-text.ts'

/** A rule of `_redirects`: `/old/* /new/:splat 301!`. */
export interface Redirect {
  /** A regular expression for the unmodified path of the request. */
  readonly pattern: string
  /** The target, with `$1` and so on for parts of the path. */
  readonly target: string
  /** 200 for another file of the site under this path; 301 and so on; 404 and so on for a page with that status. */
  readonly status: number
  /** It also applies if there is a file with this path. */
  readonly force: boolean
}

/**
 * The rules of `_redirects` in the site or the source (docs.netlify.com, "Redirects and rewrites"). Rules that nginx does not support,
 * such as conditions on a country, are left out with a warning.
 * @throws BuildpackError at `_redirects:LINE` for an invalid line
 */
export async function readRedirects(app: App, root: string, log: Log): Promise<Redirect[]> {
  const file = await app.firstOf([`${root}/_redirects`, '_redirects'])
  const text = file === undefined ? '' : ((await app.read(file)) ?? '')
  return text.split(/\r\n|\r|\n/).flatMap((line, index) => {
    const words = line
      .replace(/(^|\s)#.*$/, '')
      .split(/\s+/)
      .filter(Boolean)
    if (words.length === 0) return []
    const where = `_redirects:${index + 1}`
    const rule = parseRule(words, where)
    if (typeof rule !== 'string') return [rule]
    log.warning(`${where}: ${rule}: the rule is ignored`)
    return []
  })
}

/** Adjusts rules for paths within a site that is served below a path: `/shop`. */
export function placeRules(rules: readonly Redirect[], prefix: string): Redirect[] {
  const at = escapeRegExp(prefix)
  return rules.map(rule => ({
    ...rule,
    pattern: rule.pattern.replace('^', `^${at}`),
    target: rule.target.startsWith('/') ? `${prefix}${rule.target}` : rule.target,
  }))
}

/** The rule, or the reason why it is not supported. */
function parseRule([from = '', ...rest]: string[], where: string): Redirect | string {
  const at = rest.findIndex(word => /^(\/|https?:)/.test(word))
  const to = rest[at]
  if (to === undefined) {
    throw new BuildpackError(`${from} has no target`, { where, fix: 'write it as "/old /new 301"' })
  }
  if (at > 0) return 'parameters of the query are not supported'
  const [code = '301', ...conditions] = rest.slice(at + 1)
  const [, digits, force] = /^(\d{3})(!?)$/.exec(code) ?? []
  if (digits === undefined) {
    if (code.includes('=')) return 'conditions are not supported'
    throw new BuildpackError(`${JSON.stringify(code)} is not a status`, { where, fix: 'write for example 301 or 200' })
  }
  if (conditions.length > 0) return 'conditions are not supported'
  if (!from.startsWith('/')) return 'it is for another host'
  const status = Number(digits)
  if (status === 200 && !to.startsWith('/')) return 'a proxy to another host is not supported'
  if (![200, 301, 302, 303, 307, 308].includes(status) && (status < 400 || status > 599))
    return `the status ${status} is not supported`
  if (![from, to].every(isPlain)) return 'a "$" is not supported'
  return { ...pathPattern(from, to), status, force: force === '!' }
}

/** `/blog/:year/*` as a regular expression, and the target with its parts. */
function pathPattern(from: string, to: string): { pattern: string; target: string } {
  const names: string[] = []
  const parts = from
    .split('/')
    .slice(1)
    .map(part => {
      if (part === '*') {
        names.push('splat')
        // The match does not include the slashes before it: `//other.example` would lead to another host.
        return '(?:/+(.*))?'
      }
      const name = /^:(\w+)$/.exec(part)?.[1]
      if (name === undefined) return `/${escapeRegExp(part)}`
      names.push(name)
      return '/([^/]+)'
    })
  const pattern = `^${parts.join('')}${from.endsWith('/') || from.endsWith('*') ? '' : '/?'}$`
  const target = to.replaceAll(/:([A-Za-z]\w*)/g, (whole, name: string) => {
    const at = names.indexOf(name)
    return at < 0 ? whole : `$${at + 1}`
  })
  return { pattern, target }
}
