import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { Bwrap } from './bwrap.ts'

export interface Warning {
  readonly text: string
  readonly fix: string
}

/**
 * What keeps a sandbox with the host's network from the host's abstract unix sockets, which no file permission guards: the
 * program that landlock/main.c is, on Linux 6.12 and newer. A setuid bubblewrap could not be started by it.
 * @param program its path, if it is there
 */
export async function findLandlock(program: string | undefined, bwrap: Bwrap): Promise<string | undefined> {
  if (program === undefined || bwrap.isSetuid) return undefined
  return await promisify(execFile)(program, [], { env: {} }).then(
    () => program,
    () => undefined,
  )
}

export const withoutLandlock: Warning = {
  text: 'programs in the sandbox can reach abstract unix sockets of this machine: this kernel cannot close them (X06)',
  fix: 'use Linux 6.12 or newer with Landlock, or --network none',
}
