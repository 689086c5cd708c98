import { writeSync } from 'node:fs'
import { isErrno } from '../../errors.ts'

/**
 * Writes text to a descriptor and returns once the system has all of it. A phase reads no more from a buildpack than its own
 * reader takes, so its memory is bounded (X42), and its last message is out when it ends. Node's own streams buffer for a
 * slow reader, and fail on a pipe that returns EINVAL.
 */
export function writeFully(fd: number, text: string): void {
  const bytes = Buffer.from(text)
  for (let done = 0, pause = 1; done < bytes.length;) {
    try {
      done += writeSync(fd, bytes, done)
      pause = 1
    } catch (error) {
      // The descriptor may be inherited as non-blocking: its pipe is full.
      if (!isErrno(error, 'EAGAIN')) throw error
      wait(pause)
      pause = Math.min(2 * pause, 50)
    }
  }
}

const never = new Int32Array(new SharedArrayBuffer(4))

function wait(milliseconds: number): void {
  Atomics.wait(never, 0, 0, milliseconds)
}
