import { constants } from 'node:fs'
import { access, chmod, mkdir, mkdtemp, readFile, readdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { settleAll } from '../concurrency.ts'
import { BaleError, isErrno } from '../errors.ts'
import { removeTree } from '../files/remove.ts'
import { wrapErrno } from '../files/wrap-errno.ts'
import { isAtOrBelow } from '../layers/tree/cursor.ts'
import { type Workspace, openWorkspace } from './workspace.ts'

const layers = '/layers'
/** A volume of the builder image that allows execution of programs: Docker's --tmpfs /tmp is mounted noexec. */
const home = '/home/bale'
/** The second is used if the source is in the first, as with Tekton and kaniko: a build never works in the user's own files. */
const apps = ['/workspace', '/app'] as const

/** Makes the directories of a build. They are emptied when it ends. */
export async function openContainerWorkspace(cacheDir: string, source: string): Promise<Workspace> {
  requireRights(process.geteuid?.() ?? 0, await readFile('/proc/self/status', 'latin1').catch(() => ''))
  const app = isAtOrBelow(source, apps[0]) || isAtOrBelow(apps[0], source) ? apps[1] : apps[0]
  for (const dir of [layers, app]) await requireOwn(dir)
  const own = await openWorkspace(cacheDir)
  // Not below the cache: if this process is root, the buildpacks' user cannot enter the cache.
  const base = (await isWritable(home)) ? home : tmpdir()
  const outside = await wrapErrno(base, () => mkdtemp(join(base, '.bale-')))
  const at = (name: string): string => join(outside, name)
  const made = { platform: at('platform'), cnb: at('cnb') }
  const ownDirs = { home: at('home'), tmp: at('tmp') }
  await wrapErrno(outside, async () => {
    await chmod(outside, 0o711)
    for (const dir of [...Object.values(made), join(made.platform, 'env'), ...Object.values(ownDirs)])
      await mkdir(dir, { mode: 0o700 })
  })
  return {
    ...own,
    ...made,
    ssh: { dir: at('ssh'), path: at('ssh') },
    layers,
    app,
    imagePaths: { layers, app },
    own: ownDirs,
    async [Symbol.asyncDispose]() {
      await settleAll([own[Symbol.asyncDispose](), removeTree(outside), empty(layers), empty(app)])
    },
  }
}

async function requireOwn(dir: string): Promise<void> {
  const found = await readdir(dir).catch((cause: unknown) => {
    throw isErrno(cause, 'ENOENT') ? missing(dir, cause) : cause
  })
  if (!(await isWritable(dir))) {
    throw new BaleError('filesystem', 'the build cannot write to this directory', {
      where: dir,
      fix: `mount an empty directory there: docker run --tmpfs ${dir}:exec, or an emptyDir volume of Kubernetes`,
    })
  }
  if (found.some(name => name !== 'lost+found')) {
    throw new BaleError('filesystem', 'the build needs an empty directory, but this one has files', {
      where: dir,
      fix: 'mount the source elsewhere; if a killed build left these files, delete them',
    })
  }
}

const isWritable = (dir: string): Promise<boolean> =>
  access(dir, constants.W_OK).then(
    () => true,
    () => false,
  )

const missing = (where: string, cause: unknown) =>
  new BaleError('filesystem', 'this directory of the builder image is missing', {
    where,
    fix: 'do not mount a volume over / of the builder image',
    cause,
  })

async function empty(dir: string): Promise<void> {
  for (const name of await readdir(dir)) if (name !== 'lost+found') await removeTree(join(dir, name))
}

/** The capabilities(7) that root needs to run buildpacks as another user. */
const needed = { CHOWN: 0, DAC_OVERRIDE: 1, SETGID: 6, SETUID: 7 }

/**
 * Checks the capabilities: without them, root could run buildpacks only as root.
 * @param status the text of /proc/self/status
 * @throws BaleError 'engine', which names the missing capabilities
 */
export function requireRights(uid: number, status: string): void {
  if (uid !== 0) return
  const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'}`)
  const lacking = Object.entries(needed).filter(([, bit]) => ((effective >> BigInt(bit)) & 1n) === 0n)
  if (lacking.length === 0) return
  const names = lacking.map(([name]) => name).join(', ')
  throw new BaleError('engine', `the job runs as root, but cannot run buildpacks as another user: it lacks ${names}`, {
    fix: 'start the container as another user: docker run --user 1000, or runAsUser: 1000 in Kubernetes',
  })
}
