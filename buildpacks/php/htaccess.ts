import { readdir } from 'node:fs/promises'
import { posix } from 'node:path'
import type { App } from '../sdk/index.ts'

/** The effect of .htaccess files, which nginx does not read, on the served directory. */
export interface Htaccess {
  /** Denied directories, relative to the served root: `/data/`. */
  readonly denied: readonly string[]
  /** Files with rules that have no effect. */
  readonly lost: readonly string[]
}

/** Matches the denial of a directory, in the syntax of Apache 2.4 or 2.2. */
const closed = /^\s*(?:Require\s+all\s+denied|Deny\s+from\s+all)\s*$/im
/** Rules that do more than passing paths to index.php, as nginx does here. */
const rules =
  /^\s*(?:Redirect\w*|Auth\w+|Require\s+(?!all\s)\S+|RewriteRule\s+(?!.*\bindex\.php\b)(?!\S+\s+-\s).+|Header\s.+|php_(?:value|flag)\s.+)/im

/**
 * Reads the .htaccess files of the served directory. nginx also denies the directories that Apache would deny. The result names files
 * with other rules, for a warning.
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
