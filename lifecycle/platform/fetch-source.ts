import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { BaleError } from '../errors.ts'
import type { Reporter } from '../events.ts'
import { removeTree } from '../files/remove.ts'
import { wrapErrno } from '../files/wrap-errno.ts'
import { leaseName } from '../files/lease.ts'
import { formatOrder } from '../spec/order.ts'
import { Stores } from '../stores/open.ts'
import { withoutExtensions } from './builders/image-environment.ts'
import type { GivenBuildpacks } from './builders/project-selection.ts'
import type { BuildpackSelection } from './builders/selection.ts'
import { type ImageOrder, orderInImage, selectionInImage } from './builders/selection-in-image.ts'
import { copySource } from './copy-source.ts'
import { ownDirectory } from '../files/own-directory.ts'
import type { Settings } from './settings.ts'
import { openContext, subDirectory } from './source-context.ts'
import { type SourceSettings, readSourceSettings } from './source-filter.ts'
import { unpackSource } from './source-image.ts'
import { writePlatformEnv } from './workspace.ts'

export interface FetchSource {
  /** An image that `pushSource` made, as `docker://NAME@DIGEST`, or what `--path` takes. */
  readonly from: string
  /** The target directory, which must not exist. */
  readonly to: string
  /** Deletes the image that holds the source, once the source is here. */
  readonly deleteImage?: boolean | undefined
  readonly subPath?: string | undefined
  /** The platform directory, which gets the variables. */
  readonly platformDir?: string | undefined
  /** The order of the builder image around this process, which is written to the file `to` with the build's selection. */
  readonly order?: { readonly of: ImageOrder; readonly to: string; readonly chosen: GivenBuildpacks } | undefined
  /** Variables for buildpacks, which take precedence over those of project.toml. */
  readonly env: Readonly<Record<string, string>>
  readonly settings: Settings
  readonly stdin: Readable
  readonly reporter: Reporter
}

/**
 * Writes source, variables and order of a build to the places where phases read them, as `bale build` does before the first
 * phase.
 */
export async function fetchSource(input: FetchSource, signal: AbortSignal): Promise<void> {
  const { from, to, settings, reporter, platformDir, order } = input
  let env = input.env
  let selection = await selectionInImage(order?.chosen ?? {}, undefined)
  if (from.startsWith('docker://')) {
    await using stores = new Stores(settings, reporter)
    await unpackSource({ from, to, deleteImage: input.deleteImage === true, stores, settings }, signal)
  } else {
    const fetched = await fetchContext(input, signal)
    selection = fetched.selection
    env = { ...fetched.env, ...env }
  }
  if (order !== undefined) {
    const given = await orderInImage(selection, order.of, signal)
    const content = formatOrder(withoutExtensions(given, 'the builder image', reporter))
    await wrapErrno(order.to, () => writeFile(order.to, content))
  }
  if (platformDir === undefined) return
  await wrapErrno(platformDir, () => mkdir(join(platformDir, 'env'), { recursive: true }))
  await writePlatformEnv(platformDir, env)
}

/** @returns the variables of its project.toml, and the buildpacks that the user and project.toml choose */
async function fetchContext(
  input: FetchSource,
  signal: AbortSignal,
): Promise<Pick<SourceSettings, 'env'> & { readonly selection: BuildpackSelection }> {
  const { from, to, subPath, settings, stdin, reporter } = input
  await ownDirectory(settings.cacheDir, 'XDG_CACHE_HOME')
  const workDir = join(settings.cacheDir, 'tmp', leaseName())
  await wrapErrno(workDir, () => mkdir(workDir, { recursive: true, mode: 0o700 }))
  try {
    const all = await openContext(from, { workDir, environment: settings.environment, stdin, signal })
    const dir = subPath === undefined ? all : await subDirectory(all, subPath)
    const { filter, keepsGit, env, project } = await readSourceSettings({ dir, images: [], outputs: [], reporter })
    const selection = await selectionInImage(input.order?.chosen ?? {}, project)
    const [chosen] = [...selection.group, ...selection.pre, ...selection.post]
    if (chosen !== undefined && input.order === undefined)
      throw new BaleError('input', 'it selects buildpacks, but --order does not say where to write their order', {
        where: chosen.where,
        fix: 'add --order FILE in a builder image, and give that file to detector',
      })
    await wrapErrno(to, () => mkdir(to))
    await copySource(dir, to, { reporter, filter, keepsGit, signal })
    return { env, selection }
  } finally {
    await removeTree(workDir)
  }
}
