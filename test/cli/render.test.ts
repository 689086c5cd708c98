import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { PhaseLog } from '../../lifecycle/cli/phase/log.ts'
import { renderError } from '../../lifecycle/cli/render/error.ts'
import { plainReporter } from '../../lifecycle/cli/render/plain.ts'
import { prettyReporter, progressBar } from '../../lifecycle/cli/render/pretty.ts'
import { formatBytes, formatDuration, printable, printableJson } from '../../lifecycle/cli/text.ts'
import { BaleError } from '../../lifecycle/errors.ts'
import { formatEvent, parseEvent } from '../../lifecycle/event-stream.ts'
import type { BuildEvent } from '../../lifecycle/events.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'

const recorded: BuildEvent[] = [
  { type: 'phase-started', phase: 'detect' },
  {
    type: 'detected',
    results: [
      { id: 'a/go', version: '1.0.0', status: 'failed', optional: false, exitCode: 100, output: 'no go.mod' },
      {
        id: 'a/py',
        version: '2.0.0',
        status: 'passed',
        optional: false,
        exitCode: 0,
        output: 'requirements.txt is there',
      },
    ],
    group: [{ id: 'a/py', version: '2.0.0' }],
  },
  { type: 'phase-finished', phase: 'detect', milliseconds: 1234 },
  { type: 'layer', action: 'added', kind: 'app', name: 'app', diffId: 'sha256:0', size: 1500 },
  { type: 'saved', names: ['x:latest'], digest: `sha256:${'a'.repeat(64)}`, imageId: 'sha256:0', size: 5_000_000 },
]

function plain(level: { quiet?: boolean; verbose?: boolean } = {}): string {
  let text = ''
  const reporter = plainReporter({ write: t => (text += t), ...level })
  for (const event of recorded) reporter.event(event)
  return text
}

describe('plain lines', () => {
  it('show each phase, what was detected and why, layers and the result', () => {
    const lines = plain().split('\n')
    expect(lines).toContain('===> DETECTING')
    expect(lines).toContain('passed  a/py: requirements.txt is there')
    expect(lines).toContain('1 of 2 buildpacks participating')
    expect(lines).toContain('a/py 2.0.0')
    expect(lines).toContain("Adding layer 'app' 1.5 kB")
    expect(plain()).not.toContain('no go.mod')
  })
  it('show with --verbose what did not fit, and with --quiet the result only', () => {
    expect(plain({ verbose: true })).toContain('a/go: no go.mod')
    expect(plain({ quiet: true })).toBe(`x:latest@sha256:${'a'.repeat(64)}\n`)
  })
  it('show with --quiet what a buildpack said that failed, and of no other', async () => {
    let text = ''
    const reporter = plainReporter({ write: t => (text += t), quiet: true })
    const one = { id: 'a/one', version: '1.0.0' }
    const said = (text: string): BuildEvent => ({ type: 'output', stream: 'stderr', text })
    reporter.event({ type: 'buildpack-started', buildpack: one })
    reporter.event(said('all is well'))
    reporter.event({ type: 'buildpack-finished', buildpack: one, milliseconds: 1 })
    reporter.event({ type: 'buildpack-started', buildpack: { id: 'a/two', version: '1.0.0' } })
    for (let i = 0; i < 300; i++) reporter.event(said(`line ${i}`))
    expect(text).toBe('')
    await reporter.close()
    await reporter.close()
    expect(text.trimEnd().split('\n')).toEqual(Array.from({ length: 200 }, (_, i) => `  line ${100 + i}`))
  })
  it('X31 S16 never let what a buildpack prints move the cursor or forge a line', () => {
    expect(printable('\u001b[31mred\u001b[0m\rERROR\u0007\u009b2J\u202e')).toBe('red\\x0dERROR\\x07\\x202e')
  })
  it.each(['bale', 'a phase binary'])(
    'X31 S16 never let a name forge a line of %s, whether in a place or a message',
    who => {
      const name = 'app\nERROR: all is lost\u001b[2J'
      const told = {
        warning: `${name} is a socket`,
        error: new BaleError('input', `${name} is odd`, { where: name, fix: name }),
      }
      let text = ''
      if (who === 'bale') {
        plainReporter({ write: t => (text += t) }).event({ type: 'warning', text: told.warning })
        text += renderError(told.error, { color: false, verbose: false })
      } else {
        const log = new PhaseLog(t => (text += t))
        log.color = false
        log.warn(told.warning)
        log.failed(told.error)
      }
      expect(text.match(/^ERROR: .*/gm)).toEqual([expect.stringMatching(/^ERROR: app\\x0aERROR: all is lost[:;] app$/)])
      expect(text).not.toMatch(/[^\n\x20-\x7e]/)
    },
  )
})

