import { lstat, readFile, readlink, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { isErrno } from '../../lifecycle/errors.ts'
import { textOf } from '../../lifecycle/spec/text.ts'
import { BuildpackError } from './errors.ts'

// Hand-written files are far smaller; the package-lock.json of the largest applications has some 10 MB.
const maxBytes = 64 * 1024 * 1024

/**
 * The application's directory, with methods for the questions that buildpacks ask about it. Names are relative to it. A requested name
 * that is a dangling link is an error, not absent: the source was most likely cut out of a larger one (S06).
 */
export class App {
  readonly path: string

  constructor(path: string) {
    this.path = path
  }

  /** The absolute path of `name`. */
  at(...names: string[]): string {
    return join(this.path, ...names)
  }

  /** True for a regular file, or a link to one. */
  async has(name: string): Promise<boolean> {
    return (await this.#stat(name))?.isFile() ?? false
  }

  async hasDirectory(name: string): Promise<boolean> {
    return (await this.#stat(name))?.isDirectory() ?? false
  }

  /** The first of `names` that is a file. */
  async firstOf(names: readonly string[]): Promise<string | undefined> {
    for (const name of names) if (await this.has(name)) return name
    return undefined
  }

  /**
   * The text of a file in UTF-8, or in UTF-16 if its byte order mark says so (S19); undefined if the file does not exist.
   * @throws BuildpackError for a dangling link, a fifo (which would never end), a directory or a huge file
   */
  async read(name: string): Promise<string | undefined> {
    const found = await this.#stat(name)
    if (found === undefined) return undefined
    if (!found.isFile()) throw new BuildpackError('is not a regular file', { where: name })
    if (found.size > maxBytes) throw new BuildpackError(`is larger than ${maxBytes >> 20} MiB`, { where: name })
    const bytes = await readFile(this.at(name)).catch((error: unknown) => {
      throw new BuildpackError('cannot be read', { where: name, fix: 'check its permissions', cause: error })
    })
    return textOf(bytes)
  }

  async #stat(name: string) {
    try {
      return await stat(this.at(name))
    } catch (error) {
      if (!isErrno(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) throw error
      await refuseDeadLink(this.at(name), name)
      return undefined
    }
  }
}

async function refuseDeadLink(path: string, name: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined)
  if (found?.isSymbolicLink() !== true) return
  const target = (await readlink(path)).slice(0, 200)
  throw new BuildpackError(`is a link to ${target}, which is outside the source`, {
    where: name,
    fix: 'replace the link by the file, or build the folder that contains both',
  })
}
