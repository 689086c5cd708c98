import { createHash } from 'node:crypto'
import { dirname, join } from 'node:path'
import type { EngineRun } from '../../engines/engine.ts'
import { BaleError } from '../../errors.ts'
import { readUntrusted } from '../../files/read.ts'
import type { Image } from '../../image/image.ts'
import { layerSource } from '../../layers/tree/pack.ts'
import { contextOf, placesOf } from '../../phases/generated-dir.ts'
import { formOf } from '../../phases/mask.ts'
import { searchTree } from '../../phases/search-tree.ts'
import { parseDockerfile } from '../../spec/dockerfile.ts'
import type { ExtendKind } from '../../spec/extend-config.ts'
import type { GroupElement } from '../../spec/types.ts'
import type { Workspace } from '../workspace.ts'

/** The image that a kind of Dockerfiles extends. */
export interface ExtensionBase {
  readonly image: Image
  /** For ARG base_image. */
  readonly name: string
  /** Its unpacked layers, the lowest first. */
  readonly rootfs: readonly string[]
}

/** What Dockerfiles of a kind can read, besides what they download. The sandbox shows nothing that the key does not cover. */
export interface ExtensionInputs {
  readonly base: ExtensionBase
  /** The extensions in their order. */
  readonly extensions: readonly GroupElement[]
  /** Whether they see the source. */
  readonly seesSource: boolean
  /** RUN may go on without the network, with another result. */
  readonly network: EngineRun['network']
  /** Equal only for equal inputs. Undefined if a Dockerfile asks for the id of the build, which no other build has. */
  readonly key: string | undefined
}

/**
 * Reads what image extensions have generated, which is not trusted. Dockerfiles see the source only if they copy from it, or if its path is
 * in a generated file: otherwise each change of the source would extend the image again.
 */
export async function readInputs(
  kind: ExtendKind,
  base: ExtensionBase,
  extensions: readonly GroupElement[],
  workspace: Pick<Workspace, 'layers' | 'app' | 'imagePaths'>,
  network: EngineRun['network'],
  signal: AbortSignal,
): Promise<ExtensionInputs> {
  const generated = generatedOf(workspace)
  let seesSource = await isNamed(workspace.imagePaths.app, generated, signal)
  let hasBuildId = false
  for (const { id } of extensions) {
    const path = placesOf(generated, id, true)[kind]
    const dockerfile = await readUntrusted(path, generated)
    if (dockerfile === undefined) continue
    const text = new TextDecoder().decode(dockerfile)
    const copies = parseDockerfile(text, `${kind}.Dockerfile of ${id}`).some(({ name }) =>
      ['COPY', 'ADD'].includes(name),
    )
    if (copies && (await contextOf(dirname(path), kind)) === undefined) seesSource = true
    if (/build_id/.test(text)) hasBuildId = true
  }
  if (hasBuildId) return { base, extensions, seesSource, network, key: undefined }
  const trees = [generated, ...(seesSource ? [workspace.app] : [])]
  const parts = [
    ...['3', kind, network, base.name, base.image.imageId, ...base.rootfs, workspace.imagePaths.app],
    ...extensions.map(({ id, version }) => `${id}@${version}`),
  ]
  for (const dir of trees) parts.push(await hashOfTree(dir, signal))
  return {
    base,
    extensions,
    seesSource,
    network,
    key: createHash('sha256').update(JSON.stringify(parts)).digest('hex'),
  }
}

/** Where detect leaves what image extensions have generated. */
export const generatedOf = ({ layers }: Pick<Workspace, 'layers'>): string => join(layers, 'generated')

/** Returns whether a file, a name or a link contains a path. The slash at its start may be missing, as after `cd /`. */
async function isNamed(path: string, dir: string, signal: AbortSignal): Promise<boolean> {
  const named = new BaleError('input', 'the path is there')
  const search = { forms: [formOf('path', path.slice(1))], found: () => named }
  return await searchTree({ host: dir, image: dir }, search, signal).then(
    () => false,
    (error: unknown) => {
      if (error === named) return true
      throw error
    },
  )
}

/** Names, modes and contents. */
async function hashOfTree(dir: string, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256')
  const entry = { kind: 'tree', imagePath: '/context', hostPath: dir, uid: 0, gid: 0 } as const
  for await (const chunk of layerSource('context', [entry]).tar(signal)) hash.update(chunk)
  return hash.digest('hex')
}
