import { execFile } from 'node:child_process'
import { closeSync, constants, openSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { Socket } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { BaleError } from '../errors.ts'
import { systemPath } from './launch.ts'

/** The writing ends for a child, and what becomes of the bytes. Disposal reads no more, whoever still writes. */
export interface Outputs extends Disposable {
  readonly stdout: number
  readonly stderr: number
  /** Closes our copies of the writing ends, once the child has its own. */
  release(): void
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
  onOutput: (stream: 'stdout' | 'stderr', chunk: Uint8Array) => void,
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
    const out = openPipe(names[0])
    const err = openPipe(names[1])
    const drained = Promise.all([
      drain(out.reading, chunk => onOutput('stdout', chunk), failed),
      drain(err.reading, chunk => onOutput('stderr', chunk), failed),
    ])
    drained.catch(() => {}) // a caller that fails meanwhile does not wait for it
    return {
      stdout: out.writing,
      stderr: err.writing,
      release() {
        closeSync(out.writing)
        closeSync(err.writing)
      },
      drained: drained.then(() => {}),
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

function drain(reading: Socket, onChunk: (chunk: Uint8Array) => void, failed: (error: unknown) => void): Promise<void> {
  let broken = false
  reading.on('data', chunk => {
    if (broken) return // the rest has nobody to read it, and a full pipe would hold up the end of the program
    try {
      onChunk(chunk)
    } catch (error) {
      broken = true
      failed(error)
    }
  })
  return new Promise((resolve, reject) => {
    reading.on('end', resolve)
    reading.on('error', reject)
  })
}
