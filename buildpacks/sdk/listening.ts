import { readdir } from 'node:fs/promises'
import { posix } from 'node:path'
import type { App } from './app.ts'
import type { Log } from './log.ts'

/** How sources of a language show where a server listens. */
export interface ListeningRules {
  /** The extension of its files: `.go`. */
  readonly ending: string
  /** Matches the beginning of a comment line. */
  readonly comment: RegExp
  /** Removes text that is never part of a program, and keeps the number of lines. */
  readonly prepare?: (source: string) => string
  /**
   * Calls in a source that start a server. The groups `address` (`localhost:8080`), or `host` and `port`, match literal values. A call
   * in which they match nothing takes the value from a variable.
   */
  readonly calls: (source: string) => readonly RegExp[]
  /** How a program reads the port, for the message. */
  readonly reads: string
}

/** Comments in languages with C's comment syntax. */
export const slashComment = /^\s*(\/\/|\/?\*)/

const skipped = /^(\..*|vendor|node_modules|venv|target|testdata|tests?|examples?|benches|tools?|scripts?|xtask)$/
const mostFiles = 400

/**
 * Warns of a program that listens on a fixed port, although the platform sets PORT, and of a program that listens only on localhost,
 * although requests come from outside the container. A variable may well be right: there is no warning if a single call, even in a file
 * that is not started, uses a variable, or if PORT is read.
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
    `${fixed.place} always listens on port ${fixed.port} and ignores PORT, which is 8080 by default`,
    `Read PORT there, ${rules.reads}; or run the image with its port ${fixed.port} published.`,
  )
  if (found.every(({ host }) => isLocal(host)))
    log.warning(
      `${fixed.place} listens only on localhost, which is not reachable from outside the container`,
      'Let it listen on every address: use 0.0.0.0 instead.',
    )
}

const isLocal = (host: string | undefined): boolean =>
  host !== undefined && /^(localhost|127\.0\.0\.1|\[?::1\]?)$/.test(host)

interface Listening {
  readonly file: string
  readonly place: string
  readonly host: string | undefined
  readonly port: string | undefined
  /** The call has literal values. */
  readonly isKnown: boolean
}

function listeningAt(file: string, { index, input, groups }: RegExpExecArray, comment: RegExp): Listening[] {
  const before = input.slice(0, index)
  const line = before.slice(before.lastIndexOf('\n') + 1)
  if (comment.test(line)) return []
  const place = `${file}:${before.split('\n').length}`
  // A name has a letter, an address has a dot: `10:30` is a time.
  const address = /^(|[\w-]*[A-Za-z.*][\w.-]*|\[[\da-fA-F:.]*\]):(\d+)$/.exec(groups?.['address'] ?? '')
  const host = groups?.['host']?.replaceAll(/\s*,\s*/g, '.') ?? address?.[1]
  const port = groups?.['port'] ?? address?.[2]
  // Port 0 means any free port, which a program uses for itself, for example in tests.
  return port !== undefined && Number(port) === 0 ? [] : [{ file, place, host, port, isKnown: port !== undefined }]
}

/**
 * The first 400 files of a language that belong to programs: no tests, no examples, no third-party packages.
 * @param ending the extension: `.go`
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
