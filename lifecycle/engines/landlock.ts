import { existsSync } from 'node:fs'
import { landlockVersion, landlockVersions } from '../processes/landlock.ts'
import type { EngineRun } from './engine.ts'

export interface Warning {
  readonly text: string
  readonly fix: string
}

/**
 * Finds the program that denies a sandbox with the host's network the host's abstract unix sockets, which have no permissions: the
 * program of engines/landlock, on Linux 6.12 and newer.
 * @param program its path, if it exists
 */
export async function findLandlock(program: string | undefined): Promise<string | undefined> {
  if (program === undefined) return undefined
  return (await landlockVersion(program)) >= landlockVersions.scopes ? program : undefined
}

export const withoutLandlock: Warning = {
  text: 'programs in the sandbox can reach abstract unix sockets of this machine: this kernel cannot close them (X06)',
  fix: 'use Linux 6.12 or newer with Landlock, or --network none',
}

/** The directories that a build needs of the system. None belongs to the user, and platforms mount secrets elsewhere. */
export const systemDirectories: readonly string[] = [
  ...['/bin', '/cnb', '/etc', '/lib', '/lib32', '/lib64', '/libx32', '/opt', '/sbin', '/usr'],
  ...['/var/cache', '/var/lib/apt', '/var/lib/dpkg'],
]

const system = {
  read: [...systemDirectories, '/proc', '/sys'],
  write: ['null', 'zero', 'full', 'random', 'urandom', 'tty', 'ptmx', 'pts', 'shm'].map(name => `/dev/${name}`),
}

/** The command line of a run that sees only its mounts and the system. */
export function confined(program: string, { argv, mounts }: Pick<EngineRun, 'argv' | 'mounts'>): string[] {
  const shown = (access: 'read-only' | 'read-write') => mounts.filter(m => m.access === access).map(m => m.path)
  const rules = (flag: string, paths: readonly string[]) => paths.filter(p => existsSync(p)).flatMap(p => [flag, p])
  return [
    program,
    ...rules('-r', [...system.read, ...shown('read-only')]),
    // The program's output, which scripts open as /dev/stdout and /dev/stderr.
    ...['-w', '/proc/self/fd/1', '-w', '/proc/self/fd/2'],
    ...rules('-w', [...system.write, ...shown('read-write')]),
    ...argv,
  ]
}
