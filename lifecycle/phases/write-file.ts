import { closeSync, constants, openSync, writeFileSync } from 'node:fs'
import { toBytes } from '../files/byte-string.ts'
import { removeEntry } from '../files/remove.ts'
import { openParent, wrapErrnoSync } from '../files/safe-open.ts'

const newFile = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW

/**
 * Replaces the entry at the path, if any, with a file. Buildpacks may be able to write to its directory: no part of the path below
 * `within` may be a link or become one meanwhile (X25). An existing entry is removed first (X21, D11).
 */
export function writeAnew(path: string, content: string | Uint8Array, within: string): void {
  const host = toBytes(path)
  const { parent, name } = openParent({ hostPath: path, within })
  try {
    removeEntry(parent, name, host)
    wrapErrnoSync(host, () => {
      const fd = openSync(parent.path(name), newFile, 0o666)
      try {
        writeFileSync(fd, content)
      } finally {
        closeSync(fd)
      }
    })
  } finally {
    parent.close()
  }
}

/** Removes an entry with everything below it, under the same rules. */
export function removeWithin(path: string, within: string): void {
  const { parent, name } = openParent({ hostPath: path, within })
  try {
    removeEntry(parent, name, toBytes(path))
  } finally {
    parent.close()
  }
}
