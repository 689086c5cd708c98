import { posix } from 'node:path'
import type { App } from '../sdk/index.ts'
import type { ListeningRules } from '../sdk/listening.ts'

/** The arguments of a call, with at most one level of nested calls. */
const before = String.raw`(?:[^()]|\([^()]*\))*?`
const named = String.raw`(?=${before}\bport\s*=\s*(?<port>\d+)\s*[,)])(?=${before}\bhost\s*=\s*["'](?<host>[^"']*)["']|)`
const notDefined = String.raw`(?<!\b(?:def|class)\s+\w*)`
/** `run` that starts a server, not a program or a coroutine. */
const run = String.raw`(?<!\b(?:asyncio|anyio|trio|subprocess|curio|uvloop|loop|runner|sp))\.run`

/** Calls that start a server in a file that runs as a program. */
const calls = [
  new RegExp(
    String.raw`${notDefined}(?:\brun_app|${run}|\bserve|\bcreate_server|\bstart_server)\((?!\s*\))(?:${named}|)`,
    'g',
  ),
  new RegExp(String.raw`\buvicorn\.Config\((?:${named}|)`, 'g'),
  new RegExp(
    String.raw`${notDefined}\b\w*(?:HTTPServer|TCPServer)\(\s*(?:\(\s*["'](?<host>[^"']*)["']\s*,\s*(?<port>\d+)\s*\))?`,
    'g',
  ),
  /\badd_(?:in)?secure_port\(\s*(?:f?["'](?<address>[^"'{}]*:\d+)["'])?/g,
  /\bTCPSite\(|\.listen\((?!\s*\d?\s*\))|\.bind\(\s*\(/g,
]

export const pythonListening: ListeningRules = {
  ending: '.py',
  comment: /^\s*#/,
  calls: () => calls,
  reads: 'as in int(os.environ["PORT"])',
}

const mostFiles = 200

/** The application's own files that a command runs: the file that it starts, and the files that this file imports. */
export async function startedFiles(app: App, command: string): Promise<ReadonlySet<string>> {
  const [, root = '', module, script] =
    /^(?:PYTHONPATH=(\S+) )?python (?:-m ([\w.]+)|'?([^-'\s]\S*\.py)'?)/.exec(command) ?? []
  const path = module?.replaceAll('.', '/')
  const first = path === undefined ? script : await app.firstOf(filesOfModule(posix.join(root, path), true))
  const found = new Set<string>(first === undefined ? [] : [posix.normalize(first)])
  const isMain = path !== undefined
  const base = isMain || first === undefined ? root : posix.dirname(first)
  for (const file of found) {
    if (found.size > mostFiles) break
    for (const name of importsOf((await app.read(file)) ?? '')) {
      const [, dots = '', rest = ''] = /^(\.*)(.*)$/.exec(name) ?? []
      const from = dots === '' ? base : posix.join(posix.dirname(file), '../'.repeat(dots.length - 1))
      if (from.startsWith('..')) continue
      const own = await app.firstOf(filesOfModule(posix.join(from, rest.replaceAll('.', '/')), false))
      if (own !== undefined) found.add(own)
    }
  }
  return found
}

const filesOfModule = (path: string, isMain: boolean): string[] =>
  isMain ? [`${path}/__main__.py`, `${path}.py`] : [`${path}.py`, `${path}/__init__.py`]

/** The modules that a source imports, and the imported names, which may be modules: `shop`, `shop.web`, `.web`. */
function importsOf(source: string): string[] {
  const statements = source.matchAll(/^\s*(?:from\s+([\w.]+)\s+import\s+(\([^)]*\)|[^\n]+)|import\s+([^\n]+))/gm)
  return Array.from(statements, ([, from, names = '', modules = '']) => {
    const words = (text: string) => text.split(',').map(part => /^[(\s]*([\w.]*)/.exec(part)?.[1] ?? '')
    if (from === undefined) return words(modules)
    return [from, ...words(names).map(name => (from.endsWith('.') ? `${from}${name}` : `${from}.${name}`))]
  })
    .flat()
    .filter(name => name !== '')
}
