import { constants } from 'node:os'
import { performance } from 'node:perf_hooks'
import type { LifecycleChoice } from '../platform/build-environment.ts'
import { type Settings, settings } from '../platform/settings.ts'
import type { PullPolicy } from '../stores/pull-policy.ts'
import { BaleError, isErrno } from '../errors.ts'
import type { Reporter } from '../events.ts'
import { batch } from './batch.ts'
import type { OutputFormat } from './output-format.ts'
import { jsonReporter } from './render/json.ts'
import { plainReporter } from './render/plain.ts'
import { prettyReporter } from './render/pretty.ts'

/** The parts of `process` that the command line uses. */
export type ProgramProcess = Pick<NodeJS.Process, 'env' | 'stdin' | 'stdout' | 'stderr' | 'once' | 'removeListener'>

/** The options that commander parsed. Each command has some of them. */
export interface GlobalOptions {
  readonly quiet?: boolean
  readonly verbose?: boolean
  readonly color?: boolean
  readonly path?: string | undefined
  readonly subPath?: string | undefined
  readonly on?: string | undefined
  readonly onSettings?: string | undefined
  readonly selector?: string | undefined
  readonly run?: string | undefined
  readonly delete?: boolean
  readonly platform?: string | undefined
  readonly label?: readonly string[]
  readonly secret?: readonly string[]
  readonly ssh?: string
  readonly annotation?: readonly string[]
  readonly digestFile?: string | undefined
  readonly imageNameWithDigestFile?: string | undefined
  readonly imageNameTagWithDigestFile?: string | undefined
  readonly logFormat?: 'text' | 'json'
  readonly logTimestamps?: boolean
  readonly builder?: string
  readonly lifecycle?: LifecycleChoice
  readonly buildpack?: readonly string[]
  readonly preBuildpack?: readonly string[]
  /** A file for the order of a build. */
  readonly order?: string
  readonly postBuildpack?: readonly string[]
  readonly extension?: readonly string[]
  readonly descriptor?: string
  readonly pullPolicy?: PullPolicy
  readonly docker?: boolean
  readonly execEnv?: string
  readonly check?: boolean
  readonly dryRun?: boolean
  readonly uid?: string
  readonly gid?: string
  readonly insecureRegistry?: readonly string[]
  readonly retry?: string
  readonly previousImage?: string
  readonly creationTime?: string
  readonly volume?: readonly string[]
  readonly workspace?: string
  readonly interactive?: boolean
  readonly sbomOutputDir?: string
  readonly env?: readonly string[]
  readonly envFile?: readonly string[]
  readonly tag?: readonly string[]
  readonly runImage?: string
  readonly publish?: boolean
  readonly force?: boolean
  readonly clearCache?: boolean
  readonly compression?: 'gzip' | 'zstd' | 'none' | undefined
  readonly compressionLevel?: string | undefined
  readonly cacheImage?: string | undefined
  readonly cache?: readonly string[]
  readonly trustBuilder?: boolean
  readonly trustExtraBuildpacks?: boolean
  readonly lifecycleImage?: string
  readonly disableSystemBuildpacks?: boolean
  readonly usernsHost?: boolean
  readonly timestamps?: boolean
  readonly forceColor?: boolean
  readonly dockerHost?: string
  readonly sparse?: boolean
  readonly buildpackRegistry?: string
  readonly registry?: string
  readonly flatten?: string
  readonly flattenExclude?: string
  readonly appendImageNameSuffix?: boolean
  readonly cacheFrom?: readonly string[] | undefined
  readonly cacheTo?: readonly string[] | undefined
  readonly defaultProcess?: string
  readonly network?: 'none' | 'host'
  readonly versions?: boolean
  readonly reportOutputDir?: string
  readonly process?: string
  readonly output?: OutputFormat
  readonly config?: string
  readonly target?: readonly string[]
  readonly targets?: readonly string[]
  readonly format?: string
  readonly withoutNode?: boolean
  readonly depth?: string
  readonly api?: string
  readonly version?: string
  readonly language?: string
  readonly unset?: boolean
  readonly mirror?: readonly string[]
  readonly username?: string
  readonly password?: string
  readonly passwordStdin?: boolean
  readonly remote?: boolean
  readonly outputDir?: string
  readonly insecure?: boolean
  readonly purge?: boolean
  readonly os?: string
  readonly arch?: string
  readonly variant?: string
  readonly annotations?: readonly string[]
  readonly explicit?: boolean
  readonly shell?: string
  readonly timeout?: string
  readonly pids?: string
  readonly memory?: string
  readonly disk?: string
  readonly buildpackTimeout?: string
  readonly olderThan?: string
  readonly keepSize?: string
  readonly all?: boolean
}

