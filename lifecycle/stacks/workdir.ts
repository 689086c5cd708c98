import { chmod, lstat, mkdir, readdir, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { remove } from 'fs-extra/esm'
import { isErrno } from '../errors.ts'
import { leaseName, leaseState } from '../files/lease.ts'
import { explainWrite } from './explain-failure.ts'
import { discard, type Environment, runCommand, searchPath } from './run-command.ts'

export interface WorkDir extends AsyncDisposable {
  readonly path: string
}

const prefix = 'bale-stack-'

/**
 * Makes a temporary folder that other users can enter, as mmdebstrap's subordinate ids must. Files that mmdebstrap leaves there when
 * it is killed belong to those ids, but are still deleted with the folder.
 */
export async function makeWorkDir(environment: Environment): Promise<WorkDir> {
  const parent = environment.TMPDIR || tmpdir()
  await removeDead(parent, environment)
  const path = join(parent, prefix + leaseName())
  await mkdir(path, { mode: 0o700 }).catch((error: unknown) => {
    throw explainWrite(error, parent)
  })
  await chmod(path, 0o755)
  return { path, [Symbol.asyncDispose]: () => removeFolder(path, environment) }
}

/**
 * Removes folders of killed processes. Other users may write to the parent and use the same names, so theirs are not
 * entered.
 */
async function removeDead(parent: string, environment: Environment): Promise<void> {
  for (const name of await readdir(parent).catch(() => [])) {
    if (!name.startsWith(prefix) || leaseState(name.slice(prefix.length)) !== 'dead') continue
    const path = join(parent, name)
    const stat = await lstat(path).catch(() => undefined)
    if (stat?.isDirectory() && stat.uid === process.geteuid?.())
      await removeFolder(path, environment).catch(() => undefined)
  }
}

async function removeFolder(path: string, environment: Environment): Promise<void> {
  try {
    await remove(path)
  } catch (error) {
    if (!isErrno(error, 'EACCES', 'EPERM', 'ENOTEMPTY')) throw error
    // An ordinary user can delete files of subordinate ids only inside a user namespace with the same ids.
    const argv = ['mmdebstrap', '--unshare-helper', 'find', path, '-mindepth', '1', '-delete'] as const
    const { signal } = new AbortController()
    await runCommand(
      { argv: [...argv], environment: { ...environment, PATH: searchPath(environment) }, signal },
      discard,
    )
    await remove(path)
  }
}

/** Writes a file that only this user can read: it may contain a mirror's password. */
export async function writePrivate(path: string, text: string): Promise<string> {
  await writeFile(path, text, { mode: 0o600 })
  return path
}
