import { describe, expect, it } from 'vitest'
import { batch } from '../../lifecycle/cli/batch.ts'
import { EventLog } from '../../lifecycle/cli/phase/log.ts'
import { parseEvent } from '../../lifecycle/event-stream.ts'
import { BaleError } from '../../lifecycle/errors.ts'

describe('a batch of writes', () => {
  it('is one write, made when the callback ends', async () => {
    const passed: string[] = []
    const { write } = batch(text => passed.push(text))
    for (let n = 0; n < 100; n++) write(`${n}\n`)
    expect(passed).toEqual([])
    await Promise.resolve()
    expect(passed).toHaveLength(1)
    expect(passed[0]?.split('\n')).toHaveLength(101)
  })

  it('X42 holds 64 KiB at most, and nothing after a flush', async () => {
    const passed: string[] = []
    const { write, flush } = batch(text => passed.push(text))
    for (let n = 0; n < 1000; n++) write('x'.repeat(1024))
    expect(Math.max(...passed.map(text => text.length))).toBe(64 * 1024)
    flush()
    expect(passed.join('')).toHaveLength(1000 * 1024)
    const { length } = passed
    await Promise.resolve()
    expect(passed).toHaveLength(length)
  })
})

describe('X42 the output in a phase’s events', () => {
  function eventsOf(use: (log: EventLog) => void) {
    const sent: string[] = []
    use(new EventLog(text => sent.push(text)))
    return { sent, events: () => sent.map(line => parseEvent(line.trimEnd())) }
  }
  const output = (stream: 'stdout' | 'stderr', text: string) => ({ type: 'output', stream, text }) as const

  it('that comes together is one event, in the order of what was said', async () => {
    const { events } = eventsOf(log => {
      for (const text of ['1', '', '3']) log.event(output('stdout', text))
      log.event(output('stderr', 'oops'))
      log.event({ type: 'note', level: 'info', text: 'a note' })
      log.event(output('stdout', 'last'))
    })
    await Promise.resolve()
    expect(events()).toEqual([
      output('stdout', '1\n\n3'),
      output('stderr', 'oops'),
      { type: 'note', level: 'info', text: 'a note' },
      output('stdout', 'last'),
    ])
  })

  it('stands before the failure that it explains', () => {
    const { events } = eventsOf(log => {
      log.event(output('stderr', 'FATAL'))
      log.failed(new BaleError('buildpack-failed', 'failed to build'))
    })
    expect(events().map(event => event?.type)).toEqual(['output', 'failed'])
  })

  it('stays an event that the host takes, however much comes together', () => {
    const { sent, events } = eventsOf(log => {
      for (let n = 0; n < 64; n++) log.event(output('stdout', '\u0001'.repeat(64 * 1024 - 1)))
    })
    expect(events()).not.toContain(undefined)
    expect(Math.max(...sent.map(line => line.length))).toBeLessThan(8 * 1024 * 1024)
  })
})
