import { readdir } from 'node:fs/promises'
import { join, posix } from 'node:path'
import type { App } from './app.ts'

/**
 * Whether an application with a deps.edn says how it starts on the JVM. A ClojureScript application has the same file, and starts with
 * Node.js or in a browser.
 */
export async function startsOnJvm(app: App): Promise<boolean> {
  if (await app.has('build.clj')) return true
  for (const dir of pathsOf((await app.read('deps.edn')) ?? '')) if (await hasMain(app, dir)) return true
  return false
}

async function hasMain(app: App, dir: string): Promise<boolean> {
  const entries = await readdir(app.at(dir), { withFileTypes: true }).catch(() => [])
  for (const entry of entries) {
    const path = join(dir, entry.name)
    if (entry.isDirectory()) {
      if (!/^(node_modules$|\.)/.test(entry.name) && (await hasMain(app, path))) return true
    } else if (entry.isFile() && /\.cljc?$/.test(entry.name)) {
      if (/\(defn\s+(\^\S+\s+)?-main\b/.test((await app.read(path)) ?? '')) return true
    }
  }
  return false
}

/** `:paths` of deps.edn inside the application; a keyword among them is an alias with more paths. The default is `src`. */
export function pathsOf(edn: string): string[] {
  const tokens =
    edn.match(/;.*|\\.\w*|"(?:\\.|[^"\\])*"|[{}[\]()]|[^\s{}[\]()",;]+/g)?.filter(t => !t.startsWith(';')) ?? []
  const lists = new Map<string, string[]>()
  let depth = 0
  for (const [index, token] of tokens.entries()) {
    // Aliases have their own :paths, nested deeper than the application's.
    const isList = tokens[index + 1] === '[' && token.startsWith(':') && (token !== ':paths' || depth === 1)
    if (isList) lists.set(token, tokens.slice(index + 2, tokens.indexOf(']', index)))
    if (/^[{[(]$/.test(token)) depth += 1
    else if (/^[}\])]$/.test(token)) depth -= 1
  }
  const seen = new Set<string>()
  const flat = (words: readonly string[]): string[] =>
    words.flatMap(word => {
      if (word.startsWith('"')) return [posix.normalize(word.slice(1, -1))]
      if (!word.startsWith(':') || seen.has(word)) return []
      seen.add(word)
      return flat(lists.get(word) ?? [])
    })
  return flat(lists.get(':paths') ?? ['"src"']).filter(path => !/^(\/|\.\.(\/|$))/.test(path))
}
