import { lstatSync, readdirSync, readlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { stageFile } from '../lifecycle/files/staged.ts'
import { compressLayer } from '../lifecycle/layers/compression/compress.ts'
import { type ArchiveEntry, tarBytes } from '../lifecycle/stores/archive/tar-bytes.ts'

/**
 * Writes the tarball of an assembled lifecycle: `lifecycle.toml` first, which platforms read before the
 * rest, then the files by name. The tarball appears only when it is complete.
 */
export async function writeTarball(folder: string, file: string): Promise<void> {
  await writeEntries(file, () => entries(folder))
}

/** The same for a folder and everything below it, by name. */
export async function writeTreeTarball(dir: string, folder: string, file: string): Promise<void> {
  await writeEntries(file, () => treeEntries(dir, folder))
}

async function writeEntries(file: string, tar: () => Iterable<ArchiveEntry>): Promise<void> {
  await using staged = await stageFile(dirname(file))
  await compressLayer({ kind: 'source', createdBy: file, tar: () => tarBytes(tar()) }, chunk => staged.write(chunk))
  await staged.commit(file)
}

function* treeEntries(dir: string, name: string): Generator<ArchiveEntry> {
  yield { name: `${name}/`, kind: 'directory' }
  for (const found of readdirSync(join(dir, name), { withFileTypes: true }).sort((a, b) =>
    a.name < b.name ? -1 : 1,
  )) {
    const path = `${name}/${found.name}`
    if (found.isDirectory()) yield* treeEntries(dir, path)
    else yield entry(dir, path)
  }
}

function* entries(folder: string): Generator<ArchiveEntry> {
  yield entry(folder, 'lifecycle.toml')
  yield { name: 'lifecycle/', kind: 'directory' }
  for (const name of readdirSync(join(folder, 'lifecycle')).sort()) yield entry(folder, `lifecycle/${name}`)
}

function entry(folder: string, name: string): ArchiveEntry {
  const path = join(folder, name)
  const stat = lstatSync(path)
  if (stat.isSymbolicLink()) return { name, kind: 'symlink', target: readlinkSync(path) }
  return { name, kind: 'file', place: { path, offset: 0, size: stat.size }, mode: stat.mode & 0o777 }
}
