import { spawnSync } from 'node:child_process'
import { statSync } from 'node:fs'
import { subordinateRanges, textOf } from '../processes/host-ids.ts'
import { systemPath } from '../processes/launch.ts'
import { readProc } from '../processes/proc.ts'
import type { Bwrap } from './bwrap.ts'
import type { Warning } from './landlock.ts'
import { Places } from './places.ts'
import type { Wrapper } from './wrapper.ts'

/** The user as which the host sees the processes of root's sandboxes. */
export interface HostUser {
  /** The id of user and group, which no account has. */
  readonly id: number
  /** The program of engines/landlock. */
  readonly starter: string
  /** A directory of the host on which the starter mounts. */
  readonly dir: string
}

/** A user, and the files of root that appear as the user's own. */
export interface Starter {
  readonly user: HostUser
  readonly places: Places
}

// Between the ids of containers and the ids that systemd reserves (systemd.io/UIDS-GIDS).
const firstId = 1_900_000_000
/** One more than Linux's largest pid. */
const pids = 4_194_304
const attempts = 16
/** Candidates for the directory: it depends on the distribution which exist. Starting a sandbox does not need their contents. */
const coverable = ['/mnt', '/media', '/srv', '/home']

/**
 * Chooses for root an id that no account and no container has, and that differs for each Bale process: a sandbox that reaches a file
 * of the host then has no rights of root (X51). Undefined for other users; the root of a user namespace is another user outside.
 * @param program the program of engines/landlock, if it exists
 */
export function findHostUser(program: string | undefined): HostUser | 'refused' | undefined {
  if (process.geteuid?.() !== 0 || !/^\s*0\s+0\s+4294967295\s*$/.test(readProc('self/uid_map') ?? '')) return undefined
  const dir = coverable.find(path => statSync(path, { throwIfNoEntry: false })?.isDirectory())
  const ids = Array.from({ length: attempts }, (_, n) => firstId + n * pids + (process.pid % pids))
  const id = ids.find(isFree)
  return program === undefined || dir === undefined || id === undefined ? 'refused' : { id, starter: program, dir }
}

const fix =
  'use Linux 5.19 or newer with the capability CAP_SYS_ADMIN and file systems that can map ids, or start Bale as an ordinary user'

export const asRoot: Warning = {
  text: 'processes in the sandbox run as root on this machine, without capabilities: they can open any file of the host that they reach as root can (X51)',
  fix,
}

/** For a user namespace with many ids, whose root is root here. */
export const asRootWithCapabilities: Warning = {
  text: 'programs that the Dockerfiles of image extensions start run as root on this machine, with capabilities for files of root and of their own ids: they can change any such file of the host that they reach (X51, X52)',
  fix,
}

function isFree(id: number): boolean {
  if (subordinateRanges().some(({ first, count }) => id >= first && id < first + count)) return false
  return ['passwd', 'group'].every(database => {
    // getent also queries a network directory of accounts. Its status 2 means no such account.
    const { status, error } = spawnSync('getent', [database, String(id)], { env: { PATH: systemPath }, timeout: 5000 })
    if (error === undefined) return status === 2
    return !textOf(`/etc/${database}`)
      .split('\n')
      .some(line => line.split(':')[2] === String(id))
  })
}

/**
 * A command that executes the rest of its arguments as the user.
 * @param firstFd the first place's descriptor in that process
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
 * Opens files for a sandbox of that user, if all files can be mounted as the user's and the user may make sandboxes; otherwise, as
 * without a user, for a sandbox of this process's user.
 * @param open may use the places to mount files
 * @param before a command that must execute the starter
 */
export async function openAs<T extends AsyncDisposable & { readonly wrapper?: Wrapper }>(
  user: HostUser | 'refused' | undefined,
  bwrap: Bwrap,
  open: (places?: Places) => Promise<T>,
  onRefused: () => void,
  before: (as: Starter | undefined) => readonly string[] = () => [],
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
  if (works(as, bwrap, before(as), files.wrapper)) return { files, as, [Symbol.asyncDispose]: dispose }
  await dispose()
  return await openAs('refused', bwrap, open, onRefused, before)
}

/** Tries a sandbox with these files, without mounts. */
function works(as: Starter, bwrap: Bwrap, before: readonly string[], wrapper: Wrapper | undefined): boolean {
  // A sandbox has other descriptors there: a wrapper may use one of them.
  const unused = ['ignore', 'ignore', 'ignore', 'ignore'] as const
  const argv = [
    ...[
      '-c',
      `${wrapper?.before ?? ':'}; exec "$@"`,
      'sh',
      ...before,
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
