import type { BuildEvent, Reporter } from '../../events.ts'
import { hexOf, isDigest } from '../../image/digest.ts'
import { renderLines } from './plain.ts'
import { formatBytes, makeStyle, printable } from '../text.ts'

export interface PrettyOptions {
  write(text: string): void
  /** Resolves when the output has been written; undefined if it has. */
  drained?(): Promise<void> | undefined
  /** Returns the columns of the terminal. Called for each frame. */
  width(): number
  readonly verbose?: boolean
  readonly color?: boolean
  /** Milliseconds between two frames of a progress bar. */
  readonly interval?: number
  now(): number
}

type Transfer = Extract<BuildEvent, { type: 'transfer' }>

const clearLine = '\r\u001b[2K'
/** In bytes. A smaller transfer ends before a user could read its bar. */
const worthABar = 4_000_000

/** Renders for a terminal: the lines of the plain reporter in colour, and below them one bar for all transfers. */
export function prettyReporter(options: PrettyOptions): Reporter {
  const style = makeStyle(options.color !== false)
  const transfers = new Map<string, Transfer>()
  let barShown = false
  let lastFrame = Number.NEGATIVE_INFINITY
  const clear = (): void => {
    if (barShown) options.write(clearLine)
    barShown = false
  }
  const draw = (): void => {
    const bar = progressBar([...transfers.values()], options.width())
    if (bar === undefined) return clear()
    options.write(clearLine + bar)
    barShown = true
  }
  return {
    event(event) {
      if (event.type !== 'transfer') {
        // Some transfers report neither their total nor their end.
        if (event.type === 'saved' || event.type === 'phase-finished') transfers.clear()
        const lines = renderLines(event, style, options)
        if (lines.length === 0) return
        clear()
        options.write(`${lines.join('\n')}\n`)
        return
      }
      if (event.total !== undefined && event.done >= event.total) transfers.delete(event.id)
      else transfers.set(event.id, event)
      const now = options.now()
      if (now - lastFrame < (options.interval ?? 100) && transfers.size > 0) return
      lastFrame = now
      draw()
    },
    drained: () => options.drained?.(),
    close() {
      clear()
      return Promise.resolve()
    },
  }
}

/** `pull debian ━━━━━━──── 31.2 MB of 48.5 MB`, one line for all transfers. Undefined if all are too small. */
export function progressBar(transfers: readonly Transfer[], columns: number): string | undefined {
  const done = transfers.reduce((sum, t) => sum + t.done, 0)
  const known = transfers.every(t => t.total !== undefined)
  const total = transfers.reduce((sum, t) => sum + (t.total ?? 0), 0)
  if (Math.max(done, total) < worthABar) return undefined
  const first = transfers[0] as Transfer
  const more = transfers.length > 1 ? ` +${transfers.length - 1}` : ''
  const amount = known ? `${formatBytes(done)} of ${formatBytes(total)}` : formatBytes(done)
  // The amount matters most, so the name is cut to fit a narrow terminal.
  const left = columns - `${first.direction} ${more} ${amount}`.length - 1
  const name = `${first.direction} ${shortened(first.name, Math.min(30, Math.max(left, 8)))}${more}`
  const room = Math.min(40, columns - name.length - amount.length - 4)
  if (room < 5 || !known) return `${name} ${amount}`.slice(0, Math.max(0, columns - 1))
  const filled = Math.round((room * Math.min(done, total)) / total)
  return `${name} ${'━'.repeat(filled)}${'─'.repeat(room - filled)} ${amount}`
}

function shortened(name: string, length: number): string {
  const text = printable(isDigest(name) ? hexOf(name).slice(0, 12) : name)
  return text.length > length ? `${text.slice(0, length - 1)}…` : text
}
