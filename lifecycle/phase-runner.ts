import type { Engine, EngineRun, ExitStatus } from './engines/engine.ts'
import { BaleError, type ErrorCode } from './errors.ts'
import { type StreamedEvent, failureFromSandbox, fromSandbox, parseEvent } from './event-stream.ts'
import type { Reporter } from './events.ts'
import { lines } from './phases/run-executable.ts'

/** The phases that run buildpacks. */
export type BuildpackPhase = 'detect' | 'build'

/**
 * Runs a phase somewhere: as a phase binary in a sandbox, in this container, or in a pod. The phase reads and writes the files
 * of the layers directory, which are its only result.
 */
export interface PhaseRunner {
  /**
   * Returns when the phase and every process that it started have ended.
   * @throws BaleError the phase's own error, if it reported one
   */
  run(phase: BuildpackPhase, signal?: AbortSignal): Promise<void>
}

export interface RunLimits {
  /** Milliseconds that the bin/build of one buildpack may take. */
  readonly buildpackTimeout?: number | undefined
}

/** Bytes. The largest event is `detected`, which contains the output of every bin/detect. */
export const longestEvent = 8 * 1024 * 1024

/**
 * Runs phases as phase binaries in an engine. The binary writes its events to standard output (BALE_LOG_FORMAT=jsonl).
 * @param prepare prepares the run and describes it
 */
export function engineRunner(
  engine: Engine,
  reporter: Reporter,
  prepare: (phase: BuildpackPhase, signal?: AbortSignal) => Promise<Omit<EngineRun, 'onOutput'>>,
  limits: RunLimits = {},
): PhaseRunner {
  return {
    async run(phase, signal) {
      await runPhaseBinary(phase, engine, await prepare(phase, signal), reporter, limits, signal)
    },
  }
}

/**
 * Runs a phase binary in an engine until it and every process that it started have ended.
 * @throws BaleError the phase's own error, if it reported one
 */
export async function runPhaseBinary(
  phase: BuildpackPhase | 'extend',
  engine: Engine,
  run: Omit<EngineRun, 'onOutput'>,
  reporter: Reporter,
  limits: RunLimits = {},
  callerSignal?: AbortSignal,
): Promise<void> {
  using output = readPhase(reporter, limits)
  const signal = AbortSignal.any([output.signal, ...(callerSignal ? [callerSignal] : [])])
  const stdout = lines(output.line, longestEvent)
  const stderr = lines(text => reporter.event({ type: 'output', stream: 'stderr', text }))
  const status = await engine.run(
    {
      ...run,
      onOutput(stream, chunk) {
        const reader = stream === 'stdout' ? stdout : stderr
        reader.push(chunk)
        return reporter.drained?.()
      },
    },
    signal,
  )
  stdout.end()
  stderr.end()
  signal?.throwIfAborted()
  if ('code' in status && status.code === 0) return
  throw explainPhase(phase, status, output.failure)
}

/** Reads the output of a phase binary line by line, and passes its events to the reporter. */
export function readPhase(reporter: Reporter, { buildpackTimeout }: RunLimits): PhaseOutput {
  const watch = watchBuildpack(buildpackTimeout)
  const output: { -readonly [K in keyof PhaseOutput]: PhaseOutput[K] } = {
    signal: watch.signal,
    failure: undefined,
    line(text) {
      const parsed = parseEvent(text)
      if (parsed === undefined) reporter.event({ type: 'output', stream: 'stdout', text })
      else if (parsed.type === 'failed') output.failure = parsed
      else if (parsed.type === 'output') for (const text of parsed.text.split('\n')) reporter.event({ ...parsed, text })
      else {
        watch.event(parsed)
        reporter.event(fromSandbox(parsed))
      }
    },
    [Symbol.dispose]: () => watch[Symbol.dispose](),
  }
  return output
}

export interface PhaseOutput extends Disposable {
  /** Aborted when a buildpack exceeds its time limit. */
  readonly signal: AbortSignal
  /** The failure in the last line of a failed phase. */
  readonly failure: FailureEvent | undefined
  readonly line: (text: string) => void
}

type FailureEvent = Extract<StreamedEvent, { type: 'failed' }>

/**
 * Returns the phase's own error, if it reported one. It is text from inside a sandbox: only its code and message are used.
 */
export function explainPhase(phase: BuildpackPhase | 'extend', status: ExitStatus, event?: FailureEvent): BaleError {
  if (event !== undefined) return failureFromSandbox(event)
  const known = 'code' in status ? statuses[phase][status.code] : undefined
  if (known !== undefined) return new BaleError(...known, { fix: 'see its messages above' })
  const how = 'code' in status ? `exited with status ${status.code}` : `was killed by ${status.signal}`
  const fix =
    'signal' in status && status.signal === 'SIGKILL'
      ? 'if it ran out of memory, give the machine more memory'
      : undefined
  const code: ErrorCode = 'failed'
  return new BaleError(code, `${phase} ${how} without saying why`, fix === undefined ? {} : { fix })
}

/** The meaning of exit statuses of another lifecycle's binaries (platform.md, "Exit Code" of detector and builder). */
const statusesOfBoth: Readonly<Record<number, readonly [ErrorCode, string]>> = {
  11: ['platform-api', "the builder's lifecycle does not support the Platform API"],
  12: ['buildpack-api', "the builder's lifecycle does not support the API of a buildpack"],
}
const statuses: Record<BuildpackPhase | 'extend', Readonly<Record<number, readonly [ErrorCode, string]>>> = {
  detect: {
    ...statusesOfBoth,
    20: ['nothing-detected', 'no group of buildpacks fits this source'],
    21: ['detect-errored', 'no group of buildpacks fits this source, and at least one of them failed'],
  },
  extend: statusesOfBoth,
  build: { ...statusesOfBoth, 51: ['buildpack-failed', 'a buildpack failed to build'] },
}

/**
 * Ends a run whose buildpack takes too long (X48). A buildpack that forges the start event of the next one is still subject to
 * the limit of the whole build.
 */
function watchBuildpack(limit: number | undefined): Disposable & {
  readonly signal: AbortSignal
  event(event: StreamedEvent): void
} {
  const abort = new AbortController()
  let timer: NodeJS.Timeout | undefined
  return {
    signal: abort.signal,
    event(event) {
      if (limit === undefined || (event.type !== 'buildpack-started' && event.type !== 'buildpack-finished')) return
      clearTimeout(timer)
      if (event.type === 'buildpack-finished') return
      const { id, version } = event.buildpack
      timer = setTimeout(() => abort.abort(outOfTime(`${id}@${version}`, limit, '--buildpack-timeout')), limit)
    },
    [Symbol.dispose]: () => clearTimeout(timer),
  }
}

/** @param option the option that raises the limit */
export function outOfTime(what: string, limit: number, option: string): BaleError {
  const minutes = Math.floor(limit / 60_000)
  const duration = minutes >= 1 ? `${minutes} min` : `${limit / 1000} s`
  return new BaleError('failed', `${what} took longer than ${duration} and was stopped`, {
    fix: `see its messages above for what it waits for, or raise ${option}`,
  })
}
