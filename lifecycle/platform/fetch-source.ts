import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { BaleError } from '../errors.ts'
import type { Reporter } from '../events.ts'
import { removeTree } from '../files/remove.ts'
import { wrapErrno } from '../files/wrap-errno.ts'
import { leaseName } from '../files/lease.ts'
import type { ProjectDescriptor } from '../spec/project-descriptor.ts'
import { Stores } from '../stores/open.ts'
import { copySource } from './copy-source.ts'
import { ownDirectory } from '../files/own-directory.ts'
import type { Settings } from './settings.ts'
import { openContext, subDirectory } from './source-context.ts'
import { readSourceSettings } from './source-filter.ts'
import { unpackSource } from './source-image.ts'
import { writePlatformEnv } from './workspace.ts'

export interface FetchSource {
  /** An image that `pushSource` made, as `docker://NAME@DIGEST`, or what `--path` takes. */
  readonly from: string
  /** Where the source goes; nothing may be there. */
  readonly to: string
  /** Deletes the image that holds the source, once the source is here. */
  readonly deleteImage?: boolean | undefined
  readonly subPath?: string | undefined
  /** The platform directory, which gets the variables. */
  readonly platformDir?: string | undefined
  /** Variables for buildpacks, which win over those of project.toml. */
  readonly env: Readonly<Record<string, string>>
  readonly settings: Settings
  readonly stdin: Readable
  readonly reporter: Reporter
}

/** Puts source where phases find it, and the variables of the build: what `bale build` does itself before the first phase. */
export async function fetchSource(input: FetchSource, signal: AbortSignal): Promise<void> {
  const { from, to, settings, reporter, platformDir } = input
  let env = input.env
  if (from.startsWith('docker://')) {
    await using stores = new Stores(settings, reporter)
    await unpackSource({ from, to, deleteImage: input.deleteImage === true, stores, settings }, signal)
  } else {
    env = { ...(await fetchContext(input, signal)), ...env }
  }
  if (platformDir === undefined) return
  await wrapErrno(platformDir, () => mkdir(join(platformDir, 'env'), { recursive: true }))
  await writePlatformEnv(platformDir, env)
}

/** @returns the variables of its project.toml */
async function fetchContext(input: FetchSource, signal: AbortSignal): Promise<Readonly<Record<string, string>>> {
  const { from, to, subPath, settings, stdin, reporter } = input
  await ownDirectory(settings.cacheDir, 'XDG_CACHE_HOME')
  const workDir = join(settings.cacheDir, 'tmp', leaseName())
  await wrapErrno(workDir, () => mkdir(workDir, { recursive: true, mode: 0o700 }))
  try {
    const all = await openContext(from, { workDir, environment: settings.environment, stdin, signal })
    const dir = subPath === undefined ? all : await subDirectory(all, subPath)
    const { filter, keepsGit, env, project } = await readSourceSettings({ dir, images: [], outputs: [], reporter })
    refuseSelection(project)
    await wrapErrno(to, () => mkdir(to))
    await copySource(dir, to, { reporter, filter, keepsGit, signal })
    return env
  } finally {
    await removeTree(workDir)
  }
}

/**
 * In a pod, the image that it runs is the builder, with its order.
 * @throws BaleError 'input' for a project that chooses another one, or buildpacks
 */
export function refuseSelection(project: ProjectDescriptor | undefined): void {
  const chosen = [...(project?.group ?? []), ...(project?.pre ?? []), ...(project?.post ?? [])][0]
  if (chosen === undefined) return
  throw new BaleError('input', 'a build on a cluster uses the buildpacks of its builder image, in their order', {
    where: chosen.where,
    fix: 'make a builder image with these buildpacks (bale builder create), name it with --builder, and leave them out here',
  })
}
