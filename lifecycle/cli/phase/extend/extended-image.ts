import { lstatSync } from 'node:fs'
import { lstat } from 'node:fs/promises'
import { join } from 'node:path'
import { BaleError } from '../../../errors.ts'
import { printableName, toBytes } from '../../../files/byte-string.ts'
import { namesIn } from '../../../files/directories.ts'
import { OpenDirectory } from '../../../files/open-directory.ts'
import { isDigest } from '../../../image/digest.ts'
import { type Image, formatOf, makeImage } from '../../../image/image.ts'
import { walk } from '../../../layers/tree/walk.ts'
import { layoutStore } from '../../../stores/layout/store.ts'
import { hostPlatform } from '../../../stores/settings.ts'

/**
 * Reads the run image that extender wrote to `<extended>/run/<digest>`, with the layers of the run image that it extends (platform.md,
 * "exporter": "MUST be based on the image in `<extended>`/run").
 * @throws BaleError 'input' if there is none, if it extends another image, or if a user other than root could have changed it
 */
export async function readExtendedImage(extendedDir: string, runImage: Image): Promise<Image> {
  const dir = join(extendedDir, 'run')
  const [name, ...others] = await namesIn(dir)
  if (name === undefined || others.length > 0 || !isDigest(name))
    throw new BaleError('input', 'an image extension extends the run image, but the extended run image is missing', {
      where: dir,
      fix: 'run extender as root with -kind run in a container of the run image, with the same layers directory',
    })
  await checkOwner(join(dir, name))
  const found = await layoutStore(join(dir, name)).pull('', hostPlatform())
  const below = runImage.layers.length
  const isOnTop = runImage.layers.every(({ diffId }, i) => found?.layers[i]?.diffId === diffId)
  if (found?.digest !== name || !isOnTop)
    throw new BaleError('input', 'it does not extend the run image of analyzed.toml', {
      where: join(dir, name),
      fix: 'build again: another build has used the same layers directory',
    })
  const layers = [...runImage.layers, ...found.layers.slice(below)]
  return makeImage(found.config, layers, formatOf(runImage, layers))
}

/**
 * Buildpacks can write to the layers directory. Their files must not get into an image as files of root (K23). Follows
 * no links.
 */
async function checkOwner(dir: string): Promise<void> {
  requireRoot(dir, (await lstat(dir)).uid)
  const top = OpenDirectory.open(dir)
  try {
    for (const { path, name, parent } of walk(top, toBytes(dir)))
      requireRoot(join(dir, printableName(path)), lstatSync(parent.path(name)).uid)
  } finally {
    top.close()
  }
}

function requireRoot(where: string, uid: number): void {
  if (uid === 0) return
  throw new BaleError('input', `it belongs to user ${uid}, but extender gives it to root`, {
    where,
    fix: 'find the buildpack that writes there: only extender may make extended images',
  })
}
