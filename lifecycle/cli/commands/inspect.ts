import { labelOf } from '../../image/config.ts'
import { type Image, sizeOf } from '../../image/image.ts'
import { labels, parseBuildMetadataLabel, parseLayersMetadata } from '../../spec/labels.ts'
import { Stores } from '../../stores/open.ts'
import type { ImageReference } from '../../stores/transport.ts'
import { displayName } from '../../stores/transports.ts'
import type { CommandContext, GlobalOptions } from '../context.ts'
import { formatValue } from '../formats.ts'
import { formatBytes, makeStyle, printable, shortName } from '../text.ts'

/** The output of `--output json`. */
interface Inspection {
  readonly name: string
  /** Absent for an image that has only an image ID, as in a daemon. */
  readonly digest?: string
  readonly imageId: string
  readonly platform: string
  readonly created?: string
  readonly user?: string
  readonly size: number
  readonly base?: { readonly name?: string; readonly reference: string; readonly distro?: string }
  readonly buildpacks: readonly { readonly id: string; readonly version: string; readonly homepage?: string }[]
  readonly processes: readonly {
    readonly type: string
    readonly command: readonly string[]
    readonly default: boolean
    readonly workingDir?: string
  }[]
  readonly layers: readonly {
    readonly what: string
    readonly diffId: string
    readonly digest: string
    readonly size: number
  }[]
}

export async function inspectCommand(context: CommandContext, text: string, options: GlobalOptions): Promise<void> {
  await using stores = new Stores(context.settings, context.reporter)
  const { image, reference } = await stores.find(text, context.signal)
  const inspection = inspect(reference, image)
  const { output = 'human' } = options
  context.print(output === 'human' ? describe(inspection, context.color) : await formatValue(inspection, output))
}

function inspect(reference: ImageReference, image: Image): Inspection {
  const { config } = image
  const built = parseBuildMetadataLabel(labelOf(config, labels.build) ?? '{}', `label ${labels.build}`)
  const layers = parseLayersMetadata(labelOf(config, labels.lifecycle) ?? '{}', `label ${labels.lifecycle}`)
  const distro = [
    labelOf(config, 'io.buildpacks.base.distro.name'),
    labelOf(config, 'io.buildpacks.base.distro.version'),
  ]
    .filter(Boolean)
    .join(' ')
  const entrypoint = config.config?.Entrypoint?.[0]
  const history = (config.history ?? []).filter(h => h.empty_layer !== true)
  const { runImage } = layers
  return {
    name: displayName(reference),
    ...(reference.transport.keepsManifests && { digest: image.digest }),
    imageId: image.imageId,
    platform: [config.os, config.architecture, config.variant].filter(Boolean).join('/'),
    created: config.created,
    ...(config.config?.User && { user: config.config.User }),
    size: sizeOf(image),
    ...(runImage !== undefined && {
      base: {
        name: runImage.image,
        reference: runImage.reference,
        distro,
      },
    }),
    buildpacks: built.buildpacks.map(({ id, version, homepage }) => ({
      id,
      version,
      homepage,
    })),
    processes: built.processes.map(p => ({
      type: p.type,
      command: [...p.command, ...p.args],
      default: entrypoint === `/cnb/process/${p.type}`,
      workingDir: p.workingDir,
    })),
    layers: image.layers.map((layer, i) => {
      const what = (history.length === image.layers.length ? history[i]?.created_by : undefined) ?? ''
      return { what, diffId: layer.diffId, digest: layer.digest, size: layer.size }
    }),
  }
}

function describe(inspection: Inspection, color: boolean): string {
  const style = makeStyle(color)
  const { base } = inspection
  const lines = [
    style.bold(printable(shortName(inspection.name))),
    ...(inspection.digest === undefined ? [] : [`  Digest    ${inspection.digest}`]),
    `  Platform  ${inspection.platform}`,
    `  Size      ${formatBytes(inspection.size)}, ${inspection.layers.every(l => l.digest === l.diffId) ? 'not compressed' : 'compressed'}`,
    `  User      ${inspection.user ?? 'root'}`,
    `  Created   ${inspection.created ?? 'unknown'}${inspection.created?.startsWith('1980-01-01') ? ' (the same for every build, so that digests can be compared; SOURCE_DATE_EPOCH sets it)' : ''}`,
  ]
  if (base !== undefined)
    lines.push(
      `  Base      ${printable(base.name ?? base.reference)}${base.distro === undefined ? '' : ` (${printable(base.distro)})`}`,
    )
  lines.push('', 'Buildpacks:', ...list(inspection.buildpacks.map(b => `${b.id} ${b.version}`)))
  lines.push(
    '',
    'Processes:',
    ...list(inspection.processes.map(p => `${p.type}${p.default ? ' (default)' : ''}: ${p.command.join(' ')}`)),
  )
  lines.push(
    '',
    'Layers:',
    ...list(
      inspection.layers.map(
        l => `${l.diffId.slice(7, 19)} ${formatBytes(l.size).padStart(8)}  ${l.what || 'run image'}`,
      ),
    ),
  )
  return lines.join('\n')
}

const list = (items: readonly string[]): string[] =>
  items.length === 0 ? ['  none'] : items.map(item => `  ${printable(item)}`)
