import { existsSync, readdirSync, readlinkSync, statSync } from 'node:fs'
import { isAbsolute, join } from 'node:path'
import { BaleError } from '../../errors.ts'
import type { Layer, LayerSource } from '../../image/layer.ts'
import type { LayerEntry } from '../../layers/tree/entries.ts'
import { layerSource } from '../../layers/tree/pack.ts'
import { escapeId } from '../../spec/ids.ts'
import type { BuildpackDescriptor, BuildpackTarget, OrderElement } from '../../spec/types.ts'
import type { BuildpackModule } from './module.ts'
import type { Files } from './node-runtime.ts'

export const root = { uid: 0, gid: 0 }

export type LocalModule = BuildpackModule & { readonly dir: string }

/**
 * Makes the layer of a buildpack or an image extension, for builders and packages: `/cnb/buildpacks/<id>/<version>`, or below
 * `/cnb/extensions` (platform.md, "Buildpacks Directory Layout", "Image Extensions Directory Layout"). It depends on names and contents alone, not on the umask or owner of the checkout.
 * @param node puts Node into the buildpack, in `node/`, for lifecycles without Node
 */
export function moduleLayer({ kind, descriptor: { id, version }, dir }: LocalModule, node?: Files): LayerSource {
  const parent = `/cnb/${kind ?? 'buildpack'}s/${escapeId(id)}`
  return layerSource(`${kind === 'extension' ? 'Image extension' : 'Buildpack'} ${id}@${version}`, [
    { kind: 'directory', imagePath: parent, mode: 0o755, ...root },
    ...tree(dir, `${parent}/${version}`),
    ...(node === undefined ? [] : nodeEntries(node, `${parent}/${version}/node`)),
  ])
}

/** Node with its loader and libraries, in a folder. */
export function* nodeEntries(node: Files, folder: string): Generator<LayerEntry> {
  yield { kind: 'directory', imagePath: folder, mode: 0o755, ...root }
  for (const [name, hostPath] of Object.entries(node).sort(([a], [b]) => (a < b ? -1 : 1)))
    yield { kind: 'host-file', imagePath: `${folder}/${name}`, hostPath, mode: modeOf(name), ...root }
}

/** The loader is executable and not readable: see distribution/dispatcher/main.c, "Secrets". */
export function modeOf(name: string): number {
  if (name.startsWith('ld-linux-')) return 0o711
  return ['node', 'nodejs', 'lifecycle', 'launcher', 'supervisor'].includes(name) ? 0o755 : 0o644
}

/** Whether a buildpack is run from a bundle, by Node. */
export const needsNode = ({ dir }: LocalModule): boolean =>
  existsSync(join(dir, 'main.cjs')) && existsSync(join(dir, 'bin', 'main'))

/** A directory tree that everyone can read and only root can write, regardless of the checkout's umask. */
export function* tree(hostPath: string, imagePath: string): Generator<LayerEntry> {
  yield { kind: 'directory', imagePath, mode: 0o755, ...root }
  const entries = readdirSync(hostPath, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))
  for (const entry of entries) {
    const place = { hostPath: join(hostPath, entry.name), imagePath: `${imagePath}/${entry.name}` }
    if (entry.isDirectory()) {
      yield* tree(place.hostPath, place.imagePath)
    } else if (entry.isFile()) {
      const mode = (statSync(place.hostPath).mode & 0o100) === 0 ? 0o644 : 0o755
      yield { kind: 'host-file', mode, ...place, ...root }
    } else if (entry.isSymbolicLink()) {
      const target = readlinkSync(place.hostPath)
      if (isAbsolute(target))
        throw new BaleError('input', `a link in a buildpack points outside it, to ${target}`, { where: place.hostPath })
      yield { kind: 'symlink', imagePath: place.imagePath, target, ...root }
    } else {
      throw new BaleError('input', 'it is not a file, directory or link', { where: place.hostPath })
    }
  }
}

/** Converts an order to the format of labels and order.toml. */
export const orderOf = (groups: readonly (readonly OrderElement[])[]) =>
  groups.map(group => ({
    group: group.map(({ id, version, optional }) => ({ id, version, ...(optional && { optional }) })),
  }))

const targetOf = ({ distros, ...platform }: BuildpackTarget) => ({
  ...platform,
  ...(distros.length > 0 && { distros }),
})

/** `io.buildpacks.buildpack.layers`, or the same of extensions. @param layers the layers of the modules, in the same order */
export function buildpackLayersLabel(
  descriptors: readonly BuildpackDescriptor[],
  layers: readonly Layer[],
): Record<string, Record<string, unknown>> {
  const byVersion: Record<string, Record<string, unknown>> = {}
  descriptors.forEach((descriptor, i) => {
    const { id, version, api, name, homepage, stacks, targets, order } = descriptor
    byVersion[id] = {
      ...byVersion[id],
      [version]: {
        api,
        ...(stacks.length > 0 && { stacks: stacks.map(stack => ({ id: stack })) }),
        ...(targets.length > 0 && { targets: targets.map(targetOf) }),
        ...(order && { order: orderOf(order) }),
        layerDiffID: layers[i]?.diffId,
        homepage,
        name,
      },
    }
  })
  return byVersion
}
