import { chmod, rename } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { ensureDir, pathExists, remove } from 'fs-extra/esm'
import { BaleError, isErrno } from '../errors.ts'
import { leaseName } from '../files/lease.ts'
import { ended, explainWrite } from './explain-failure.ts'
import { discard, type Environment, runCommand, searchPath } from './run-command.ts'

export interface UnpackRootfsOptions {
  readonly environment: Environment
  readonly signal: AbortSignal
}

/** The prefix of an incomplete tree's name, before its owner's. */
export const partialPrefix = '.partial-'

/**
 * Unpacks the tar of a stack image to the new folder `dir`, for a sandbox that mounts it read-only. Everything in it
 * belongs to the caller and can be deleted by them, nothing is setuid or a device; `dir` appears complete or not at all.
 * Does not change an existing `dir`: name it after the tar's digest.
 */
export async function unpackRootfs(tar: string, dir: string, options: UnpackRootfsOptions): Promise<void> {
  const target = resolve(dir)
  if (await pathExists(target)) return
  const partial = join(dirname(target), partialPrefix + leaseName())
  try {
    await ensureDir(partial)
    await chmod(partial, 0o755)
    await extract(tar, partial, options)
    await rename(partial, target)
  } catch (error) {
    await remove(partial)
    if (isErrno(error, 'ENOTEMPTY', 'EEXIST') && (await pathExists(target))) return // another process was first
    options.signal.throwIfAborted()
    throw explainWrite(error, dirname(target))
  }
}

async function extract(tar: string, dir: string, { environment, signal }: UnpackRootfsOptions): Promise<void> {
  const env = { ...environment, PATH: searchPath(environment), LC_ALL: 'C.UTF-8', TAR_OPTIONS: undefined }
  const run = async (...argv: [string, ...string[]]) => {
    const ending = await runCommand({ argv, environment: env, signal }, discard)
    if (ending.state === 'succeeded') return
    const words = ending.tail.join('\n')
    const fix = /No space left|quota/i.test(words) ? 'free about 1 GB there' : undefined
    throw new BaleError('filesystem', `unpacking ${tar}: ${argv[0]} ${ended(ending.status)}:\n${words}`, {
      where: dir,
      fix,
    })
  }
  // As root, tar would keep owners, setuid bits and devices. Nothing becomes writable for others, not even /tmp.
  const asUser = ['--no-same-owner', '--no-same-permissions', '--anchored', '--exclude=dev/*', '--exclude=./dev/*']
  const files = ['--force-local', `--file=${tar}`, `--directory=${dir}`]
  await run('tar', '--extract', ...files, ...asUser, '--delay-directory-restore')
  const setuid = ['-perm', '/6000', '-exec', 'chmod', 'ug-s', '{}', '+']
  const locked = ['-type', 'd', '!', '-perm', '-0700', '-exec', 'chmod', 'u+rwx', '{}', '+']
  await run('find', dir, '!', '-type', 'l', '(', ...setuid, ',', ...locked, ')')
}