describe('a terminal', () => {
  let text = ''
  const open = () => {
    text = ''
    return prettyReporter({ write: t => (text += t), width: () => 80, now: () => 0, interval: 0, color: false })
  }

  it('has one bar for all that moves, and it is gone in the end', async () => {
    const reporter = open()
    reporter.event({
      type: 'transfer',
      direction: 'pull',
      id: '1',
      name: 'debian',
      done: 10_000_000,
      total: 40_000_000,
    })
    expect(text).toContain('━')
    expect(text).toContain('10.0 MB of 40.0 MB')
    await reporter.close()
    expect(text.endsWith('\r\u001b[2K')).toBe(true)
  })
  it('has no bar left for what ended though nobody said how large it was', () => {
    const reporter = open()
    const moved = (id: string, done: number): BuildEvent => ({
      type: 'transfer',
      direction: 'push',
      id,
      name: id,
      done,
    })
    reporter.event(moved('first', 9_000_000))
    reporter.event(recorded.at(-1) as BuildEvent)
    text = ''
    reporter.event(moved('second', 5_000_000))
    expect(text).toBe('\r\u001b[2Kpush second 5.0 MB')
  })
  it('shows the amount before all of the name', () => {
    const name = "Layer: 'node', Created by buildpack: bale/nodejs@0.1.0"
    const bar = (name: string, columns: number) =>
      progressBar([{ type: 'transfer', direction: 'push', id: '1', name, done: 9_000_000 }], columns)
    expect(bar(name, 80)).toBe("push Layer: 'node', Created by bui… 9.0 MB")
    expect(bar(name, 30)).toBe("push Layer: 'node', C… 9.0 MB")
    expect(bar(`sha256:${'ab'.repeat(32)}`, 80)).toBe('push abababababab 9.0 MB')
  })
  it('shows no bar for what is over before it can be read', () => {
    expect(
      progressBar([{ type: 'transfer', direction: 'push', id: '1', name: 'x', done: 1, total: 1000 }], 80),
    ).toBeUndefined()
  })
})

describe('errors', () => {
  it('say where, what and the fix, without a stack', () => {
    const error = new BaleError('input', 'it is wrong', { where: 'a.toml:3', fix: 'mend it' })
    expect(renderError(error, { color: false, verbose: false })).toBe('ERROR: a.toml:3: it is wrong\nFix: mend it\n')
  })
  it('of the operating system, wherever they come from, are no fault of ours', async () => {
    const dir = await temporaryDirectory()
    const told = (error: unknown): string => renderError(error, { color: false, verbose: false })
    const refused = Object.assign(new Error("EACCES: permission denied, mkdir '/x'"), { code: 'EACCES', path: '/x' })
    expect(told(refused)).toBe(
      "ERROR: /x: EACCES: permission denied, mkdir '/x'\nFix: give this user access to it, or choose another place\n",
    )
    const gone = Object.assign(new Error('ENOENT: process.cwd failed'), { code: 'ENOENT', syscall: 'uv_cwd' })
    expect(told(gone)).toBe('ERROR: the current directory was removed\nFix: change to an existing directory\n')
    // One that says nothing about the machine is ours.
    expect(told(await readFile(join(dir, 'absent')).catch((e: unknown) => e))).toContain('a bug in Bale')
  })
})

describe('events across the sandbox', () => {
  it('come back as they were', () => {
    const event = recorded[1] as BuildEvent
    expect(parseEvent(formatEvent(event))).toEqual(event)
  })
  it('may say that what the platform gave cannot be used', () => {
    const event = { type: 'failed', code: 'arguments', message: 'not one', where: 'CNB_EXEC_ENV' } as const
    expect(parseEvent(formatEvent(event))).toEqual(event)
  })
  it.each([
    'plain text',
    '\u0001bale {"type":"saved"}',
    '\u0001bale {"type":"failed","code":"cancelled","message":"x"}',
    '\u0001bale nonsense',
  ])('X31 %j is output like any other', line => expect(parseEvent(line)).toBeUndefined())
})

describe('amounts', () => {
  it.each([
    [0, '0 B'],
    [999, '999 B'],
    [1500, '1.5 kB'],
    [999_999, '1.0 MB'],
    [123_400_000, '123 MB'],
  ])('%d bytes are %s', (bytes, text) => expect(formatBytes(bytes)).toBe(text))
  it.each([
    [400, '0.4 s'],
    [72_000, '1 min 12 s'],
  ])('%d ms are %s', (ms, text) => expect(formatDuration(ms)).toBe(text))
})

it('O08 JSON drives no terminal, and says the same', () => {
  const value = { '\u009b31m': 'a\u202eb\u2066c\u007f\u2028', plain: 'ü — \\' }
  const text = printableJson(value)
  expect(text).not.toMatch(/[\u007f-\u009f\u2028-\u202e\u2066-\u2069]/)
  expect(JSON.parse(text)).toEqual(value)
})
