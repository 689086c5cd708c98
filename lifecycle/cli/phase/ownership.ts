import { lchown, lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { PhaseContext } from './binary.ts'

export interface Owner {
  readonly uid: number
  readonly gid: number
}

/** The CNB user: -uid and -gid, or whoever the binary was started as. */
export function cnbUser({ inputs, io }: Pick<PhaseContext, 'inputs' | 'io'>): Owner {
  return { uid: inputs.number('uid') ?? io.user.uid, gid: inputs.number('gid') ?? io.user.gid }
}

/**
 * Gives a directory, and all that root owns below it, to a user. Links are not followed, and files with several names stay
 * as they are: one may be a file of root's elsewhere, which somebody has given a name here.
 */
export async function giveTree(dir: string, owner: Owner): Promise<void> {
  const stat = await lstat(dir)
  const given = stat.uid === 0 && (stat.isDirectory() || stat.nlink === 1)
  if (given) await lchown(dir, owner.uid, owner.gid)
  if (!stat.isDirectory()) return
  for (const name of await readdir(dir)) await giveTree(join(dir, name), owner)
}
