import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { type Machine, watchShortages } from '../../lifecycle/phases/shortage.ts'
import { recorder } from './harness.ts'

/** A machine whose state tests change. */
function machine() {
  const disk = { device: 1, type: 0xef53, size: 100e9, free: 50e9, inodes: 1e6, freeInodes: 5e5 }
  const memory = { device: 2, type: 0x01021994, size: 2e9, free: 2e9, inodes: 1e6, freeInodes: 1e6 }
  const state = { disk, memory, kills: 7 }
  const fake: Machine = {
    room: dir => (dir === '/missing' ? undefined : dir === '/tmp' ? { ...state.memory } : { ...state.disk }),
    oomKills: () => state.kills,
  }
  return { state, fake }
}

describe('X12 what a build is short of', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  const dirs = ['/layers', '/workspace', '/tmp', '/missing']

  it('is nothing on a machine with room', () => {
    const { fake } = machine()
    const said = recorder()
    using shortages = watchShortages(dirs, fake)
    vi.advanceTimersByTime(1000)
    shortages.report(said)
    expect(said.events).toEqual([])
  })

  it('is said of a disk that was full for a moment, once, with what was free and what to do', () => {
    const { state, fake } = machine()
    const said = recorder()
    using shortages = watchShortages(dirs, fake)
    state.disk.free = 40_000
    vi.advanceTimersByTime(300)
    state.disk.free = 50e9
    vi.advanceTimersByTime(1000)
    shortages.report(said)
    expect(said.events).toEqual([
      {
        type: 'warning',
        text: 'the file system of /layers was full: 0.0 MB of 100000.0 MB were free',
        fix: expect.stringContaining('bale cache prune') as string,
      },
    ])
  })

  it('is said of one in memory, and of one without inodes', () => {
    const { state, fake } = machine()
    const said = recorder()
    using shortages = watchShortages(dirs, fake)
    state.memory.free = 0
    state.disk.freeInodes = 3
    shortages.report(said)
    expect(said.events).toMatchObject([
      { text: 'the file system of /layers had room for only 3 more files, of 1000000' },
      {
        text: 'the file system of /tmp was full: 0.0 MB of 2000.0 MB were free',
        fix: expect.stringContaining('in memory') as string,
      },
    ])
  })

  it('is said of memory that was out', () => {
    const { state, fake } = machine()
    const said = recorder()
    using shortages = watchShortages(dirs, fake)
    state.kills++
    shortages.report(said)
    expect(said.events).toMatchObject([{ text: expect.stringContaining('for lack of memory') as string }])
  })
})
