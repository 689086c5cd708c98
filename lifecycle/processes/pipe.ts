import { execFile } from 'node:child_process'
import { closeSync, constants, openSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { Socket } from 'node:net'
import { join } from 'node:path'
import { setImmediate, setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { BaleError } from '../errors.ts'
import { openEmpty, systemPath } from './launch.ts'

/** Descriptors for a child, and what becomes of the bytes that it writes. Disposal reads no more, whoever still writes. */
export interface Outputs extends Disposable {
  /** Empty; see `openEmpty` for why it is not the host's /dev/null. */
  readonly stdin: number
  readonly stdout: number
  readonly stderr: number
  /** Closes our copies of the child's descriptors, once it has its own. */
  release(): void
  /** From here on nobody is waited for: what still comes is dropped. */
  discard(): void
  /**
   * True when all has been handed over; false when nothing came for so long although nobody was waited for: a process that
   * is left holds a writing end. At most so many bytes more are read.
   */
  settled(milliseconds: number, mostBytes?: number): Promise<boolean>
  /** When every writer is gone and all has been handed over. */
  readonly drained: Promise<void>
}

/**
 * Real pipes for a program's output. Where other languages make pipes, Node makes sockets, and a socket cannot be opened
 * again by its name: in a shell script `echo >/dev/stderr` and `tee /dev/stderr` would fail with ENXIO.
 * `failed` is told of an error that `onOutput` threw.
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
    // The directory keeps others out; the program may run as another user, and opens its own output again.
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
          await setImmediate() // what lies in the pipes is read before we look: this process may have been busy all the time
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
  // Opening a pipe's only end waits for the other one, unless it is told not to.
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  const writing = openSync(path, constants.O_WRONLY)
  return { reading: new Socket({ fd, readable: true, writable: false }), writing }
}

interface Draining {
  readonly ended: Promise<void>
  /** Whether a chunk is being taken. */
  isTaking(): boolean
  discard(): void
}

/** Hands chunks over one after another; the pipe is not read while one is being taken, so that its writer waits. */
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
  // The rest has nobody to read it, and a full pipe would hold up the end of the program.
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
