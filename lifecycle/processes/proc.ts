import { readFileSync } from 'node:fs'
import { isErrno } from '../errors.ts'

/** A process, distinguishable from a later one with the same pid. */
export interface ProcessHandle {
  readonly pid: number
  /** The start time in clock ticks since the machine booted. */
  readonly started: number
}

export function findProcess(pid: number): ProcessHandle | undefined {
  const stat = readStat(pid)
  return stat && { pid, started: stat.started }
}

/** Returns whether the process runs. False also for a zombie. */
export function isRunning(process: ProcessHandle): boolean {
  const stat = readStat(process.pid)
  return stat !== undefined && stat.started === process.started && !stat.ended
}

/** Does nothing if the process is gone. */
export function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if (!isErrno(error, 'ESRCH')) throw error
  }
}

/**
 * Reads /proc/PID/stat (proc(5)). Returns undefined if the process is gone, or if /proc is missing or hides it. The second
 * field is the program's name in brackets, which may itself hold brackets and blanks.
 */
export function readStat(pid: number | 'self'): { pid: number; started: number; ended: boolean } | undefined {
  const text = readProc(`${pid}/stat`)
  if (text === undefined) return undefined
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return { pid: parseInt(text, 10), started: Number(fields[19]), ended: fields[0] === 'Z' || fields[0] === 'X' }
}

/** Reads a file of /proc. Returns undefined if its process is gone or another user's. */
export function readProc(path: string): string | undefined {
  try {
    return readFileSync(`/proc/${path}`, 'latin1')
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR', 'ESRCH', 'EACCES', 'EPERM')) return undefined
    throw error
  }
}
