import type { App, Log } from '../sdk/index.ts'
import { startedFile } from './started-file.ts'

/**
 * Matches `app.listen(3000, 'localhost')`, `listen({ port: 3000 })`, `serve({ fetch, port: 3000 })`, whose name a bundler may have
 * shortened, Hapi's `Hapi.server({ port: 3000 })`, and Apollo's `{ listen: { port: 4000 } }`.
 */
const listens =
  /(?:\.listen|\bserve|\.server)\(\s*\{|\b[\w$]+\(\s*\{(?=\s*fetch\s*:[^{}]{0,200}\bport\s*:)|\blisten\s*:\s*\{|\.listen\(/g

const local = /^['"`](localhost|127\.0\.0\.1|::1)['"`]$/

/** Where a source file listens, as far as it has literal values. */
interface Address {
  readonly line: number
  readonly port: string | undefined
  readonly host: string | undefined
  /** All options are visible, so a missing one has its default. */
  readonly isComplete: boolean
}

/**
 * Warns of a file that listens on a fixed port although the platform sets PORT, and of a file that listens only on localhost although
 * requests come from outside the container.
 */
export async function warnOfAddress(app: App, log: Log, command: string): Promise<void> {
  const file = (await startedFile(app, command)) ?? (await sourceOfMissing(app, command))
  const source = file === undefined ? undefined : await app.read(file)
  if (source === undefined) return
  const addresses = addressesOf(source)
  // If there are several, the application's may be the one with a variable.
  const [fixed] = addresses.every(isFixed) ? addresses : []
  const number = Number(fixed?.port)
  // In a file that reads PORT, the number is the default.
  if (fixed && !/\bPORT\b/.test(source))
    log.warning(
      `${file}:${fixed.line} always listens on port ${number} and ignores PORT, which is 8080 by default`,
      `Write process.env.PORT || ${number} there; or run the image with its port ${number} published.`,
    )
  // Nest's template for the second application of a monorepo has this variable.
  const misspelt = /\bPORT\b/.test(source) ? undefined : addresses.find(({ port }) => /\benv\.port\b/.test(port ?? ''))
  if (misspelt)
    log.warning(
      `${file}:${misspelt.line} reads the variable port instead of PORT: variable names are case-sensitive`,
      'Write process.env.PORT there.',
    )
  const isFastify = /['"`]fastify['"`]/.test(source)
  const isHidden = ({ host, isComplete }: Address) => (host === undefined ? isFastify && isComplete : local.test(host))
  const areHidden = addresses.every(address => address.port !== undefined && isHidden(address))
  const [hidden] = areHidden ? addresses : []
  if (hidden)
    log.warning(
      `${file}:${hidden.line} listens only on localhost, which is not reachable from outside the container`,
      `Let it listen on every address: host "0.0.0.0"${hidden.host === undefined ? ', as in listen({ port, host: "0.0.0.0" })' : ''}.`,
    )
}

/**
 * Minifiers write 3000 as 3e3. If the second word is not an address, as in `bus.listen(1234, 'topic')`, the call does not start a
 * server.
 */
const isFixed = ({ port, host }: Address): boolean =>
  /^(\d{2,5}|\de3)$/.test(port ?? '') && (local.test(host ?? '') || !/^['"`][^.:]*['"`]$/.test(host ?? ''))

/** The source of a file that is compiled only when the application starts: `tsc && node dist/index.js`. */
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
      // Commas in an inner call, as in `Number(x, 10)`, do not separate the arguments.
      const [port, host] = words.split(/\)\s*(?:;|\n|$)|=>|\{/, 1)[0]?.split(/,(?![^()]*\))/) ?? []
      return { line, port: valueOf(source, port), host: valueOf(source, host), isComplete: false }
    }
    const end = words.indexOf('}')
    const options = end === -1 ? words : words.slice(0, end)
    const option = (name: string) => {
      const found = new RegExp(`(?:^|[\\s,])${name}\\s*(?::\\s*([^,\\n]+)|(?=,|\\s*$))`).exec(options)
      return found ? valueOf(source, found[1] ?? /^\w+/.exec(found[0].trim().replace(/^,\s*/, ''))?.[0]) : undefined
    }
    // Options of another object are not visible here, and for a nested object the end was not found.
    const isComplete = end !== -1 && !/\.\.\.|\{/.test(options)
    return { line, port: option('port'), host: option('host') ?? option('hostname'), isComplete }
  })
}

/** The value of an expression: itself, or the text of the constant with that name. */
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
