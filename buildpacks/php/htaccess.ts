import { readdir } from 'node:fs/promises'
import { posix } from 'node:path'
import { type App, escapeRegExp } from '../sdk/index.ts'

/** The effect of .htaccess files, which nginx does not read, on the served directory. */
export interface Htaccess {
  readonly denied: readonly DeniedDirectory[]
  /** Files with rules that have no effect. */
  readonly lost: readonly string[]
}

export interface DeniedDirectory {
  /** Relative to the served root: `/data/`. */
  readonly dir: string
  /** Its files, except PHP files, that a `<Files>` block grants all the same: `/data/style.css`. */
  readonly granted: readonly string[]
}

/** Matches the denial of a directory, in the syntax of Apache 2.4 or 2.2. */
const closed = /^\s*(?:Require\s+all\s+denied|Deny\s+from\s+all)\s*$/im
const open = /^\s*(?:Require\s+all\s+granted|Allow\s+from\s+all)\s*$/im
const filesBlock = /<(Files|FilesMatch)\s+(~\s+)?(?:"([^"]*)"|([^\s>]+))\s*>([\s\S]*?)<\/\1>/gi
/** Rules that do more than passing paths to index.php, as nginx does here. */
const rules =
  /^\s*(?:Redirect\w*|Auth\w+|Require\s+(?!all\s)\S+|RewriteRule\s+(?!.*\bindex\.php\b)(?!\S+\s+-\s).+|Header\s.+|php_(?:value|flag)\s.+)/im

/**
 * Reads the .htaccess files of the served directory. nginx also denies the directories that Apache would deny. The result names files
 * with other rules, for a warning.
 */
export async function readHtaccess(app: App, root: string): Promise<Htaccess> {
  const denied: DeniedDirectory[] = []
  const lost: string[] = []
  const waiting = ['']
  for (let dir = waiting.pop(); dir !== undefined; dir = waiting.pop()) {
    for (const entry of await readdir(app.at(root, dir), { withFileTypes: true })) {
      if (entry.isDirectory() && entry.name !== 'node_modules' && entry.name !== '.git')
        waiting.push(`${dir}/${entry.name}`)
      if (!entry.isFile() || entry.name !== '.htaccess') continue
      const name = posix.join(root, dir, entry.name)
      const text = ((await app.read(name)) ?? '').replaceAll('\r', '')
      const whole = text.replaceAll(/<(Files\w*|Limit\w*|Directory\w*)\b[\s\S]*?<\/\1>/gi, '')
      if (dir !== '' && closed.test(whole))
        denied.push({ dir: `${dir}/`, granted: await grantedFiles(app, root, dir, text) })
      else if (rules.test(text)) lost.push(name)
    }
  }
  return { denied: denied.toSorted((a, b) => (a.dir < b.dir ? -1 : 1)), lost: lost.toSorted() }
}

/** The files below a denied directory that the last `<Files>` block with their name grants (httpd.apache.org, "How the sections are merged"). */
async function grantedFiles(app: App, root: string, dir: string, text: string): Promise<string[]> {
  const blocks = [...text.matchAll(filesBlock)].flatMap(([, kind, tilde, quoted, bare, body = '']) => {
    const matches = nameMatcher(quoted ?? bare ?? '', kind?.toLowerCase() === 'filesmatch' || tilde !== undefined)
    const decides = open.test(body) || closed.test(body)
    return matches !== undefined && decides ? [{ matches, grants: open.test(body) }] : []
  })
  if (!blocks.some(({ grants }) => grants)) return []
  const found: string[] = []
  const waiting = [dir]
  for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
    const entries = await readdir(app.at(root, at), { withFileTypes: true })
    // Such a directory has access rules of its own.
    if (at !== dir && entries.some(({ name }) => name === '.htaccess')) continue
    for (const entry of entries) {
      const isPlain = entry.isFile() && !/^\.|\.php/i.test(entry.name)
      if (entry.isDirectory()) waiting.push(`${at}/${entry.name}`)
      else if (isPlain && blocks.findLast(({ matches }) => matches(entry.name))?.grants)
        found.push(`${at}/${entry.name}`)
    }
  }
  return found.toSorted()
}

/** Whether a file's name fits an expression, or a pattern with `*` and `?`; undefined for an expression that only Apache understands. */
function nameMatcher(pattern: string, isExpression: boolean): ((name: string) => boolean) | undefined {
  const asExpression = () => `^${escapeRegExp(pattern).replaceAll('\\*', '.*').replaceAll('\\?', '.')}$`
  try {
    const expression = new RegExp(isExpression ? pattern : asExpression())
    return name => expression.test(name)
  } catch {
    return undefined
  }
}
