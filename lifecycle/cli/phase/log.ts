import { BaleError } from '../../errors.ts'
import { failureEvent, formatEvent } from '../../event-stream.ts'
import type { BuildEvent, DetectResult, Reporter } from '../../events.ts'
import { Mask } from '../../phases/mask.ts'
import { extensionsLine, makeStyle, phaseTitles, printable, printableLines } from '../text.ts'

const levels = ['debug', 'info', 'warn', 'error'] as const
export type LogLevel = (typeof levels)[number]

/**
 * The log of phase binaries, on standard output. Platforms show it and parse some lines (pack matches `===> BUILDING` and
 * the names of participating buildpacks), so these lines match the Go lifecycle's. Colours do not depend on a terminal: a
 * platform can turn them off.
 */
export class PhaseLog implements Reporter {
  readonly #write: (text: string) => void
  level: LogLevel = 'info'
  color = true
  /** Hides secrets, and passwords of proxies, which tools of buildpacks print (K16). */
  mask = new Mask([])

  constructor(write: (text: string) => void) {
    this.#write = write
  }

  /** @throws BaleError 'failed', with the status of the Go lifecycle */
  setLevel(value: string): void {
    // Go's logging libraries also accept `warning`, and Tekton's task documents it.
    const level = levels.find(l => l === value.toLowerCase().replace(/^warning$/, 'warn'))
    if (level === undefined)
      throw new BaleError('failed', `${JSON.stringify(value)} is not a log level`, {
        where: '-log-level',
        fix: `use one of: ${levels.join(', ')}`,
      })
    this.level = level
  }

  event(event: BuildEvent): void {
    this.show(this.mask.maskEvent(event))
  }

  protected show(event: BuildEvent): void {
    const style = makeStyle(this.color)
    if (event.type === 'warning') {
      const fix = event.fix === undefined ? '' : `; ${event.fix}`
      this.#print('warn', `${style.yellow('Warning: ')}${printableLines(event.text + fix)}`)
      return
    }
    for (const [level, line] of linesOf(event)) this.#print(level, line)
    if (event.type === 'phase-started') this.#print('info', style.cyan(`===> ${phaseTitles[event.phase]}`))
  }

  warn(text: string): void {
    this.event({ type: 'warning', text })
  }

  /** The last line of a binary that fails. */
  failed(error: unknown): void {
    const { where, message, fix } = failureEvent(this.mask.maskError(error))
    const style = makeStyle(this.color)
    const parts = [where && printable(where), printableLines(message), fix && printable(fix)]
    this.#print('error', `${style.red('ERROR: ')}${parts.filter(Boolean).join('; ')}`)
  }

  async close(): Promise<void> {}

  #print(level: LogLevel, line: string): void {
    if (levels.indexOf(level) >= levels.indexOf(this.level)) this.#write(`${line}\n`)
  }
}

/** Characters of output in one event; parseEvent takes up to a million. */
const mostOutput = 64 * 1024

/**
 * Emits events instead of text, for a host that renders the build. Joins consecutive lines of output into one event, since the host
 * validates each event.
 */
export class EventLog extends PhaseLog {
  readonly #send: (text: string) => void
  #stream: 'stdout' | 'stderr' = 'stdout'
  #lines: string[] = []
  #size = 0

  constructor(write: (text: string) => void) {
    super(write)
    this.#send = write
  }

  protected override show(event: BuildEvent): void {
    if (event.type === 'output') return this.#hold(event)
    this.#release()
    this.#send(`${formatEvent(event)}\n`)
  }

  /** Collects output until the running callback ends. */
  #hold({ stream, text }: Extract<BuildEvent, { type: 'output' }>): void {
    if (stream !== this.#stream) this.#release()
    this.#stream = stream
    if (this.#lines.length === 0) queueMicrotask(() => this.#release())
    this.#lines.push(text)
    this.#size += text.length
    if (this.#size >= mostOutput) this.#release()
  }

  #release(): void {
    if (this.#lines.length === 0) return
    const text = this.#lines.join('\n')
    this.#lines = []
    this.#size = 0
    this.#send(`${formatEvent({ type: 'output', stream: this.#stream, text })}\n`)
  }

  /** Does not report a stop: the caller that stopped the phase knows it. */
  override failed(error: unknown): void {
    this.#release()
    if (error instanceof BaleError && error.code === 'cancelled') return
    this.#send(`${formatEvent(failureEvent(this.mask.maskError(error)))}\n`)
  }
}

type Line = readonly [LogLevel, string]

function linesOf(event: BuildEvent): Line[] {
  const verb = (action: 'added' | 'reused'): string => (action === 'added' ? 'Adding' : 'Reusing')
  switch (event.type) {
    case 'detected':
      return detected(event)
    case 'buildpack-started':
      return [['debug', `Running build for ${printable(`${event.buildpack.id}@${event.buildpack.version}`)}`]]
    case 'buildpack-finished':
      return [['debug', `Finished running build for ${printable(event.buildpack.id)}`]]
    // A buildpack has no log levels. Its output is shown at every level, since it may explain a failure.
    case 'output':
      return [['error', printable(event.text)]]
    case 'note':
      return [[event.level, printableLines(event.text)]]
    case 'layer':
      return [['info', `${verb(event.action)} layer '${printable(event.name)}'`]]
    case 'cached':
      return [['info', `${verb(event.action)} cache layer '${printable(event.name)}'`]]
    case 'restored': {
      const from = event.from === 'image' ? 'app image' : 'cache'
      return [['info', `Restoring ${event.what} for "${printable(event.name)}" from ${from}`]]
    }
    case 'saved':
      return [
        ['info', `Saving ${printable(event.names[0] ?? '')}...`],
        ['info', `*** Images (${(event.digest ?? event.imageId ?? '').slice('sha256:'.length).slice(0, 12)}):`],
        ...event.names.map((name): Line => ['info', `      ${printable(name)}`]),
        ...(event.imageId === undefined ? [] : [['debug', `*** Image ID: ${event.imageId}`] satisfies Line]),
        ...(event.digest === undefined ? [] : [['debug', `*** Digest: ${event.digest}`] satisfies Line]),
      ]
    case 'phase-started':
    case 'phase-finished':
    case 'warning':
    case 'transfer':
      return []
  }
}

function detected({ results, group, extensions = [] }: Extract<BuildEvent, { type: 'detected' }>): Line[] {
  const failed = group.length === 0
  const why = results.flatMap(result => outputOf(result, failed))
  if (failed) return why
  const width = Math.max(...group.map(b => b.id.length))
  const names = group.map((b): Line => ['info', `${printable(b.id).padEnd(width)} ${printable(b.version)}`])
  const tried = results.filter(result => result.extension !== true)
  return [
    ...why,
    ['info', `${group.length} of ${tried.length} buildpacks participating`],
    ...names,
    ...extensionsLine(extensions).map((line): Line => ['info', line]),
  ]
}

/** Shows the output of bin/detect at level debug, if detect neither passed nor failed, or if no group passed. */
function outputOf(result: DetectResult, failed: boolean): Line[] {
  const level: LogLevel = failed || result.status === 'errored' ? 'info' : 'debug'
  const name = printable(`${result.id}@${result.version}`)
  const said = result.output.trim() === '' ? [] : result.output.trimEnd().split('\n')
  const output = said.length === 0 ? [] : [`======== Output: ${name} ========`, ...said.map(printable)]
  return [...output, `${result.status}: ${name}`].map((line): Line => [level, line])
}
