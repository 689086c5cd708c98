import { randomBytes } from 'node:crypto'
import { readFileSync, readlinkSync } from 'node:fs'
import { isErrno } from '../errors.ts'
import { readStat } from '../processes/proc.ts'

/**
 * Leftovers of a crashed process must be distinguished from files in use. So the name of every temporary file contains its
 * owner: `<boot>.<pid namespace>.<pid>.<start time>.<random>`. A process that got the pid of a dead one has another start
 * time. A process in another container or on another machine cannot be seen from here.
 */
export function leaseName(): string {
  return `${self()}.${randomBytes(6).toString('hex')}`
}

/** Returns whether the process that made this name still runs. A name of another form has an unknown owner. */
export function leaseState(name: string): 'alive' | 'dead' | 'unknown' {
  const match = /^([0-9a-f]+\.\d+)\.(\d+)\.(\d+)\.[0-9a-f]{12}$/.exec(name)
  const [, place, pid, started] = match ?? []
  if (place === undefined || place !== ourPlace()) return 'unknown'
  return stateOf(Number(pid), Number(started))
}

function stateOf(pid: number, started: number): 'alive' | 'dead' | 'unknown' {
  try {
    process.kill(pid, 0)
  } catch (error) {
    if (isErrno(error, 'ESRCH')) return 'dead'
    if (!isErrno(error, 'EPERM')) throw error // EPERM: it runs, as another user
  }
  const stat = readStat(pid)
  if (stat === undefined) return 'unknown' // no /proc, or one that hides other users' processes
  return stat.started === started && !stat.ended ? 'alive' : 'dead'
}

let place: string | undefined

function ourPlace(): string {
  return (place ??= `${bootId() ?? '0'}.${pidNamespace()}`)
}

function self(): string {
  // /proc may belong to another pid namespace, whose numbers differ from this process's.
  const stat = readStat('self')
  return `${ourPlace()}.${process.pid}.${stat?.pid === process.pid ? stat.started : 0}`
}

/** Identifies this boot of the machine. */
export function bootId(): string | undefined {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').slice(0, 8)
  } catch {
    return undefined
  }
}

function pidNamespace(): string {
  try {
    return /\d+/.exec(readlinkSync('/proc/self/ns/pid'))?.[0] ?? '0'
  } catch {
    return '0'
  }
}
