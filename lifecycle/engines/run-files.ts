import { lstat, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { totalmem } from 'node:os'
import { BaleError, isErrno } from '../errors.ts'
import type { Emulator } from '../processes/emulation.ts'
import type { Bwrap } from './bwrap.ts'
import { openEmulation } from './emulation.ts'
import type { Mount } from './engine.ts'
import { sizesFor, systemMounts } from './isolation.ts'
import { openMounts } from './mounts.ts'
import { openOverlay } from './overlay.ts'
import type { Places } from './places.ts'
import type { Wrapper } from './wrapper.ts'

export interface WritableOptions {
  readonly bwrap: Bwrap
  readonly rootfs: string
  readonly tmpDir: string
  /** In the order of `orderMounts`. */
  readonly mounts: readonly Mount[]
  readonly memory?: number | undefined
  readonly places?: Places | undefined
  /** The emulator for the image's programs, if they are for another architecture. */
  readonly emulator?: Emulator | undefined
}

export interface WritableFiles extends AsyncDisposable {
  readonly options: readonly string[]
  readonly descriptors: readonly number[]
  readonly wrapper: Wrapper
}

/** Opens the files of a program that may write everywhere: an overlay on the image, and volumes in it. */
export async function openWritable(options: WritableOptions): Promise<WritableFiles> {
  const { bwrap, rootfs, tmpDir, mounts, memory, places, emulator } = options
  const overlay = await openOverlay(rootfs, tmpDir, places)
  try {
    const { wrapper = overlay.wrapper } = await openEmulation(emulator, overlay.wrapper, options)
    const volumes = openMounts(bwrap, mounts, places)
    const sizes = sizesFor(Math.min(memory ?? Infinity, totalmem()))
    return {
      options: ['--bind', overlay.path, '/', ...systemMounts(sizes), ...volumes.options],
      descriptors: volumes.descriptors,
      wrapper,
      async [Symbol.asyncDispose]() {
        volumes[Symbol.dispose]()
        await overlay[Symbol.asyncDispose]()
      },
    }
  } catch (error) {
    await overlay[Symbol.asyncDispose]()
    throw error
  }
}

/**
 * Checks the mount points of volumes in an image. bubblewrap makes missing ones in the overlay, and would follow links of
 * the image while it sees the host's files (X19).
 * @throws BaleError 'engine' for a link or file among the parents, and for a directory over a file or the reverse
 */
export async function checkVolumes(rootfs: string, mounts: readonly Mount[]): Promise<void> {
  for (const mount of mounts) {
    await lstat(mount.hostPath).catch((cause: unknown) => {
      if (!isErrno(cause, 'ENOENT', 'ENOTDIR')) return
      throw new BaleError('engine', 'there is no such file or directory', {
        where: mount.hostPath,
        fix: 'make it first',
        cause,
      })
    })
    // A volume inside another volume: `orderMounts` has checked it.
    if (mounts.some(other => other !== mount && mount.path.startsWith(`${other.path}/`))) continue
    const names = mount.path.slice(1).split('/')
    for (let n = 1; n <= names.length; n++) {
      const path = join(rootfs, ...names.slice(0, n))
      const found = await lstat(path).catch((error: unknown) => {
        if (isErrno(error, 'ENOENT')) return undefined
        throw error
      })
      if (found === undefined) break
      const where = `/${names.slice(0, n).join('/')}`
      if (found.isSymbolicLink())
        throw refused(mount, `${where} is a symbolic link in the image`, 'give the target of the link')
      const wanted = n < names.length || (await isDirectory(mount.hostPath))
      if (found.isDirectory() !== wanted)
        throw refused(
          mount,
          `${where} is a ${wanted ? 'file' : 'directory'} in the image`,
          wanted ? 'choose another place' : 'give a directory, or name a file in it',
        )
    }
  }
}

/** A path that cannot be examined counts as no directory: opening it fails later. */
const isDirectory = async (path: string): Promise<boolean> =>
  stat(path).then(
    found => found.isDirectory(),
    () => true,
  )

const refused = ({ hostPath, path }: Mount, why: string, fix: string): BaleError =>
  new BaleError('engine', `nothing can be mounted there: ${why}`, { where: `volume ${hostPath}:${path}`, fix })
