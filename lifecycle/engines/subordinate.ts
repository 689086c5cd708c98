import { spawnSync } from 'node:child_process'
import { BaleError, isErrno } from '../errors.ts'
import { removeTree } from '../files/remove.ts'
import { findProgram } from '../processes/find-program.ts'
import {
  type IdRange,
  addSubordinateIds,
  firstFree,
  localAccounts,
  mappedRanges,
  ownName,
  parseSubordinate,
  subordinateRanges,
  textOf,
} from '../processes/host-ids.ts'
import { systemPath } from '../processes/launch.ts'
import { readProc } from '../processes/proc.ts'

// A user namespace with many ids: its root is the user of this process, and its other ids are subordinate ids of that user
// (subuid(5), newuidmap(1)). Programs there install packages and change owners as root does, and own no file of the machine.

/** The ids 1 to 65535 of an image: 0 is the user itself. */
const wanted = 65_535
/** For root's sandboxes: above the ids in host-user.ts, below 2³¹. */
const firstOfRoot = 2_000_000_000
const ranges = 2048

/** The host's first id for id 1 of the namespace, for users and for groups, and how many follow. */
export interface SubordinateIds {
  readonly users: IdRange
  readonly groups: IdRange
}

/**
 * Finds the ids for a namespace of this user.
 * @throws BaleError 'engine' if there are none, with what to install
 */
export async function findSubordinateIds(): Promise<SubordinateIds> {
  if (process.geteuid?.() === 0) {
    if (!/^\s*0\s+0\s+4294967295\s*$/.test(readProc('self/uid_map') ?? ''))
      throw missing('root of a container with its own ids cannot pass on other ids')
    const range = rangeOfRoot()
    return { users: range, groups: range }
  }
  for (const name of ['newuidmap', 'newgidmap']) {
    if ((await findProgram(name, systemPath)) === undefined)
      throw missing(`${name} is not installed`, 'as root: apt-get install uidmap (or shadow-utils)')
  }
  return { users: rangeIn('/etc/subuid'), groups: rangeIn('/etc/subgid') }
}

/** Differs for each Bale process: builds that run at the same time share no ids. */
function rangeOfRoot(): IdRange {
  const candidates = Array.from({ length: ranges }, (_, n) => firstOfRoot + ((process.pid + n) % ranges) * wanted)
  const first = firstFree(candidates, wanted, [...subordinateRanges(), ...localAccounts(), ...mappedRanges()])
  if (first === undefined) throw missing('all ids of this machine are taken')
  return { first, count: wanted }
}

function rangeIn(file: string): IdRange {
  const uid = process.geteuid?.() ?? 0
  const name = ownName()
  if (name === undefined) {
    const fix = `as root: useradd --uid ${uid} NAME, which also gives it subordinate ids`
    throw missing(`your user ${uid} has no account, which newuidmap needs`, fix)
  }
  const found = subordinateRange(textOf(file), [name, String(uid)])
  if (found !== undefined) return found
  throw missing(`your user has fewer than ${wanted} subordinate ids in ${file}`, addSubordinateIds(name))
}

/** The first range of a user that is large enough, in a file of subuid(5). Undefined if there is none. */
export function subordinateRange(text: string, names: readonly string[]): IdRange | undefined {
  const found = parseSubordinate(text).find(({ owner, count }) => names.includes(owner) && count >= wanted)
  return found && { first: found.first, count: wanted }
}

const missing = (why: string, fix = 'build on a machine, as an ordinary user with subordinate ids'): BaleError =>
  new BaleError(
    'engine',
    `image extensions install programs as root of a user namespace, which is not possible: ${why}`,
    {
      where: 'subuid(5)',
      fix,
    },
  )

/** Executes the rest of its arguments in namespaces of its own, once another process has mapped the ids. */
export const mappedNamespaces: readonly string[] = [
  ...['unshare', '--user', '--mount', '--', 'sh', '-c'],
  ...['until read -r _ </proc/self/gid_map; do sleep 0.01; done; exec "$@"', 'sh'],
]

// Waits until the process with this id is in another user namespace, and maps its ids. It must stay outside: a process cannot give
// itself ids of others. If that fails the process would wait forever. It is ended by SIGPIPE, the signal that shells do not comment on:
// the only line of output is then the reason.
const mapIds = `
outer=$(readlink /proc/self/ns/user)
( {
  until new=$(readlink "/proc/$1/ns/user") && [ "$new" != "$outer" ]; do
    [ -e "/proc/$1" ] || exit
    sleep 0.01
  done
  if [ "$2" = direct ]; then
    printf '0 %s 1\\n1 %s %s\\n' "$3" "$5" "$6" >"/proc/$1/uid_map" && printf '0 %s 1\\n1 %s %s\\n' "$4" "$7" "$8" >"/proc/$1/gid_map"
  else
    newuidmap "$1" 0 "$3" 1 1 "$5" "$6" && newgidmap "$1" 0 "$4" 1 1 "$7" "$8"
  fi || kill -PIPE "$1"
} & )
shift 8
exec "$@"`

/**
 * A command that executes the rest of its arguments, and maps the ids of the user namespace that they make.
 * @param owner the host's user and group that are root there
 */
export function mapperArgv(
  { users, groups }: SubordinateIds,
  owner: { readonly uid: number; readonly gid: number },
): string[] {
  const how = process.geteuid?.() === 0 ? 'direct' : 'program'
  const ids = [owner.uid, owner.gid, users.first, users.count, groups.first, groups.count].map(String)
  return ['sh', '-c', `set -- $$ "$@"\n${mapIds}`, 'sh', how, ...ids]
}

/** Removes directories that contain files of such ids: a namespace may remove them, their user may not. */
export function removeMapped(ids: SubordinateIds, paths: readonly string[]): void {
  const owner = { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 }
  const [program = '', ...args] = [...mapperArgv(ids, owner), ...mappedNamespaces, 'rm', '-rf', '--', ...paths]
  spawnSync(program, args, { env: { PATH: systemPath }, cwd: '/', stdio: 'ignore', timeout: 600_000 })
}

/**
 * Removes a tree that may contain directories of such ids, as a killed build leaves them.
 * @param remove what is tried first
 */
export async function removeLeftover(path: string, remove = removeTree): Promise<void> {
  try {
    await remove(path)
  } catch (error) {
    if (!(error instanceof BaleError && isErrno(error.cause, 'EACCES', 'EPERM'))) throw error
    const ids = await findSubordinateIds().catch(() => undefined)
    if (ids === undefined) throw error
    removeMapped(ids, [path])
    await remove(path)
  }
}
