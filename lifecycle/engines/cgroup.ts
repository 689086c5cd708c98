import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, readdirSync, rmdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isErrno } from '../errors.ts'
import { systemPath } from '../processes/launch.ts'
import { findProcess } from '../processes/proc.ts'

export interface Limits {
  /** Threads and processes at one time. */
  readonly pids: number
  /** Bytes, including file systems in memory. */
  readonly memory?: number | undefined
  /** Bytes in the directories that a run can write to, including earlier files. */
  readonly disk?: number | undefined
}

/** A control group for one run. */
export interface Cgroup extends AsyncDisposable {
  /** For SandboxOptions: a program that joins the group and executes the rest of its arguments. */
  readonly join: readonly string[]
  /** Returns whether the kernel killed a process because the group had no memory left. */
  ranOutOfMemory(): boolean
}

const root = '/sys/fs/cgroup'
let made = 0

/**
 * Makes a control group below or beside this process's, in version 2 or 1 of the interface: for root, and for users to whom a
 * part of the tree is delegated. Undefined where that is not possible.
 */
export function openCgroup(limits: Limits): Cgroup | undefined {
  const name = `bale-${process.pid}-${++made}`
  const dirs: string[] = []
  const remove = () => dirs.splice(0).forEach(dir => rmdirSync(dir))
  try {
    const own = readFileSync('/proc/self/cgroup', 'latin1').trim().split('\n')
    const controllers = ['pids', ...(limits.memory === undefined ? [] : ['memory'])]
    const parents = existsSync(join(root, 'cgroup.controllers'))
      ? [parentOfVersion2(own, controllers)]
      : controllers.map(controller => parentOfVersion1(own, controller))
    for (const parent of parents) {
      removeDead(parent)
      const dir = join(parent, name)
      mkdirSync(dir)
      dirs.push(dir)
    }
    const set = (controller: string, file: string, value: number) =>
      writeFileSync(join(dirs[controllers.indexOf(controller)] ?? (dirs[0] as string), file), String(value))
    set('pids', 'pids.max', limits.pids)
    if (limits.memory !== undefined) {
      set('memory', parents.length === 1 ? 'memory.max' : 'memory.limit_in_bytes', limits.memory)
    }
    const join_ = ['sh', '-c', joinAll, 'sh', String(dirs.length), ...dirs]
    // A user may be allowed to make a group, but not to move a process into it.
    const tried = spawnSync('/bin/sh', [...join_.slice(1), ':'], { env: { PATH: systemPath } })
    if (tried.status !== 0) return void remove()
    const events = dirs.map(dir => join(dir, parents.length === 1 ? 'memory.events' : 'memory.oom_control'))
    return {
      join: join_,
      ranOutOfMemory: () => events.some(file => /^oom_kill [1-9]/m.test(readIfThere(file))),
      async [Symbol.asyncDispose]() {
        // The kernel counts processes for a moment after they have ended.
        for (let tries = 0; dirs.length > 0 && tries < 250; tries++) {
          try {
            remove()
          } catch (error) {
            if (!isErrno(error, 'EBUSY')) return
            await sleep(20)
          }
        }
      },
    }
  } catch (error) {
    if (!isErrno(error)) throw error
    try {
      remove()
    } catch {
      // The next run removes it.
    }
    return undefined
  }
}

/** Removes groups of runs whose Bale was killed, unless a process is in the group. */
function removeDead(parent: string): void {
  for (const name of readdirSync(parent)) {
    const pid = Number(/^bale-(\d+)-\d+$/.exec(name)?.[1])
    if (!(pid > 0) || findProcess(pid) !== undefined) continue
    try {
      rmdirSync(join(parent, name))
    } catch (error) {
      if (!isErrno(error)) throw error
    }
  }
}

/** The arguments are the number of groups, the groups, and the command, such as `:`. */
const joinAll = `
n=$1
shift
while [ "$n" -gt 0 ]; do
  echo $$ >"$1/cgroup.procs" || exit
  shift
  n=$((n - 1))
done
[ "$1" = : ] || exec "$@"`

/** This process's group, or one above, whose children have these controllers. */
function parentOfVersion2(own: readonly string[], controllers: readonly string[]): string {
  const path = own.find(line => line.startsWith('0::'))?.slice('0::'.length) ?? '/'
  for (let dir = path; ; dir = dirname(dir)) {
    const offered = readIfThere(join(root, dir, 'cgroup.subtree_control'))
      .trim()
      .split(' ')
    if (dir === '/' || controllers.every(c => offered.includes(c))) return join(root, dir)
  }
}

/** This process's group. In a container its path may be the host's. */
function parentOfVersion1(own: readonly string[], controller: string): string {
  const line = own.find(l => l.split(':')[1]?.split(',').includes(controller))
  const dir = join(root, controller, line?.split(':')[2] ?? '/')
  return existsSync(dir) ? dir : join(root, controller)
}

function readIfThere(file: string): string {
  return existsSync(file) ? readFileSync(file, 'latin1') : ''
}
