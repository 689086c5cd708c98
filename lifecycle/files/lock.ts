import { lstat, mkdir, readdir, rmdir, unlink, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { BaleError, isErrno } from '../errors.ts'
import { wrapErrno } from './wrap-errno.ts'
import { leaseName, leaseState } from './lease.ts'

/**
 * In milliseconds. An older ticket of an invisible process (in another container, on another machine) counts as
 * dead.
 */
const foreignTicketLife = 60_000
const refreshEvery = 10_000
const patience = 300_000

/**
 * Runs `work` under an exclusive lock on `dir`, a directory that exists only while a process uses the lock.
 *
 * Node has no flock, and a lock file that must be removed after a crash can be removed twice: the second process would
 * remove the lock that the first has just acquired. Here no process removes another's lock. Each draws a ticket, a file
 * whose name is used once: a number above all that it sees, then its owner. Tickets are ordered by name, and:
 *
 * 1. a process that sees a later ticket of a living process right after making its own withdraws it and draws again;
 * 2. a process that sees no earlier ticket of a living process after that holds the lock.
 *
 * Two cannot hold it. Of tickets x < y, y's owner did not see x, so x was made after y's check. Then y existed when x's
 * owner looked for later tickets, and x was withdrawn. Dead processes stay dead, so their tickets can be ignored at any time and
 * deleted by any process. This only requires that a directory listing shows every entry that exists throughout it (POSIX
 * readdir).
 */
export async function withLock<T>(dir: string, work: () => T | Promise<T>, signal?: AbortSignal): Promise<T> {
  const ticket = await wrapErrno(dir, () => acquire(dir, signal))
  try {
    return await work()
  } finally {
    await discard(dir, ticket)
  }
}

async function acquire(dir: string, signal?: AbortSignal): Promise<string> {
  const start = performance.now()
  for (;;) {
    const ticket = await drawTicket(dir)
    let ours = false
    try {
      ours = ticket !== undefined && (await waitForTurn(dir, ticket, start, signal))
      if (ours) return ticket as string
    } finally {
      if (!ours && ticket !== undefined) await discard(dir, ticket)
    }
  }
}

/** Draws a ticket. Returns undefined if it has to be drawn again. */
async function drawTicket(dir: string): Promise<string | undefined> {
  const last = (await ticketsIn(dir)).at(-1)
  const number = last === undefined ? 1 : parseInt(last, 10) + 1
  const ticket = `${String(number).padStart(10, '0')}.${leaseName()}`
  await makeDirectory(dir)
  try {
    // Follows no link, which would lead tickets to a directory that the user did not name.
    if ((await lstat(dir)).isSymbolicLink()) throw new BaleError('input', 'it is a symbolic link', { where: dir })
    await writeFile(join(dir, ticket), '', { flag: 'wx' })
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined // another process has just removed the empty directory
    throw error
  }
  const later = (await ticketsIn(dir)).filter(other => other > ticket)
  if ((await firstAlive(dir, later)) === undefined) return ticket
  await discard(dir, ticket)
  return undefined
}

/** Even with `recursive`, mkdir fails if another process removes the empty directory during its check. */
async function makeDirectory(dir: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await mkdir(dir, { recursive: true })
      return
    } catch (error) {
      if (!isErrno(error, 'ENOENT') || attempt === 100) throw error
    }
  }
}

/** Returns false if a process that cannot see this one considered it dead, since it was stopped for a minute. */
async function waitForTurn(dir: string, ticket: string, start: number, signal?: AbortSignal): Promise<boolean> {
  let refreshed = performance.now()
  for (let pause = 2; ; pause = Math.min(pause * 2, 50)) {
    signal?.throwIfAborted()
    const seen = await ticketsIn(dir)
    if (!seen.includes(ticket)) return false
    const holder = await firstAlive(
      dir,
      seen.filter(other => other < ticket),
    )
    if (holder === undefined) return true
    if (performance.now() - start > patience) throw tooLong(join(dir, holder))
    await sleep(pause)
    if (performance.now() - refreshed < refreshEvery) continue
    refreshed = performance.now()
    await utimes(join(dir, ticket), new Date(), new Date()).catch(() => {})
  }
}

/**
 * Tickets of this process that could not be deleted. They are void although the process lives. Other processes wait
 * until it ends.
 */
const discarded = new Set<string>()

async function discard(dir: string, ticket: string): Promise<void> {
  await unlink(join(dir, ticket)).catch(() => discarded.add(ticket))
  await rmdir(dir).catch(() => {}) // other processes may be waiting in it
}

function tooLong(holder: string): BaleError {
  return new BaleError('filesystem', 'another process has kept this lock for five minutes', {
    where: holder,
    fix: 'wait for the other build; if none is running, delete this file',
  })
}

/** Returns the first ticket whose owner may be alive. Deletes tickets of dead owners on the way. */
async function firstAlive(dir: string, tickets: readonly string[]): Promise<string | undefined> {
  for (const ticket of tickets) {
    const owner = discarded.has(ticket) ? 'dead' : leaseState(ticket.slice(ticket.indexOf('.') + 1))
    if (owner === 'alive') return ticket
    if (owner === 'unknown' && !(await isOld(join(dir, ticket)))) return ticket
    await unlink(join(dir, ticket)).catch(() => {}) // another process may be first
  }
  return undefined
}

async function isOld(path: string): Promise<boolean> {
  try {
    return Date.now() - (await lstat(path)).mtimeMs > foreignTicketLife
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return true
    throw error
  }
}

/** Lists tickets in the order of their turns. */
async function ticketsIn(dir: string): Promise<string[]> {
  try {
    return (await readdir(dir)).filter(name => /^\d{10}\./.test(name)).sort()
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return []
    throw error
  }
}
