import type { Reporter } from '../../events.ts'

export interface JsonOptions {
  write(text: string): void
  drained?(): Promise<void> | undefined
  now(): Date
  readonly verbose?: boolean
  readonly quiet?: boolean
}

/** Writes each event (events.ts) as a line of JSON with its time, for log collectors and programs. */
export function jsonReporter(options: JsonOptions): Reporter {
  const { verbose = false, quiet = false } = options
  return {
    event(event) {
      const isDetail = event.type === 'transfer' || (event.type === 'note' && event.level === 'debug')
      if (isDetail && !verbose) return
      if (quiet && event.type !== 'warning' && event.type !== 'saved') return
      options.write(`${JSON.stringify({ time: options.now().toISOString(), ...event })}\n`)
    },
    drained: () => options.drained?.(),
    close: () => Promise.resolve(),
  }
}
