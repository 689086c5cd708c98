import {
  type Stats,
  chmodSync,
  closeSync,
  constants,
  copyFileSync,
  fchmodSync,
  fstatSync,
  futimesSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  statfsSync,
  symlinkSync,
  utimesSync,
} from 'node:fs'
import { lstat } from 'node:fs/promises'
import { setImmediate } from 'node:timers/promises'
import { BaleError, isErrno } from '../errors.ts'
import type { Reporter } from '../events.ts'
import { type ByteString, printableName, toBuffer, toBytes } from '../files/byte-string.ts'
import { type FileKind, OpenDirectory } from '../files/open-directory.ts'
import { errnoMessage } from '../files/wrap-errno.ts'
import { checkHoles } from '../layers/tree/holes.ts'
import { isAtOrBelow } from '../layers/tree/cursor.ts'
import { type TreeEntry, walk } from '../layers/tree/walk.ts'
import type { SourceFilter } from './source-filter.ts'

/** Everything in the app directory has this time: mtimes differ from checkout to checkout, and builds can copy them. */
const sourceTime = Date.UTC(1980, 0, 1, 0, 0, 1) / 1000

/** Left out unless requested: its content differs between checkouts of the same source. */
const leftOut = '.git'
const secrets = /^(\.git|\.env|\.env\..+|id_rsa|id_ed25519|id_ecdsa|.+\.pem|.+\.key|.+\.p12|\.npmrc|\.netrc)$/
/** Committed files that document variables. */
const examples = /^\.env\.(.+\.)?(example|sample|template|dist|defaults)$/
/** Credentials in npm's settings. A variable is none: `//HOST/:_authToken=${NPM_TOKEN}`. */
const npmCredentials = [
  /(^[ \t]*|:)(_auth|_authToken|_password|key)[ \t]*=[ \t]*["']?(?!\$\{|["'\s]|$)/m,
  // The password in the address of a registry or a proxy: `https://USER:PASSWORD@HOST/`.
  /:\/\/[^/\s:@]*:(?!\$\{)[^/\s@]+@/,
]
const entriesAtOnce = 64

export interface CopyOptions {
  readonly reporter: Reporter
  /** Selects files to leave out; none by default. */
  readonly filter?: SourceFilter
  /** Copies `.git` too, for tools that take a version from it. */
  readonly keepsGit?: boolean
  readonly signal?: AbortSignal | undefined
}

/**
 * Copies the source into the workspace with modes that no umask or checkout changes: 0755 for directories and
 * executables, 0644 for the rest. Links stay links, wherever they point. Sockets are left out with a warning.
 *
 * The walk goes from descriptor to descriptor: the source may be another user's, who swaps a directory or a file for a link
 * during the copy (X43). A file that changes while it is read is an error that names it (S11).
 * @throws BaleError 'filesystem', which names an unreadable file, 'input' for a fifo or a device
 */
export async function copySource(
  from: string,
  workspace: string,
  { reporter, filter = () => 'no', keepsGit = false, signal }: CopyOptions,
): Promise<void> {
  const source = await openSource(from)
  const host = toBytes(from)
  const found: string[] = []
  const outside: string[] = []
  const target = new Target(workspace)
  try {
    let copied = 0
    const skip = (path: Buffer, kind: FileKind): boolean => {
      if (!keepsGit && path.toString('latin1') === leftOut) return true
      const verdict = filter(path.toString(), kind === 'directory')
      return verdict === 'subtree' || (verdict === 'entry' && kind !== 'directory')
    }
    for (const entry of walk(source, host, skip)) {
      signal?.throwIfAborted()
      // The directory is created when the first file in it is copied.
      if (entry.kind === 'directory' && filter(toBuffer(entry.path).toString(), true) === 'entry') continue
      refuseWhiteout(entry, `${host}/${entry.path}`)
      if (entry.kind === 'symlink' && leadsOut(entry)) outside.push(printableName(entry.path))
      const to = target.directoryFor(entry.path)
      copyEntry(entry, to, `${host}/${entry.path}`, reporter)
      if (mayBeSecret(entry, to)) found.push(printableName(entry.path))
      if (++copied % entriesAtOnce === 0) await setImmediate()
    }
    target.finish()
  } finally {
    target.close()
    source.close()
  }
  if (outside.length > 0)
    reporter.event({
      type: 'warning',
      text: `links point outside the source, to files that are not in the image: ${firstOf(outside)}`,
      fix: 'copy their targets into the source, or build a directory above it with --path',
    })
  if (found.length > 0)
    reporter.event({
      type: 'warning',
      text: `the image will contain possible secrets: ${firstOf(found)}`,
      fix: 'move secrets out of the source directory',
    })
}

/** Returns whether a file that was just copied may contain secrets. */
function mayBeSecret({ name, kind }: TreeEntry, to: OpenDirectory): boolean {
  if (!secrets.test(name) || examples.test(name)) return false
  if (name !== '.npmrc' || kind !== 'file' || lstatSync(to.path(name)).size > 65_536) return true
  const text = readFileSync(to.path(name), 'latin1')
  return npmCredentials.some(credential => credential.test(text))
}

const firstOf = (paths: readonly string[]): string =>
  paths.slice(0, 5).join(', ') + (paths.length > 5 ? ` and ${paths.length - 5} more` : '')

/** A layer with such a name would delete a file instead of holding one (image-spec layer.md, "Whiteouts"). */
function refuseWhiteout({ name }: TreeEntry, host: ByteString): void {
  if (!name.startsWith('.wh.')) return
  throw new BaleError('input', 'an image cannot contain a file whose name starts with .wh.', {
    where: printableName(host),
    fix: 'rename it, or leave it out with exclude in project.toml',
  })
}

/** Absolute link targets that refer to a path in the image. */
const inImage = /^\/(workspace|layers|cnb|usr|bin|sbin|lib|lib64|etc|opt|var|tmp|dev|proc|sys|run)(\/|$)/

/** Whether a link leads above the source, or to a path that only this machine has. */
function leadsOut({ path, name, parent }: TreeEntry): boolean {
  const target = writing(path, () => readlinkSync(parent.path(name), 'latin1'))
  if (target.startsWith('/')) return !inImage.test(target)
  let depth = path.split('/').length - 1
  for (const part of target.split('/')) {
    if (part === '..') depth--
    else if (part !== '' && part !== '.') depth++
    if (depth < 0) return true
  }
  return false
}

/** Reports an unusable directory at the start of a build, not after its stack or builder was made. @throws BaleError 'arguments' */
export async function checkSource(from: string): Promise<void> {
  ;(await openSource(from)).close()
}

/** Opens the directory that the user named, which may be a link. */
async function openSource(from: string): Promise<OpenDirectory> {
  const fix = 'give the directory of your source with --path'
  const stat = await lstat(from).catch((cause: unknown) => {
    if (!isErrno(cause, 'ENOENT', 'ENOTDIR')) throw unreadable(from, cause)
    throw new BaleError('arguments', `there is no directory ${from}`, { fix })
  })
  if (!stat.isDirectory() && !stat.isSymbolicLink())
    throw new BaleError('arguments', `${from} is not a directory`, { fix })
  try {
    return OpenDirectory.follow(from)
  } catch (cause) {
    if (isErrno(cause, 'ENOTDIR')) throw new BaleError('arguments', `${from} is not a directory`, { fix })
    throw unreadable(from, cause)
  }
}

/** The directories of the copy that lead to the current one. Each gets its time when nothing more is written into it. */
class Target {
  readonly #stack: { path: ByteString; directory: OpenDirectory }[]

  constructor(top: string) {
    this.#stack = [{ path: '', directory: OpenDirectory.open(top) }]
  }

  /** The directory that an entry goes to. Entries come in the order of a walk. */
  directoryFor(path: ByteString): OpenDirectory {
    const parent = path.slice(0, Math.max(0, path.lastIndexOf('/')))
    while (!isAtOrBelow(parent, this.#top.path)) this.#leave()
    for (let { path: at } = this.#top; at !== parent; at = this.#top.path) {
      const rest = parent.slice(at === '' ? 0 : at.length + 1)
      const name = rest.split('/')[0] as string
      const { directory } = this.#top
      // The filter leaves out the directory, but not this file in it.
      if (lstatSync(directory.path(name), { throwIfNoEntry: false }) === undefined) copyDirectory(directory, name)
      this.#stack.push({ path: at === '' ? name : `${at}/${name}`, directory: directory.enter(name) })
    }
    return this.#top.directory
  }

  finish(): void {
    while (this.#stack.length > 0) this.#leave()
  }

  close(): void {
    for (const { directory } of this.#stack.splice(0)) directory.close()
  }

  get #top(): { path: ByteString; directory: OpenDirectory } {
    return this.#stack.at(-1) as { path: ByteString; directory: OpenDirectory }
  }

  #leave(): void {
    const { path, directory } = this.#top
    this.#stack.pop()
    // In a container, the top directory may belong to another user. No layer records its time.
    if (path !== '') futimesSync(directory.fd, sourceTime, sourceTime)
    directory.close()
  }
}

function copyEntry({ name, kind, parent }: TreeEntry, to: OpenDirectory, host: ByteString, reporter: Reporter): void {
  const where = printableName(host)
  switch (kind) {
    case 'directory':
      writing(where, () => copyDirectory(to, name))
      break
    case 'symlink':
      writing(where, () => {
        symlinkSync(readlinkSync(parent.path(name), { encoding: 'buffer' }), to.path(name))
        lutimesSync(to.path(name), sourceTime, sourceTime)
      })
      break
    case 'file':
      writing(where, () => copyFile(parent, name, to, where))
      break
    case 'socket':
      reporter.event({ type: 'warning', text: `${where} is a socket and is left out` })
      break
    default: {
      const what = kind === 'fifo' ? 'a fifo' : 'a device'
      throw new BaleError('input', `it is ${what}, which an image cannot contain`, {
        where,
        fix: 'move it out of the source directory',
      })
    }
  }
}

function copyDirectory(to: OpenDirectory, name: ByteString): void {
  mkdirSync(to.path(name))
  const made = to.enter(name)
  try {
    fchmodSync(made.fd, 0o755)
    // For a directory that stays empty. Others get the time again after their last file.
    futimesSync(made.fd, sourceTime, sourceTime)
  } finally {
    made.close()
  }
}

function copyFile(from: OpenDirectory, name: ByteString, to: OpenDirectory, where: string): void {
  const fd = from.openFile(name)
  try {
    const before = fstatSync(fd)
    if (!before.isFile()) throw changed(where)
    checkHoles(before, where)
    checkRoom(before, to, where)
    // Through the descriptor, so that the kernel copies this very file, by sharing its blocks if it can.
    copyFileSync(`/proc/self/fd/${fd}`, to.path(name), constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE)
    const after = fstatSync(fd)
    const copy = lstatSync(to.path(name))
    if (after.size !== before.size || after.mtimeMs !== before.mtimeMs || copy.size !== before.size)
      throw changed(where)
    chmodSync(to.path(name), (before.mode & 0o100) === 0 ? 0o644 : 0o755)
    utimesSync(to.path(name), sourceTime, sourceTime)
  } finally {
    closeSync(fd)
  }
}

const large = 2 ** 30

/** Refuses a file that is larger than the free space, instead of filling the disk first. */
function checkRoom({ size }: Stats, to: OpenDirectory, where: string): void {
  if (size < large) return
  const { bavail, bsize } = statfsSync(`/proc/self/fd/${to.fd}`)
  if (size > bavail * bsize) throw full(where, `it has ${size} bytes, more than the free space on the disk`)
}

function writing<T>(where: string, call: () => T): T {
  try {
    return call()
  } catch (error) {
    throw isErrno(error) ? unreadable(where, error) : error
  }
}

const changed = (where: string): BaleError =>
  new BaleError('filesystem', 'it changed while it was copied', {
    where,
    fix: 'stop whatever writes there and build again',
  })

function unreadable(where: string, cause: unknown): BaleError {
  if (isErrno(cause, 'ENOSPC', 'EDQUOT')) return full(where, 'the disk is full', cause)
  if (isErrno(cause, 'ENOENT', 'ENOTDIR', 'ELOOP', 'EINVAL', 'ENXIO')) return changed(where)
  const fix = 'make it readable, or move it out of the source directory'
  return new BaleError('filesystem', `cannot copy it: ${errnoMessage(cause)}`, { where, cause, fix })
}

function full(where: string, message: string, cause?: unknown): BaleError {
  return new BaleError('filesystem', message, { where, cause, fix: 'free some space' })
}
