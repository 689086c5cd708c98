import { BaleError } from '../../errors.ts'
import type { ByteString } from '../../files/byte-string.ts'
import type { HostPlace } from '../../files/safe-open.ts'

/** The user and group that own an entry of the image, or a file of the host. */
export interface Owner {
  readonly uid: number
  readonly gid: number
}

/** One part of a layer: its source, its path in the image, and its owner. */
export type LayerEntry =
  | ({ kind: 'directory'; imagePath: string; mode: number } & Owner)
  | ({ kind: 'file'; imagePath: string; mode: number; content: Uint8Array } & Owner)
  | ({ kind: 'symlink'; imagePath: string; target: string } & Owner)
  /** One regular file with a fixed mode, such as the launcher. */
  | ({ kind: 'host-file'; imagePath: string; mode: number } & HostPlace & Owner)
  /** A directory with everything below it, including itself. `skip` leaves an entry out, with everything below. */
  | ({ kind: 'tree'; imagePath: string; skip?: (relative: Buffer) => boolean } & HostPlace & Owner)
  /** Selected paths below a directory, without their parents and contents. The empty path is the directory itself. */
  | ({ kind: 'paths'; imagePath: string; paths: readonly Buffer[] } & HostPlace & Owner)

const maxId = 0xffff_fffe // 2³²−1 means "no change" to chown

/** In a layer, `.wh.x` deletes x (image-spec layer.md, "Whiteouts"), so no image can have a file with such a name. */
export function isWhiteout(path: string): boolean {
  return /(^|\/)\.wh\./.test(path)
}

/** The path of the entry that deletes this one. */
export function whiteoutOf(path: ByteString): ByteString {
  const at = path.lastIndexOf('/') + 1
  return `${path.slice(0, at)}.wh.${path.slice(at)}`
}

/** Refuses an entry that no image can have. */
export function checkEntry(entry: LayerEntry): void {
  const bad = (why: string): never => {
    throw new BaleError('input', `a layer entry ${why}`, { where: entry.imagePath })
  }
  const parts = entry.imagePath.split('/')
  if (
    parts.shift() !== '' ||
    parts.length === 0 ||
    parts.some(p => p === '' || p === '.' || p === '..') ||
    entry.imagePath.includes('\0')
  )
    bad('needs an absolute, normalised image path')
  if (isWhiteout(entry.imagePath)) bad('has a name that means "deleted" in an image layer')
  for (const id of [entry.uid, entry.gid])
    if (!Number.isInteger(id) || id < 0 || id > maxId) bad(`has ${id} as its owner; an id is 0 to ${maxId}`)
  if ('mode' in entry && (!Number.isInteger(entry.mode) || entry.mode < 0 || entry.mode > 0o7777))
    bad(`has the mode ${entry.mode}; a mode is 0 to 0o7777`)
  if (entry.kind === 'symlink' && (entry.target === '' || entry.target.includes('\0'))) bad('links to nothing')
}
