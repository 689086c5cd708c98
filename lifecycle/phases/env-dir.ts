import { lstat, readFile, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { BaleError, isErrno } from '../errors.ts'
import { type EnvFile, parseEnvFile } from '../spec/env.ts'
import { namesIn } from '../files/directories.ts'
import { wrapErrno } from '../files/wrap-errno.ts'
import { readUntrusted } from '../files/read.ts'

const maxFiles = 10_000

/** The variables in a directory of files, sorted by name; none if there is no such directory. Subdirectories are skipped. */
export async function readEnvDir(dir: string): Promise<EnvFile[]> {
  const names = await namesIn(dir)
  if (names.length > maxFiles)
    throw new BaleError('input', `it holds ${names.length} files; at most ${maxFiles} are read`, { where: dir })
  const files: EnvFile[] = []
  for (const name of names) {
    const path = join(dir, name)
    if ((await lstat(path)).isDirectory()) continue
    const content = await readUntrusted(path)
    if (content !== undefined) files.push(parseEnvFile(name, content, path))
  }
  return files
}

/**
 * As above for a platform's or an operator's directory, whose files may be links: Kubernetes mounts each entry of a
 * ConfigMap or Secret as a link. Whoever made them is trusted.
 */
export async function readPlatformEnvDir(dir: string): Promise<EnvFile[]> {
  const names = await wrapErrno(dir, () => readdir(dir).catch(unlessAbsent))
  const files: EnvFile[] = []
  for (const name of names.sort()) {
    const path = join(dir, name)
    const found = await stat(path).catch(() => undefined)
    if (found?.isFile()) files.push(parseEnvFile(name, await wrapErrno(path, () => readFile(path)), path))
  }
  return files
}

/** A platform without variables need not make the directory; one that cannot be read may have some. */
function unlessAbsent(error: unknown): string[] {
  if (isErrno(error, 'ENOENT', 'ENOTDIR')) return []
  throw error
}
