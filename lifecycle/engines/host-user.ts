import { spawnSync } from 'node:child_process'
import { readFileSync, statSync } from 'node:fs'
import { systemPath } from '../processes/launch.ts'
import { readProc } from '../processes/proc.ts'
import type { Bwrap } from './bwrap.ts'
import type { Warning } from './landlock.ts'
import { Places } from './places.ts'
import type { Wrapper } from './sandbox.ts'

/** Who the processes of root's sandboxes are to this machine. */
export interface HostUser {
  /** Of user and group; no account has it. */
  readonly id: number
  /** The program of engines/landlock. */
  readonly starter: string
  /** A directory of the host that the starter covers. */
  readonly dir: string
}

/** A user, and what of root's files is shown as theirs. */
export interface Starter {
  readonly user: HostUser
  readonly places: Places
}

// Between the ids of containers and those that systemd reserves (systemd.io/UIDS-GIDS).
const firstId = 1_900_000_000
/** The largest pid that Linux gives, and one. */
const pids = 4_194_304
const attempts = 16
/** Which of these are there depends on the distribution. What is in them is not needed to start a sandbox. */
const coverable = ['/mnt', '/media', '/srv', '/home']

/**
 * As root, an id that no account and no container has, for each process of ours its own: what is the host's and reaches a sandbox
 * is not root's to it then (X51). Undefined for others than root; the root of a user namespace is another one outside.
 * @param program the program of engines/landlock, if it is there
 */
export function findHostUser(program: string | undefined): HostUser | 'refused' | undefined {
  if (process.geteuid?.() !== 0 || !/^\s*0\s+0\s+4294967295\s*$/.test(readProc('self/uid_map') ?? '')) return undefined
  const dir = coverable.find(path => statSync(path, { throwIfNoEntry: false })?.isDirectory())
  const ids = Array.from({ length: attempts }, (_, n) => firstId + n * pids + (process.pid % pids))
  const id = ids.find(isFree)
  return program === undefined || dir === undefined || id === undefined ? 'refused' : { id, starter: program, dir }
}

export const asRoot: Warning = {
  text: 'processes in the sandbox are root’s to this machine, without its capabilities: a file of the host that reaches them is open to them as it is to root (X51)',
  fix: 'use Linux 5.19 or newer with the capability CAP_SYS_ADMIN and file systems that can map ids, or start Bale as an ordinary user',
}

function isFree(id: number): boolean {
  const subordinate = ['/etc/subuid', '/etc/subgid'].flatMap(file => lines(file).map(line => line.split(':')))
  if (subordinate.some(([, first, count]) => id >= Number(first) && id < Number(first) + Number(count))) return false
  return ['passwd', 'group'].every(database => {
    // It also asks a directory of the network, if accounts are there. 2: there is none.
    const { status, error } = spawnSync('getent', [database, String(id)], { env: { PATH: systemPath }, timeout: 5000 })
    if (error === undefined) return status === 2
    return !lines(`/etc/${database}`).some(line => line.split(':')[2] === String(id))
  })
}

function lines(file: string): string[] {
  try {
    return readFileSync(file, 'latin1').split('\n')
  } catch {
    return []
  }
}

/**
 * Becomes the rest of its arguments, as the user.
 * @param firstFd the descriptor that the first place has there
 */
export function starterArgv({ user, places }: Starter, firstFd: number, wrapper?: Wrapper): string[] {
  return [
    user.starter,
    ...['--user', String(user.id), '--places', places.dir],
    ...places.descriptors.flatMap((_fd, n) => ['--place', String(firstFd + n)]),
    ...(wrapper === undefined ? [] : ['--enter', wrapper.place ?? '/', '/bin/sh', '-c', 'exec "$@"', 'sh']),
  ]
}

export interface OpenAs<T> extends AsyncDisposable {
  readonly files: T
  readonly as: Starter | undefined
}

/**
 * Opens files for a sandbox of that user, if all of it can be shown as theirs and the user may make sandboxes; else, as for no
 * user, for a sandbox of ours.
 * @param open may use the places to show files in
 */
export async function openAs<T extends AsyncDisposable & { readonly wrapper?: Wrapper }>(
  user: HostUser | 'refused' | undefined,
  bwrap: Bwrap,
  open: (places?: Places) => Promise<T>,
  onRefused: () => void,
): Promise<OpenAs<T>> {
  if (user === undefined || user === 'refused') {
    if (user === 'refused') onRefused()
    const files = await open()
    return { files, as: undefined, [Symbol.asyncDispose]: async () => files[Symbol.asyncDispose]() }
  }
  const places = new Places(user.dir)
  let files: T
  try {
    files = await open(places)
  } catch (error) {
    places[Symbol.dispose]()
    throw error
  }
  const as = { user, places }
  const dispose = async (): Promise<void> => {
    places[Symbol.dispose]()
    await files[Symbol.asyncDispose]()
  }
  if (works(as, bwrap, files.wrapper)) return { files, as, [Symbol.asyncDispose]: dispose }
  await dispose()
  return await openAs('refused', bwrap, open, onRefused)
}

/** Makes a sandbox with these files, in which nothing is shown. */
function works(as: Starter, bwrap: Bwrap, wrapper: Wrapper | undefined): boolean {
  // A sandbox has something else there: a wrapper may use one of them.
  const unused = ['ignore', 'ignore', 'ignore', 'ignore'] as const
  const argv = [
    ...[
      '-c',
      `${wrapper?.before ?? ':'}; exec "$@"`,
      'sh',
      ...starterArgv(as, 3 + unused.length, wrapper),
      ...(wrapper?.argv ?? []),
    ],
    ...[bwrap.path, '--unshare-user', '--unshare-pid', '--ro-bind', '/', '/', '--', '/bin/sh', '-c', ':'],
  ]
  const stdio = ['ignore' as const, 'ignore' as const, 'ignore' as const, ...unused, ...as.places.descriptors]
  const { status } = spawnSync('/bin/sh', argv, {
    cwd: wrapper?.cwd ?? '/',
    env: { PATH: systemPath },
    stdio,
    timeout: 60_000,
  })
  return status === 0
}
