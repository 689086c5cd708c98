import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, statfsSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'

/** Aborted by Ctrl-C: ends the running task and starts no other. */
export const stopping = new AbortController()

/** A command to measure, and the task to compare it with. */
export interface Task {
  readonly name: string
  /** For bash, in the work directory. `$ROUND` is a directory that the tasks of one round have to themselves, empty at first. */
  readonly command: string
  /** Runs before each measurement, and is not measured. */
  readonly before?: string
  /** The task deletes a tree itself, so its rounds run after those of the others. */
  readonly deletes?: boolean
  /** The name of another task. The result is the ratio of the two times. */
  readonly against?: string
  /** The compared value: wall time by default. */
  readonly by?: 'seconds' | 'peakMB'
  /** The highest acceptable ratio, or without `against` the seconds or megabytes. */
  readonly target?: number
  /** The lowest acceptable ratio, so that another builder is not faster. */
  readonly atLeast?: number
}

/** Medians. `seconds` is wall time; the peak is that of the largest process, in MB. Or a counted value. */
export interface Row {
  readonly piece: string
  readonly name: string
  readonly seconds?: number
  readonly cpuSeconds?: number
  readonly peakMB?: number
  /** The value that the ratio and the target refer to, if it is not wall time. */
  readonly by?: 'peakMB'
  readonly count?: number
  /** The unit of a counted value, or the reason why nothing was measured. */
  readonly note?: string
  readonly against?: string
  readonly ratio?: number
  readonly target?: number
  readonly atLeast?: number
  readonly met?: boolean
}

interface Cost {
  readonly seconds: number
  readonly cpuSeconds: number
  readonly peakMB: number
}

/** The disk space of the largest round: whole builds of three builders. */
const roundBytes = 12e9

/**
 * Runs each task several times, in turn, so that other load on the machine affects all of them.
 *
 * Deletes nothing before all tasks are measured. ext4 without a journal does not reuse an inode for five minutes after it was
 * freed. After thousands of deletions, creating a file searches all of these inodes: `tar -x` after `rm -r` takes ten times
 * as long. Earlier deletions by other programs have the same effect: wait five minutes, or set TMPDIR to another disk.
 * Waits after each task until Bale has deleted its files and the disk has written its data.
 */
export async function compare(piece: string, dir: string, runs: number, tasks: readonly Task[]): Promise<Row[]> {
  const costs = new Map(tasks.map((task): [Task, Cost[]] => [task, []]))
  const rounds = [false, true].flatMap(deletes => Array.from({ length: runs }, (_, run) => ({ deletes, run })))
  for (const { deletes, run } of rounds) {
    const own = tasks.filter(task => (task.deletes ?? false) === deletes)
    if (own.length === 0) continue
    const { bavail, bsize } = statfsSync(dir)
    if (bavail * bsize < roundBytes)
      throw new Error(
        `the disk of ${dir} has ${Math.round((bavail * bsize) / 1e9)} GB left; a round takes ${roundBytes / 1e9}`,
      )
    const round = join(dir, `${piece}-${run}`)
    mkdirSync(round, { recursive: true })
    for (const task of own) {
      const { name, command, before = 'true' } = task
      progress(`${piece}, round ${run + 1} of ${runs}: ${name}`)
      const set = `export ROUND=${quote(round)};`
      await shell(`${set} ${before}; while pgrep -f ${quote(`^rm -rf -- ${dir}`)}; do sleep 0.1; done; sync`, dir)
      costs.get(task)?.push(await measure(`${set} ${command}`, dir))
    }
  }
  const medians = new Map([...costs].map(([{ name }, all]) => [name, median(all)]))
  return tasks.map(({ name, against, target, atLeast, by = 'seconds' }) => {
    const cost = medians.get(name) as Cost
    const base = against === undefined ? undefined : medians.get(against)
    const ratio = base && cost[by] / base[by]
    const value = ratio ?? cost[by]
    return {
      piece,
      name,
      ...cost,
      ...(by === 'peakMB' && { by }),
      ...(base && { against, ratio }),
      ...(target !== undefined && { target, met: value <= target }),
      ...(atLeast !== undefined && { atLeast, met: value >= atLeast }),
    }
  })
}

export function progress(line: string): void {
  process.stderr.write(`${line}\n`)
}

/** Its output. */
export async function shell(command: string, dir: string): Promise<string> {
  stopping.signal.throwIfAborted()
  // A separate process group, so that Ctrl-C can end all of its processes.
  const child = spawn('bash', ['-c', `set -o pipefail; ${command}`], {
    cwd: dir,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const end = (): boolean => process.kill(-(child.pid as number), 'SIGTERM')
  stopping.signal.addEventListener('abort', end)
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
  stopping.signal.removeEventListener('abort', end)
  stopping.signal.throwIfAborted()
  if (child.exitCode !== 0)
    throw new Error(`it ended with ${child.exitCode ?? child.signalCode}: ${command}\n${stdout}${stderr}`)
  return stdout
}

const gnuTime = '/usr/bin/time'

async function measure(command: string, dir: string): Promise<Cost> {
  if (!existsSync(gnuTime)) throw new Error(`${gnuTime} is needed: apt-get install time`)
  const file = join(dir, 'time')
  await shell(`${gnuTime} -f '%e %U %S %M' -o ${quote(file)} bash -c ${quote(`set -o pipefail; ${command}`)}`, dir)
  const [seconds, user, system, peak] = (readFileSync(file, 'utf8').trim().split('\n').at(-1) as string)
    .split(' ')
    .map(Number) as [number, number, number, number]
  return { seconds, cpuSeconds: user + system, peakMB: Math.round(peak / 1024) }
}

function median(costs: readonly Cost[]): Cost {
  const of = (key: keyof Cost): number =>
    costs.map(cost => cost[key]).sort((a, b) => a - b)[costs.length >> 1] as number
  return { seconds: of('seconds'), cpuSeconds: of('cpuSeconds'), peakMB: of('peakMB') }
}

export function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}
