import { stat } from 'node:fs/promises'
import { buffer } from 'node:stream/consumers'
import { crc32 } from 'node:zlib'
import { type Entry, type ZipFile, openPromise } from 'yauzl'
import { toBytes } from '../../files/byte-string.ts'
import { damaged } from '../tar/fields.ts'
import { relativeName } from '../tar/names.ts'
import { defaultTarLimits } from '../tar/reader.ts'
import type { TreeWriter } from './tree-writer.ts'
import { type UnpackOptions, publish } from './unpack.ts'

/**
 * Unpacks a zip archive of files, directories and symbolic links, without owners and setuid bits. Refuses entries that two readers could
 * interpret differently, and content of unknown size: absolute names and `..`, duplicate names, encrypted
 * entries, wrong sizes and checksums, and entries that share bytes, as in bombs (T43). `to` appears complete or not at all.
 * @throws BaleError 'input', which names the entry, 'filesystem' if writing fails; yauzl's errors about the whole archive
 */
export async function unpackZip(file: string, to: string, options: UnpackOptions = {}): Promise<void> {
  const { size } = await stat(file)
  const zip = await openPromise(file, { autoClose: false, strictFileNames: true })
  try {
    await publish({ to }, tree => unpackEntries(zip, size, tree, options))
  } finally {
    zip.close()
  }
}

async function unpackEntries(
  zip: ZipFile,
  archiveSize: number,
  tree: TreeWriter,
  { limits, signal }: UnpackOptions,
): Promise<void> {
  const { entries, bytes } = { ...defaultTarLimits, ...limits }
  let [count, stored, total] = [0, 0, 0]
  for await (const entry of zip.eachEntry()) {
    signal?.throwIfAborted()
    const name = toBytes(entry.fileName)
    count += 1
    stored += entry.compressedSize
    total += entry.uncompressedSize
    if (count > entries) throw damaged(`the archive has more than ${entries} entries`)
    if (stored > archiveSize) throw damaged('it shares bytes with other entries', name)
    if (total > bytes) throw damaged(`the files have more than ${bytes} bytes`, name)
    await unpackEntry(zip, entry, tree, signal)
  }
}

/** In bytes, Linux's limit for a path. */
const longestTarget = 4095

async function unpackEntry(zip: ZipFile, entry: Entry, tree: TreeWriter, signal?: AbortSignal): Promise<void> {
  const name = toBytes(entry.fileName)
  if (name.includes('\0')) throw damaged('its name has a NUL', name)
  const path = relativeName(name)
  const { type, mode } = kindOf(entry)
  if (type === 'other') throw damaged('it is not a file, directory or symbolic link', name)
  if (entry.isEncrypted()) throw damaged('it is encrypted', name)
  if (!entry.canDecodeFileData()) throw damaged('its compression method is neither stored nor deflate', name)
  if (type === 'directory') return tree.directory(path, mode)
  if (path === '') throw damaged('it should be a directory', name)
  if (type === 'symlink' && entry.uncompressedSize > longestTarget) throw damaged('its target is too long', name)
  // yauzl compares the size with the central directory's, but leaves the checksum to its callers.
  const content = await zip.openReadStreamPromise(entry)
  if (type === 'symlink') {
    const target = await buffer(content)
    requireChecksum(crc32(target), entry)
    if (target.length === 0 || target.includes(0)) throw damaged('its target is not a path', name)
    return tree.symlink(path, target.toString('latin1'))
  }
  const seconds = entry.getLastModDate({ timezone: 'UTC' }).getTime() / 1000
  tree.beginFile(path, mode, Number.isFinite(seconds) ? Math.max(0, seconds) : 0)
  let sum = 0
  for await (const chunk of content as AsyncIterable<Buffer>) {
    signal?.throwIfAborted()
    sum = crc32(chunk, sum)
    tree.write(chunk)
  }
  requireChecksum(sum, entry)
  tree.endFile()
}

function requireChecksum(sum: number, { crc32: recorded, fileName }: Entry): void {
  if (sum !== recorded) throw damaged('its checksum is wrong', toBytes(fileName))
}

/** Archives that were made on Unix have st_mode in the upper half of the attributes (APPNOTE.TXT 4.4.2, 4.4.15). */
function kindOf(entry: Entry): { type: 'file' | 'directory' | 'symlink' | 'other'; mode: number } {
  const isNamedDirectory = entry.fileName.endsWith('/')
  const isUnix = entry.versionMadeBy >>> 8 === 3
  const unixMode = isUnix ? entry.externalFileAttributes >>> 16 : 0
  if (unixMode === 0) return isNamedDirectory ? { type: 'directory', mode: 0o755 } : { type: 'file', mode: 0o644 }
  const mode = unixMode & 0o777
  const types: Record<number, 'file' | 'directory' | 'symlink'> = {
    0: 'file',
    4: 'directory',
    8: 'file',
    10: 'symlink',
  }
  const type = types[unixMode >>> 12] ?? 'other'
  if (isNamedDirectory) return { type: type === 'symlink' ? 'other' : 'directory', mode }
  // All readers recognise a directory by its name.
  return { type: type === 'directory' ? 'other' : type, mode }
}
