import { totalmem } from 'node:os'
import { realpath, stat } from 'node:fs/promises'
import { BaleError, isErrno } from '../errors.ts'
import type { Emulator } from '../processes/emulation.ts'
import type { Bwrap } from './bwrap.ts'
import { openEmulation } from './emulation.ts'
import type { Mount } from './engine.ts'
import { sizesFor, systemMounts } from './isolation.ts'
import { type OpenMounts, isPlainPath, openMounts, orderMounts } from './mounts.ts'
import { type MountPoint, openLayers } from './overlay.ts'
import type { Places } from './places.ts'
import { layOutRoot } from './root.ts'
import { descriptor } from './sandbox.ts'
import type { SubordinateIds } from './subordinate.ts'
import type { Wrapper } from './wrapper.ts'

export interface FilesOptions {
  readonly bwrap: Bwrap
  /** One directory, or the layers of an image, the lowest first. */
  readonly rootfs: string | readonly string[]
  /** For temporary files of a run. Only layers and an emulator need it. */
  readonly tmpDir?: string
  readonly mounts: readonly Mount[]
  readonly network: 'none' | 'host'
  readonly home: string
  /** Bytes that the run may use, if there is a limit. */
  readonly memory?: number | undefined
  readonly caBundle?: string | undefined
  /** The program of engines/landlock, to be mounted at `landlockInside`. */
  readonly landlock?: string | undefined
  /** The emulator for the programs of the root, if they are for another architecture. */
  readonly emulator?: Emulator | undefined
  /** The places where a starter mounts the host's files as those of another user. The caller disposes of them. */
  readonly places?: Places | undefined
  /** The ids of a namespace whose processes may write to the root: then /home is the root's own. */
  readonly ids?: SubordinateIds | undefined
}

export const landlockInside = '/.landlock'

/** All files that a build sees: bubblewrap's options, and the descriptors that the options name. */
export interface OpenFiles extends AsyncDisposable {
  readonly options: readonly string[]
  readonly descriptors: readonly (number | Uint8Array)[]
  /** Mounts a root of several layers, and registers an emulator, before bubblewrap starts. */
  readonly wrapper?: Wrapper
}

/** Each is a file system in memory. */
const temporary = { '/tmp': 'tmp', '/var/tmp': 'varTmp' } as const
const hostsPath = '/etc/hosts'
/** Offline, the host's names are useless, but tests of applications use localhost. */
const offlineHosts = Buffer.from('127.0.0.1\tlocalhost\n::1\tlocalhost\n')

/** @throws BaleError 'engine' for a mount that cannot be made */
export async function openFiles(files: FilesOptions): Promise<OpenFiles> {
  const { bwrap, network } = files
  const sizes = sizesFor(Math.min(files.memory ?? Infinity, totalmem()))
  const mounts = await orderMounts([...files.mounts, ...(await hostFiles(files))])
  const paths = mounts.map(mount => mount.path)
  const ownHosts = network === 'none' && !paths.includes(hostsPath)
  const home = files.ids === undefined ? ['/home'] : []
  const points = [...paths, '/dev', '/proc', ...home, ...Object.keys(temporary), ...(ownHosts ? [hostsPath] : [])]
  const root = await openRoot(files, mounts, points)
  let opened: OpenMounts
  try {
    opened = openMounts(bwrap, mounts, files.places)
  } catch (error) {
    await root.close()
    throw error
  }
  const options = [
    ...root.options,
    ...systemMounts(sizes),
    ...Object.entries(temporary).flatMap(([path, name]) => [
      ...['--size', String(sizes[name]), '--perms', '1777', '--tmpfs', path],
    ]),
    ...home.flatMap(path => ['--size', String(sizes.home), '--tmpfs', path, ...ownHome(files.home)]),
    ...opened.options,
    ...(ownHosts ? ['--perms', '0444', '--ro-bind-data', descriptor(opened.descriptors.length), hostsPath] : []),
    ...(files.ids === undefined ? ['--remount-ro', '/'] : []), // after all mount points are made
  ]
  return {
    options,
    descriptors: [...opened.descriptors, ...(ownHosts ? [offlineHosts] : [])],
    ...(root.wrapper && { wrapper: root.wrapper }),
    async [Symbol.asyncDispose]() {
      opened[Symbol.dispose]()
      await root.close()
    },
  }
}

interface Root {
  readonly options: readonly string[]
  readonly wrapper: Wrapper | undefined
  close(): Promise<void>
}

/** The image at `/`, read-only, with a mount point for each mount. */
async function openRoot(files: FilesOptions, mounts: readonly Mount[], points: readonly string[]): Promise<Root> {
  const { tmpDir, places, emulator, ids } = files
  const rootfs = typeof files.rootfs === 'string' ? [files.rootfs] : files.rootfs
  const [only] = rootfs
  if (only !== undefined && rootfs.length === 1 && ids === undefined) {
    const options = await layOutRoot(only, points, places?.open(only))
    const emulation = await openEmulation(emulator, undefined, { tmpDir, places })
    return { options, wrapper: emulation.wrapper, close: async () => emulation[Symbol.asyncDispose]() }
  }
  if (tmpDir === undefined) throw new BaleError('engine', 'layers need a directory for temporary files')
  const kinds = await Promise.all(
    points.map(async (path): Promise<MountPoint> => {
      const mount = mounts.find(m => m.path === path)
      const isFile = path === hostsPath || (mount !== undefined && (await stat(mount.hostPath)).isFile())
      return { path, kind: isFile ? 'file' : 'directory' }
    }),
  )
  const inside = (path: string): boolean => mounts.some(m => path.startsWith(`${m.path}/`))
  // A mount inside another mount has its mount point there.
  const overlay = await openLayers(
    rootfs,
    kinds.filter(({ path }) => !inside(path)),
    tmpDir,
    places,
    ids,
  )
  return {
    options: [ids === undefined ? '--ro-bind' : '--bind', overlay.path, '/'],
    wrapper: (await openEmulation(emulator, overlay.wrapper, files)).wrapper,
    close: async () => overlay[Symbol.asyncDispose](),
  }
}

/** The image sets the home. For a path with `..`, bubblewrap would make a directory on the host (X18). */
function ownHome(home: string): string[] {
  return home.startsWith('/home/') && isPlainPath(home) ? ['--dir', home] : []
}

/** The host's files that a program needs to use the network. */
async function hostFiles({ network, caBundle, landlock }: FilesOptions): Promise<Mount[]> {
  if (network === 'none') return []
  const shown = [
    ['/etc/resolv.conf', '/etc/resolv.conf'],
    [hostsPath, hostsPath],
    ...(caBundle === undefined ? [] : [[caBundle, '/etc/ssl/certs/ca-certificates.crt']]),
    ...(landlock === undefined ? [] : [[landlock, landlockInside]]),
  ] as [string, string][]
  const mounts = await Promise.all(
    shown.map(async ([source, path]): Promise<Mount | undefined> => {
      // These may be the host's own links, such as systemd-resolved's resolv.conf.
      const hostPath = await realpath(source).catch((cause: unknown) => {
        if (source !== caBundle && source !== landlock && isErrno(cause, 'ENOENT')) return undefined
        throw new BaleError('engine', 'it cannot be mounted into the sandbox', { where: source, cause })
      })
      return hostPath === undefined ? undefined : { hostPath, path, access: 'read-only' }
    }),
  )
  return mounts.filter(mount => mount !== undefined)
}
