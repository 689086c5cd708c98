import { readdir } from 'node:fs/promises'
import { join, matchesGlob, posix } from 'node:path'
import { type App, BuildpackError, declaredStart } from '../sdk/index.ts'

type Env = Readonly<Record<string, string>>

/**
 * The build directory in which the user's own commands start the result, as Heroku's Procfiles do: `java -jar target/shop.jar`. The
 * directory then has to stay as the build leaves it, since the application may read files in it. Undefined if no command does.
 * @throws BuildpackError if a command names a missing file
 */
export async function startsInPlace(app: App, env: Env): Promise<string | undefined> {
  for (const { command, where } of await commandsOf(app, env)) {
    const paths = startedBy(command)
      .map(word => posix.normalize(word.startsWith(`${app.path}/`) ? posix.relative(app.path, word) : word))
      .filter(word => /^([\w.-]+\/)*(target|build)\/./.test(word))
    if (paths.length === 0) continue
    for (const path of paths) if (!/[$~`]/.test(path)) await requirePath(app, path, where)
    return where
  }
  return undefined
}

/** Words that run the program after them. */
const runners = new Set(['exec', 'env', 'time', 'nohup', 'sh', 'bash', 'cd'])

/**
 * The paths that a command line needs to start: its programs, archives, the entries of class paths, and files that other commands read
 * for it. Other paths may be output: `-XX:HeapDumpPath=target/shop.hprof`.
 */
function startedBy(command: string): string[] {
  const inner = /\$\(([^)]*)\)|`([^`]*)`/g
  const read = [...command.matchAll(inner)].flatMap(([, first, second]) => (first ?? second ?? '').split(/\s+/))
  const parts = command
    .replaceAll(inner, '$')
    .replaceAll(/["']/g, '')
    .split(/[;&|()\n]+/)
  const started = parts.flatMap(part => {
    const words = part.trim().split(/\s+/)
    const program = words.find(word => !/^(-|\w+=)/.test(word) && !runners.has(word)) ?? ''
    const entries = words.flatMap((word, index) => {
      if (/^(-jar|-cp|-classpath|--class-path|-p|--module-path)$/.test(words[index - 1] ?? '')) return word.split(':')
      const [, list] = /^(?:--class-path|--module-path|CLASSPATH)=(.*)/.exec(word) ?? []
      return list?.split(':') ?? word.split(/[=:,]/).filter(path => /\.[ejw]ar$/.test(path))
    })
    return [program, ...entries]
  })
  return [...started, ...read]
}

async function commandsOf(app: App, env: Env): Promise<{ command: string; where: string }[]> {
  const web = await declaredStart(app, env)
  const lines = ((await app.read('Procfile')) ?? '').split('\n')
  const others = lines.flatMap(line => {
    const [, type, command = ''] = /^([\w-]+)[ \t]*:(.*)$/.exec(line) ?? []
    return type === undefined || (type === 'web' && web !== undefined) ? [] : [{ command, where: 'the Procfile' }]
  })
  return [...(web === undefined ? [] : [web]), ...others]
}

/** `target/*.jar` has to match a file; `target/dependency/*` is a class path, and its directory has to exist. */
async function requirePath(app: App, path: string, where: string): Promise<void> {
  if (!/[*?[]/.test(path)) {
    if ((await app.has(path)) || (await app.hasDirectory(path))) return
  } else {
    const names = await readdir(app.at(posix.dirname(path))).catch(() => [])
    if (names.some(name => matchesGlob(name, posix.basename(path)))) return
  }
  const dir = posix.dirname(path)
  const near = (await readdir(app.at(dir)).catch(() => [])).filter(name => posix.extname(name) === posix.extname(path))
  throw new BuildpackError(`starts ${path}, which the build did not make`, {
    where,
    fix:
      near.length > 0
        ? `write ${near.map(name => join(dir, name)).join(' or ')}`
        : 'let the build make it, or leave the command out: Bale finds the start by itself',
  })
}
