import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { BaleError, isErrno } from '../../errors.ts'
import type { Reporter } from '../../events.ts'
import type { ImageConfig } from '../../image/config.ts'
import type { Platform } from '../../image/manifest.ts'
import { checkPublishableId, checkPublishableVersion } from '../../spec/ids.ts'
import type { ModuleKind } from '../../phases/buildpacks-dir.ts'
import { builderLabels } from '../../spec/builder-labels.ts'
import type { OrderElement } from '../../spec/types.ts'
import type { Stores } from '../../stores/open.ts'
import type { PullPolicy } from '../../stores/pull-policy.ts'
import { hostPlatform } from '../../stores/settings.ts'
import { type Distribution, bundledIn } from '../distribution.ts'
import type { Settings } from '../settings.ts'
import { publishPlans } from './create-builder.ts'
import type { ImagePlan } from './image-plan.ts'
import { created } from './make-builder.ts'
import { nameOf } from './module.ts'
import { type LocalModule, buildpackLayersLabel, moduleLayer, needsNode } from './module-layer.ts'
import { nodeRuntime } from './node-runtime.ts'
import { type OpenBuildpackInput, openBuildpack, parsePackage } from './open-buildpack.ts'

export interface PackageInput {
  readonly kind: ModuleKind
  /** The image's name, or the path of the .cnb file. */
  readonly name: string
  readonly format: 'image' | 'file'
  /** The directory of the buildpack or extension, if no package.toml names it. */
  readonly path?: string | undefined
  /** A package.toml. */
  readonly config?: string | undefined
  readonly publish?: boolean | undefined
  /** More names of the image. */
  readonly tags?: readonly string[] | undefined
  readonly pullPolicy?: PullPolicy | undefined
  readonly targets?: readonly Platform[] | undefined
  readonly labels?: Readonly<Record<string, string>> | undefined
  /** Leaves Node out of buildpacks that need it: the package is for builders whose lifecycle includes Node. */
  readonly withoutNode?: boolean | undefined
  readonly settings: Settings
  readonly stores: Stores
  readonly distribution: Distribution
  readonly reporter: Reporter
}

/**
 * Makes a package: an image with a layer for the buildpack and for each that it depends on (extensions/buildpackage.md), or for
 * an image extension. A .cnb file is an OCI archive of it.
 * @throws BaleError for an incomplete buildpack, or missing dependencies
 */
export async function packageModule(input: PackageInput, signal: AbortSignal): Promise<void> {
  const { stores, format, name, publish, settings } = input
  const { modules, targets: ofFile } = await openModules(input, signal)
  const [main] = modules
  checkPublishableId(main.descriptor.id, main.dir)
  checkPublishableVersion(main.descriptor.version, main.dir)
  requireComplete(modules)
  const chosen = input.targets ?? ofFile
  const platforms = chosen.length === 0 ? [settings.platform] : chosen
  const destination = format === 'file' ? `oci-archive:${resolve(name)}` : name
  const destinations = await stores.destinations([destination, ...(input.tags ?? [])], publish === true)
  const plans = platforms.map(platform => planFor(platform, modules, input))
  await publishPlans(plans, destinations, input.reporter, signal)
}

type Modules = readonly [LocalModule, ...LocalModule[]]

