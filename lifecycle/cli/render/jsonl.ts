import type { Reporter } from '../../events.ts'

/** For a program: each event as a JSON object on a line. */
export function jsonlReporter(write: (text: string) => void): Reporter {
  return {
    event: event => write(`${JSON.stringify(event)}\n`),
    async close() {},
  }
}
