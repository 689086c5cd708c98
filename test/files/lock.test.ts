import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, readdir, rm, symlink, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { withLock } from '../../lifecycle/files/lock.ts'
import { leaseName, leaseState } from '../../lifecycle/files/lease.ts'
import { interceptWrites, osError } from '../helpers/faults.ts'

async function place(): Promise<{ dir: string; lock: string; counter: string }> {
  const dir = await mkdtemp(join(tmpdir(), 'bale-lock-'))
  onTestFinished(() => rm(dir, { recursive: true, force: true }))
  await writeFile(join(dir, 'counter'), '0')
  return { dir, lock: join(dir, 'lock'), counter: join(dir, 'counter') }
}

function child(lock: string, counter: string, times: number | 'hold'): ChildProcess {
  const script = join(import.meta.dirname, 'lock-child.ts')
  return spawn(process.execPath, [script, lock, counter, String(times)], { stdio: ['ignore', 'pipe', 'inherit'] })
}

describe('withLock', () => {
  it('O02 lets one in at a time: nothing is lost between processes, nor within one', async () => {
    const { dir, lock, counter } = await place()
    const children = [1, 2, 3].map(() => child(lock, counter, 40))
    const exits = children.map(c => once(c, 'exit'))
    await Promise.all(
      Array.from({ length: 30 }, () =>
        withLock(lock, async () => {
          const value = Number(await readFile(counter, 'utf8'))
          await new Promise(resolve => setTimeout(resolve, 1))
          await writeFile(counter, String(value + 1))
        }),
      ),
    )
    expect(await Promise.all(exits)).toEqual([1, 2, 3].map(() => [0, null]))
    expect(await readFile(counter, 'utf8')).toBe('150')
    expect(await readdir(dir)).toEqual(['counter']) // it leaves no trace
  })

  it('C10 passes by the ticket of a process that was killed', async () => {
    const { lock, counter } = await place()
    const holder = child(lock, counter, 'hold')
    await once(holder.stdout!, 'data')
    expect(await readdir(lock)).toHaveLength(1)
    holder.kill('SIGKILL')
    await once(holder, 'exit')
    expect(await withLock(lock, () => 'in')).toBe('in')
  })

  it('C10 passes by a ticket whose process number another process has got since', async () => {
    const { lock } = await place()
    await mkdir(lock)
    const recycled = leaseName().replace(
      /\.(\d+)(\.[0-9a-f]{12})$/,
      (_all, started, rest) => `.${Number(started) - 1}${rest}`,
    )
    expect(leaseState(leaseName())).toBe('alive')
    expect(leaseState(recycled)).toBe('dead')
    await writeFile(join(lock, `0000000001.${recycled}`), '')
    expect(await withLock(lock, () => 'in')).toBe('in')
  })

  it('waits for a process that it cannot see, until its ticket is a minute old', async () => {
    const { lock } = await place()
    await mkdir(lock)
    const elsewhere = join(lock, `0000000001.${leaseName().replace(/^[0-9a-f]+/, 'deadbeef')}`)
    await writeFile(elsewhere, '')
    let entered = false
    const waiting = withLock(lock, () => (entered = true))
    await new Promise(resolve => setTimeout(resolve, 150))
    expect(entered).toBe(false)
    const old = new Date(Date.now() - 61_000)
    await utimes(elsewhere, old, old)
    expect(await waiting).toBe(true)
  })

  it('C13 leaves nothing where a planted link leads', async () => {
    const { dir, lock } = await place()
    const elsewhere = join(dir, 'elsewhere')
    await mkdir(elsewhere)
    await symlink(elsewhere, lock)
    await expect(withLock(lock, () => 'in')).rejects.toMatchObject({ code: 'input', where: lock })
    expect(await readdir(elsewhere)).toEqual([])
  })

  it('C10 is not kept out by a ticket of its own that it could not delete', async () => {
    const { lock } = await place()
    const faults = await interceptWrites(call => {
      if (call.name === 'unlink') throw osError('EIO', 'unlink')
    })
    await withLock(lock, () => {})
    expect(await readdir(lock)).toHaveLength(1)
    faults.restore()
    expect(await withLock(lock, () => 'in')).toBe('in')
  })

  it('stops waiting when it is told to, and is out of the way then', async () => {
    const { lock } = await place()
    const controller = new AbortController()
    await withLock(lock, async () => {
      const waiting = withLock(lock, () => 'never', controller.signal)
      setTimeout(() => controller.abort(new Error('stopped')), 30)
      await expect(waiting).rejects.toThrow('stopped')
    })
    expect(await withLock(lock, () => 'in')).toBe('in')
  })

  it('lets the next one in when the work fails', async () => {
    const { lock } = await place()
    const failing = withLock(lock, () => {
      throw new Error('no')
    })
    await expect(failing).rejects.toThrow('no')
    expect(await withLock(lock, () => 'in')).toBe('in')
  })
})

describe('leaseState', () => {
  it('does not know who made other names', () => {
    for (const name of ['', 'x', '../../etc/passwd', `${leaseName()}x`]) expect(leaseState(name)).toBe('unknown')
  })

  it('knows that a process which only waits for its parent is dead', async () => {
    // The child ends after its parent was stopped, which cannot take note of that.
    const parent = spawn('/bin/sh', ['-c', 'sleep 0.1 & echo $!; kill -STOP $$'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    onTestFinished(() => void parent.kill('SIGKILL'))
    const [line] = (await once(parent.stdout, 'data')) as [Buffer]
    const pid = line.toString().trim()
    const fields = async () => (await readFile(`/proc/${pid}/stat`, 'latin1')).split(') ')[1]!.split(' ')
    while ((await fields())[0] !== 'Z') await new Promise(resolve => setTimeout(resolve, 5))
    const started = (await fields())[19]
    const name = leaseName().replace(/\.\d+\.\d+(\.[0-9a-f]{12})$/, `.${pid}.${started}$1`)
    expect(leaseState(name)).toBe('dead')
  })
})
