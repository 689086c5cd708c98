import { chmod, copyFile, lchown, lstat, mkdir, readdir, readlink, realpath, rm, stat, symlink } from 'node:fs/promises'
import { basename, dirname, isAbsolute, join, normalize } from 'node:path'
import { findAccount } from '../../../engines/accounts.ts'
import { BaleError } from '../../../errors.ts'
import { fromBuffer, printableName } from '../../../files/byte-string.ts'
import { makeDirectories } from '../../../files/directories.ts'

export interface CopyInput {
  readonly name: 'COPY' | 'ADD'
  /** `--chown=user:group` and the like. */
  readonly options: readonly string[]
  /** Sources, and the destination. */
  readonly paths: readonly string[]
  readonly workingDir: string
  readonly context: string
  readonly where: string
}

/**
 * COPY, and ADD of anything but archives and URLs: copies files and directories of the context, owned by root or `--chown`. Reads
 * nothing outside of the context: the content may be hostile, and this process is root.
 */
export async function copyFiles({ name, options: given, paths, workingDir, context, where }: CopyInput): Promise<void> {
  const refuse = (message: string, fix?: string): never => {
    throw new BaleError('input', message, { where, ...(fix !== undefined && { fix }) })
  }
  const options = new Map(
    given.map((option): [string, string] => {
      const [, key = option, value = ''] = /^--([\w-]+)(?:=(.*))?$/.exec(option) ?? []
      return [key, value]
    }),
  )
  const strange = [...options.keys()].find(key => key !== 'chown' && key !== 'chmod')
  if (strange !== undefined) refuse(`--${strange} of ${name} is not supported`)
  const mode = options.get('chmod')
  if (mode !== undefined && !/^0?[0-7]{3,4}$/.test(mode)) refuse(`--chmod=${mode} is not an octal number`)
  const sources = paths.slice(0, -1)
  const to = paths.at(-1)
  if (to === undefined || sources.length === 0)
    throw new BaleError('input', `${name} needs a source and a destination`, { where })
  const owner = await findAccount('/', ownerOf(options.get('chown') ?? 'root'))
  const target = isAbsolute(to) ? normalize(to) : join(workingDir, to)
  const isInto = to.endsWith('/') || sources.length > 1 || (await stateOf(target)) === 'directory'
  for (const source of sources) {
    if (/[*?[]/.test(source))
      refuse(`${source} is a pattern, which ${name} does not support here`, 'name each file or its directory')
    if (name === 'ADD' && (/^(?:\w+:\/\/|git@)/.test(source) || /\.(?:tar|tgz|tar\.\w+|txz|tbz2)$/.test(source)))
      refuse(`ADD of ${source} is not supported`, 'use COPY for a file, or download and unpack it with RUN')
    const from = await inContext(context, source, where)
    const isTree = (await lstat(from)).isDirectory()
    const destination = isTree || !isInto ? target : join(target, basename(source))
    await makeDirectories(dirname(destination))
    await copyEntry(Buffer.from(from), Buffer.from(destination), {
      owner,
      mode: mode === undefined ? undefined : Number.parseInt(mode, 8),
      where,
    })
  }
}

/** A single number is both user and group (docs.docker.com, "COPY --chown"). */
const ownerOf = (chown: string): string => (/^\d+$/.test(chown) ? `${chown}:${chown}` : chown)

/** Returns the path of a source, or the target if it is a link. */
async function inContext(context: string, source: string, where: string): Promise<string> {
  const root = await realpath(context)
  const path = await realpath(join(root, normalize(`/${source}`))).catch(() => undefined)
  if (path === undefined) throw new BaleError('input', `${source} is not in the context`, { where })
  if (path === root || path.startsWith(`${root}/`)) return path
  throw new BaleError('input', `${source} is outside the context`, { where })
}

interface CopyAs {
  readonly owner: { readonly uid: number; readonly gid: number }
  readonly mode: number | undefined
  readonly where: string
}

/**
 * Existing directories stay as they are. A file or link replaces anything else in its place. Paths are bytes: names need not
 * be UTF-8.
 */
async function copyEntry(from: Buffer, to: Buffer, as: CopyAs): Promise<void> {
  const refuse = (path: Buffer, what: string): never => {
    throw new BaleError('input', `${printableName(fromBuffer(path))} ${what}`, { where: as.where })
  }
  const [found, there] = [await lstat(from), await stateOf(to)]
  if (found.isDirectory()) {
    if (there === 'other') refuse(to, 'is not a directory, but a directory would replace it')
    if (there === 'absent') await mkdir(to)
    for (const name of await readdir(from, { encoding: 'buffer' }))
      await copyEntry(below(from, name), below(to, name), as)
    if (there === 'absent') await give(to, found.mode, as)
    return
  }
  if (there === 'directory') refuse(to, 'is a directory, but a file would replace it')
  await rm(to, { force: true })
  if (found.isSymbolicLink()) {
    await symlink(await readlink(from, { encoding: 'buffer' }), to)
    return lchown(to, as.owner.uid, as.owner.gid)
  }
  if (!found.isFile()) refuse(from, 'is not a file, directory or link')
  await copyFile(from, to)
  await give(to, found.mode, as)
}

const below = (dir: Buffer, name: Buffer): Buffer => Buffer.concat([dir, Buffer.from('/'), name])

/** The mode comes last: a change of owner takes setuid bits away. */
async function give(path: Buffer, mode: number, as: CopyAs): Promise<void> {
  await lchown(path, as.owner.uid, as.owner.gid)
  await chmod(path, as.mode ?? mode & 0o7777)
}

/** A link to a directory counts as one. */
async function stateOf(path: Buffer | string): Promise<'directory' | 'other' | 'absent'> {
  const found = (await stat(path).catch(() => undefined)) ?? (await lstat(path).catch(() => undefined))
  if (found === undefined) return 'absent'
  return found.isDirectory() ? 'directory' : 'other'
}
