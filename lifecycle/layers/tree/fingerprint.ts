import { createHash } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import type { ByteString } from '../../files/byte-string.ts'
import { type PartialFingerprint, fingerprintDirectories, fingerprintTop } from './partial-fingerprint.ts'
import { layerWorkers } from '../tasks.ts'

/**
 * Hashes what lstat returns for everything below a directory: path, type, mode, size, modification and change time in
 * nanoseconds, inode and device. Two equal fingerprints that were taken under one boot of one machine mean the same tree
 * with the same contents. A program can set a modification time, but not a change time: that requires setting the machine's
 * clock or writing to the disk below the file system, which no sandbox may. For directories only modes and names count, so
 * a tree may be moved.
 *
 * Returns undefined if a fingerprint would prove nothing: on a file system whose times are another machine's or too coarse,
 * on a mount below the directory, when times lie in the future because the clock was set back, and for anything that a layer
 * cannot contain, or only with a warning.
 *
 * Take it before the tree is read: a change meanwhile gets a later time. It waits until that is certain (at most 50 ms after the
 * last change), since two changes within one tick of the kernel's clock have the same time ("racily clean" in git). Workers
 * fingerprint a large tree.
 * @throws BaleError 'filesystem', which names an unreadable file or directory
 */
export async function fingerprintTree(tree: string): Promise<string | undefined> {
  const first = fingerprintDirectories(tree, [''], smallTree)
  const part = first === 'large' ? await fingerprintInWorkers(tree) : first
  if (part === undefined) return undefined
  return (await settled(part.newest)) ? part.seen : undefined
}

/** Entries. Reading so many takes 5 ms; starting a thread takes 20. */
const smallTree = 500

/** The number of parts that are hashed. It is part of the result, so it does not depend on the number of threads. */
const pieces = 16

async function fingerprintInWorkers(tree: string): Promise<PartialFingerprint | undefined> {
  const top = fingerprintTop(tree, 2 * pieces)
  if (top === undefined) return undefined
  const { directories } = top
  const each = Math.ceil(directories.length / pieces)
  const shares = Array.from({ length: pieces }, (_, i) => directories.slice(i * each, (i + 1) * each))
  const parts = await Promise.all(shares.filter(share => share.length > 0).map(share => fingerprintShare(tree, share)))
  const hash = createHash('sha256')
  let newest = 0n
  for (const part of [top.part, ...parts]) {
    if (part === undefined || part === 'large') return undefined
    hash.update(part.seen)
    if (part.newest > newest) newest = part.newest
  }
  return { seen: hash.digest('hex'), newest }
}

async function fingerprintShare(tree: string, directories: readonly ByteString[]) {
  const part = await layerWorkers.leastBusy().run({ kind: 'fingerprint', tree, directories })
  return part ?? fingerprintDirectories(tree, directories) // repeated here if a thread fails, for its error
}

/** More than a tick of any kernel's clock (at most 10 ms). */
const tick = 50n * 1_000_000n

/**
 * Waits until a change would get a later time than this one, in nanoseconds. Returns false if that takes too long, or cannot
 * be determined because the file system counts in seconds.
 */
export async function settled(newest: bigint): Promise<boolean> {
  if (newest === 0n) return true
  if (newest % 1_000_000_000n === 0n) return false
  const wait = newest + tick - BigInt(Date.now()) * 1_000_000n
  if (wait > 2n * tick) return false
  if (wait > 0n) await setTimeout(Number(wait / 1_000_000n) + 1)
  return true
}
