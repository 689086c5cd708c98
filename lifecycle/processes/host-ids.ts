import { readFileSync, readdirSync } from 'node:fs'
import { userInfo } from 'node:os'
import { readProc } from './proc.ts'

// Which ids of this machine have an owner already: an account, a user's subordinate range, a container that runs.

/** Consecutive ids. */
export interface IdRange {
  readonly first: number
  readonly count: number
}

/** The kernel's ids end here; the next one means "do not change". */
const end = 2 ** 32 - 1
/** Where subordinate ids begin, and how many a user gets: login.defs(5). */
const [firstOfUsers, idsOfUser] = [100_000, 65_536]

/** The ranges in a file of subuid(5), with the name or number of the user that each belongs to. */
export function parseSubordinate(text: string): (IdRange & { readonly owner: string })[] {
  return text.split('\n').flatMap(line => {
    const [owner = '', first = '', count = ''] = line.trim().split(':')
    if (!/^\d{1,10}$/.test(first) || !/^\d{1,10}$/.test(count)) return []
    return [{ owner, first: Number(first), count: Number(count) }]
  })
}

/** All subordinate ranges of this machine. */
export const subordinateRanges = (): IdRange[] =>
  ['/etc/subuid', '/etc/subgid'].flatMap(file => parseSubordinate(textOf(file)))

/** The ids of users and groups in the machine's own files. */
export const localAccounts = (): IdRange[] =>
  ['/etc/passwd', '/etc/group']
    .flatMap(file =>
      textOf(file)
        .split('\n')
        .map(line => line.split(':')[2] ?? ''),
    )
    .filter(id => /^\d{1,10}$/.test(id))
    .map(id => ({ first: Number(id), count: 1 }))

/** The ids that user namespaces of running processes have, other than those that they share with the machine. */
export function mappedRanges(): IdRange[] {
  const processes = readdirSync('/proc').filter(name => /^\d+$/.test(name))
  const lines = processes.flatMap(pid =>
    ['uid_map', 'gid_map'].flatMap(name => (readProc(`${pid}/${name}`) ?? '').split('\n')),
  )
  // Most processes have the machine's ids, all with the same line.
  return [...new Set(lines)].flatMap(line => {
    const [inside, outside, count] = line.trim().split(/\s+/).map(Number)
    return outside === undefined || count === undefined || inside === outside ? [] : [{ first: outside, count }]
  })
}

/** Returns the first candidate from which so many ids are free. Undefined if there is none. */
export function firstFree(candidates: readonly number[], count: number, taken: readonly IdRange[]): number | undefined {
  const isFree = (first: number): boolean =>
    taken.every(other => first + count <= other.first || other.first + other.count <= first)
  return candidates.find(first => first + count <= end && isFree(first))
}

/**
 * How to give a user subordinate ids that nobody has: two users with the same ids could change each other's files.
 * @param taken the ids that have an owner
 */
export function addSubordinateIds(
  username: string,
  taken: readonly IdRange[] = [...subordinateRanges(), ...localAccounts()],
): string {
  const ends = taken.map(range => range.first + range.count).filter(id => id > firstOfUsers)
  const first = firstFree([firstOfUsers, ...ends.sort((a, b) => a - b)], idsOfUser, taken)
  if (first === undefined) return 'as root: remove the ranges of former users from /etc/subuid and /etc/subgid'
  const range = `${first}-${first + idsOfUser - 1}`
  return `as root: usermod --add-subuids ${range} --add-subgids ${range} ${username}`
}

/** The name of this process's user; undefined without an account. */
export function ownName(): string | undefined {
  try {
    return userInfo().username
  } catch {
    return undefined
  }
}

/** Returns the text of a file, and none if it cannot be read. */
export function textOf(file: string): string {
  try {
    return readFileSync(file, 'latin1')
  } catch {
    return ''
  }
}
