import { createHash } from 'node:crypto'
import { fstatSync, lstatSync, statfsSync } from 'node:fs'
import { setImmediate, setTimeout } from 'node:timers/promises'
import type { HostPlace } from './entries.ts'
import { naming, openDirectory } from './host.ts'
import { toBytes } from './bytes.ts'
import { walk } from './walk.ts'

/**
 * What lstat says of everything below a directory, as one hash: path, type, mode, size, modification and change time in
 * nanoseconds, inode and device. Two that are equal, taken under one boot of one machine, are of the same tree with the
 * same contents. A program can set a modification time, but not a change time: for that it would have to set the
 * machine's clock or write to the disk beneath the file system, and no sandbox may. Of directories only modes and names
 * count, so a tree may be moved.
 *
 * Undefined if it would prove nothing: on a file system whose times are another machine's or too coarse, on a mount below
 * the directory, when times lie in the future because the clock was set back, and for anything that a layer cannot hold
 * or holds with a warning.
 *
 * Take it before the tree is read: a change meanwhile gets a later time. It waits until that is so (at most 50 ms after
 * the last change), since two changes within one tick of the kernel's clock have the same time ("racily clean" in git).
 * @throws BaleError 'filesystem' naming what cannot be read
 */
export async function fingerprintTree(place: HostPlace): Promise<string | undefined> {
  const host = toBytes(place.hostPath)
  const top = openDirectory(place)
  try {
    const { dev, mode } = naming(host, () => fstatSync(top.fd, { bigint: true }))
    if (!localFileSystems.has(statfsSync(`/proc/self/fd/${top.fd}`).type)) return undefined
    const hash = createHash('sha256').update(`${dev} ${mode}\n`)
    let newest = 0n
    let lines = ''
    for (const { path, name, kind, parent, directory } of walk(top, host)) {
      const stats = naming(`${host}/${path}`, () =>
        directory ? fstatSync(directory.fd, { bigint: true }) : lstatSync(parent.path(name), { bigint: true }),
      )
      if (stats.dev !== dev) return undefined
      if (directory !== undefined) {
        lines += `${path}\0d${stats.mode}\n`
        hash.update(lines, 'latin1')
        lines = ''
        await setImmediate() // reading is synchronous: let the others run
        continue
      }
      const { mode, size, mtimeNs, ctimeNs, ino } = stats
      if ((kind !== 'file' && kind !== 'symlink') || (kind === 'file' && (mode & 0o6000n) !== 0n)) return undefined
      lines += `${path}\0${mode} ${size} ${mtimeNs} ${ctimeNs} ${ino}\n`
      if (ctimeNs > newest) newest = ctimeNs
    }
    return (await settled(newest)) ? hash.update(lines, 'latin1').digest('hex') : undefined
  } finally {
    top.close()
  }
}

/** ext4 (and 2, 3), xfs, btrfs, tmpfs, overlayfs, f2fs, zfs, bcachefs: this machine's clock, no other writers (statfs(2)). */
const localFileSystems = new Set([
  0xef53, 0x58465342, 0x9123683e, 0x01021994, 0x794c7630, 0xf2f52010, 0x2fc12fc1, 0xca451a4e,
])

/** More than a tick of any kernel's clock, which is at most 10 ms. */
const tick = 50n * 1_000_000n

/**
 * Waits until a change would get a later time than this one, in nanoseconds; false if that takes too long, or cannot be
 * told since the file system counts in seconds.
 */
export async function settled(newest: bigint): Promise<boolean> {
  if (newest === 0n) return true
  if (newest % 1_000_000_000n === 0n) return false
  const wait = newest + tick - BigInt(Date.now()) * 1_000_000n
  if (wait > 2n * tick) return false
  if (wait > 0n) await setTimeout(Number(wait / 1_000_000n) + 1)
  return true
}
