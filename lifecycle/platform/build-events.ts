import { BaleError } from '../errors.ts'
import { type FailureEvent, failureEvent } from '../event-stream.ts'
import type { BuildEvent } from '../events.ts'
import { type BuildResult, build } from './build-app.ts'
import type { BuildOptions } from './build-options.ts'

/** How a build ended: the last event of `buildEvents`. */
export type BuildOutcome = { readonly type: 'finished'; readonly result: BuildResult } | FailureEvent

/**
 * Builds like `build`, and yields every event of the build, then `finished` with the result or `failed` with code, message,
 * place and fix. It does not throw. Events wait in memory until they are read. Leaving the loop ends the build:
 *
 *     for await (const event of buildEvents({ image: 'hello', settings: settings(process.env) })) console.log(event.type)
 */
export async function* buildEvents(options: BuildOptions): AsyncGenerator<BuildEvent | BuildOutcome, void> {
  const left = new AbortController()
  const signal = AbortSignal.any([left.signal, ...(options.signal ? [options.signal] : [])])
  const waiting: (BuildEvent | BuildOutcome)[] = []
  let wake = (): void => {}
  const push = (event: BuildEvent | BuildOutcome): void => {
    waiting.push(event)
    wake()
  }
  const reporter = {
    event(event: BuildEvent): void {
      options.reporter?.event(event)
      push(event)
    },
    close: () => options.reporter?.close() ?? Promise.resolve(),
  }
  const building = build({ ...options, reporter, signal }).then(
    result => push({ type: 'finished', result }),
    (error: unknown) => push(failureEvent(error)),
  )
  try {
    for (;;) {
      const event = waiting.shift()
      if (event === undefined) {
        await new Promise<void>(resolve => (wake = resolve))
        continue
      }
      yield event
      if (event.type === 'finished' || event.type === 'failed') return
    }
  } finally {
    left.abort(new BaleError('cancelled', 'the events of the build are no longer read'))
    await building
  }
}
