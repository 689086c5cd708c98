import { spawnSync } from 'node:child_process'
import { describe, expect, it } from 'vitest'
import { debugScript } from '../../../buildpacks/nodejs/debugger.ts'

/** What the program tells the launcher. */
function run(env: Record<string, string>, manager?: string) {
  const { status, output } = spawnSync('/bin/sh', ['-c', debugScript(manager)], {
    env,
    stdio: Array(4).fill('pipe') as 'pipe'[],
  })
  return { status, told: String(output[3]), said: String(output[2]) }
}

describe("Node's inspector", () => {
  const on = { BPL_DEBUG_ENABLED: 'true' }

  it.each<[Record<string, string>, string]>([
    [{}, ''],
    [{ BPL_DEBUG_ENABLED: 'false', BPL_DEBUG_PORT: '1' }, ''],
    [on, 'NODE_OPTIONS = "--inspect=127.0.0.1:9229"\n'],
    [{ ...on, BPL_DEBUG_PORT: '5005' }, 'NODE_OPTIONS = "--inspect=127.0.0.1:5005"\n'],
    [{ ...on, BPL_DEBUG_SUSPEND: 'true' }, 'NODE_OPTIONS = "--inspect-brk=127.0.0.1:9229"\n'],
    [
      { ...on, NODE_OPTIONS: '--require "/a b\\\\c.js"\n--trace-exit' },
      'NODE_OPTIONS = "--require \\"/a b\\\\\\\\c.js\\" --trace-exit --inspect=127.0.0.1:9229"\n',
    ],
    [{ ...on, NODE_OPTIONS: '--inspect=0.0.0.0' }, ''],
  ])('with %j is %j', (env, told) => {
    expect(run(env)).toEqual({ status: 0, told, said: '' })
  })

  it('is on with a warning if a start command calls a package manager, which gets the port', () => {
    const { status, told, said } = run(on, 'npm')
    expect([status, told]).toEqual([0, 'NODE_OPTIONS = "--inspect=127.0.0.1:9229"\n'])
    expect(said).toContain("Warning: a start command calls npm, and Node's inspector then listens for npm")
    expect(run({}, 'npm').said).toBe('')
    expect(run({ ...on, NODE_OPTIONS: '--inspect=0.0.0.0' }, 'npm').said).toBe('')
  })

  it('does not start with a port that is no number', () => {
    expect(run({ ...on, BPL_DEBUG_PORT: '0.0.0.0:1' })).toEqual({
      status: 1,
      told: '',
      said: 'Error: BPL_DEBUG_PORT is 0.0.0.0:1, which is not a number\n',
    })
  })
})
