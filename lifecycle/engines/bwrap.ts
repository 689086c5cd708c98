import { execFile } from 'node:child_process'
import { stat } from 'node:fs/promises'
import { promisify } from 'node:util'
import { BaleError } from '../errors.ts'
import { findProgram } from '../processes/find-program.ts'
import { requireLinux, systemPath } from '../processes/launch.ts'

/** The installed bubblewrap and its features. */
export interface Bwrap {
  readonly path: string
  /** It mounts by descriptor, so no other file can replace the checked one (X17). */
  readonly bindsDescriptors: boolean
  /** It always runs as root, for machines where ordinary users may not create user namespaces. */
  readonly isSetuid: boolean
  /** It forbids user namespaces inside, in addition to the system call filter. A setuid bubblewrap cannot. */
  readonly disablesUserNamespaces: boolean
}

/** @throws BaleError 'engine' if there is none */
export async function findBwrap(program = 'bwrap'): Promise<Bwrap> {
  requireLinux()
  const path = await locate(program)
  const help = await promisify(execFile)(path, ['--help'], { env: {} }).catch((cause: unknown) => {
    throw new BaleError('engine', 'bubblewrap does not run', { where: path, cause })
  })
  const offers = (option: string) => new RegExp(`^\\s*${option}\\s`, 'm').test(help.stdout + help.stderr)
  const { mode, uid } = await stat(path)
  const setuid = (mode & 0o4000) !== 0 && uid === 0
  return {
    path,
    bindsDescriptors: offers('--bind-fd') && offers('--ro-bind-fd'),
    isSetuid: setuid,
    disablesUserNamespaces: offers('--disable-userns') && !setuid,
  }
}

async function locate(program: string): Promise<string> {
  const found = await findProgram(program, systemPath)
  if (found !== undefined) return found
  throw new BaleError('engine', 'bubblewrap is not installed', {
    where: program,
    fix: 'apt-get install bubblewrap, or the like on your distribution',
  })
}
