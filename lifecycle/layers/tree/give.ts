import { chownSync, closeSync, fstatSync, lstatSync } from 'node:fs'
import { setImmediate } from 'node:timers/promises'
import { type ByteString, toBytes } from '../../files/byte-string.ts'
import type { OpenDirectory } from '../../files/open-directory.ts'
import { openParent, wrapErrnoSync } from '../../files/safe-open.ts'
import type { Owner } from './entries.ts'
import { walk } from './walk.ts'

const entriesAtOnce = 256

/** The present owners whose files change: root, or any owner. */
type From = 'root' | 'anybody'

export interface GiveOptions {
  /** `anybody` for a volume with files of earlier builds' users; `root` by default. */
  readonly from?: From
  /** An entry of the directory that keeps its owner, with everything below. */
  readonly except?: string
}

/**
 * Gives a directory, and all files of root below it, to a user. The walk goes from descriptor to descriptor and changes the
 * very inode that it checked: a process that swaps a directory for a link meanwhile (X35) gets no files from outside. Files
 * with several names stay root's: one may be a hard link to a file elsewhere.
 * @param dir its parents are trusted; it may itself be a link, which is then not followed
 * @throws BaleError 'filesystem', which names the entry whose owner cannot be changed
 */
export async function giveTree(dir: string, owner: Owner, options: GiveOptions = {}): Promise<void> {
  const { from = 'root', except } = options
  const host = toBytes(dir)
  const { parent, name } = openParent({ hostPath: dir })
  try {
    if (!giveEntry(parent, name, host, { from, to: owner })) return
    const top = wrapErrnoSync(host, () => parent.enter(name))
    try {
      let given = 0
      for (const found of walk(top, host, path => path.toString() === except)) {
        giveEntry(found.parent, found.name, `${host}/${found.path}`, { from, to: owner })
        if (++given % entriesAtOnce === 0) await setImmediate()
      }
    } finally {
      top.close()
    }
  } finally {
    parent.close()
  }
}

/** Changes the owner of one entry of an open directory, if it is one of `from`. Returns whether it is a directory. */
function giveEntry(
  parent: OpenDirectory,
  name: ByteString,
  host: ByteString,
  { from, to: { uid, gid } }: { readonly from: From; readonly to: Owner },
): boolean {
  return wrapErrnoSync(host, () => {
    // Most files already have another owner, which one call shows. A file that is swapped in afterwards is not given away.
    const seen = from === 'root' ? lstatSync(parent.path(name)) : undefined
    if (seen !== undefined && seen.uid !== 0) return seen.isDirectory()
    const fd = parent.openPath(name)
    try {
      const stat = fstatSync(fd)
      const given = (from === 'anybody' || stat.uid === 0) && (stat.isDirectory() || stat.nlink === 1)
      // This resolves to the inode of the descriptor, and does not follow it if it is a link.
      if (given) chownSync(`/proc/self/fd/${fd}`, uid, gid)
      return stat.isDirectory()
    } finally {
      closeSync(fd)
    }
  })
}
