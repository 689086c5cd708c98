import { describe, expect, it } from 'vitest'
import type { Engine, EngineRun } from '../../lifecycle/engines/engine.ts'
import { BaleError } from '../../lifecycle/errors.ts'
import { build } from '../../lifecycle/platform/build-app.ts'
import { type Script, detects, fakeEngine, machine } from '../helpers/build-machine.ts'
import { failureOf } from '../helpers/failure.ts'

/** A machine whose builder ends as the script says, and the shells that were opened there. */
async function interactive(builder: Script) {
  const shells: Omit<EngineRun, 'onOutput'>[] = []
  const engine: Engine = {
    ...fakeEngine({ detector: detects(), builder }),
    attach: run => Promise.resolve(void shells.push(run)),
  }
  const { options } = await machine(engine)
  const begun: string[] = []
  const interaction = {
    begin: (phase: string, error: unknown) => void begun.push(`${phase}: ${(error as Error).message}`),
    signals: process,
    term: 'xterm',
  }
  return { options: { ...options, interaction }, shells, begun }
}

describe('a shell after a failure', () => {
  it('is in the same sandbox as the phase, and the failure is the result all the same', async () => {
    const { options, shells, begun } = await interactive(() => Promise.resolve(51))
    expect(await failureOf(build(options))).toMatchObject({ code: 'buildpack-failed' })
    expect(begun).toEqual(['build: a buildpack failed to build'])
    expect(shells).toHaveLength(1)
    expect(shells[0]).toMatchObject({ workingDir: '/workspace', network: 'host', user: { uid: 1000, gid: 1000 } })
    expect(shells[0]?.env).toMatchObject({ TERM: 'xterm', CNB_PLATFORM_API: expect.any(String) as string })
    expect(shells[0]?.argv[0]).toBe('/bin/sh')
    expect(shells[0]?.mounts.map(m => m.path)).toEqual(expect.arrayContaining(['/workspace', '/layers', '/platform']))
  })

  it('says no secret when it begins', async () => {
    const { options, begun } = await interactive(() => {
      throw new BaleError('buildpack-failed', 'it printed s3cret-canary')
    })
    const secrets = [{ id: 'token', key: 'token', type: 'token', value: Buffer.from('s3cret-canary') }]
    await failureOf(build({ ...options, secrets }))
    expect(begun.join()).toMatch(/^build: it printed /)
    expect(begun.join()).not.toContain('canary')
  })

  it('is not there for a build that was ended, nor for a sandbox that could not be made', async () => {
    const abort = new AbortController()
    const ended = await interactive(() => {
      abort.abort(new Error('enough'))
      throw new Error('enough')
    })
    expect(await failureOf(build({ ...ended.options, signal: abort.signal }))).toMatchObject({ message: 'enough' })
    const without = await interactive(() => {
      throw new BaleError('engine', 'no sandbox here')
    })
    expect(await failureOf(build(without.options))).toMatchObject({ code: 'engine' })
    expect([...ended.shells, ...without.shells]).toEqual([])
  })
})
