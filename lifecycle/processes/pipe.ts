import { execFile } from 'node:child_process'
import { closeSync, constants, openSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { Socket } from 'node:net'
import { join } from 'node:path'
import { setImmediate, setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { BaleError } from '../errors.ts'
import { openEmpty, systemPath } from './launch.ts'

/** Descriptors for a child, and the readers of its output. Disposal stops reading, even if a writer remains. */
export interface Outputs extends Disposable {
  /** Empty; see `openEmpty` for why it is not the host's /dev/null. */
  readonly stdin: number
  readonly stdout: number
  readonly stderr: number
  /** Closes this process's copies of the child's descriptors, after the child has its own. */
  release(): void
  /** Stops waiting for the consumer: later output is dropped. */
  discard(): void
  /**
   * Returns true when all output has been handed over. Returns false if a writer remains: no output came for so long while
   * no consumer was busy. Reads at most `mostBytes` more.
   */
  settled(milliseconds: number, mostBytes?: number): Promise<boolean>
  /** Resolves when every writer is gone and all output has been handed over. */
  readonly drained: Promise<void>
}

/**
 * Makes real pipes for a program's output. Node makes sockets instead, which cannot be reopened by name: in a
 * shell script `echo >/dev/stderr` and `tee /dev/stderr` would fail with ENXIO. Calls `failed` with an error that `onOutput`
 * threw.
 */
export async function openOutputs(
  tmpDir: string,
  onOutput: (stream: 'stdout' | 'stderr', chunk: Uint8Array) => void | Promise<void>,
  failed: (error: unknown) => void,
): Promise<Outputs> {
  const dir = await mkdtemp(join(tmpDir, 'pipes-')).catch((cause: unknown) => {
    throw new BaleError('filesystem', 'no directory for the pipes can be made', { where: tmpDir, cause })
  })
  try {
    const names = [join(dir, 'stdout'), join(dir, 'stderr')] as const
    // The directory excludes other users. Everyone may open the fifo, since the program may run as another user and reopen its
    // output.
    await promisify(execFile)('mkfifo', ['-m', '666', ...names], { env: { PATH: systemPath } }).catch(
      (cause: unknown) => {
        throw new BaleError('engine', 'a named pipe cannot be made', { where: 'mkfifo', cause })
      },
    )
    const stdin = openEmpty(join(dir, 'stdin'))
    const out = openPipe(names[0])
    const err = openPipe(names[1])
    const draining = [
      drain(out.reading, chunk => onOutput('stdout', chunk), failed),
      drain(err.reading, chunk => onOutput('stderr', chunk), failed),
    ]
    const drained = Promise.all(draining.map(d => d.ended)).then(() => {})
    drained.catch(() => {}) // a caller that fails meanwhile does not wait for it
    return {
      stdin,
      stdout: out.writing,
      stderr: err.writing,
      release() {
        for (const fd of [stdin, out.writing, err.writing]) closeSync(fd)
      },
      discard: () => draining.forEach(d => d.discard()),
      drained,
      async settled(milliseconds, mostBytes = Infinity) {
        const received = () => out.reading.bytesRead + err.reading.bytesRead
        const end = received() + mostBytes
        for (;;) {
          const before = received()
          if (await Promise.race([drained.then(() => true), sleep(milliseconds, false, { ref: false })])) return true
          await setImmediate() // reads waiting output first: this process may have been busy all the time
          const waiting = draining.some(d => d.isTaking())
          if ((!waiting && received() === before) || received() >= end) return false
        }
      },
      [Symbol.dispose]() {
        out.reading.destroy()
        err.reading.destroy()
      },
    }
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

function openPipe(path: string): { reading: Socket; writing: number } {
  // Opening a fifo's only end blocks until the other one opens, unless O_NONBLOCK is set.
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  const writing = openSync(path, constants.O_WRONLY)
  return { reading: new Socket({ fd, readable: true, writable: false }), writing }
}

interface Draining {
  readonly ended: Promise<void>
  /** Returns whether the consumer is busy with a chunk. */
  isTaking(): boolean
  discard(): void
}

/** Hands chunks over one after another. Does not read while the consumer is busy, so that the writer waits. */
function drain(
  reading: Socket,
  onChunk: (chunk: Uint8Array) => void | Promise<void>,
  failed: (e: unknown) => void,
): Draining {
  let dropping = false
  let taking = false
  const discard = (): void => {
    dropping = true
    taking = false
    reading.resume()
  }
  // Drains the rest, since a full pipe would keep the program from ending.
  const fail = (error: unknown): void => {
    failed(error)
    discard()
  }
  reading.on('data', chunk => {
    if (dropping) return
    try {
      const taken = onChunk(chunk)
      if (taken === undefined) return
      reading.pause()
      taking = true
      void taken.then(() => reading.resume(), fail).finally(() => (taking = false))
    } catch (error) {
      fail(error)
    }
  })
  const ended = new Promise<void>((resolve, reject) => {
    reading.on('end', resolve)
    reading.on('error', reject)
  })
  return { ended, isTaking: () => taking, discard }
}
