import { randomInt } from 'node:crypto'
import { readFile, readdir } from 'node:fs/promises'

/** A number of seconds that no other test sleeps for, to find a process by. */
export function uniqueWord(): string {
  return `${randomInt(80_000, 90_000)}.${randomInt(100_000, 1_000_000)}`
}

/** The pids of all processes, in any namespace, that have the word in their command line; not those that have ended. */
export async function processesWith(word: string): Promise<number[]> {
  const pids = (await readdir('/proc')).map(Number).filter(pid => pid > 0 && pid !== process.pid)
  const found = await Promise.all(
    pids.map(async pid => {
      // A process that has ended and waits for its parent has an empty command line.
      const line = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
      return line.includes(word) ? pid : undefined
    }),
  )
  return found.filter(pid => pid !== undefined)
}

export function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
