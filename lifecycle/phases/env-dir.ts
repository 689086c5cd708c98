import { lstat, readFile, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { BaleError, isErrno } from '../errors.ts'
import { type EnvFile, parseEnvFile } from '../spec/env.ts'
import { namesIn } from '../files/directories.ts'
import { wrapErrno } from '../files/wrap-errno.ts'
import { readUntrusted } from '../files/read.ts'

const maxFiles = 10_000

/**
 * Reads the variables in a directory of files, sorted by name. Returns none if the directory does not exist. Skips
 * subdirectories.
 */
export async function readEnvDir(dir: string): Promise<EnvFile[]> {
  const names = await namesIn(dir)
  if (names.length > maxFiles)
    throw new BaleError('input', `it contains ${names.length} files, more than the limit of ${maxFiles}`, {
      where: dir,
    })
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
 * Reads a platform's or an operator's directory, whose files may be links: Kubernetes mounts each entry of a ConfigMap or
 * Secret as a link. These directories are trusted.
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

/** A missing directory means no variables. An unreadable directory is an error, since it may contain variables. */
function unlessAbsent(error: unknown): string[] {
  if (isErrno(error, 'ENOENT', 'ENOTDIR')) return []
  throw error
}
