import { readFileSync, statSync, statfsSync } from 'node:fs'
import type { Reporter } from '../events.ts'

/** Resources that ran out while a program ran. Programs report that in different words, or not at all. */
export interface Shortages extends Disposable {
  /** A warning for each file system that was full, and one if the kernel ended a process for lack of memory. */
  report(reporter: Reporter): void
}

/** The values of statfs(2), in bytes. A file system without inodes has a total of 0. */
export interface Room {
  readonly type: number
  readonly size: number
  readonly free: number
  readonly inodes: number
  readonly freeInodes: number
}

/** The kernel's view of this machine. Tests pass their own. */
export interface Machine {
  /** Undefined if the directory does not exist. */
  room(dir: string): (Room & { readonly device: number }) | undefined
  /** How many processes the kernel has killed for lack of memory since boot; undefined if unknown. */
  oomKills(): number | undefined
}

const tmpfs = 0x01021994
/** In bytes. Programs write in chunks, so less than this counts as full. */
const little = 16 * 1024 * 1024
const fewInodes = 100
const milliseconds = 250

/** Polls the file systems of these directories, since a program often removes files that it could not finish. */
export function watchShortages(dirs: readonly string[], machine: Machine = thisMachine): Shortages {
  const lowest = new Map<number, Room & { readonly dir: string }>()
  const killsBefore = machine.oomKills() ?? 0
  const look = (): void => {
    const seen = new Set<number>()
    for (const dir of dirs) {
      const room = machine.room(dir)
      if (room === undefined || seen.has(room.device)) continue
      seen.add(room.device)
      const before = lowest.get(room.device)
      const free = Math.min(room.free, before?.free ?? Infinity)
      const freeInodes = Math.min(room.freeInodes, before?.freeInodes ?? Infinity)
      lowest.set(room.device, { ...room, dir: before?.dir ?? dir, free, freeInodes })
    }
  }
  look()
  const timer = setInterval(look, milliseconds).unref()
  return {
    report(reporter) {
      look()
      for (const room of lowest.values()) {
        const text = shortageOf(room)
        if (text !== undefined) reporter.event({ type: 'warning', text, fix: remedyFor(room) })
      }
      if ((machine.oomKills() ?? 0) > killsBefore) reporter.event({ type: 'warning', ...outOfMemory })
    },
    [Symbol.dispose]: () => clearInterval(timer),
  }
}

function shortageOf({ dir, size, free, inodes, freeInodes }: Room & { readonly dir: string }): string | undefined {
  if (free < little) return `the file system of ${dir} was full: ${megabytes(free)} of ${megabytes(size)} were free`
  if (inodes > 0 && freeInodes < fewInodes)
    return `the file system of ${dir} had room for only ${freeInodes} more files, of ${inodes}`
  return undefined
}

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`

function remedyFor({ type, dir }: Room & { readonly dir: string }): string {
  return type === tmpfs
    ? `${dir} is in memory: give the machine more memory (or raise --memory), or write less there`
    : 'free some space on the disk of the builds; bale cache prune removes data of old builds'
}

const outOfMemory = {
  text: 'the kernel killed a process on this machine for lack of memory during the build',
  fix: 'if it belonged to the build, give the machine more memory, or make the build use less',
}

const thisMachine: Machine = {
  room(dir) {
    try {
      const { type, bsize, blocks, bavail, files, ffree } = statfsSync(dir)
      const { dev: device } = statSync(dir)
      return { device, type, size: blocks * bsize, free: bavail * bsize, inodes: files, freeInodes: ffree }
    } catch {
      return undefined
    }
  },
  oomKills() {
    try {
      return Number(/^oom_kill (\d+)$/m.exec(readFileSync('/proc/vmstat', 'latin1'))?.[1])
    } catch {
      return undefined
    }
  },
}
