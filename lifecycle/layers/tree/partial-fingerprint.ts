import { createHash } from 'node:crypto'
import { type BigIntStats, type Dirent, fstatSync, lstatSync, readdirSync, statfsSync } from 'node:fs'
import { resolve } from 'node:path'
import { type ByteString, toBuffer, toBytes } from '../../files/byte-string.ts'
import { OpenDirectory } from '../../files/open-directory.ts'
import { wrapErrnoSync } from '../../files/safe-open.ts'

/** The fingerprint of a part of a tree. Plain values, so that it can be sent between threads. */
export interface PartialFingerprint {
  /** A hash of paths, kinds, modes, and for files of sizes, times and inodes. */
  readonly seen: string
  /** The latest change time of a file, in nanoseconds since 1970. */
  readonly newest: bigint
}

/**
 * Fingerprints some directories of a tree and everything below them. The empty path is the tree itself. Returns undefined
 * if a fingerprint would prove nothing (see fingerprint.ts), and 'large' if there are more than `most` entries.
 *
 * Uses plain paths, which the kernel resolves twice as fast as descriptors. If a directory is swapped for a link meanwhile,
 * the link leads to the same inodes or to others, and the fingerprint shows which.
 * @throws BaleError 'filesystem', which names an unreadable file or directory
 */
export function fingerprintDirectories(
  tree: string,
  directories: readonly ByteString[],
  most = Infinity,
): PartialFingerprint | 'large' | undefined {
  const scan = TreeScan.at(tree)
  if (scan === undefined) return undefined
  const waiting = [...directories].reverse()
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    const inner = scan.directory(path, most)
    if (inner === undefined || inner === 'large') return inner
    for (const name of inner.reverse()) waiting.push(name) // not one call: there may be more names than a call's maximum of arguments
  }
  return scan.result()
}

/**
 * Fingerprints the top of a tree, down to the first level with so many directories. Returns these directories, which are not
 * visited yet.
 */
export function fingerprintTop(
  tree: string,
  wanted: number,
): { part: PartialFingerprint; directories: ByteString[] } | undefined {
  const scan = TreeScan.at(tree)
  if (scan === undefined) return undefined
  let level: ByteString[] = ['']
  while (level.length > 0 && level.length < wanted) {
    const next: ByteString[] = []
    for (const path of level) {
      const inner = scan.directory(path)
      if (inner === undefined) return undefined
      for (const name of inner) next.push(name)
    }
    level = next
  }
  return { part: scan.result(), directories: level }
}

/**
 * ext4 (and 2, 3), xfs, btrfs, tmpfs, overlayfs, f2fs, zfs, bcachefs: times come from this machine's clock, and there are no
 * other writers (statfs(2)).
 */
const localFileSystems = new Set([
  0xef53, 0x58465342, 0x9123683e, 0x01021994, 0x794c7630, 0xf2f52010, 0x2fc12fc1, 0xca451a4e,
])

/** PATH_MAX, which includes the final NUL. */
const longestPath = 4096

/** Collects the fingerprint of a tree. */
class TreeScan {
  #entries = 0
  readonly #top: ByteString
  readonly #device: bigint
  readonly #hash = createHash('sha256')
  #newest = 0n

  private constructor(top: ByteString, device: bigint) {
    this.#top = top
    this.#device = device
  }

  /**
   * Returns undefined on a file system whose times prove nothing. @throws BaleError if the tree is a link or not a
   * directory
   */
  static at(tree: string): TreeScan | undefined {
    const path = resolve(tree)
    const host = toBytes(path)
    const top = wrapErrnoSync(host, () => OpenDirectory.open(path))
    try {
      if (!localFileSystems.has(statfsSync(`/proc/self/fd/${top.fd}`).type)) return undefined
      return new TreeScan(host, wrapErrnoSync(host, () => fstatSync(top.fd, { bigint: true })).dev)
    } finally {
      top.close()
    }
  }

  /**
   * Records a directory and its entries. Returns its subdirectories, undefined if nothing can be proved, or 'large' before
   * it visits any entry if that makes more than `most` entries.
   */
  directory(path: ByteString): ByteString[] | undefined
  directory(path: ByteString, most: number): ByteString[] | 'large' | undefined
  directory(path: ByteString, most = Infinity): ByteString[] | 'large' | undefined {
    const own = this.#stat(path)
    if (own?.isDirectory() !== true) return undefined
    const inner: ByteString[] = []
    let lines = `${path}\0d${own.mode}\n`
    const entries = this.#list(path)
    this.#entries += entries.length
    if (this.#entries > most) return 'large'
    for (const entry of entries) {
      const child = path === '' ? entry.name : `${path}/${entry.name}`
      if (entry.isDirectory()) {
        inner.push(child)
        continue
      }
      const stats = this.#stat(child)
      if (stats === undefined) return undefined
      const { mode, size, mtimeNs, ctimeNs, ino } = stats
      const plain = stats.isSymbolicLink() || (stats.isFile() && (mode & 0o6000n) === 0n)
      if (!plain) return undefined
      lines += `${child}\0${mode} ${size} ${mtimeNs} ${ctimeNs} ${ino}\n`
      if (ctimeNs > this.#newest) this.#newest = ctimeNs
    }
    this.#hash.update(lines, 'latin1')
    return inner
  }

  result(): PartialFingerprint {
    return { seen: this.#hash.update(`${this.#device}`).digest('hex'), newest: this.#newest }
  }

  #list(path: ByteString): Dirent[] {
    const host = this.#hostPath(path)
    const entries = wrapErrnoSync(host, () => readdirSync(toBuffer(host), { withFileTypes: true, encoding: 'latin1' }))
    return entries.sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  /** Returns undefined on another device, or for a path that is too long for the kernel. */
  #stat(path: ByteString): BigIntStats | undefined {
    const host = this.#hostPath(path)
    if (host.length >= longestPath) return undefined
    const stats = wrapErrnoSync(host, () => lstatSync(toBuffer(host), { bigint: true }))
    return stats.dev === this.#device ? stats : undefined
  }

  #hostPath(path: ByteString): ByteString {
    return path === '' ? this.#top : `${this.#top}/${path}`
  }
}
