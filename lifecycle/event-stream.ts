import * as v from 'valibot'
import { BaleError, type ErrorCode } from './errors.ts'
import type { BuildEvent } from './events.ts'

/** The last line that a phase in another process prints if it fails. */
export interface FailureEvent {
  type: 'failed'
  code: ErrorCode
  message: string
  where?: string
  fix?: string
}

/** A program may read these lines too (`--output jsonl`), so the marker distinguishes them from the output of buildpacks. */
const marker = '\u0001bale '

export function formatEvent(event: BuildEvent | FailureEvent): string {
  return marker + JSON.stringify(event)
}

export function failureEvent(error: unknown): FailureEvent {
  if (!(error instanceof BaleError))
    return { type: 'failed', code: 'failed', message: error instanceof Error ? error.message : String(error) }
  const { code, message, where, fix } = error
  return { type: 'failed', code, message, where, fix }
}

const text = v.pipe(v.string(), v.maxLength(1024 * 1024))
const short = v.pipe(v.string(), v.maxLength(1024))
const stream = v.picklist(['stdout', 'stderr'])
// Ids appear in Bale's own lines: characters outside of the specification's could make a line look like another (X41).
const id = v.pipe(short, v.regex(/^[A-Za-z0-9._/@-]+$/))
const version = v.pipe(short, v.regex(/^[A-Za-z0-9._+-]*$/))
const buildpack = v.object({ id, version })
const milliseconds = v.pipe(v.number(), v.finite(), v.minValue(0))
const codes = [
  'failed',
  'input',
  'filesystem',
  'engine',
  'arguments',
  'platform-api',
  'buildpack-api',
  'nothing-detected',
  'detect-errored',
  'generate-failed',
  'buildpack-failed',
] as const

// The events that phases with buildpacks may report. Buildpacks share their standard output, so a line may be forged: events
// of trusted phases (`saved`, `layer`) are refused, and `fromSandbox` marks texts as the sandbox's.
const events = v.variant('type', [
  v.object({
    type: v.literal('detected'),
    results: v.array(
      v.object({
        ...buildpack.entries,
        status: v.picklist(['passed', 'failed', 'errored', 'skipped']),
        optional: v.boolean(),
        exitCode: v.optional(v.number()),
        output: text,
        extension: v.optional(v.boolean()),
      }),
    ),
    group: v.array(buildpack),
    extensions: v.optional(v.array(buildpack)),
  }),
  v.object({ type: v.literal('buildpack-started'), buildpack }),
  v.object({ type: v.literal('buildpack-finished'), buildpack, milliseconds }),
  v.object({ type: v.literal('output'), stream, text }),
  v.object({ type: v.literal('note'), level: v.picklist(['debug', 'info']), text }),
  v.object({ type: v.literal('warning'), text, fix: v.optional(text) }),
  v.object({
    type: v.literal('failed'),
    code: v.picklist(codes),
    message: text,
    where: v.optional(text),
    fix: v.optional(text),
  }),
])

export type StreamedEvent = v.InferOutput<typeof events>

const names = v.array(short)
const size = v.pipe(v.number(), v.finite(), v.minValue(0))
const action = v.picklist(['added', 'reused'])
/** Additional events of phases that run no buildpack, with any error code. */
const trustedEvents = v.variant('type', [
  v.object({
    type: v.literal('layer'),
    action,
    kind: v.picklist(['buildpack', 'sbom', 'app', 'launcher', 'config', 'process-types']),
    name: short,
    diffId: short,
    size,
  }),
  v.object({
    type: v.literal('restored'),
    what: v.picklist(['metadata', 'data']),
    name: short,
    from: v.picklist(['image', 'cache']),
  }),
  v.object({ type: v.literal('cached'), action, name: short, size }),
  v.object({
    type: v.literal('transfer'),
    direction: v.picklist(['push', 'pull', 'load']),
    id: short,
    name: short,
    done: size,
    total: v.optional(size),
  }),
  v.object({
    type: v.literal('saved'),
    names,
    digest: v.optional(short),
    imageId: v.optional(short),
    size,
  }),
  v.object({
    type: v.literal('failed'),
    code: v.picklist([...codes, 'usage', 'registry', 'cache', 'credentials', 'daemon', 'cancelled']),
    message: text,
    where: v.optional(text),
    fix: v.optional(text),
  }),
  v.object({ type: v.literal('note'), level: v.picklist(['debug', 'info']), text }),
  v.object({ type: v.literal('warning'), text, fix: v.optional(text) }),
])

export type TrustedEvent = v.InferOutput<typeof trustedEvents>

/** Parses the event in a line of a phase's output; undefined for ordinary output. */
export const parseEvent = (line: string): StreamedEvent | undefined => parseWith(events, line)

/** The same for a phase that runs no buildpack, in a place where no buildpack can write to its output. */
export const parseTrustedEvent = (line: string): TrustedEvent | undefined => parseWith(trustedEvents, line)

function parseWith<T>(schema: v.GenericSchema<unknown, T>, line: string): T | undefined {
  if (!line.startsWith(marker)) return undefined
  try {
    const parsed = v.safeParse(schema, JSON.parse(line.slice(marker.length)))
    return parsed.success ? parsed.output : undefined
  } catch {
    return undefined
  }
}

/** Marks an event as reported by a sandbox: its text is indented or attributed to the sandbox, never shown as Bale's own. */
export function fromSandbox(event: Exclude<StreamedEvent, { type: 'failed' }>): BuildEvent {
  switch (event.type) {
    case 'note':
      return { ...event, text: indented(event.text) }
    case 'warning':
      return { ...event, text: `from the sandbox: ${event.text}` }
    default:
      return event
  }
}

/** The failure that a sandbox reported. Its advice is part of its message: `Fix:` begins only Bale's own advice. */
export function failureFromSandbox(event: Extract<StreamedEvent, { type: 'failed' }>): BaleError {
  const { code, message, where, fix } = event
  const details = where === undefined ? {} : { where }
  if (code === 'buildpack-failed') return new BaleError(code, message, { ...details, fix: seeOutput })
  return new BaleError(code, fix === undefined ? message : `${message}\n${indented(fix)}`, details)
}

/** The advice if a buildpack fails. */
export const seeOutput = 'see its messages above'

const indented = (text: string): string =>
  text
    .split('\n')
    .map(line => `  ${line}`)
    .join('\n')