/** The environment of a command. */
export interface CommandContext {
  readonly settings: Settings
  readonly env: NodeJS.ProcessEnv
  /** Standard input. */
  readonly input: NodeJS.ReadableStream
  readonly reporter: Reporter
  /** Aborted by the first Ctrl-C or SIGTERM, or when the output breaks; its reason is the BaleError to exit with. */
  readonly signal: AbortSignal
  readonly color: boolean
  /** The command's own result; events go to the reporter. */
  print(text: string): void
  /** From then on, the program that this command runs handles signals. */
  releaseSignals(): void
  close(): Promise<void>
}

export function makeContext(options: GlobalOptions, process: ProgramProcess): CommandContext {
  const { stdout, env } = process
  // Standard output contains only the result if a program reads it.
  const stream = (options.output ?? 'human') === 'human' ? stdout : process.stderr
  const isColored = ({ isTTY }: { readonly isTTY?: boolean }): boolean =>
    options.forceColor === true ||
    (options.color !== false && isTTY === true && !env['NO_COLOR'] && env['TERM'] !== 'dumb')
  const color = isColored(stream)
  const { write, flush } = batch(text => void stream.write(text))
  const drained = () => {
    flush()
    return drainOf(stream)
  }
  const level = { ...(options.verbose === true && { verbose: true }), ...(options.quiet === true && { quiet: true }) }
  const stamps = options.logTimestamps === true || options.timestamps === true
  const isPlain = options.logFormat !== undefined || stamps
  const pretty = stream.isTTY && !isPlain && options.quiet !== true && env['TERM'] !== 'dumb'
  const reporter = pretty
    ? prettyReporter({
        write,
        drained,
        width: () => stream.columns || 80,
        now: () => performance.now(),
        color,
        ...level,
      })
    : options.logFormat === 'json'
      ? jsonReporter({ write, drained, now: () => new Date(), ...level })
      : plainReporter({ write: stamps ? stamped(write) : write, drained, color, ...level })
  const interrupt = onInterrupt(process)
  return {
    settings: settings(env),
    env,
    input: process.stdin,
    reporter,
    signal: interrupt.signal,
    color: isColored(stdout),
    print(text) {
      void reporter.close() // the result starts on its own line, not after a progress bar
      flush()
      stdout.write(`${text}\n`)
    },
    releaseSignals: interrupt.dispose,
    close: async () => {
      interrupt.dispose()
      await reporter.close()
      flush()
    },
  }
}

/** Puts the time before each line. The plain reporter writes whole lines. */
function stamped(write: (text: string) => void): (text: string) => void {
  return text => write(text.replace(/^(?=.)/gm, `${new Date().toISOString()} `))
}

/** Resolves when a stream accepts more output or is closed. Returns undefined if it accepts more now. */
function drainOf(stream: ProgramProcess['stdout'] | ProgramProcess['stderr']): Promise<void> | undefined {
  if (!stream.writableNeedDrain || stream.destroyed) return undefined
  return new Promise(resolve => {
    const events = ['drain', 'close', 'error'] as const
    const done = (): void => {
      for (const event of events) stream.off(event, done)
      resolve()
    }
    for (const event of events) stream.on(event, done)
  })
}

/** Stopped by the user's Ctrl-C, a signal of the parent process, or a closed output. */
export class Stopped extends BaleError {
  /** The exit status that a shell reports for a program that a signal ended. */
  readonly status: number

  constructor(signal: NodeJS.Signals, message = `stopped by ${signal}`) {
    super('cancelled', message)
    this.status = 128 + constants.signals[signal]
  }
}

/** Stops when the output is closed: `bale build … | head` ends as it does for other programs, but cleans up (O03). */
function unheard(error: Error): BaleError {
  if (isErrno(error, 'EPIPE')) return new Stopped('SIGPIPE', 'stopped: the reader of the output closed it')
  return new BaleError('filesystem', `it cannot be written: ${error.message}`, {
    where: 'standard output',
    cause: error,
  })
}

/** The first signal stops everything and cleans up. The second one has its default effect. */
function onInterrupt(process: ProgramProcess): { signal: AbortSignal; dispose: () => void } {
  const abort = new AbortController()
  const stop = (signal: NodeJS.Signals): void => abort.abort(new Stopped(signal))
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
  for (const signal of signals) process.once(signal, stop)
  process.stdout.on('error', (error: Error) => abort.abort(unheard(error)))
  process.stderr.on('error', () => {}) // no output is left for an error message
  return { signal: abort.signal, dispose: () => signals.forEach(signal => process.removeListener(signal, stop)) }
}
