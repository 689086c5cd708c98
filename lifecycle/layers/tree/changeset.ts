import type { ByteString } from '../../files/byte-string.ts'
import type { FileKind } from '../../files/open-directory.ts'
import { relativeName } from '../tar/names.ts'
import { damaged } from '../tar/fields.ts'
import type { TarEntry, TarEntryType, TarHandler } from '../tar/reader.ts'
import { baseOf, parentOf, type TreeWriter } from './tree-writer.ts'

const whiteout = '.wh.'
const opaque = '.wh..wh..opq'

/** Applies one layer to a tree that holds the layers below it (image-spec layer.md, "Applying Changesets"). */
export class Changeset implements TarHandler {
  readonly #tree: TreeWriter
  /** The paths that this layer has written, with all their parents: whiteouts apply only to the layers below. */
  readonly #own = new Set<ByteString>()
  #skipping = false
  /** Whether the layer changes lower layers in a way that its own tree does not show. */
  needsLower = false
  /** The paths of lower layers that the layer deletes, if they are to be kept rather than counted as `needsLower`. */
  readonly #deleted: Set<ByteString> | undefined

  constructor(tree: TreeWriter, deleted?: Set<ByteString>) {
    this.#tree = tree
    this.#deleted = deleted
  }

  entry(entry: TarEntry): void {
    const { type, name, target, mode, mtime } = entry
    const path = relativeName(name)
    const base = baseOf(path)
    if (`/${parentOf(path)}`.includes(`/${whiteout}`)) throw damaged('it is below a whiteout', name)
    this.#skipping = base.startsWith(whiteout)
    if (this.#skipping) {
      this.#whiteOut(entry, parentOf(path), base)
      return
    }
    this.#makeRoom(type, path, name)
    this.#claim(path)
    if (type === 'directory') this.#tree.directory(path, mode)
    else if (type === 'file') this.#tree.beginFile(path, mode, mtime)
    else if (type === 'symlink') this.#tree.symlink(path, target)
    else if (type === 'hardlink') this.#hardlink(path, relativeName(target))
    // Skips devices and fifos: only root can make devices, a sandbox has its own, and nothing writes to an image's fifo.
  }

  #hardlink(path: ByteString, target: ByteString): void {
    if (!this.#own.has(target)) this.needsLower = true
    this.#tree.hardlink(path, target)
  }

  data(chunk: Uint8Array): void {
    if (!this.#skipping) this.#tree.write(chunk)
  }

  endOfFile(): void {
    if (!this.#skipping) this.#tree.endFile()
  }

  /** Removes an entry of lower layers that this entry replaces, unless both are directories (T18, T19). */
  #makeRoom(type: TarEntryType, path: ByteString, name: ByteString): void {
    const there = this.#tree.kindAt(path)
    if (there === undefined) return
    if (there === 'directory' && type === 'directory') return
    if (path === '') throw damaged('the root is not a directory', name)
    if (this.#own.has(path) && !isSameType(there, type)) throw damaged(`it is a ${there} and a ${type}`, name)
    this.#tree.remove(path)
  }

  #claim(path: ByteString): void {
    for (let p = path; p !== '' && !this.#own.has(p); p = parentOf(p)) this.#own.add(p)
  }

  #whiteOut({ type, size, name }: TarEntry, parent: ByteString, base: ByteString): void {
    if (type !== 'file' || size > 0) throw damaged('a whiteout must be an empty file', name)
    this.needsLower ||= this.#deleted === undefined || base === opaque
    if (base === opaque) {
      if (this.#tree.kindAt(parent) === 'directory') this.#removeBelow(parent)
      return
    }
    const victim = base.slice(whiteout.length)
    if (victim === '' || victim === '.' || victim === '..')
      throw damaged('a whiteout does not name a file to delete', name)
    const path = parent === '' ? victim : `${parent}/${victim}`
    this.#deleted?.add(path)
    this.#removeLower(path)
  }

  /** Removes the entries of lower layers at a path. Entries of this layer stay, regardless of their order. */
  #removeLower(path: ByteString): void {
    const kind = this.#tree.kindAt(path)
    if (kind === undefined) return
    if (!this.#own.has(path)) this.#tree.remove(path)
    else if (kind === 'directory') this.#removeBelow(path)
  }

  #removeBelow(path: ByteString): void {
    for (const name of this.#tree.names(path)) this.#removeLower(path === '' ? name : `${path}/${name}`)
  }
}

/** A hard link has the type of its target. */
function isSameType(there: FileKind, type: TarEntryType): boolean {
  return there === type || (type === 'hardlink' && there !== 'directory')
}
