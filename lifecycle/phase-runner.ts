import type { Engine, EngineRun, ExitStatus } from './engines/engine.ts'
import { BaleError, type ErrorCode } from './errors.ts'
import { parseEvent } from './event-stream.ts'
import type { BuildEvent, Reporter } from './events.ts'
import { lines } from './phases/run-executable.ts'

/** The phases that run buildpacks. */
export type BuildpackPhase = 'detect' | 'build'

/**
 * Runs a phase somewhere: as a phase binary in a sandbox, in this container, or in a pod. The phase reads and writes the files
 * of the layers directory; nothing else comes back.
 */
export interface PhaseRunner {
  /**
   * Returns when the phase and every process that it started have ended.
   * @throws BaleError the phase's own error, if it reported one
   */
  run(phase: BuildpackPhase, signal?: AbortSignal): Promise<void>
}

/** Bytes; the largest event is `detected`, which holds what every bin/detect printed. */
const longestEvent = 8 * 1024 * 1024

/**
 * Runs phases as phase binaries in an engine. The binary writes its events to standard output (BALE_LOG_FORMAT=jsonl).
 * @param prepare makes the run ready and describes it
 */
export function engineRunner(
  engine: Engine,
  reporter: Reporter,
  prepare: (phase: BuildpackPhase, signal?: AbortSignal) => Promise<Omit<EngineRun, 'onOutput'>>,
): PhaseRunner {
  return {
    async run(phase, signal) {
      await runPhaseBinary(phase, engine, await prepare(phase, signal), reporter, signal)
    },
  }
}

async function runPhaseBinary(
  phase: BuildpackPhase,
  engine: Engine,
  run: Omit<EngineRun, 'onOutput'>,
  reporter: Reporter,
  signal?: AbortSignal,
): Promise<void> {
  const failure: { event?: FailureEvent } = {}
  const onLine = (line: string): void => {
    const parsed = parseEvent(line)
    if (parsed === undefined) reporter.event({ type: 'output', stream: 'stdout', text: line })
    else if (parsed.type === 'failed') failure.event = parsed
    else reporter.event(parsed satisfies BuildEvent)
  }
  const stdout = lines(onLine, longestEvent)
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
  throw explain(phase, status, failure.event)
}

type FailureEvent = Extract<ReturnType<typeof parseEvent>, { type: 'failed' }>

/** The phase's own error, if it told one; it is text from inside a sandbox, so only its code and words are taken. */
function explain(phase: string, status: ExitStatus, event?: FailureEvent): BaleError {
  if (event !== undefined) {
    const { code, message, where, fix } = event
    return new BaleError(code, message, { ...(where !== undefined && { where }), ...(fix !== undefined && { fix }) })
  }
  const how = 'code' in status ? `exited with status ${status.code}` : `was killed by ${status.signal}`
  const fix =
    'signal' in status && status.signal === 'SIGKILL' ? 'if it ran out of memory, give the machine more' : undefined
  const code: ErrorCode = 'failed'
  return new BaleError(code, `${phase} ${how} without saying why`, fix === undefined ? {} : { fix })
}
