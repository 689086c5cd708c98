import { type ChildProcess, type IOType, type SpawnOptions, spawn } from 'node:child_process'
import { once } from 'node:events'
import { randomUUID } from 'node:crypto'
import { closeSync, constants, openSync, readdirSync, unlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { BaleError, isErrno } from '../errors.ts'
import { readProc } from './proc.ts'

/** The PATH to the programs that every Linux system has. Programs that Bale starts for itself inherit no environment. */
export const systemPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/run/current-system/sw/bin'

/** @throws BaleError 'engine' on systems without namespaces and /proc */
export function requireLinux(): void {
  if (process.platform === 'linux') return
  throw new BaleError('engine', `buildpacks run on Linux, and this is ${process.platform}`, {
    fix: 'build in a Linux virtual machine or container',
  })
}

export interface Launch {
  readonly argv: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly cwd?: string | undefined
  readonly user?: { readonly uid: number; readonly gid: number } | undefined
  /** A pipe or a descriptor of this process, for each descriptor of the program from 0 on. */
  readonly stdio: readonly (IOType | number)[]
  /** Shell commands to run first, such as ulimit. */
  readonly before?: string | undefined
}

/**
 * Starts a program as the leader of its own session, so that a terminal's Ctrl-C reaches it only through Bale, with umask 022,
 * no core dumps (they hold secrets) and no descriptors but those in `stdio`.
 */
export function launch({ argv, env, cwd, user, stdio, before = ':' }: Launch): ChildProcess {
  const standIns = standInsForLeaks(stdio)
  try {
    const script = `umask 022; ulimit -c 0; ${before}; exec "$@"`
    return spawnProgram('/bin/sh', ['-c', script, 'sh', ...argv], {
      env: { ...env },
      cwd,
      ...user,
      detached: true,
      stdio: standIns.stdio,
    })
  } finally {
    if (standIns.fd !== undefined) closeSync(standIns.fd)
  }
}

/** Like spawn. @throws BaleError 'engine' for arguments and environments that the kernel does not accept */
export function spawnProgram(file: string, args: readonly string[], options: SpawnOptions): ChildProcess {
  try {
    return spawn(file, args, options)
  } catch (cause) {
    if (!isErrno(cause)) throw cause
    const fix = cause.code === 'E2BIG' ? 'pass a smaller environment: the limit of the kernel is about 2 MB' : undefined
    throw new BaleError('engine', `the program cannot be started: ${cause.message}`, { where: file, fix, cause })
  }
}

/** Returns how the child ended. @throws BaleError 'engine' if it was never started, for a missing shell or working directory */
export async function exitOf(child: ChildProcess): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
  try {
    const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null]
    return { code, signal }
  } catch (cause) {
    throw new BaleError('engine', `the program cannot be started: ${(cause as Error).message}`, { cause })
  }
}

/**
 * Node opens its own descriptors close-on-exec. It marks inherited descriptors only up to the first gap above
 * 15: the others would be open in every buildpack (X14). In the child, an empty file replaces them.
 */
function standInsForLeaks(stdio: Launch['stdio']): { readonly stdio: (IOType | number)[]; readonly fd?: number } {
  const leaks = leakingDescriptors().filter(fd => fd >= stdio.length) // lower ones are replaced anyway
  if (leaks.length === 0) return { stdio: [...stdio] }
  const fd = openEmpty(join(tmpdir(), `bale-empty-${randomUUID()}`))
  const safe = [...stdio]
  for (const leak of leaks) {
    while (safe.length < leak) safe.push('ignore') // Node does not open these, unlike 0 to 2
    safe[leak] = fd
  }
  return { stdio: safe, fd }
}

/**
 * Opens an empty file without a name, for reading. It is used instead of /dev/null: through a descriptor of the host's
 * device, a program with its owner's user id could change the mode and owner of the device itself (X39).
 */
export function openEmpty(path: string): number {
  const fd = openSync(path, constants.O_RDONLY | constants.O_CREAT | constants.O_EXCL, 0o444)
  unlinkSync(path)
  return fd
}

function leakingDescriptors(): number[] {
  const closedOnExec = 0o2000000
  return readdirSync('/proc/self/fdinfo')
    .map(Number)
    .filter(fd => {
      const flags = fd > 2 ? /^flags:\s*([0-7]+)$/m.exec(readProc(`self/fdinfo/${fd}`) ?? '')?.[1] : undefined
      return flags !== undefined && (parseInt(flags, 8) & closedOnExec) === 0
    })
}

/** Environments and arguments are NUL-separated lists, and names end at the first `=` (E01, E05). */
export function checkEnvironment(env: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(env)) {
    if (name === '' || /[=\0]/.test(name)) {
      throw new BaleError('engine', `${JSON.stringify(name)} cannot be the name of an environment variable`)
    }
    if (value.includes('\0')) throw new BaleError('engine', `the environment variable ${name} contains a NUL`)
  }
}
