import { mkdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { findAccount } from '../../../engines/accounts.ts'
import { BaleError } from '../../../errors.ts'
import { toBytes } from '../../../files/byte-string.ts'
import { readTrusted } from '../../../files/read.ts'
import type { ContainerConfig, History } from '../../../image/config.ts'
import { layerHistory } from '../../../image/history.ts'
import { formatOf, makeImage } from '../../../image/image.ts'
import type { Layer } from '../../../image/layer.ts'
import { isAtOrBelow } from '../../../layers/tree/cursor.ts'
import { type OwnedPath, giveOwners, ownersFile } from '../../../layers/tree/owners.ts'
import { changesSource } from '../../../layers/tree/pack.ts'
import { compareSnapshots, takeSnapshot } from '../../../layers/tree/snapshot.ts'
import type { ExtendKind } from '../../../spec/extend-config.ts'
import { labels } from '../../../spec/labels.ts'
import { writeSparseLayout } from '../../../stores/layout/sparse.ts'
import { layoutStore } from '../../../stores/layout/store.ts'
import type { PhaseContext } from '../context.ts'
import { applyAll } from './apply-all.ts'
import type { BaseImage } from './base-image.ts'
import type { ExtensionDockerfile } from './dockerfiles.ts'
import { mountPoints } from './mount-points.ts'

/**
 * Applies Dockerfiles of a kind to this container, which runs the image to extend, and writes the image with their changes to
 * `<extended>/<kind>/<digest>`: an OCI layout with manifest, config and the new layers, one for each Dockerfile (platform.md, "extender").
 * @param own a directory that is not part of the image, created before anything is applied
 * @throws BaleError 'failed' if a run image would run as root
 */
export async function extendImage(
  context: PhaseContext,
  kind: ExtendKind,
  files: readonly ExtensionDockerfile[],
  { reference, image }: BaseImage,
  own: string,
): Promise<void> {
  const { inputs, io, log, signal } = context
  const target = join(inputs.path('extended'), kind)
  const unfinished = join(target, 'unfinished')
  await rm(target, { recursive: true, force: true })
  await mkdir(unfinished, { recursive: true })
  const store = layoutStore(unfinished)
  const left = [own, ...(await placesOfThePlatform(context))]
  await restoreOwners(context, left)
  const snapshot = () => takeSnapshot(io.rootDir ?? '/', left)
  // Uses the clock of the file system, which is behind the process's clock.
  const { mtimeMs: since } = await stat(own)
  let before = snapshot()
  const added: Layer[] = []
  const history: History[] = [...layerHistory(image)]
  let isRebasable = true
  const base = { reference, config: withoutRebasable(image.config.config ?? {}) }
  const config = await applyAll(context, files, base, async ({ extension }, applied) => {
    const after = snapshot()
    const changes = compareSnapshots(before, after, since)
    if (changes.changed.length + changes.removed.length > 0) {
      const createdBy = `Layer: '${kind}.Dockerfile', Created by extension: ${extension}`
      added.push(await store.putLayer(changesSource(createdBy, changes, { onWarning: text => log.warn(text) }), signal))
      history.push({ created_by: createdBy })
    }
    before = after
    isRebasable &&= applied.Labels?.[labels.rebasable] === 'true'
    // Each Dockerfile must set the rebasable label itself.
    return withoutRebasable(applied)
  })
  if (kind === 'run') await refuseRoot(config)
  const whole = { ...config, Labels: { ...config.Labels, [labels.rebasable]: String(isRebasable) } }
  const layers = [...image.layers, ...added]
  const extended = makeImage({ ...image.config, config: whole, history }, layers, formatOf(image, layers))
  await writeSparseLayout(unfinished, extended)
  await rename(unfinished, join(target, extended.digest))
}

/** Lists the paths that exist in this container but not in its image. */
async function placesOfThePlatform({ inputs, io }: PhaseContext): Promise<string[]> {
  const own = (['app', 'layers', 'platform', 'generated', 'extended'] as const).map(name => inputs.path(name))
  return [...own, io.kanikoDir ?? '/kaniko', ...(await mountPoints())]
}

/** In a sandbox of `bale build`, the unpacked image has lost the owners of its files. The platform gives a list of them. */
async function restoreOwners({ io }: PhaseContext, left: readonly string[]): Promise<void> {
  const list = await readTrusted(join(io.kanikoDir ?? '/kaniko', ownersFile))
  if (list === undefined) return
  const owners = JSON.parse(new TextDecoder().decode(list)) as OwnedPath[]
  const places = left.map(path => toBytes(path.slice(1)))
  giveOwners(io.rootDir ?? '/', owners, path => places.some(place => isAtOrBelow(path, place)))
}

function withoutRebasable(config: ContainerConfig): ContainerConfig {
  const { [labels.rebasable]: _rebasable, ...others } = config.Labels ?? {}
  return { ...config, Labels: others }
}

/** platform.md, "extender": the build fails if the run image's user is root in the end. */
async function refuseRoot({ User = '' }: ContainerConfig): Promise<void> {
  const { uid } = await findAccount('/', User)
  if (uid !== 0) return
  throw new BaleError('failed', 'the run.Dockerfiles leave root as the user of the run image', {
    fix: 'reset the user in the last one that changes it: ARG user_id, ARG group_id, USER ${user_id}:${group_id}',
  })
}
