import { type Stats, closeSync, constants, fstatSync, openSync, readlinkSync } from 'node:fs'
import { posix } from 'node:path'
import { BaleError } from '../errors.ts'
import type { Bwrap } from './bwrap.ts'
import type { Mount } from './engine.ts'
import { inspectMountPoint } from './root.ts'
import { type Places, O_PATH } from './places.ts'
import { descriptor } from './sandbox.ts'

/** The paths that the sandbox makes itself. /tmp, /var/tmp and /home are empty, and mounts may be inside them. */
const reserved = ['/', '/dev', '/proc', '/tmp', '/var/tmp', '/home']
const closed = ['/dev/', '/proc/']

/**
 * Returns the mounts in the order in which they can be made.
 * @throws BaleError for a path that is relative, not normalised, reserved, or inside another mount that has no mount point
 * for it or is writable: an earlier build may have made the mount point there
 */
export async function orderMounts(mounts: readonly Mount[]): Promise<Mount[]> {
  const ordered = mounts.toSorted((a, b) => (a.path < b.path ? -1 : 1))
  for (const [n, mount] of ordered.entries()) {
    checkPath(mount.hostPath)
    checkPath(mount.path)
    if (reserved.includes(mount.path) || closed.some(dir => mount.path.startsWith(dir))) {
      throw new BaleError('engine', 'the sandbox uses this path itself', { where: mount.path })
    }
    const around = ordered.slice(0, n).findLast(other => `${mount.path}/`.startsWith(`${other.path}/`))
    if (around !== undefined) await checkNesting(mount, around)
  }
  return ordered
}

/** @throws BaleError for a path that could mean something else to bubblewrap or to the kernel (X18) */
export function checkPath(path: string): void {
  if (isPlainPath(path)) return
  throw new BaleError('engine', 'not a normalised absolute path', { where: JSON.stringify(path) })
}

export function isPlainPath(path: string): boolean {
  const plain = path.startsWith('/') && posix.normalize(path) === path && (path === '/' || !path.endsWith('/'))
  return plain && !path.includes('\0')
}

async function checkNesting(mount: Mount, around: Mount): Promise<void> {
  const where = `${mount.path} in ${around.path}`
  if (mount.path === around.path) throw new BaleError('engine', 'two mounts at one path', { where: mount.path })
  if (around.access === 'read-write') throw new BaleError('engine', 'a mount inside a writable mount', { where })
  const inner = mount.path.slice(around.path.length + 1).split('/')
  if ((await inspectMountPoint(around.hostPath, inner)) === 'present') return
  throw new BaleError('engine', 'a mount inside another, which lacks the mount point', {
    where,
    fix: `make ${posix.join(around.hostPath, ...inner)} first`,
  })
}

/** Descriptors of the files to mount, and bubblewrap's options for them. */
export interface OpenMounts extends Disposable {
  readonly descriptors: readonly number[]
  readonly options: readonly string[]
}

/**
 * Opens the files and directories to mount. Does not follow a link in the last part of a hostPath: resolve
 * your user's own links before. With an old bubblewrap, which mounts by name, there is a moment between this check and
 * the mount, so no path should lead through a directory that a sandbox can write to.
 * @param places where a starter mounts the files; they take over the descriptors
 */
export function openMounts(bwrap: Bwrap, mounts: readonly Mount[], places?: Places): OpenMounts {
  const descriptors: number[] = []
  const close = () => descriptors.splice(0).forEach(fd => closeSync(fd))
  try {
    const options = mounts.flatMap(({ hostPath, path, access }, n) => {
      const fd = openSource(hostPath)
      const readOnly = access === 'read-only' ? 'ro-' : ''
      if (places !== undefined) return [`--${readOnly}bind`, places.add(fd), path]
      descriptors.push(fd)
      if (bwrap.bindsDescriptors) return [`--${readOnly}bind-fd`, descriptor(n), path]
      return [`--${readOnly}bind`, readlinkSync(`/proc/self/fd/${fd}`), path]
    })
    return { descriptors, options, [Symbol.dispose]: close }
  } catch (error) {
    close()
    throw error
  }
}

function openSource(hostPath: string): number {
  let fd: number
  try {
    fd = openSync(hostPath, O_PATH | constants.O_NOFOLLOW)
  } catch (cause) {
    throw new BaleError('engine', 'it cannot be mounted into the sandbox', { where: hostPath, cause })
  }
  const stat = fstatSync(fd)
  if (stat.isDirectory() || stat.isFile()) return fd
  closeSync(fd)
  // A socket would connect the sandbox to a server outside (X07).
  const message = `only files and directories can be mounted into the sandbox, but it is ${kindOf(stat)}`
  const fix = stat.isSymbolicLink() ? 'give the target of the link' : undefined
  throw new BaleError('engine', message, { where: hostPath, ...(fix !== undefined && { fix }) })
}

function kindOf(stat: Stats): string {
  if (stat.isSymbolicLink()) return 'a symbolic link'
  if (stat.isSocket()) return 'a socket'
  return stat.isFIFO() ? 'a fifo' : 'a device'
}
