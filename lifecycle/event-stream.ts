import * as v from 'valibot'
import { BaleError, type ErrorCode } from './errors.ts'
import type { BuildEvent } from './events.ts'

/** How a phase that runs elsewhere says that it failed: the last line it prints. */
export interface FailureEvent {
  type: 'failed'
  code: ErrorCode
  message: string
  where?: string
  fix?: string
}

/** A program may read these lines too (`--output jsonl`), so the marker keeps them apart from what buildpacks print. */
const marker = '\u0001bale '

export function formatEvent(event: BuildEvent | FailureEvent): string {
  return marker + JSON.stringify(event)
}

export function failureEvent(error: unknown): FailureEvent {
  if (!(error instanceof BaleError))
    return { type: 'failed', code: 'failed', message: error instanceof Error ? error.message : String(error) }
  const { code, message, where, fix } = error
  return { type: 'failed', code, message, ...(where !== undefined && { where }), ...(fix !== undefined && { fix }) }
}

const text = v.pipe(v.string(), v.maxLength(1024 * 1024))
const short = v.pipe(v.string(), v.maxLength(1024))
const stream = v.picklist(['stdout', 'stderr'])
const buildpack = v.object({ id: short, version: short })
const milliseconds = v.pipe(v.number(), v.finite(), v.minValue(0))
const codes = [
  'failed',
  'input',
  'filesystem',
  'arguments',
  'platform-api',
  'buildpack-api',
  'nothing-detected',
  'detect-errored',
  'buildpack-failed',
] as const

// What phases that run buildpacks can truthfully say. Buildpacks share their standard output, so a line may be forged:
// then a false line is shown, as any buildpack can print one, and no more comes of it.
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
      }),
    ),
    group: v.array(buildpack),
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

/** The event in a line of a phase's output; undefined for any other line, which is then just output. */
export function parseEvent(line: string): StreamedEvent | undefined {
  if (!line.startsWith(marker)) return undefined
  try {
    const parsed = v.safeParse(events, JSON.parse(line.slice(marker.length)))
    return parsed.success ? parsed.output : undefined
  } catch {
    return undefined
  }
}
