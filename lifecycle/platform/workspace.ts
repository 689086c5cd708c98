import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isPlainPath } from '../engines/mounts.ts'
import { removeLeftover } from '../engines/subordinate.ts'
import { BaleError } from '../errors.ts'
import { wrapErrno } from '../files/wrap-errno.ts'
import { leaseName } from '../files/lease.ts'
import { removeStale } from '../files/stale.ts'
import { removeSoon } from '../files/remove.ts'
import { ownDirectory } from '../files/own-directory.ts'
import type { SshPlace } from './ssh/forward.ts'

/** The directories of one build. They are beside the caches, so that trees can be moved between them. */
export interface Workspace extends AsyncDisposable {
  readonly dir: string
  readonly layers: string
  readonly app: string
  readonly platform: string
  /** A directory to make for SSH, and its path for buildpacks. */
  readonly ssh: SshPlace
  /** Mounted as /cnb/lifecycle: places to mount its files on. */
  readonly lifecycle: string
  /** Mounted as /cnb: empty places to mount the lifecycle and the buildpacks on. */
  readonly cnb: string
  /** Where buildpacks and the image have the layers and the app. */
  readonly imagePaths: { readonly layers: string; readonly app: string }
  /** HOME and TMPDIR of buildpacks in a container, where nothing can be mounted at other paths. */
  readonly own?: { readonly home: string; readonly tmp: string } | undefined
}

/** Where a build has its directories, in a sandbox and in the image. */
export const paths = {
  layers: '/layers',
  app: '/workspace',
  platform: '/platform',
  ssh: '/run/bale-ssh',
  buildpacks: '/cnb/buildpacks',
  extensions: '/cnb/extensions',
} as const

/** Directories that a sandbox or every image uses, with everything below. */
const taken = [
  ...['/cnb', '/layers', '/platform', '/lifecycle', '/proc', '/dev', '/sys', '/tmp', '/var/tmp', '/run', '/home/cnb'],
  ...['/bin', '/sbin', '/lib', '/lib32', '/lib64', '/etc', '/boot', '/usr/bin', '/usr/sbin', '/usr/lib'],
]
/** Other directories that are not reserved for an application. */
const shared = [
  '/',
  '/home',
  '/media',
  '/mnt',
  '/opt',
  '/root',
  '/srv',
  '/usr',
  '/usr/local',
  '/usr/share',
  '/usr/src',
  '/var',
]

/**
 * Checks the path of the application in a build and in the image, if it is not /workspace.
 * @throws BaleError 'arguments' for a relative path, a path that is not normalised, and one that is not the application's alone
 */
export function requireAppPath(path: string): string {
  const where = `--workspace ${JSON.stringify(path)}`
  const fix = 'give an absolute path of its own, such as /app or /home/app/src'
  if (!isPlainPath(path) || /[\p{Cc}:]/u.test(path))
    throw new BaleError('arguments', 'this is not a normalised absolute path', { where, fix })
  if (shared.includes(path) || taken.some(dir => path === dir || path.startsWith(`${dir}/`)))
    throw new BaleError('arguments', 'an application cannot be there: builds or images use this directory themselves', {
      where,
      fix,
    })
  return path
}

/**
 * Makes the directories of a build, and removes those of builds that were killed.
 * @param app where the application is in the build and in the image
 */
export async function openWorkspace(cacheDir: string, app: string = paths.app): Promise<Workspace> {
  await ownDirectory(cacheDir, 'XDG_CACHE_HOME')
  const base = join(cacheDir, 'work')
  await wrapErrno(base, () => mkdir(base, { recursive: true }))
  for (const dir of [base, join(cacheDir, 'tmp')]) await removeStale(dir, '', path => removeLeftover(path, removeSoon))
  const dir = join(base, leaseName())
  const workspace = {
    dir,
    layers: join(dir, 'layers'),
    app: join(dir, 'workspace'),
    platform: join(dir, 'platform'),
    ssh: { dir: join(dir, 'ssh'), path: paths.ssh, knownHosts: '/etc/ssh/ssh_known_hosts' },
    lifecycle: join(dir, 'lifecycle'),
    cnb: join(dir, 'cnb'),
    imagePaths: { layers: paths.layers, app },
  }
  const { layers, platform, lifecycle, cnb } = workspace
  await wrapErrno(dir, async () => {
    await mkdir(dir, { mode: 0o700 })
    for (const path of [layers, workspace.app, platform, join(platform, 'env'), lifecycle, cnb]) {
      await mkdir(path)
      await chmod(path, 0o755)
    }
  })
  return { ...workspace, [Symbol.asyncDispose]: () => removeSoon(dir) }
}

/** User-provided variables, a file for each (platform.md, "User-Provided Variables"). */
export async function writePlatformEnv(platformDir: string, env: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, value] of Object.entries(env)) {
    if (!/^[A-Za-z_][A-Za-z0-9_.-]*$/.test(name)) {
      throw new BaleError('arguments', `${JSON.stringify(name)} is not the name of an environment variable`, {
        fix: 'use letters, digits and _',
      })
    }
    if (value.includes('\0'))
      throw new BaleError(
        'arguments',
        `the value of ${name} has a NUL byte, which is not allowed in an environment variable`,
      )
    await writeFile(join(platformDir, 'env', name), value)
  }
}
