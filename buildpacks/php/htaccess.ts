import { readdir } from 'node:fs/promises'
import { posix } from 'node:path'
import { type App, escapeRegExp } from '../sdk/index.ts'

/** The effect of .htaccess files, which nginx does not read, on the served directory. */
export interface Htaccess {
  readonly denied: readonly DeniedDirectory[]
  /** Files that a `<Files>` block denies in a served directory: `/xmlrpc.php`. */
  readonly deniedFiles: readonly string[]
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
  const deniedFiles: string[] = []
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
      const blocks = blocksOf(text)
      if (dir !== '' && closed.test(whole)) {
        const granted = (await filesWhere(app, root, dir, blocks, true)).filter(path => !path.endsWith('.php'))
        denied.push({ dir: `${dir}/`, granted })
        continue
      }
      const found = await filesWhere(app, root, dir, blocks, false)
      deniedFiles.push(...found)
      // Files of such a name may appear at run time.
      const isLost = blocks.some(
        ({ grants, matches }) =>
          !grants && !hiddenNames.some(matches) && !found.some(path => matches(posix.basename(path))),
      )
      if (rules.test(text) || isLost) lost.push(name)
    }
  }
  const closedFiles = new Set(deniedFiles.toSorted())
  return {
    denied: denied
      .map(each => ({ ...each, granted: each.granted.filter(path => !closedFiles.has(path)) }))
      .toSorted((a, b) => (a.dir < b.dir ? -1 : 1)),
    deniedFiles: [...closedFiles],
    lost: lost.toSorted(),
  }
}

/** A `<Files>` block that grants or denies access. */
interface FilesBlock {
  readonly matches: (name: string) => boolean
  readonly grants: boolean
}

/** Names that are never served, whatever a block says. */
const hiddenNames = ['.htaccess', '.htpasswd', '.env', '.git']

function blocksOf(text: string): FilesBlock[] {
  return [...text.matchAll(filesBlock)].flatMap(([, kind, tilde, quoted, bare, body = '']) => {
    const matches = nameMatcher(quoted ?? bare ?? '', kind?.toLowerCase() === 'filesmatch' || tilde !== undefined)
    const decides = open.test(body) || closed.test(body)
    return matches !== undefined && decides ? [{ matches, grants: open.test(body) }] : []
  })
}

/**
 * The files below a directory for which the last block with their name grants, or denies, access (httpd.apache.org, "How the sections
 * are merged").
 */
async function filesWhere(
  app: App,
  root: string,
  dir: string,
  blocks: readonly FilesBlock[],
  grants: boolean,
): Promise<string[]> {
  if (!blocks.some(block => block.grants === grants)) return []
  const found: string[] = []
  const waiting = [dir]
  for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
    const entries = await readdir(app.at(root, at), { withFileTypes: true })
    // To grant nothing that the rules of a directory below deny.
    if (grants && at !== dir && entries.some(({ name }) => name === '.htaccess')) continue
    for (const entry of entries) {
      if (entry.name.startsWith('.') || entry.name === 'node_modules') continue
      if (entry.isDirectory()) waiting.push(`${at}/${entry.name}`)
      else if (entry.isFile() && blocks.findLast(({ matches }) => matches(entry.name))?.grants === grants)
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
