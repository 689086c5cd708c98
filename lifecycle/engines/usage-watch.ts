import { lstatSync, readdirSync, statfsSync } from 'node:fs'
import { lstat, readdir } from 'node:fs/promises'
import { isErrno } from '../errors.ts'
import { toBuffer, toBytes } from '../files/byte-string.ts'
import { readProc } from '../processes/proc.ts'

// Limits without a control group or quota: Bale measures a run's usage from time to time.

/** Calls back once when usage exceeds the limit, then stops. */
function watch(milliseconds: number, isExceeded: () => boolean | Promise<boolean>, onExceeded: () => void): Disposable {
  let timer: NodeJS.Timeout | undefined
  let stopped = false
  const next = (): void => {
    timer = setTimeout(() => void look(), milliseconds).unref()
  }
  const look = async (): Promise<void> => {
    const exceeded = await isExceeded()
    if (stopped) return
    if (exceeded) onExceeded()
    else next()
  }
  next()
  return {
    [Symbol.dispose]() {
      stopped = true
      clearTimeout(timer)
    },
  }
}

const memoryInterval = 100

/**
 * Watches the memory of a process, of its descendants, and of their file systems in memory.
 * @param first returns the process; undefined before it exists
 * @param limit bytes
 */
export function watchMemory(first: () => number | undefined, limit: number, onExceeded: () => void): Disposable {
  return watch(
    memoryInterval,
    () => {
      const pid = first()
      if (pid === undefined) return false
      const processes = [...descendants(pid)]
      // The first, cheap count includes shared pages once for each process.
      return usedBy(processes, residentOf) > limit && usedBy(processes, proportionOf) > limit
    },
    onExceeded,
  )
}

function usedBy(processes: readonly number[], memoryOf: (pid: number) => number): number {
  return processes.reduce((sum, pid) => sum + memoryOf(pid), usedInMemory(processes))
}

/** Lists descendants thread by thread, since /proc has children for each thread. */
function* descendants(pid: number): Generator<number> {
  const waiting = [pid]
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    yield next
    for (const thread of threadsOf(next)) {
      const children = readProc(`${next}/task/${thread}/children`)?.trim()
      if (children) waiting.push(...children.split(' ').map(Number))
    }
  }
}

function threadsOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`)
  } catch {
    return []
  }
}

const kilobytes = (text: string | undefined, name: string): number | undefined => {
  const found = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text ?? '')?.[1]
  return found === undefined ? undefined : Number(found) * 1024
}

const residentOf = (pid: number): number => kilobytes(readProc(`${pid}/status`), 'RssAnon') ?? 0

/** A process that hides this file counts with all its shared pages. */
const proportionOf = (pid: number): number => kilobytes(readProc(`${pid}/smaps_rollup`), 'Pss_Anon') ?? residentOf(pid)

const inMemory = ['/tmp', '/var/tmp', '/home', '/dev/shm']
const tmpfs = 0x01021994

/** Bytes in file systems in memory, as the first readable process sees them. */
function usedInMemory(processes: readonly number[]): number {
  for (const pid of processes) {
    try {
      const all = inMemory.map(path => statfsSync(`/proc/${pid}/root${path}`)).filter(({ type }) => type === tmpfs)
      return all.reduce((sum, { blocks, bfree, bsize }) => sum + (blocks - bfree) * bsize, 0)
    } catch {
      // The process belongs to another user, or has ended.
    }
  }
  return 0
}

const diskInterval = 500

/**
 * Watches the disk space of directories. Walks them only when their disks' free space has decreased so much that the limit may be
 * exceeded, since other programs use these disks as well.
 * @param limit bytes
 */
export async function watchDisk(
  dirs: readonly string[],
  limit: number,
  onExceeded: (used: number) => void,
): Promise<Disposable> {
  let used = (await sizeOf(dirs)) ?? 0
  let free = freeOn(dirs)
  return watch(
    diskInterval,
    async () => {
      const freeNow = freeOn(dirs)
      const estimate = used + Math.max(0, free - freeNow)
      if (estimate <= limit) return false
      used = (await sizeOf(dirs)) ?? estimate
      free = freeNow
      return used > limit
    },
    () => onExceeded(used),
  )
}

/** The sum of free bytes on the disks of these directories, each disk once. */
function freeOn(dirs: readonly string[]): number {
  const disks = new Map(dirs.map(dir => [lstatSync(dir).dev, dir]))
  let sum = 0
  for (const dir of disks.values()) {
    const { bavail, bsize } = statfsSync(dir)
    sum += bavail * bsize
  }
  return sum
}

/**
 * Bytes that directories take on the disk: holes take none, and a file with several names counts once. Files that vanish
 * meanwhile do not count. Undefined if a directory cannot be read: a build can make directories of mode 000, or thousands of levels.
 */
export async function sizeOf(dirs: readonly string[]): Promise<number | undefined> {
  const seen = new Set<string>()
  const waiting = dirs.map(dir => toBytes(dir))
  let bytes = 0
  try {
    for (let dir = waiting.pop(); dir !== undefined; dir = waiting.pop()) {
      for (const entry of await unlessGone(readdir(toBuffer(dir), { encoding: 'latin1', withFileTypes: true }))) {
        const path = `${dir}/${entry.name}`
        if (entry.isDirectory()) waiting.push(path)
        for (const { nlink, dev, ino, blocks } of await unlessGone(lstat(toBuffer(path)).then(found => [found]))) {
          const isKnown = !entry.isDirectory() && nlink > 1 && seen.has(`${dev} ${ino}`)
          if (nlink > 1) seen.add(`${dev} ${ino}`)
          bytes += isKnown ? 0 : blocks * 512
        }
      }
    }
  } catch (error) {
    if (isErrno(error)) return undefined
    throw error
  }
  return bytes
}

async function unlessGone<T>(found: Promise<T[]>): Promise<T[]> {
  return await found.catch((error: unknown) => {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return []
    throw error
  })
}
