import { copyFile, mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { escapeId } from '../spec/ids.ts'
import { namesIn, readUntrusted } from './read-file.ts'

/** SBOM formats and their file extensions (buildpack.md, "Software-Bill-of-Materials"). */
const extensions = ['cdx.json', 'spdx.json', 'syft.json'] as const

/** `<name>.sbom.<ext>` files of one buildpack, by what they describe: a layer, or `launch` or `build`. */
export interface SbomFile {
  readonly subject: string
  readonly extension: string
  readonly path: string
}

export async function findSboms(buildpackLayersDir: string): Promise<SbomFile[]> {
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
 * Copies a buildpack's SBOM files to where platforms look for them (platform.md, exporter outputs):
 * `<layers>/sbom/{launch,build}/<id>/[<layer>/]sbom.<ext>`, by whether the layer is for launch.
 */
export async function collectSboms(
  layersDir: string,
  id: string,
  from: string,
  isLaunch: (layer: string) => boolean,
): Promise<void> {
  for (const { subject, extension, path } of await findSboms(from)) {
    const content = await readUntrusted(path)
    if (content === undefined) continue
    const whole = subject === 'launch' || subject === 'build'
    const kind = whole ? subject : isLaunch(subject) ? 'launch' : 'build'
    const target = join(layersDir, 'sbom', kind, escapeId(id), ...(whole ? [] : [subject]), `sbom.${extension}`)
    await mkdir(dirname(target), { recursive: true })
    await writeFile(target, content)
  }
}

/** The reverse: puts the SBOM files of a previous build, unpacked in `sbomDir`, back beside the layer they describe. */
export async function restoreSboms(sbomDir: string, layersDir: string, id: string, layer: string): Promise<void> {
  const from = join(sbomDir, 'launch', escapeId(id), layer)
  for (const alternative of [from, join(sbomDir, 'build', escapeId(id), layer)]) {
    for (const name of await namesIn(alternative)) {
      if (extensions.some(e => name === `sbom.${e}`)) {
        await copyFile(join(alternative, name), join(layersDir, escapeId(id), `${layer}.${name}`))
      }
    }
  }
}
