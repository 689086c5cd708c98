import { readdir } from 'node:fs/promises'
import { posix } from 'node:path'
import type { App } from '../sdk/index.ts'

/** What files .htaccess, which nginx does not read, say of the directory that is served. */
export interface Htaccess {
  /** Directories that nobody may see, from the root that is served: `/data/`. */
  readonly denied: readonly string[]
  /** Files with rules that are lost. */
  readonly lost: readonly string[]
}

/** A directory that is closed: Apache 2.4's words, and those of 2.2. */
const closed = /^\s*(?:Require\s+all\s+denied|Deny\s+from\s+all)\s*$/im
/** Rules that do something else than hand paths to index.php, as nginx does here. */
const rules =
  /^\s*(?:Redirect\w*|Auth\w+|Require\s+(?!all\s)\S+|RewriteRule\s+(?!.*\bindex\.php\b)(?!\S+\s+-\s).+|Header\s.+|php_(?:value|flag)\s.+)/im

/**
 * Reads the files .htaccess of the directory that is served: what Apache would close is closed here as well, and a rule that is lost is
 * told of.
 */
export async function readHtaccess(app: App, root: string): Promise<Htaccess> {
  const denied: string[] = []
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
      if (dir !== '' && closed.test(whole)) denied.push(`${dir}/`)
      else if (rules.test(text)) lost.push(name)
    }
  }
  return { denied: denied.toSorted(), lost: lost.toSorted() }
}