async function openModules(
  input: PackageInput,
  signal: AbortSignal,
): Promise<{ modules: Modules; targets: readonly Platform[] }> {
  const base = resolve(input.path ?? (input.config === undefined ? '.' : dirname(input.config)))
  const file = input.config === undefined ? join(base, 'package.toml') : resolve(input.config)
  const toml = await readFile(file).catch((error: unknown) => {
    if (input.config === undefined && isErrno(error, 'ENOENT')) return undefined
    if (!isErrno(error)) throw error
    throw new BaleError('arguments', 'the package.toml cannot be read', { where: file, fix: 'correct --config' })
  })
  const description = parsePackage(toml ?? '', file)
  const context: OpenBuildpackInput = {
    ...input,
    bundled: bundledIn(input.distribution),
    builder: [],
    base: dirname(file),
  }
  const uri = description[input.kind]
  const opened = await openBuildpack(uri === undefined || uri === '.' ? base : uri, file, context, signal)
  const more = []
  // A directory's own package.toml has been followed already.
  if (uri !== undefined && uri !== '.')
    for (const dependency of description.dependencies)
      more.push(...(await openBuildpack(dependency, file, context, signal)))
  const unique = new Map([...opened, ...more].map(module => [nameOf(module.descriptor), module]))
  const modules = [...unique.values()].flatMap(module =>
    module.dir === undefined ? [] : [{ ...module, dir: module.dir }],
  )
  return { modules: modules as unknown as Modules, targets: description.targets }
}

/** The order of a composite buildpack may name only buildpacks in the package. */
function requireComplete(modules: Modules): void {
  const has = ({ id, version }: OrderElement): boolean =>
    modules.some(({ descriptor: d }) => d.id === id && (version === '' || d.version === version))
  for (const { descriptor, dir } of modules) {
    const missing = (descriptor.order ?? []).flat().find(element => !element.optional && !has(element))
    if (missing === undefined) continue
    throw new BaleError('input', `${nameOf(descriptor)} depends on ${nameOf(missing)}, which is not in the package`, {
      where: dir,
      fix: 'add it to [[dependencies]] in package.toml',
    })
  }
}

function planFor(platform: Platform, modules: Modules, input: PackageInput): ImagePlan {
  const local = modules.map(module => forPlatform(module, platform))
  const layers = local.map(module => moduleLayer(module, nodeFor(module, platform, input)))
  const descriptors = local.map(({ descriptor }) => descriptor)
  const [{ id, version, name, homepage, stacks }] = descriptors as [(typeof descriptors)[0], ...typeof descriptors]
  const metadata = {
    id,
    version,
    name,
    homepage,
    ...(stacks.length > 0 && { stacks: stacks.map(stack => ({ id: stack })) }),
  }
  return {
    layers,
    config: (made): ImageConfig => ({
      created,
      os: platform.os,
      architecture: platform.architecture,
      ...(platform.variant !== undefined && { variant: platform.variant }),
      config: {
        Labels: {
          ...input.labels,
          [builderLabels.package]: JSON.stringify(metadata),
          [input.kind === 'buildpack' ? builderLabels.layers : builderLabels.extensionLayers]: JSON.stringify(
            buildpackLayersLabel(descriptors, made),
          ),
        },
      },
      rootfs: { type: 'layers', diff_ids: [] },
      history: layers.map(({ createdBy }) => ({ created, created_by: createdBy })),
    }),
  }
}

/** A directory may have the files for each platform in `<os>/<arch>`, beside buildpack.toml, as in pack. */
function forPlatform(module: LocalModule, { os, architecture, variant }: Platform): LocalModule {
  const own = [join(module.dir, os, architecture, variant ?? ''), join(module.dir, os, architecture)].find(dir =>
    existsSync(join(dir, `${module.kind ?? 'buildpack'}.toml`)),
  )
  return own === undefined ? module : { ...module, dir: own }
}

function nodeFor(module: LocalModule, platform: Platform, { withoutNode, distribution }: PackageInput) {
  if (withoutNode === true || !needsNode(module) || existsSync(join(module.dir, 'node', 'node'))) return undefined
  const here = hostPlatform().architecture
  if (platform.architecture === here) return nodeRuntime(distribution)
  throw new BaleError(
    'arguments',
    `${nameOf(module.descriptor)} needs Node, but this machine has Node only for linux/${here}`,
    {
      where: `target ${platform.os}/${platform.architecture}`,
      fix: "package it on a machine of that architecture, or for builders with Bale's lifecycle by --without-node",
    },
  )
}
