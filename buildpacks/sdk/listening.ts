import { readdir } from 'node:fs/promises'
import { posix } from 'node:path'
import type { App } from './app.ts'
import type { Log } from './log.ts'

/** How the sources of a language say where a server listens. */
export interface ListeningRules {
  /** The ending of its files: `.go`. */
  readonly ending: string
  /** How a line begins that is a comment. */
  readonly comment: RegExp
  /** A source without what is never part of a program, with as many lines as before. */
  readonly prepare?: (source: string) => string
  /**
   * Calls in a source that start a server. The groups `address` (`localhost:8080`), or `host` and `port`, have what a call says in plain
   * words; a call of which they match nothing says it by a variable.
   */
  readonly calls: (source: string) => readonly RegExp[]
  /** How a program reads the port, for the message. */
  readonly reads: string
}

/** Comments of languages that have them as C has. */
export const slashComment = /^\s*(\/\/|\/?\*)/

const skipped = /^(\..*|vendor|node_modules|venv|target|testdata|tests?|examples?|benches|tools?|scripts?|xtask)$/
const mostFiles = 400

/**
 * Tells of a program that listens on a port of its own, where a platform says in PORT which one it asks; and of one that listens on
 * localhost alone, where the platform asks from outside the container. What a variable says may well be right: where there is one call
 * with a variable, even in a file that is not started, or PORT is read, there is no word.
 * @param isStarted whether a file is known to be part of the program that the image starts
 */
export async function warnOfListening(
  app: App,
  log: Log,
  rules: ListeningRules,
  isStarted: (file: string) => boolean,
): Promise<void> {
  const found: Listening[] = []
  for (const file of await programFiles(app, rules.ending)) {
    const text = (await app.read(file)) ?? ''
    if (/\bPORT\b/.test(text)) return
    const source = rules.prepare?.(text) ?? text
    for (const call of rules.calls(source))
      for (const match of source.matchAll(call)) found.push(...listeningAt(file, match, rules.comment))
  }
  if (found.some(({ isKnown }) => !isKnown)) return
  const started = found.filter(({ file }) => isStarted(file))
  const fixed = started.find(({ host }) => !isLocal(host)) ?? started[0]
  if (fixed === undefined) return
  log.warning(
    `${fixed.place} listens on port ${fixed.port} whatever PORT says, which is 8080 unless the platform sets another`,
    `Read it there, ${rules.reads}; or run the image with its port ${fixed.port} published.`,
  )
  if (found.every(({ host }) => isLocal(host)))
    log.warning(
      `${fixed.place} listens on localhost alone, where nothing from outside the container reaches it`,
      'Let it listen on every address: 0.0.0.0 in place of it.',
    )
}

const isLocal = (host: string | undefined): boolean =>
  host !== undefined && /^(localhost|127\.0\.0\.1|\[?::1\]?)$/.test(host)

interface Listening {
  readonly file: string
  readonly place: string
  readonly host: string | undefined
  readonly port: string | undefined
  /** It says where in plain words. */
  readonly isKnown: boolean
}

function listeningAt(file: string, { index, input, groups }: RegExpExecArray, comment: RegExp): Listening[] {
  const before = input.slice(0, index)
  const line = before.slice(before.lastIndexOf('\n') + 1)
  if (comment.test(line)) return []
  const place = `${file}:${before.split('\n').length}`
  // A name has a letter, an address a dot: `10:30` is a time.
  const address = /^(|[\w-]*[A-Za-z.*][\w.-]*|\[[\da-fA-F:.]*\]):(\d+)$/.exec(groups?.['address'] ?? '')
  const host = groups?.['host']?.replaceAll(/\s*,\s*/g, '.') ?? address?.[1]
  const port = groups?.['port'] ?? address?.[2]
  // Whatever is free is for the program itself, as in its tests.
  return port !== undefined && Number(port) === 0 ? [] : [{ file, place, host, port, isKnown: port !== undefined }]
}

/**
 * The files of a language that programs are made of, the first 400: no tests, examples and packages of others.
 * @param ending of their names: `.go`
 */
export async function programFiles(app: App, ending: string): Promise<string[]> {
  const files: string[] = []
  const dirs = ['']
  for (let dir = dirs.shift(); dir !== undefined && files.length < mostFiles; dir = dirs.shift()) {
    const entries = await readdir(app.at(dir), { withFileTypes: true }).catch(() => [])
    for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
      const path = posix.join(dir, entry.name)
      if (entry.isDirectory() && !skipped.test(entry.name)) dirs.push(path)
      else if (entry.isFile() && entry.name.endsWith(ending) && !/(?:^|_)tests?\.\w+$/.test(entry.name))
        files.push(path)
    }
  }
  return files
}
