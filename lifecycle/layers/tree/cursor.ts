import { BaleError } from '../../errors.ts'
import { type ByteString, printableName } from '../../files/byte-string.ts'
import type { OpenDirectory } from '../../files/open-directory.ts'

/**
 * Moves below one directory and keeps the directories of the current path open. Sorted paths then cost one `open` for each
 * directory, and no directory is entered through a link. Paths are relative, with `/` between parts; the root is the empty
 * path.
 */
export class PathCursor {
  readonly #root: OpenDirectory
  /** The directories from below the root to the current one, with their full paths. */
  #stack: { path: ByteString; directory: OpenDirectory }[] = []

  constructor(root: OpenDirectory) {
    this.#root = root
  }

  /**
   * Returns the directory at `path`, valid until the next call.
   * @param enter opens one part below a directory; replace it to make missing directories
   * @throws errors of `enter`: ENOTDIR or ELOOP for a link
   */
  at(
    path: ByteString,
    enter: (outer: OpenDirectory, name: ByteString, path: ByteString) => OpenDirectory = open,
  ): OpenDirectory {
    let top = this.#stack.at(-1)
    while (top !== undefined && !isAtOrBelow(path, top.path)) {
      top.directory.close()
      this.#stack.pop()
      top = this.#stack.at(-1)
    }
    let at = top?.path ?? ''
    let directory = top?.directory ?? this.#root
    while (at !== path) {
      const start = at === '' ? 0 : at.length + 1
      const slash = path.indexOf('/', start)
      const reached = slash < 0 ? path : path.slice(0, slash)
      const name = reached.slice(start)
      if (name === '' || name === '.' || name === '..' || name.includes('\0'))
        throw new BaleError('input', `${printableName(path)} is not a plain relative path`)
      directory = enter(directory, name, reached)
      this.#stack.push({ path: reached, directory })
      at = reached
    }
    return directory
  }

  /** Closes the directory at `path` and all below it, before they are removed. */
  forget(path: ByteString): void {
    while (this.#stack.length > 0 && isAtOrBelow((this.#stack.at(-1) as { path: ByteString }).path, path))
      this.#stack.pop()?.directory.close()
  }

  close(): void {
    this.forget('')
    this.#root.close()
  }
}

const open = (outer: OpenDirectory, name: ByteString): OpenDirectory => outer.enter(name)

export function isAtOrBelow(path: ByteString, ancestor: ByteString): boolean {
  return ancestor === '' || path === ancestor || (path.startsWith(ancestor) && path[ancestor.length] === '/')
}
