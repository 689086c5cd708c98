import { posix } from 'node:path'
import { type App, isServeName, noSubcommand, programFiles, shellQuote, type Subcommand } from '../sdk/index.ts'
import { inBrackets } from '../sdk/subcommand.ts'

/** A `cobra.Command{…}` in a source. */
interface Command {
  readonly file: string
  /** Its place, for users. */
  readonly place: string
  /** Its start and end in the source. */
  readonly start: number
  readonly end: number
  /** The name by which it is called: `serve`. */
  readonly use: string
  readonly runs: boolean
  /** The variable that holds it, and the function that creates it. */
  readonly variable: string | undefined
  readonly maker: string | undefined
}

/**
 * What the only program of a module does without arguments, if it uses Cobra: the executed root has nothing to run, and one of its own
 * commands is called `serve` or `server`.
 */
export async function cobraSubcommand(app: App, dir: string): Promise<Subcommand> {
  const sources = new Map<string, string>()
  for (const file of await programFiles(app, '.go')) {
    if (dir !== '.' && !file.startsWith(`${dir}/`)) continue
    const text = ((await app.read(file)) ?? '').replaceAll(/^\s*\/\/.*$/gm, '')
    sources.set(file, text)
  }
  const all = [...sources.values()].join('\n')
  // The program may set the arguments, and so the command, itself.
  if (/\.SetArgs\(|\bos\.Args\s*=/.test(all)) return noSubcommand
  const commands = [...sources].flatMap(([file, text]) => commandsOf(file, text))
  const isRoot = ({ variable, maker }: Command) =>
    (variable !== undefined && new RegExp(`\\b${variable}\\.Execute(?:Context)?C?\\(`).test(all)) ||
    (maker !== undefined && new RegExp(`\\b${maker}\\([^()]*\\)\\.Execute(?:Context)?C?\\(`).test(all))
  const [root, ...others] = commands.filter(isRoot)
  if (root === undefined || others.length > 0 || root.runs || commands.length < 2) return noSubcommand
  if (new RegExp(`\\b${root.variable ?? '\\w+'}\\.(?:Pre|Post|Persistent)*RunE?\\s*=`).test(all)) return noSubcommand
  const [serve, ...more] = commands.filter(command => isServeName(command.use) && isAdded(sources, root, command))
  const isCertain =
    serve?.runs === true && more.length === 0 && !/\.Mark\w*FlagRequired\(|\bMarkFlagsOneRequired\(/.test(all)
  if (!isCertain) return { state: 'unclear', where: root.place }
  return { state: 'serves', name: serve.use, where: serve.place }
}

function commandsOf(file: string, source: string): Command[] {
  return Array.from(
    source.matchAll(/(?:\b(\w+)\s*(?::?=|\*?cobra\.Command\s*=)\s*)?&?(?<!\*)\bcobra\.Command\s*\{/g),
    match => {
      const open = match.index + match[0].length - 1
      const text = inBrackets(source, open)
      const before = source.slice(0, match.index)
      const maker = functionAt(source, match.index)
      return {
        file,
        place: `${file}:${before.split('\n').length}`,
        start: match.index,
        end: open + text.length,
        use: /\bUse:\s*["`]([^"`\s]*)/.exec(text)?.[1] ?? '',
        runs: /\bRunE?:/.test(text),
        variable: match[1],
        maker,
      }
    },
  )
}

/** The function that contains a place; undefined outside of functions, and in a method. */
function functionAt(source: string, at: number): string | undefined {
  return [...source.slice(0, at).matchAll(/^(?:func (?:(\w+)\()?|\})/gm)].at(-1)?.[1]
}

/** Whether the root has a command as a direct subcommand, and no other command has it. */
function isAdded(sources: ReadonlyMap<string, string>, root: Command, command: Command): boolean {
  const names = [command.variable, command.maker && `${command.maker}\\(`].filter(name => name !== undefined)
  const named = new RegExp(`\\b(?:${names.join('|') || '(?!)'})`)
  for (const [file, source] of sources) {
    for (const { 0: call, 1: receiver, index } of source.matchAll(/\b(\w+)\.AddCommand\(/g)) {
      const open = index + call.length - 1
      const text = inBrackets(source, open)
      const isWithin = file === command.file && open < command.start && command.end < open + text.length
      if (!isWithin && !named.test(text)) continue
      const isLocal = root.maker !== undefined && root.maker !== 'init'
      const isSame = file === root.file && functionAt(source, index) === root.maker
      return receiver === root.variable && (!isLocal || isSame)
    }
  }
  return false
}

/** True for a program that consists mainly of PocketBase: its commands are PocketBase's, and `serve` starts the server. */
export async function isPocketBase(app: App, dir: string): Promise<boolean> {
  for (const file of await programFiles(app, '.go')) {
    if (posix.dirname(file) !== dir) continue
    const source = (await app.read(file)) ?? ''
    const isStarted = /\.(?:Start|Execute)\(\)/.test(source) && !/\bos\.Args\s*=|\.SetArgs\(/.test(source)
    if (/"github\.com\/pocketbase\/pocketbase"/.test(source) && /\bpocketbase\.New(?:WithConfig)?\(/.test(source))
      return isStarted
  }
  return false
}

/**
 * Starts PocketBase's server. It looks for its folders, such as pb_data and pb_public, beside its own path, so the script calls it by a
 * path in the application.
 */
export function pocketBaseScript(program: string): string {
  const name = shellQuote(posix.basename(program))
  return `[ $# -gt 0 ] || set -- serve --http=0.0.0.0:\${PORT:-8080}; exec -a "$PWD"/${name} ${shellQuote(program)} "$@"`
}
