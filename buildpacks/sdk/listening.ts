import { readdir } from 'node:fs/promises'
import { posix } from 'node:path'
import type { App } from './app.ts'
import type { Log } from './log.ts'

/** How the sources of a language say where a server listens. */
export interface ListeningRules {
  /** The ending of its files: `.go`. */
  readonly ending: string
  /**
   * Calls that start a server. The groups `address` (`localhost:8080`), or `host` and `port`, have what a call says in plain words; a
   * call of which they match nothing says it by a variable.
   */
  readonly calls: readonly RegExp[]
  /** How a program reads the port, for the message. */
  readonly reads: string
}

const skipped = /^(\..*|vendor|node_modules|venv|target|testdata|tests?|examples?|benches|tools?|scripts?|xtask)$/
const mostFiles = 400

/**
 * Tells of a program that listens on a port of its own, where a platform says in PORT which one it asks; and of one that listens on
 * localhost alone, where the platform asks from outside the container. What a variable says may well be right, so then there is no word.
 */
export async function warnOfListening(app: App, log: Log, rules: ListeningRules): Promise<void> {
  const found: Listening[] = []
  let readsPort = false
  for (const file of await filesOf(app, rules.ending)) {
    const source = (await app.read(file)) ?? ''
    readsPort ||= /\bPORT\b/.test(source)
    for (const call of rules.calls) for (const match of source.matchAll(call)) found.push(...listeningAt(file, match))
  }
  if (found.some(({ isKnown }) => !isKnown)) return
  const fixed = found.find(({ port }) => /^[1-9]\d*$/.test(port ?? ''))
  if (fixed && !readsPort)
    log.warning(
      `${fixed.place} listens on port ${fixed.port} whatever PORT says, which is 8080 unless the platform sets another`,
      `Read it there, ${rules.reads}; or run the image with its port ${fixed.port} published.`,
    )
  const hidden = found.find(({ host }) => host !== undefined && /^(localhost|127\.0\.0\.1|\[?::1\]?)$/.test(host))
  if (hidden && found.every(({ host }) => host === hidden.host))
    log.warning(
      `${hidden.place} listens on localhost alone, where nothing from outside the container reaches it`,
      'Let it listen on every address: 0.0.0.0 in place of it.',
    )
}

interface Listening {
  readonly place: string
  readonly host: string | undefined
  readonly port: string | undefined
  /** It says where in plain words. */
  readonly isKnown: boolean
}

function listeningAt(file: string, { index, input, groups }: RegExpExecArray): Listening[] {
  const before = input.slice(0, index)
  const line = before.slice(before.lastIndexOf('\n') + 1)
  if (/^\s*(\/\/|\/?\*|#)/.test(line)) return []
  const place = `${file}:${before.split('\n').length}`
  const address = /^(.*):(\d+)$/.exec(groups?.['address'] ?? '')
  const host = groups?.['host']?.replaceAll(/\s*,\s*/g, '.') ?? address?.[1]
  const port = groups?.['port'] ?? address?.[2]
  return [{ place, host, port, isKnown: port !== undefined }]
}

/** The files of a language that programs are made of: no tests, examples and packages of others. */
async function filesOf(app: App, ending: string): Promise<string[]> {
  const files: string[] = []
  const dirs = ['']
  for (let dir = dirs.shift(); dir !== undefined && files.length < mostFiles; dir = dirs.shift()) {
    const entries = await readdir(app.at(dir), { withFileTypes: true }).catch(() => [])
    for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
      const path = posix.join(dir, entry.name)
      if (entry.isDirectory() && !skipped.test(entry.name)) dirs.push(path)
      else if (entry.isFile() && entry.name.endsWith(ending) && !/_test\.\w+$/.test(entry.name)) files.push(path)
    }
  }
  return files
}
