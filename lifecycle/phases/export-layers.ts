import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { BaleError } from '../errors.ts'
import type { LayerKind, Reporter } from '../events.ts'
import type { Fingerprint, LayerSource } from '../image/layer.ts'
import type { LayerEntry, Owner } from '../layers/tree/entries.ts'
import { fingerprintTree } from '../layers/tree/fingerprint.ts'
import { layerSource, listTree } from '../layers/tree/pack.ts'
import { escapeId } from '../spec/ids.ts'
import { assignSlices } from '../spec/slices.ts'
import type { GroupElement, Process, Slice } from '../spec/types.ts'
import { lifecycleVersion } from '../version.ts'
import type { LayerOnDisk } from './layers-dir.ts'

/** A directory of the build: its present path and its path in the image. */
export interface Located {
  readonly host: string
  readonly image: string
}

/** A layer to make, with its display name. */
export interface NamedSource {
  readonly kind: LayerKind
  /** `bale/nodejs:modules`, `app`, `launcher`. */
  readonly name: string
  readonly source: LayerSource
}

const root: Owner = { uid: 0, gid: 0 }
const launcherPath = '/cnb/lifecycle/launcher'

/**
 * Returns the parents of an image path from `top` on, outermost first: `/layers/x/y` below `/layers` → `/layers`,
 * `/layers/x`. The directories above `top` belong to the run image: an entry would change their mode (for example of `/tmp`) and
 * owner.
 */
function parentsOf(imagePath: string, top: string, owner: Owner): LayerEntry[] {
  const parts = imagePath.slice(top.length).split('/').slice(1)
  // Mode and owner are fixed: on disk they depend on the user and the umask.
  return parts.map((_, i) => ({
    kind: 'directory',
    imagePath: [top, ...parts.slice(0, i)].join('/'),
    ...owner,
    mode: 0o755,
  }))
}

/**
 * Adds the tree at `below` in a directory of the build (all of it if `below` is empty), with its parents in that directory.
 */
function treeLayer(createdBy: string, top: Located, below: string, owner: Owner, reporter: Reporter): LayerSource {
  const imagePath = below === '' ? top.image : `${top.image}/${below}`
  const tree: LayerEntry = {
    kind: 'tree',
    hostPath: join(top.host, below),
    within: top.host,
    imagePath,
    ...owner,
  }
  return layerSource(createdBy, [...parentsOf(imagePath, top.image, owner), tree], {
    onWarning: text => reporter.event({ type: 'warning', text }),
  })
}

export function buildpackLayer(
  layers: Located,
  buildpack: GroupElement,
  layer: LayerOnDisk,
  owner: Owner,
  reporter: Reporter,
): NamedSource {
  const createdBy = `Layer: '${layer.name}', Created by buildpack: ${buildpack.id}@${buildpack.version}`
  const below = `${escapeId(buildpack.id)}/${layer.name}`
  // Computed once for image and cache, since the tree no longer changes.
  let found: Promise<Fingerprint | undefined> | undefined
  const fingerprint = (): Promise<Fingerprint | undefined> =>
    (found ??= identify(layer.dir, `${layers.image}/${below}`, owner))
  return {
    kind: 'buildpack',
    name: `${buildpack.id}:${layer.name}`,
    source: { ...treeLayer(createdBy, layers, below, owner, reporter), fingerprint },
  }
}

/** Fingerprints every input of a layer's tar: the tree, its path in the image, its owner, and the lifecycle's version. */
async function identify(host: string, imagePath: string, owner: Owner): Promise<Fingerprint | undefined> {
  const tree = await fingerprintTree(host)
  if (tree === undefined) return undefined
  const parts = [imagePath, owner.uid, owner.gid, lifecycleVersion]
  return { tree, place: createHash('sha256').update(JSON.stringify(parts)).digest('hex') }
}

export function sbomLayer(layers: Located, owner: Owner, reporter: Reporter): NamedSource {
  const source = treeLayer('Software Bill-of-Materials', layers, 'sbom/launch', owner, reporter)
  return { kind: 'sbom', name: 'sbom', source }
}

/** The SBOM files that a cache keeps: those for launch and those for build. */
export function cachedSbomLayer(layers: Located, owner: Owner, reporter: Reporter): LayerSource {
  return treeLayer('Software Bill-of-Materials', layers, 'sbom', owner, reporter)
}

export function configLayer(layers: Located, owner: Owner, reporter: Reporter): NamedSource {
  const source = treeLayer('Buildpacks Launcher Config', layers, 'config', owner, reporter)
  return { kind: 'config', name: 'config', source }
}

export function launcherLayer(launcher: string): NamedSource {
  const entries: LayerEntry[] = [
    ...parentsOf(launcherPath, '/cnb', root),
    { kind: 'host-file', hostPath: launcher, imagePath: launcherPath, ...root, mode: 0o755 },
  ]
  return { kind: 'launcher', name: 'launcher', source: layerSource('Buildpacks Application Launcher', entries) }
}

export function processTypesLayer(processes: readonly Process[]): NamedSource {
  const types = processes.map(p => p.type).sort()
  const entries: LayerEntry[] = [
    { kind: 'directory', imagePath: '/cnb', ...root, mode: 0o755 },
    { kind: 'directory', imagePath: '/cnb/process', ...root, mode: 0o755 },
    ...types.map(type => ({
      kind: 'symlink' as const,
      imagePath: `/cnb/process/${type}`,
      target: launcherPath,
      ...root,
    })),
  ]
  return { kind: 'process-types', name: 'process-types', source: layerSource('Buildpacks Process Types', entries) }
}

/**
 * Makes one layer of the app directory for each slice, empty ones included, and one for the rest (buildpack.md, "Slice
 * Layers"). Without slices the app is a single tree.
 */
export async function appLayers(
  app: Located,
  slices: readonly Slice[],
  owner: Owner,
  reporter: Reporter,
): Promise<NamedSource[]> {
  if (slices.length === 0) {
    return [{ kind: 'app', name: 'app', source: treeLayer('Application Layer', app, '', owner, reporter) }]
  }
  const paths = (await listTree(app.host)).map(bytes => {
    const text = bytes.toString('utf8')
    if (Buffer.from(text).equals(bytes)) return text
    throw new BaleError('input', `the name ${JSON.stringify(text)} is not UTF-8, which slices need`, {
      where: app.host,
      fix: 'rename it',
    })
  })
  const assigned = assignSlices(paths, slices, app.image)
  const make = (createdBy: string, name: string, chosen: readonly string[]): NamedSource => {
    const entries: LayerEntry[] = [
      ...parentsOf(`${app.image}/x`, app.image, owner),
      { kind: 'paths', hostPath: app.host, imagePath: app.image, ...owner, paths: chosen.map(p => Buffer.from(p)) },
    ]
    return {
      kind: 'app',
      name,
      source: layerSource(createdBy, entries, { onWarning: text => reporter.event({ type: 'warning', text }) }),
    }
  }
  const layers = assigned.slices.map((chosen, i) => make(`Application Slice: ${i + 1}`, `slice-${i + 1}`, chosen))
  return [...layers, make(`Application Slice: ${slices.length + 1}`, 'app', assigned.rest)]
}
