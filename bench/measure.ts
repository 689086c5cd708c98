import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, statfsSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'

/** Aborted by Ctrl-C: what runs is ended, and nothing else is begun. */
export const stopping = new AbortController()

/** One thing to measure, beside what it is measured against. */
export interface Task {
  readonly name: string
  /** For bash, in the work directory. `$ROUND` is a directory that the tasks of one round have to themselves, empty at first. */
  readonly command: string
  /** Run before each time, and not measured. */
  readonly before?: string
  /** It deletes a tree itself: its rounds come after those of the others. */
  readonly deletes?: boolean
  /** The name of another task: the ratio of the two times is what counts. */
  readonly against?: string
  /** What is compared: wall time unless told. */
  readonly by?: 'seconds' | 'peakMB'
  /** The ratio, or with no `against` the seconds or megabytes, that it should not exceed. */
  readonly target?: number
  /** The ratio that it should not fall below: another builder is to be no faster. */
  readonly atLeast?: number
}

/** Medians. `seconds` is wall time; the peak is that of the largest process, in MB. Or something that was counted. */
export interface Row {
  readonly piece: string
  readonly name: string
  readonly seconds?: number
  readonly cpuSeconds?: number
  readonly peakMB?: number
  /** What the ratio and the target are of, if not wall time. */
  readonly by?: 'peakMB'
  readonly count?: number
  /** Of what was counted; or why nothing was measured. */
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

/** What a round may take of the disk, and not much more: whole builds of three builders. */
const roundBytes = 12e9

/**
 * Each task so many times, in turn, so that what else the machine does falls on all of them.
 *
 * Nothing is deleted before all pieces are measured. ext4 without a journal gives no inode away that was freed in the last
 * five minutes, and where thousands were, whoever makes a file looks at them all: `tar -x` after `rm -r` takes ten times as
 * long. The same holds for what others deleted before: leave the machine alone for that time, or set TMPDIR to another disk.
 * What a task leaves for later is done before the next one: what Bale deletes when it has ended, and what the disk has to write.
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
  // A process group of its own, so that all of it can be ended.
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
