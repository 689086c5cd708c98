import { spawn } from 'node:child_process'
import { statfsSync } from 'node:fs'
import { link, mkdir, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it, onTestFinished } from 'vitest'
import { sizeOf, watchDisk, watchMemory } from '../../lifecycle/engines/usage-watch.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'

const megabyte = 1e6

/** Resolves when it is called, with what it is given; `calls` counts. */
function callback<T>() {
  let called: (value: T) => void = () => {}
  const first = new Promise<T>(resolve => (called = resolve))
  return { call: (value: T) => called(value), first }
}

describe.runIf(process.platform === 'linux')('X12 a limit on memory without a control group', () => {
  /** A program of perl, which Debian always has, below a shell. */
  function start(program: string): number {
    const child = spawn('/bin/sh', ['-c', 'perl -e "$1" & wait', 'sh', program], { stdio: 'ignore', detached: true })
    onTestFinished(() => void process.kill(-(child.pid as number), 'SIGKILL'))
    return child.pid as number
  }

  it('is seen to be exceeded by what a process below another one takes', async () => {
    const pid = start('$x = "a" x 150_000_000; sleep 60')
    const exceeded = callback<void>()
    using _watch = watchMemory(() => pid, 100 * megabyte, exceeded.call)
    await exceeded.first
  })

  it('is not exceeded by pages that processes share', async () => {
    const pid = start('$x = "a" x 80_000_000; for (1 .. 4) { fork or last } sleep 60')
    // Files in memory count as well, and this machine may have some.
    const { blocks, bfree, bsize } = statfsSync('/dev/shm')
    let exceeded = false
    using _watch = watchMemory(
      () => pid,
      250 * megabyte + (blocks - bfree) * bsize,
      () => (exceeded = true),
    )
    await sleep(2000)
    expect(exceeded).toBe(false)
  })

  it('waits for a sandbox that has not begun', async () => {
    let exceeded = false
    using _watch = watchMemory(
      () => undefined,
      1,
      () => (exceeded = true),
    )
    await sleep(300)
    expect(exceeded).toBe(false)
  })
})

describe.runIf(process.platform === 'linux')('X12 a limit on disk space', () => {
  it('is seen to be exceeded, with what is used', async () => {
    const dir = await temporaryDirectory()
    await writeFile(join(dir, 'before'), Buffer.alloc(5 * megabyte, 1))
    const exceeded = callback<number>()
    using _watch = await watchDisk([dir], 20 * megabyte, exceeded.call)
    await writeFile(join(dir, 'more'), Buffer.alloc(25 * megabyte, 1))
    // It may be seen while the file is still being written.
    expect(await exceeded.first).toBeGreaterThan(20 * megabyte)
  })

  it('counts no holes, and a file with two names once', async () => {
    const dir = await temporaryDirectory()
    await mkdir(join(dir, 'deep/er'), { recursive: true })
    await writeFile(join(dir, 'deep/er/file'), Buffer.alloc(2 * megabyte, 1))
    await link(join(dir, 'deep/er/file'), join(dir, 'link'))
    await writeFile(join(dir, 'sparse'), '')
    await truncate(join(dir, 'sparse'), 1e12)
    const size = (await sizeOf([dir])) ?? 0
    expect(size).toBeGreaterThanOrEqual(2 * megabyte)
    expect(size).toBeLessThan(3 * megabyte)
  })
})
