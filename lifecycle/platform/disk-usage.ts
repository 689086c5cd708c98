import { lstatSync } from 'node:fs'
import { lstat, mkdir, readdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { removeLeftover } from '../engines/subordinate.ts'
import { isErrno } from '../errors.ts'
import { wrapErrno } from '../files/wrap-errno.ts'
import { leaseName, leaseState } from '../files/lease.ts'
import { requireOwn } from '../files/own-directory.ts'
import { readSmall } from '../files/read.ts'
import { OpenDirectory } from '../files/open-directory.ts'
import { walk } from '../layers/tree/walk.ts'
import { identityFile, usersDir } from './app-cache.ts'
import { extendedDir, unpackedLayersDir } from './builders/unpacked-layers.ts'

/** An entry of Bale's cache directory. */
export interface UsageRecord {
  /**
   * The cache of an app; an image unpacked to be run; a layer of builders, unpacked or made by image extensions; the working directory of a build or a
   * run; an entry of another version.
   */
  readonly kind: 'app' | 'image' | 'layer' | 'temporary' | 'other'
  /** The destination of the app's image, the image's ID, or the name of the directory. */
  readonly name: string
  readonly path: string
  /** The size on the disk. */
  readonly bytes: number
  readonly parts: readonly { readonly name: string; readonly bytes: number }[]
  readonly lastUsed: Date
  readonly inUse: boolean
}

/** What to remove. Entries in use always stay, and leftovers of killed processes are always removed. */
export interface PruneRule {
  /** Milliseconds. */
  readonly olderThan?: number
  /** Removes the least recently used entries until the rest has at most so many bytes. */
  readonly keepBytes?: number
  readonly all?: boolean
}

/** In milliseconds. Entries with an unknown owner count as in use for no longer than this. */
const abandonedAfter = 24 * 3600_000
const runPrefix = '.run-'

/** Lists all entries, the most recently used first. */
export async function diskUsage(cacheDir: string): Promise<UsageRecord[]> {
  await requireOwn(cacheDir, 'XDG_CACHE_HOME')
  const folders = await namesIn(cacheDir)
  const kept: (UsageRecord | undefined)[] = []
  for (const name of await namesIn(join(cacheDir, 'apps'))) kept.push(await app(join(cacheDir, 'apps', name), name))
  const unpacked = await namesIn(join(cacheDir, 'unpacked'))
  // A run does not record its image.
  const running = unpacked.some(
    name => name.startsWith(runPrefix) && leaseState(name.slice(runPrefix.length)) !== 'dead',
  )
  for (const name of unpacked) {
    const path = join(cacheDir, 'unpacked', name)
    const isImage = /^[0-9a-f]{64}$/.test(name)
    kept.push(isImage ? await described('image', path, name, running) : await temporary(path, name))
  }
  // A build does not record its builder.
  const building = (await namesIn(join(cacheDir, 'work'))).some(name => leaseState(name) !== 'dead')
  for (const name of await namesIn(join(cacheDir, unpackedLayersDir))) {
    const path = join(cacheDir, unpackedLayersDir, name)
    const isLayer = /^(chain-)?[0-9a-f]{64}/.test(name)
    kept.push(isLayer ? await described('layer', path, name, building) : await temporary(path, name))
  }
  for (const name of await namesIn(join(cacheDir, extendedDir)))
    kept.push(await described('layer', join(cacheDir, extendedDir, name), name, building))
  for (const folder of ['work', 'tmp'])
    for (const name of await namesIn(join(cacheDir, folder)))
      kept.push(await temporary(join(cacheDir, folder, name), name))
  const known = ['apps', 'unpacked', unpackedLayersDir, extendedDir, 'work', 'tmp']
  const others = folders.filter(name => !known.includes(name))
  for (const name of others) kept.push(await described('other', join(cacheDir, name), name, false))
  return kept.filter(item => item !== undefined).sort((a, b) => b.lastUsed.getTime() - a.lastUsed.getTime())
}

/**
 * Removes and returns the entries that the rule selects. Builds may run meanwhile: entries in use stay. A build that starts at this
 * very moment finds no cache, or a complete one, since a directory is renamed before anything in it is deleted.
 * @throws BaleError 'filesystem' for the first entry that cannot be removed, after all others are
 */
export async function prune(cacheDir: string, rule: PruneRule, now = Date.now()): Promise<UsageRecord[]> {
  const going = choose(await diskUsage(cacheDir), rule, now)
  // Builds clean this directory up if this process is killed.
  const aside = join(cacheDir, 'work')
  if (going.length > 0) await wrapErrno(aside, () => mkdir(aside, { recursive: true }))
  const failed: unknown[] = []
  for (const { path } of going) await removeAside(path, aside).catch((error: unknown) => failed.push(error))
  if (failed.length > 0) throw failed[0]
  return going
}

async function removeAside(path: string, aside: string): Promise<void> {
  const moved = join(aside, leaseName())
  await wrapErrno(path, () => rename(path, moved)).catch((error: { cause?: unknown }) => {
    if (!isErrno(error.cause, 'ENOENT')) throw error // another process was faster
  })
  await removeLeftover(moved)
}

function choose(
  kept: readonly UsageRecord[],
  { olderThan = Infinity, keepBytes = Infinity, all = false }: PruneRule,
  now: number,
) {
  const age = ({ lastUsed }: UsageRecord): number => now - lastUsed.getTime()
  let room = keepBytes
  return kept.filter(item => {
    if (item.inUse) {
      room -= item.bytes
      return false
    }
    // Temporary directories are never reused.
    if (item.kind === 'temporary') return leaseState(ownerIn(item.name)) === 'dead' || age(item) > abandonedAfter
    if (all) return true
    if (item.kind === 'other') return false
    if (age(item) > olderThan) return true
    room -= item.bytes
    return room < 0
  })
}

async function app(path: string, directory: string): Promise<UsageRecord | undefined> {
  const users = await namesIn(join(path, usersDir))
  const inUse = users.some(name => leaseState(name) === 'alive')
  const identity = await readSmall(join(path, identityFile), 4096).catch(() => undefined)
  const stat = await lstat(join(path, identityFile)).catch(() => undefined)
  const item = await described('app', path, Buffer.from(identity ?? '').toString() || directory, inUse)
  return item && { ...item, ...(stat && { lastUsed: stat.mtime }) }
}

async function temporary(path: string, name: string): Promise<UsageRecord | undefined> {
  return described('temporary', path, name, leaseState(ownerIn(name)) === 'alive')
}

/** Some names have a prefix before the owner: `.run-`, `.partial-`. */
const ownerIn = (name: string): string => name.replace(/^\.?[a-z]+-/, '')

/** Returns undefined if the entry vanishes meanwhile. */
async function described(
  kind: UsageRecord['kind'],
  path: string,
  name: string,
  inUse: boolean,
): Promise<UsageRecord | undefined> {
  const stat = await lstat(path).catch(() => undefined)
  if (stat === undefined) return undefined
  const { bytes, parts } = measure(path, stat.isDirectory())
  return { kind, name, path, bytes, parts, lastUsed: stat.ctimeMs > stat.mtimeMs ? stat.ctime : stat.mtime, inUse }
}

/** Measures the size on the disk, in total and by top-level entry. A file with several names counts once. */
function measure(path: string, isDirectory: boolean): Pick<UsageRecord, 'bytes' | 'parts'> {
  if (!isDirectory) return { bytes: lstatSync(path).blocks * 512, parts: [] }
  const seen = new Set<string>()
  const parts = new Map<string, number>()
  let top: OpenDirectory | undefined
  try {
    top = OpenDirectory.open(path)
    for (const { path: below, name, parent } of walk(top, path)) {
      const { blocks, nlink, dev, ino } = lstatSync(parent.path(name))
      const id = `${dev} ${ino}`
      if (nlink > 1 && seen.has(id)) continue
      seen.add(id)
      const part = below.split('/', 1)[0] as string
      parts.set(part, (parts.get(part) ?? 0) + blocks * 512)
    }
  } catch {
    // A build changes the directory, or it is not readable: returns the size measured so far.
  } finally {
    top?.close()
  }
  const sorted = [...parts].map(([name, bytes]) => ({ name, bytes })).sort((a, b) => b.bytes - a.bytes)
  return { bytes: sorted.reduce((sum, part) => sum + part.bytes, 0), parts: sorted }
}

async function namesIn(dir: string): Promise<string[]> {
  return wrapErrno(dir, () =>
    readdir(dir).catch((error: unknown) => {
      if (isErrno(error, 'ENOENT', 'ENOTDIR')) return []
      throw error
    }),
  )
}
