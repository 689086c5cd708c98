import type { App, Log } from '../sdk/index.ts'
import { startedFile } from './started-file.ts'

/**
 * `app.listen(3000, 'localhost')`, `listen({ port: 3000 })`, `serve({ fetch, port: 3000 })`, whose name a bundle may have shortened, Hapi's
 * `Hapi.server({ port: 3000 })`, and Apollo's `{ listen: { port: 4000 } }`.
 */
const listens =
  /(?:\.listen|\bserve|\.server)\(\s*\{|\b[\w$]+\(\s*\{(?=\s*fetch\s*:[^{}]{0,200}\bport\s*:)|\blisten\s*:\s*\{|\.listen\(/g

const local = /^['"`](localhost|127\.0\.0\.1|::1)['"`]$/

/** Where a source file listens, as far as it says so in plain words. */
interface Address {
  readonly line: number
  readonly port: string | undefined
  readonly host: string | undefined
  /** Every option is there to be read: what is not named has its default. */
  readonly isComplete: boolean
}

/**
 * Tells of a file that listens on a port of its own, where a platform says in PORT which one it asks; and of one that listens on localhost
 * alone, where the platform asks from outside the container.
 */
export async function warnOfAddress(app: App, log: Log, command: string): Promise<void> {
  const file = (await startedFile(app, command)) ?? (await sourceOfMissing(app, command))
  const source = file === undefined ? undefined : await app.read(file)
  if (source === undefined) return
  const addresses = addressesOf(source)
  // Of several the application's may be the one that a variable says.
  const [fixed] = addresses.every(isFixed) ? addresses : []
  const number = Number(fixed?.port)
  // A file that reads PORT has the number as its default.
  if (fixed && !/\bPORT\b/.test(source))
    log.warning(
      `${file}:${fixed.line} listens on port ${number} whatever PORT says, which is 8080 unless the platform sets another`,
      `Write process.env.PORT || ${number} there; or run the image with its port ${number} published.`,
    )
  // Nest's template for the second application of a monorepo has it so.
  const misspelt = /\bPORT\b/.test(source) ? undefined : addresses.find(({ port }) => /\benv\.port\b/.test(port ?? ''))
  if (misspelt)
    log.warning(
      `${file}:${misspelt.line} reads the variable port, and not PORT: names of variables are in capitals or not`,
      'Write process.env.PORT there.',
    )
  const isFastify = /['"`]fastify['"`]/.test(source)
  const isHidden = ({ host, isComplete }: Address) => (host === undefined ? isFastify && isComplete : local.test(host))
  const areHidden = addresses.every(address => address.port !== undefined && isHidden(address))
  const [hidden] = areHidden ? addresses : []
  if (hidden)
    log.warning(
      `${file}:${hidden.line} listens on localhost alone, where nothing from outside the container reaches it`,
      `Let it listen on every address: host "0.0.0.0"${hidden.host === undefined ? ', as in listen({ port, host: "0.0.0.0" })' : ''}.`,
    )
}

/** Minifiers write 3000 as 3e3. A word that is no address, as in `bus.listen(1234, 'topic')`, is of something else than a server. */
const isFixed = ({ port, host }: Address): boolean =>
  /^(\d{2,5}|\de3)$/.test(port ?? '') && (local.test(host ?? '') || !/^['"`][^.:]*['"`]$/.test(host ?? ''))

/** The file that is compiled only when the application starts: `tsc && node dist/index.js`. */
async function sourceOfMissing(app: App, command: string): Promise<string | undefined> {
  const name = /\bnode\s+(?:\.\/)?(?:dist|build|out|lib)\/([\w./-]+?)(?:\.[cm]?js)?$/.exec(command.trim())?.[1]
  return name === undefined ? undefined : app.firstOf([`src/${name}.ts`, `${name}.ts`])
}

function addressesOf(source: string): Address[] {
  const isComment = (index: number) =>
    /^\s*(\/\/|\/?\*)/.test(source.slice(source.lastIndexOf('\n', index - 1) + 1, index))
  const found = [...source.matchAll(listens)].filter(({ index }) => !isComment(index))
  return found.map(({ 0: call, index }) => {
    const line = source.slice(0, index).split('\n').length
    const words = source.slice(index + call.length, index + call.length + 400)
    if (!call.endsWith('{')) {
      // Commas in an inner call, as in `Number(x, 10)`, are not between the arguments.
      const [port, host] = words.split(/\)\s*(?:;|\n|$)|=>|\{/, 1)[0]?.split(/,(?![^()]*\))/) ?? []
      return { line, port: valueOf(source, port), host: valueOf(source, host), isComplete: false }
    }
    const end = words.indexOf('}')
    const options = end === -1 ? words : words.slice(0, end)
    const option = (name: string) => {
      const found = new RegExp(`(?:^|[\\s,])${name}\\s*(?::\\s*([^,\\n]+)|(?=,|\\s*$))`).exec(options)
      return found ? valueOf(source, found[1] ?? /^\w+/.exec(found[0].trim().replace(/^,\s*/, ''))?.[0]) : undefined
    }
    // Another object's options are not here, and within one the end was not found.
    const isComplete = end !== -1 && !/\.\.\.|\{/.test(options)
    return { line, port: option('port'), host: option('host') ?? option('hostname'), isComplete }
  })
}

/** What an expression is: itself, or the text that a constant of that name has. */
function valueOf(source: string, expression: string | undefined): string | undefined {
  const text = expression?.trim().replace(/\)+$/, '')
  if (!text) return undefined
  if (!/^[A-Za-z_$][\w$]*$/.test(text)) return text
  const name = text.replaceAll('$', String.raw`\$`)
  const constant = new RegExp(
    `\\b(?:const|let|var)\\s+${name}(?:\\s*:\\s*\\w+)?\\s*=\\s*(\\d+|'[^'\\n]*'|"[^"\\n]*")\\s*(?:;|,|\\n|$)`,
  )
  return constant.exec(source)?.[1] ?? text
}
