import { createHash } from 'node:crypto'
import { mkdir, rename, utimes } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { readUntrusted } from '../../files/read.ts'
import { removeSoon, removeTree } from '../../files/remove.ts'
import { wrapErrno } from '../../files/wrap-errno.ts'
import type { Image } from '../../image/image.ts'
import { layerSource } from '../../layers/tree/pack.ts'
import { readExtendedImage } from '../../phases/extended-image.ts'
import { contextOf, placesOf } from '../../phases/generated-dir.ts'
import { parseDockerfile } from '../../spec/dockerfile.ts'
import type { ExtendKind } from '../../spec/extend-config.ts'
import type { GroupElement } from '../../spec/types.ts'
import { extendedDir } from '../builders/unpacked-layers.ts'
import type { OpenBuild } from '../open-build.ts'
import { type ExtensionBase, extendInSandbox } from './extension-sandbox.ts'

/**
 * Extends an image, or takes the result of an earlier build with the same image, Dockerfiles, arguments and files to copy. Like a layer
 * cache of BuildKit it does not know what RUN reads from the network: --clear-cache applies the Dockerfiles again.
 */
export async function extendOnce(
  kind: ExtendKind,
  base: ExtensionBase,
  extensions: readonly GroupElement[],
  build: OpenBuild,
  signal: AbortSignal,
): Promise<Image> {
  const { options, workspace, reporter } = build
  const key = await keyOf(kind, base, extensions, build, signal)
  const kept = key === undefined ? undefined : join(options.settings.cacheDir, extendedDir, key)
  if (kept !== undefined && options.clearCache !== true) {
    const image = await readExtendedImage(kept, base.image, process.geteuid?.()).catch(() => undefined)
    if (image !== undefined) {
      await utimes(kept, new Date(), new Date()).catch(() => undefined)
      const text = `The ${kind} image is extended as in an earlier build; --clear-cache applies the Dockerfiles again`
      reporter.event({ type: 'note', level: 'info', text })
      return image
    }
  }
  const result = await extendInSandbox(kind, base, join(workspace.dir, `extend-${kind}`), build, signal)
  if (kept === undefined) return result.image
  await wrapErrno(kept, async () => {
    await mkdir(dirname(kept), { recursive: true, mode: 0o700 })
    await removeTree(kept)
    await rename(result.dir, kept)
  }).catch(async () => removeSoon(kept).catch(() => undefined))
  const moved = await readExtendedImage(kept, base.image, process.geteuid?.()).catch(() => undefined)
  return moved ?? result.image
}

/** Undefined if a Dockerfile asks for the id of the build, which no other build has. */
async function keyOf(
  kind: ExtendKind,
  { image, rootfs }: ExtensionBase,
  extensions: readonly GroupElement[],
  { workspace }: OpenBuild,
  signal: AbortSignal,
): Promise<string | undefined> {
  const hash = createHash('sha256')
  const add = (...parts: (string | Uint8Array)[]): void =>
    parts.forEach(part => hash.update(`${part.length} `).update(part))
  add('1', kind, image.imageId, ...rootfs)
  const generated = join(workspace.layers, 'generated')
  for (const { id, version } of extensions) {
    const path = placesOf(generated, id, true)[kind]
    const dockerfile = await readUntrusted(path, generated)
    if (dockerfile === undefined) continue
    const text = new TextDecoder().decode(dockerfile)
    if (/build_id/.test(text)) return undefined
    const dir = dirname(path)
    const config = await readUntrusted(join(dir, 'extend-config.toml'), generated)
    add(id, version, dockerfile, config ?? '')
    const copies = parseDockerfile(text, `${kind}.Dockerfile of ${id}`).some(({ name }) =>
      ['COPY', 'ADD'].includes(name),
    )
    if (copies) add(await hashOfTree((await contextOf(dir, kind)) ?? workspace.app, signal))
  }
  return hash.digest('hex')
}

/** Names, modes and contents. */
async function hashOfTree(dir: string, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256')
  const entry = { kind: 'tree', imagePath: '/context', hostPath: dir, uid: 0, gid: 0 } as const
  for await (const chunk of layerSource('context', [entry]).tar(signal)) hash.update(chunk)
  return hash.digest('hex')
}
