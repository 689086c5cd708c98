import { randomInt } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { BaleError } from '../errors.ts'
import { findProcess, isRunning, readProc, sendSignal } from '../processes/proc.ts'

/**
 * What the processes of a run are known by: a value of RLIMIT_LOCKS, a limit that Linux keeps and has not enforced since
 * 2.4.25. It passes on to every child, whatever that does to its environment, session or parent, and only who sets
 * this very limit is rid of it. An environment variable would be in the output of builds that print theirs.
 */
export type Mark = number

export function newMark(): Mark {
  return 2 ** 40 + randomInt(2 ** 40)
}

/** A command for a shell, which all it starts inherits the mark from. Shells disagree on the letter. */
export function setMark(mark: Mark): string {
  return `ulimit -x ${mark} 2>/dev/null || ulimit -w ${mark}`
}

/** How long killed processes may take to go; only one that waits for a broken disk or network share takes long. */
const patience = 60_000

/**
 * Kills every process with the mark until none is found, so that a daemon does not write on while its files are read
 * (X16). The list has to be clean twice: a process that forks and ends while it is read can be missed once.
 * @throws BaleError 'engine' if one does not end
 */
export async function killMarked(mark: Mark): Promise<void> {
  const deadline = performance.now() + patience
  for (let clean = 0, pause = 1; clean < 2;) {
    const found = marked(mark)
    clean = found.length === 0 ? clean + 1 : 0
    for (const pid of found) kill(pid)
    if (found.length > 0) {
      if (performance.now() > deadline) throw survivors(found)
      await sleep(pause)
      pause = Math.min(2 * pause, 100)
    }
  }
}

function marked(mark: Mark): number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter(pid => pid > 0 && hasMark(readProc(`${pid}/limits`) ?? '', mark) && isAlive(pid))
}

/** @param limits the text of a /proc/pid/limits: name, soft limit, hard limit, unit */
export function hasMark(limits: string, mark: Mark): boolean {
  return /^Max file locks\s+\S+\s+(\S+)/m.exec(limits)?.[1] === String(mark)
}

function isAlive(pid: number): boolean {
  const found = findProcess(pid)
  return found !== undefined && isRunning(found)
}

function kill(pid: number): void {
  try {
    sendSignal(pid, 'SIGKILL')
  } catch (cause) {
    throw survivors([pid], cause) // a setuid program, which is another user's now
  }
}

function survivors(pids: readonly number[], cause?: unknown): BaleError {
  return new BaleError('engine', 'processes that the run started do not end, although they were killed', {
    where: `processes ${pids.join(', ')}`,
    cause,
  })
}
