import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** One thing to measure, beside what it is measured against. */
export interface Task {
  readonly name: string
  /** For bash, in the work directory. `$ROUND` is a directory that the tasks of one round have to themselves, empty at first. */
  readonly command: string
  /** Run before each time, and not measured. */
  readonly before?: string
  /** The name of another task: the ratio of the two times is what counts. */
  readonly against?: string
  /** What is compared: wall time unless told. */
  readonly by?: 'seconds' | 'peakMB'
  /** The ratio, or with no `against` the seconds or megabytes, that it should not exceed. */
  readonly target?: number
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
  readonly met?: boolean
}

interface Cost {
  readonly seconds: number
  readonly cpuSeconds: number
  readonly peakMB: number
}

/**
 * Each task so many times, in turn, so that what else the machine does falls on all of them. Nothing is deleted before all
 * is measured: some file systems (ext4 without a journal) do not give an inode away again for minutes, and where thousands
 * have just been freed the next file takes them all into account: `tar -x` after `rm -r` takes ten times as long. What a task
 * leaves for the disk to write is written before the next one.
 */
export function compare(piece: string, dir: string, runs: number, tasks: readonly Task[]): Row[] {
  const costs = tasks.map((): Cost[] => [])
  for (let run = 0; run < runs; run++) {
    const round = join(dir, `${piece}-${run}`)
    mkdirSync(round)
    tasks.forEach(({ name, command, before }, i) => {
      process.stderr.write(`${piece}, round ${run + 1} of ${runs}: ${name}\n`)
      const set = `export ROUND=${quote(round)};`
      shell(`${set} ${before ?? 'true'}; sync`, dir)
      costs[i]?.push(measure(`${set} ${command}`, dir))
    })
  }
  const medians = new Map(tasks.map(({ name }, i) => [name, median(costs[i] as Cost[])]))
  return tasks.map(({ name, against, target, by = 'seconds' }) => {
    const cost = medians.get(name) as Cost
    const base = against === undefined ? undefined : medians.get(against)
    const ratio = base && cost[by] / base[by]
    return {
      piece,
      name,
      ...cost,
      ...(by === 'peakMB' && { by }),
      ...(base && { against, ratio }),
      ...(target !== undefined && { target, met: (ratio ?? cost[by]) <= target }),
    }
  })
}

export function shell(command: string, dir: string): string {
  const { status, stdout, stderr } = spawnSync('bash', ['-c', `set -o pipefail; ${command}`], {
    cwd: dir,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  })
  if (status !== 0) throw new Error(`it ended with ${status}: ${command}\n${stdout}${stderr}`)
  return stdout
}

const gnuTime = '/usr/bin/time'

export function measure(command: string, dir: string): Cost {
  if (!existsSync(gnuTime)) throw new Error(`${gnuTime} is needed: apt-get install time`)
  const file = join(dir, 'time')
  shell(`${gnuTime} -f '%e %U %S %M' -o ${quote(file)} bash -c ${quote(`set -o pipefail; ${command}`)}`, dir)
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
