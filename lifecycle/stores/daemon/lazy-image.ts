import type { ContainerConfig, History, ImageConfig } from '../../image/config.ts'
import type { Digest } from '../../image/digest.ts'
import { type Image, assembleImage } from '../../image/image.ts'
import type { Layer } from '../../image/layer.ts'
import type { Manifest } from '../../image/manifest.ts'
import { oci } from '../../image/media-types.ts'
import { parseConfig } from '../../image/validate.ts'

/** A daemon's description of an image: the answers of `inspect` and `history` (Docker Engine API). */
export interface Description {
  readonly id: Digest
  readonly inspect: Readonly<Record<string, unknown>>
  /** Newest first. */
  readonly history: readonly Readonly<Record<string, unknown>>[]
}

/** Keys of `Config` that belong to the image. Other keys describe the container that it was committed from. */
const imageKeys: readonly (keyof ContainerConfig)[] = [
  ...(['User', 'ExposedPorts', 'Env', 'Entrypoint', 'Cmd', 'Volumes', 'WorkingDir', 'Labels', 'StopSignal'] as const),
  ...['Healthcheck', 'OnBuild', 'Shell', 'ArgsEscaped'],
]

/**
 * Makes an image from a daemon's description, without reading layers. The config has the same content as the daemon's own, but its
 * bytes differ; `imageId` is the daemon's.
 * @param tarOf the uncompressed bytes of a layer
 * @throws BaleError 'input' if the description is incomplete
 */
export function lazyImage(
  { id, inspect, history }: Description,
  tarOf: (diffId: Digest, signal?: AbortSignal) => AsyncIterable<Uint8Array>,
  where: string,
): Image {
  const config = configOf(inspect, where)
  const diffIds = config.rootfs.diff_ids
  const entries = layerEntries(history, diffIds.length)
  const whole: ImageConfig = { ...config, ...(entries && { history: entries.map(historyOf) }) }
  const layers = diffIds.map((diffId, i): Layer => {
    const tar = (signal?: AbortSignal) => tarOf(diffId, signal)
    // The size of its files. The tar's length is unknown until the daemon sends it.
    const size = entries === undefined ? 0 : Number(entries[i]?.['Size'] ?? 0)
    const source = { kind: 'source', createdBy: diffId, tar } as const
    return { kind: 'layer', diffId, digest: diffId, size, mediaType: oci.layer, open: tar, source }
  })
  const configBytes = Buffer.from(JSON.stringify(whole))
  const manifest: Manifest = {
    schemaVersion: 2,
    mediaType: oci.manifest,
    config: { mediaType: oci.config, digest: id, size: configBytes.length },
    layers: layers.map(({ mediaType, digest, size }) => ({ mediaType, digest, size })),
  }
  return assembleImage(Buffer.from(JSON.stringify(manifest)), manifest, configBytes, whole, layers)
}

function configOf(inspect: Description['inspect'], where: string): ImageConfig {
  const { Created, Author, Architecture, Variant, Os, OsVersion, Config, RootFS } = inspect
  const container = (Config ?? {}) as Record<string, unknown>
  const kept = imageKeys.filter(key => isSet(container[key])).map(key => [key, container[key]])
  const config = {
    ...(isSet(Created) && { created: Created }),
    ...(isSet(Author) && { author: Author }),
    architecture: Architecture,
    ...(isSet(Variant) && { variant: Variant }),
    os: Os,
    ...(isSet(OsVersion) && { 'os.version': OsVersion }),
    config: Object.fromEntries(kept) as ContainerConfig,
    rootfs: { type: 'layers', diff_ids: (RootFS as { Layers?: unknown } | undefined)?.Layers ?? [] },
  }
  return parseConfig(Buffer.from(JSON.stringify(config)), where)
}

/** Daemons write absent values as null or as an empty string. */
const isSet = (value: unknown): boolean => value !== undefined && value !== null && value !== ''

/** The history entries that made a layer, oldest first; undefined if they cannot be distinguished from the others. */
function layerEntries(history: Description['history'], layers: number): Description['history'] | undefined {
  const oldestFirst = [...history].reverse()
  const withFiles = oldestFirst.filter(entry => Number(entry['Size']) > 0)
  return [oldestFirst, withFiles].find(entries => entries.length === layers)
}

function historyOf(entry: Description['history'][number]): History {
  const { Created, CreatedBy, Comment } = entry
  const created = typeof Created === 'number' && Created > 0 ? new Date(Created * 1000) : undefined
  return {
    ...(created !== undefined && { created: created.toISOString().replace('.000Z', 'Z') }),
    ...(typeof CreatedBy === 'string' && CreatedBy !== '' && { created_by: CreatedBy }),
    ...(typeof Comment === 'string' && Comment !== '' && { comment: Comment }),
  }
}
