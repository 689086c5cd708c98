import { lstat } from 'node:fs/promises'
import { join } from 'node:path'
import { BaleError, isErrno } from '../errors.ts'
import { readSmall } from '../files/read.ts'

export interface Account {
  readonly uid: number
  readonly gid: number
  readonly home: string
}

/** Bytes of an /etc/passwd or /etc/group; a list of 10,000 accounts has about one million. */
const mostBytes = 4 * 1024 * 1024
/** The largest valid id of the kernel. The next one means "do not change". */
const largestId = 2 ** 32 - 2

/**
 * Finds the user that an image names (image-spec config.md, `User`: `user`, `uid`, `user:group` or `uid:gid`), root if it names
 * none. Names are looked up in the image's own files; an id need not be in them.
 * @throws BaleError 'input' for an unknown name
 */
export async function findAccount(rootfs: string, user: string): Promise<Account> {
  const [name = '', group] = user.split(':')
  const entries = await readAccounts(rootfs, 'passwd')
  const wanted = name === '' ? '0' : name
  const entry = entries.find(([login, , uid]) => login === wanted || uid === wanted)
  const uid = idOf(entry?.[2] ?? wanted)
  if (uid === undefined) throw unknown('user', wanted, rootfs)
  const gid = group ? await findGroup(rootfs, group) : (idOf(entry?.[3]) ?? 0)
  return { uid, gid, home: entry?.[5] || '/' }
}

async function findGroup(rootfs: string, group: string): Promise<number> {
  const entries = await readAccounts(rootfs, 'group')
  const gid = idOf(entries.find(([name]) => name === group)?.[2] ?? group)
  if (gid === undefined) throw unknown('group', group, rootfs)
  return gid
}

function idOf(text: string | undefined): number | undefined {
  if (text === undefined || !/^\d{1,10}$/.test(text)) return undefined
  const id = Number(text)
  return id <= largestId ? id : undefined
}

function unknown(kind: string, name: string, rootfs: string): BaleError {
  return new BaleError('input', `the image has no ${kind} ${JSON.stringify(name)}, which its configuration names`, {
    where: `${rootfs}/etc/${kind === 'user' ? 'passwd' : 'group'}`,
  })
}

/** The fields of each line. Follows no links: in an unpacked image a link may lead anywhere on the host. */
async function readAccounts(rootfs: string, file: 'passwd' | 'group'): Promise<string[][]> {
  const etc = await lstat(join(rootfs, 'etc')).catch((error: unknown) => {
    if (isErrno(error, 'ENOENT')) return undefined
    throw error
  })
  if (!etc?.isDirectory()) return []
  const bytes = await readSmall(join(rootfs, 'etc', file), mostBytes)
  const lines = Buffer.from(bytes ?? [])
    .toString()
    .split('\n')
  return lines.map(line => line.split(':'))
}
