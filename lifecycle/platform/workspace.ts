import { constants } from 'node:fs'
import {
  chmod,
  copyFile,
  lstat,
  lutimes,
  mkdir,
  readdir,
  readlink,
  statfs,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { BaleError, isErrno } from '../errors.ts'
import type { Reporter } from '../events.ts'
import { wrapErrno } from '../files/wrap-errno.ts'
import { errnoMessage } from '../files/wrap-errno.ts'
import { leaseName } from '../files/lease.ts'
import { removeStale } from '../files/stale.ts'
import { removeSoon } from '../files/remove.ts'

/** The directories of one build. They live beside the caches, so that trees can be moved between them. */
export interface Workspace extends AsyncDisposable {
  readonly dir: string
  readonly layers: string
  readonly app: string
  readonly platform: string
  /** Mounted as /cnb: empty places to mount the lifecycle and the buildpacks on. */
  readonly cnb: string
}

/** Everything in the app directory has this time: mtimes differ from checkout to checkout, and builds can copy them. */
const sourceTime = Date.UTC(1980, 0, 1, 0, 0, 1) / 1000

/** Makes the directories of a build, and removes those of builds that were killed. */
export async function openWorkspace(cacheDir: string): Promise<Workspace> {
  const base = join(cacheDir, 'work')
  await wrapErrno(base, () => mkdir(base, { recursive: true }))
  for (const dir of [base, join(cacheDir, 'tmp')]) await removeStale(dir)
  const dir = join(base, leaseName())
  const workspace = {
    dir,
    layers: join(dir, 'layers'),
    app: join(dir, 'workspace'),
    platform: join(dir, 'platform'),
    cnb: join(dir, 'cnb'),
  }
  const { layers, app, platform, cnb } = workspace
  await wrapErrno(dir, async () => {
    await mkdir(dir, { mode: 0o700 })
    for (const path of [layers, app, platform, join(platform, 'env'), cnb]) {
      await mkdir(path)
      await chmod(path, 0o755)
    }
  })
  return { ...workspace, [Symbol.asyncDispose]: () => removeSoon(dir) }
}

/** User-provided variables, a file for each (platform.md, "User-Provided Variables"). */
export async function writePlatformEnv(platformDir: string, env: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, value] of Object.entries(env)) {
    if (!/^[A-Za-z_][A-Za-z0-9_.-]*$/.test(name)) {
      throw new BaleError('arguments', `${JSON.stringify(name)} is not the name of an environment variable`, {
        fix: 'use letters, digits and _',
      })
    }
    if (value.includes('\0'))
      throw new BaleError('arguments', `the value of ${name} has a NUL byte, which no environment can hold`)
    await writeFile(join(platformDir, 'env', name), value)
  }
}

/** Never part of an image: its content differs between checkouts of the same source. */
const leftOut = new Set(['.git'])
const secrets = /^(\.git|\.env|\.env\..+|id_rsa|id_ed25519|id_ecdsa|.+\.pem|.+\.key|.+\.p12|\.npmrc|\.netrc)$/

/**
 * Copies the source into the workspace with modes that no umask or checkout changes: 0755 for directories and
 * executables, 0644 for the rest. Links stay links, wherever they point. Sockets are left out with a warning.
 * @throws BaleError 'filesystem' naming what cannot be read, 'input' for a fifo or a device
 */
export async function copySource(from: string, to: string, reporter: Reporter, signal?: AbortSignal): Promise<void> {
  const stat = await lstat(from).catch((cause: unknown) => {
    if (!isErrno(cause, 'ENOENT', 'ENOTDIR')) throw unreadable(from, cause)
    throw new BaleError('arguments', `there is no directory ${from}`, {
      fix: 'give the directory of your source with --path',
    })
  })
  if (!stat.isDirectory() && !stat.isSymbolicLink()) {
    throw new BaleError('arguments', `${from} is not a directory`, {
      fix: 'give the directory of your source with --path',
    })
  }
  const found: string[] = []
  await copyDir(Buffer.from(from), Buffer.from(to), { reporter, found, top: from, ...(signal && { signal }) })
  if (found.length > 0) {
    const list = found.slice(0, 5).join(', ') + (found.length > 5 ? ` and ${found.length - 5} more` : '')
    reporter.event({
      type: 'warning',
      text: `the image will contain what may be a secret: ${list}`,
      fix: 'move it out of the source directory if it is one',
    })
  }
}

interface Copying {
  readonly reporter: Reporter
  readonly found: string[]
  readonly top: string
  readonly signal?: AbortSignal
}

/** Names are bytes: what is not UTF-8 is copied as it is. */
async function copyDir(from: Buffer, to: Buffer, copying: Copying): Promise<void> {
  const names = await readdir(from, { encoding: 'buffer' }).catch((cause: unknown) => {
    throw unreadable(from.toString(), cause)
  })
  for (const name of names) {
    copying.signal?.throwIfAborted()
    if (from.toString() === copying.top && leftOut.has(name.toString())) continue
    const source = Buffer.concat([from, slash, name])
    const target = Buffer.concat([to, slash, name])
    if (secrets.test(name.toString())) copying.found.push(source.toString().slice(copying.top.length + 1))
    await copyEntry(source, target, copying)
  }
  await utimes(to, sourceTime, sourceTime)
}

const slash = Buffer.from('/')

async function copyEntry(source: Buffer, target: Buffer, copying: Copying): Promise<void> {
  const where = source.toString()
  const stat = await lstat(source).catch((cause: unknown) => {
    throw unreadable(where, cause)
  })
  if (stat.isSymbolicLink()) {
    await symlink(await readlink(source, { encoding: 'buffer' }), target)
    await lutimes(target, sourceTime, sourceTime)
  } else if (stat.isDirectory()) {
    await mkdir(target)
    await chmod(target, 0o755)
    await copyDir(source, target, copying)
  } else if (stat.isFile()) {
    await checkRoom(stat.size, target, where)
    await copyFile(source, target, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE).catch((cause: unknown) => {
      throw unreadable(where, cause)
    })
    await chmod(target, (stat.mode & 0o100) === 0 ? 0o644 : 0o755)
    await utimes(target, sourceTime, sourceTime)
  } else if (stat.isSocket()) {
    copying.reporter.event({ type: 'warning', text: `${where} is a socket and is left out` })
  } else {
    const what = stat.isFIFO() ? 'a fifo' : 'a device'
    throw new BaleError('input', `it is ${what}, which cannot be part of an image`, {
      where,
      fix: 'move it out of the source directory',
    })
  }
}

const large = 2 ** 30

/** A sparse file may be larger than the disk (S12), which it would fill before it could not be copied. */
async function checkRoom(size: number, target: Buffer, where: string): Promise<void> {
  if (size < large) return
  const { bavail, bsize } = await statfs(dirname(target.toString()))
  if (size > bavail * bsize) throw full(where, `it has ${size} bytes, and the disk has no room for them`)
}

function unreadable(where: string, cause: unknown): BaleError {
  if (isErrno(cause, 'ENOSPC', 'EDQUOT')) return full(where, 'the disk is full', cause)
  const fix = 'make it readable, or move it out of the source directory'
  return new BaleError('filesystem', `cannot copy it: ${errnoMessage(cause)}`, { where, cause, fix })
}

function full(where: string, message: string, cause?: unknown): BaleError {
  return new BaleError('filesystem', message, { where, cause, fix: 'free some space' })
}
