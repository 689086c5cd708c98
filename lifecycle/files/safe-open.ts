import { basename, dirname, relative, resolve, sep } from 'node:path'
import { BaleError, isErrno } from '../errors.ts'
import { type ByteString, printableName, toBytes } from './byte-string.ts'
import { OpenDirectory } from './open-directory.ts'

/**
 * A place on the host. A link at the last part of `hostPath` is never followed. With `within`, no link at any part below
 * that directory is followed. Set `within` for directories that untrusted code could have written to, such as a layers directory after a
 * build: a parent that is swapped for a link then leads nowhere (X25).
 */
export interface HostPlace {
  hostPath: string
  within?: string
}

/** Opens the directory at a host place without following a link (see HostPlace). */
export function openDirectory(place: HostPlace): OpenDirectory {
  return wrapErrnoSync(toBytes(place.hostPath), () => {
    if (place.within === undefined) return OpenDirectory.open(resolve(place.hostPath))
    return descend(place.within, partsBelow(place.within, place.hostPath))
  })
}

/** Opens the directory that contains a host place. Returns it with the place's name in it. */
export function openParent(place: HostPlace): { parent: OpenDirectory; name: ByteString } {
  return wrapErrnoSync(toBytes(place.hostPath), () => {
    const name = toBytes(basename(resolve(place.hostPath)))
    if (place.within === undefined) return { parent: OpenDirectory.follow(dirname(resolve(place.hostPath))), name }
    return { parent: descend(place.within, partsBelow(place.within, dirname(place.hostPath))), name }
  })
}

// Paths are resolved first: a slash or a dot at the end would follow a link in spite of O_NOFOLLOW.
function descend(from: string, parts: readonly ByteString[]): OpenDirectory {
  let directory = OpenDirectory.open(resolve(from))
  for (const part of parts) {
    const outer = directory
    try {
      directory = outer.enter(part)
    } finally {
      outer.close()
    }
  }
  return directory
}

function partsBelow(within: string, path: string): ByteString[] {
  const parts = relative(within, path)
    .split(sep)
    .filter(p => p !== '')
  if (parts[0] === '..') throw new BaleError('failed', `${path} is not within ${within}`)
  return parts.map(toBytes)
}

/** Runs a system call on the entry at `hostPath`; its failure becomes an error that names the entry. */
export function wrapErrnoSync<T>(hostPath: ByteString, call: () => T): T {
  try {
    return call()
  } catch (error) {
    throw isErrno(error) ? fileError(hostPath, error) : error
  }
}

const explanations: Record<string, { what: string; fix?: string }> = {
  EACCES: {
    what: 'cannot be read: permission denied',
    fix: 'make it readable for the user who builds, or leave it out',
  },
  EPERM: { what: 'cannot be read: the operation is not permitted' },
  ENOENT: { what: 'does not exist, or was removed while it was read' },
  ENOTDIR: { what: 'is not a directory, or was replaced while it was read; links are not followed here' },
  ELOOP: { what: 'is a symbolic link, or became one while it was read; links are not followed here' },
  EISDIR: { what: 'is a directory' },
  EINVAL: { what: 'was replaced while it was read' },
  ENXIO: { what: 'was replaced while it was read' },
  ENAMETOOLONG: { what: 'has a name that is too long' },
  EMFILE: { what: 'is nested too deeply: too many open directories', fix: 'raise the limit on open files (ulimit -n)' },
  EIO: { what: 'cannot be read: the disk reports an error' },
}

/** Converts an operating system error into an error that names the entry. */
function fileError(hostPath: ByteString, cause: NodeJS.ErrnoException): BaleError {
  const known = explanations[cause.code ?? '']
  const where = printableName(hostPath)
  return new BaleError('filesystem', `${where} ${known?.what ?? `cannot be read: ${cause.code}`}`, {
    where,
    fix: known?.fix,
    cause,
  })
}
