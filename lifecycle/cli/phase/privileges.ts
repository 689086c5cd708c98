import { mkdir, stat } from 'node:fs/promises'
import { BaleError, isErrno } from '../../errors.ts'
import type { PhaseCommand } from './binary.ts'
import type { Owner } from '../../layers/tree/entries.ts'
import type { PhaseContext } from './context.ts'
import { cnbUser } from './ownership.ts'
import { giveTree } from '../../layers/tree/give.ts'

/**
 * Drops privileges between a binary's preparation and its work. The specification does not cover users; platforms rely
 * on the behaviour of the reference lifecycle. analyzer, restorer, exporter and rebaser may start as root, give the directories that
 * the build shares to the CNB user, and continue as that user. Files that only root can open are opened before. A binary that
 * starts as an ordinary user stays that user, and cannot be told to become another.
 *
 * creator stays root: it holds the credentials and the daemon's socket, and runs no buildpack itself. extender stays root to apply
 * Dockerfiles, and runs buildpacks in a process of their user. A binary that needs a socket that only root can open stays root, too.
 * @returns a function to call after the work: it gives the files that root has created meanwhile to the CNB user
 */
export async function dropPrivileges(
  name: string,
  { owns = [], images }: PhaseCommand,
  context: PhaseContext,
): Promise<() => Promise<void>> {
  const { io } = context
  const user = cnbUser(context)
  const nothing = (): Promise<void> => Promise.resolve()
  if (io.user.uid !== 0) checkStays(user, context)
  if (io.user.uid !== 0 || user.uid === 0) return nothing
  for (const dir of owns) await makeWritable(dir, user)
  const groups = staysRoot.includes(name) ? undefined : await groupsToKeep(user, images, context)
  if (groups === undefined) {
    return async () => {
      for (const dir of owns) await giveTree(dir, user)
    }
  }
  await images?.handOver(user)
  io.become(user, groups)
  return nothing
}

const staysRoot: readonly string[] = ['creator', 'extender']

function checkStays(wanted: Owner, { io: { user } }: PhaseContext): void {
  if (wanted.uid === user.uid && wanted.gid === user.gid) return
  throw new BaleError(
    'failed',
    `the process runs as user ${user.uid}:${user.gid}, and only root can change to another user`,
    {
      where: `-uid ${wanted.uid} -gid ${wanted.gid}`,
      fix: 'start it as that user or as root, or leave out -uid and -gid',
    },
  )
}

/** Skips a directory that the user can already write to: it may be a large cache. */
async function makeWritable(dir: string, owner: Owner): Promise<void> {
  try {
    await mkdir(dir, { recursive: true })
    // After a builder's user id has changed, volumes belong wholly or partly to the old id, as in other lifecycles.
    if (!(await isWritable(dir, owner))) await giveTree(dir, owner, { from: 'anybody' })
  } catch (cause) {
    if (!isErrno(cause)) throw cause
    throw new BaleError('failed', `cannot make user ${owner.uid} its owner: ${cause.message}`, {
      where: dir,
      fix: 'mount a volume that this process can change',
      cause,
    })
  }
}

async function isWritable(dir: string, { uid, gid }: Owner): Promise<boolean> {
  const found = await stat(dir)
  if (found.uid === uid) return (found.mode & 0o300) === 0o300
  if (found.gid === gid) return (found.mode & 0o030) === 0o030
  return (found.mode & 0o003) === 0o003
}

/**
 * Returns the supplementary groups to keep: the one that owns the daemon's socket, since the process reconnects to it.
 * Returns undefined if only root may use the socket: then the process must stay root.
 */
async function groupsToKeep(
  { gid }: Owner,
  images: PhaseCommand['images'],
  { log }: PhaseContext,
): Promise<readonly number[] | undefined> {
  if (images?.daemonSocket === undefined) return [gid]
  const socket = await stat(images.daemonSocket).catch(() => undefined)
  if (socket === undefined || (socket.mode & 0o006) === 0o006) return [gid]
  if ((socket.mode & 0o060) === 0o060) return [...new Set([gid, socket.gid])]
  log.event({
    type: 'note',
    level: 'debug',
    text: `only root can use ${images.daemonSocket}, so the phase runs as root`,
  })
  return undefined
}
