import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { BaleError } from '../errors.ts'
import type { Reporter } from '../events.ts'
import { contentTar } from '../layers/layer-tar.ts'
import { unpackTree } from '../layers/tree/unpack.ts'
import { escapeId } from '../spec/ids.ts'
import type { BuildpackDescriptor } from '../spec/types.ts'
import type { PreviousImage } from './analyze.ts'
import type { Located } from './export-layers.ts'
import { directoryState, namesIn } from '../files/directories.ts'
import { readTrusted, readUntrusted } from '../files/read.ts'
import { removeWithin, writeAnew } from './write-file.ts'

/** The media type of each SBOM file extension (buildpack.md, "Software-Bill-of-Materials"). */
const mediaTypes = {
  'cdx.json': 'application/vnd.cyclonedx+json',
  'spdx.json': 'application/spdx+json',
  'syft.json': 'application/vnd.syft+json',
} as const
const extensions = ['cdx.json', 'spdx.json', 'syft.json'] as const

/** A file `<name>.sbom.<ext>` of a buildpack. The name is a layer, `launch` or `build`. */
export interface SbomFile {
  readonly subject: string
  readonly extension: keyof typeof mediaTypes
  readonly path: string
}

async function findSboms(buildpackLayersDir: string): Promise<SbomFile[]> {
  const found: SbomFile[] = []
  for (const name of await namesIn(buildpackLayersDir)) {
    const extension = extensions.find(e => name.endsWith(`.sbom.${e}`))
    if (extension === undefined) continue
    found.push({
      subject: name.slice(0, -`.sbom.${extension}`.length),
      extension,
      path: join(buildpackLayersDir, name),
    })
  }
  return found
}

/**
 * Copies a buildpack's SBOM files to the paths that platforms read (platform.md, exporter outputs):
 * `<layers>/sbom/{launch,build}/<id>/[<layer>/]sbom.<ext>`, in `launch` if the layer is for launch.
 * @throws BaleError 'input' for a format that buildpack.toml does not declare (buildpack.md, "buildpack.toml", `sbom-formats`)
 */
export async function collectSboms(
  layersDir: string,
  { id, version, sbomFormats }: Pick<BuildpackDescriptor, 'id' | 'version' | 'sbomFormats'>,
  from: string,
  isLaunch: (layer: string) => boolean,
): Promise<void> {
  for (const { subject, extension, path } of await findSboms(from)) {
    const mediaType = mediaTypes[extension]
    if (!sbomFormats.some(format => format.split(';')[0]?.trim() === mediaType))
      throw new BaleError('input', `${id}@${version} wrote an SBOM in a format that it does not declare`, {
        where: path,
        fix: `add "${mediaType}" to sbom-formats in its buildpack.toml`,
      })
    const content = await readUntrusted(path)
    if (content === undefined) continue
    const whole = subject === 'launch' || subject === 'build'
    const kind = whole ? subject : isLaunch(subject) ? 'launch' : 'build'
    const target = join(layersDir, 'sbom', kind, escapeId(id), ...(whole ? [] : [subject]), `sbom.${extension}`)
    await mkdir(dirname(target), { recursive: true })
    await writeFile(target, content)
  }
}

/**
 * Adds the SBOM files of the launcher and of the lifecycle itself, if they exist (platform.md, exporter outputs). A
 * buildpack may have changed their target directories.
 */
export async function addLifecycleSboms(layersDir: string, from: string): Promise<void> {
  const goals = {
    launcher: ['launch', 'buildpacksio_lifecycle', 'launcher'],
    lifecycle: ['build', 'buildpacksio_lifecycle'],
  }
  for (const [name, goal] of Object.entries(goals)) {
    for (const extension of extensions) {
      const content = await readTrusted(join(from, `${name}.sbom.${extension}`))
      if (content === undefined) continue
      const dir = await makeDirectories(join(layersDir, 'sbom'), goal)
      writeAnew(join(dir, `sbom.${extension}`), content, layersDir)
    }
  }
}

/** Opens or makes nested directories, none of which may be a link. */
async function makeDirectories(from: string, names: readonly string[]): Promise<string> {
  let dir = from
  for (const name of ['', ...names]) {
    dir = name === '' ? dir : join(dir, name)
    if ((await directoryState(dir)) === 'absent') await mkdir(dir)
  }
  return dir
}

/** Returns the tar of the previous image's SBOM layer, if there is a readable one. */
export function sbomTarOf(previous: PreviousImage, signal?: AbortSignal): AsyncIterable<Uint8Array> | undefined {
  const sha = previous.metadata.sbom?.sha
  const layer = previous.image.layers.find(l => l.diffId === sha)
  return layer && contentTar(layer, signal)
}

/**
 * Replaces `to` with the content of an SBOM layer. Returns whether that succeeded. Damage only loses SBOM files, so it is a
 * warning.
 */
export async function unpackSboms(
  tar: AsyncIterable<Uint8Array>,
  to: string,
  options: { readonly layersDir: Located; readonly what: string; readonly reporter: Reporter; signal?: AbortSignal },
): Promise<boolean> {
  const { layersDir, what, reporter, signal } = options
  try {
    removeWithin(to, layersDir.host)
    await unpackTree(tar, { from: `${layersDir.image}/sbom`, to, within: layersDir.host, signal })
    return true
  } catch (error) {
    signal?.throwIfAborted()
    if (!(error instanceof BaleError)) throw error
    reporter.event({ type: 'warning', text: `the SBOM files of the ${what} cannot be restored: ${error.message}` })
    return false
  }
}

/**
 * The SBOM directories of a previous build in the image (`launch`) and in the cache. The Go lifecycle keeps a third one
 * there.
 */
const places = ['launch', 'build', 'cache'] as const

/**
 * Puts the SBOM files of a previous build, unpacked in `sbomDir`, back beside the layer that they describe: the reverse of
 * collecting them. A phase that runs buildpacks may have changed the directory since, so no link is followed.
 */
export async function restoreSboms(sbomDir: string, layersDir: string, id: string, layer: string): Promise<void> {
  for (const place of places) {
    const dir = await descend(sbomDir, [place, escapeId(id), layer])
    if (dir === undefined) continue
    for (const extension of extensions) {
      const content = await readUntrusted(join(dir, `sbom.${extension}`), layersDir)
      if (content === undefined) continue
      writeAnew(join(layersDir, escapeId(id), `${layer}.sbom.${extension}`), content, layersDir)
    }
  }
}

/** Opens the directory at a path, no part of which may be a link. Returns undefined if it does not exist. */
async function descend(from: string, names: readonly string[]): Promise<string | undefined> {
  let dir = from
  for (const name of ['', ...names]) {
    dir = name === '' ? dir : join(dir, name)
    if ((await directoryState(dir)) === 'absent') return undefined
  }
  return dir
}
