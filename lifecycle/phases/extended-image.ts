import { lstatSync } from 'node:fs'
import { lstat } from 'node:fs/promises'
import { join } from 'node:path'
import { BaleError } from '../errors.ts'
import { printableName, toBytes } from '../files/byte-string.ts'
import { namesIn } from '../files/directories.ts'
import { OpenDirectory } from '../files/open-directory.ts'
import { isDigest } from '../image/digest.ts'
import { type Image, formatOf, makeImage } from '../image/image.ts'
import { walk } from '../layers/tree/walk.ts'
import type { ExtendKind } from '../spec/extend-config.ts'
import { layoutStore } from '../stores/layout/store.ts'
import { hostPlatform } from '../stores/settings.ts'

/** How extender ran, and what a user can do about an image that is not as it leaves it. */
export interface ExtenderRun {
  readonly kind: ExtendKind
  /** The user that it ran as. */
  readonly owner: number
  readonly fixes: {
    readonly missing: string
    /** For an image that extends another one. */
    readonly other: string
    /** For a file of another user. */
    readonly foreign: string
  }
}

/** Extender of a platform that runs the phases. */
export const extenderOfPlatform: ExtenderRun = {
  kind: 'run',
  owner: 0,
  fixes: {
    missing: 'run extender as root with -kind run in a container of the run image, with the same layers directory',
    other: 'build again: another build has used the same layers directory',
    foreign: 'find the buildpack that writes there: only extender may make extended images',
  },
}

/**
 * Reads the image that extender wrote to `<extended>/<kind>/<digest>`, with the layers of the image that it extends (platform.md,
 * "exporter": "MUST be based on the image in `<extended>`/run"). Its files may be hostile. The platform stays the base's.
 * @param dir `<extended>/<kind>`
 * @param from how extender ran
 * @throws BaleError 'input' if there is none, if it extends another image, or if another user could have changed it
 */
export async function readExtendedImage(dir: string, base: Image, { kind, owner, fixes }: ExtenderRun): Promise<Image> {
  const [name, ...others] = await namesIn(dir)
  if (name === undefined || others.length > 0 || !isDigest(name))
    throw new BaleError(
      'input',
      `an image extension extends the ${kind} image, but the extended ${kind} image is missing`,
      { where: dir, fix: fixes.missing },
    )
  await checkFiles(join(dir, name), owner, fixes.foreign)
  const found = await layoutStore(join(dir, name)).pull('', hostPlatform())
  const below = base.layers.length
  const isOnTop = base.layers.every(({ diffId }, i) => found?.layers[i]?.diffId === diffId)
  if (found?.digest !== name || !isOnTop)
    throw new BaleError('input', `it does not extend the ${kind} image of this build`, {
      where: join(dir, name),
      fix: fixes.other,
    })
  const layers = [...base.layers, ...found.layers.slice(below)]
  const { os, architecture, variant } = base.config
  const config = { ...found.config, os, architecture, ...(variant !== undefined && { variant }) }
  return makeImage(config, layers, formatOf(base, layers))
}

/**
 * Buildpacks can write to the layers directory. Their files must not get into an image as files of root (K23). Follows
 * no links, and refuses them: they could lead to files of this machine (X23).
 */
async function checkFiles(dir: string, owner: number, fix: string): Promise<void> {
  requireOwner(dir, (await lstat(dir)).uid, owner, fix)
  const top = OpenDirectory.open(dir)
  try {
    for (const { path, name, kind, parent } of walk(top, toBytes(dir))) {
      const where = join(dir, printableName(path))
      requireOwner(where, lstatSync(parent.path(name)).uid, owner, fix)
      if (kind !== 'file' && kind !== 'directory')
        throw new BaleError('input', 'it is no file or directory, and extender leaves nothing else', { where })
    }
  } finally {
    top.close()
  }
}

function requireOwner(where: string, uid: number, owner: number, fix: string): void {
  if (uid === owner) return
  throw new BaleError('input', `it belongs to user ${uid}, but extender gives it to ${owner === 0 ? 'root' : owner}`, {
    where,
    fix,
  })
}
