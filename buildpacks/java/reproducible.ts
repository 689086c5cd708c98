import { createWriteStream } from 'node:fs'
import { readdir, rename } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import type { Entry, ZipFile } from 'yauzl'
import { ZipFile as ZipWriter } from 'yazl'
import { withZip } from './archive.ts'

interface Content {
  readonly entry: Entry
  readonly bytes: Buffer
}

/**
 * Writes each archive in `dir` anew that tools made since `start`: entries in the order of their names, at one time. Old tools write when
 * and in which order they found the files: Maven's jar plugin before 3.2, which Debian's Maven and older wrappers take by default. Archives
 * of others keep their bytes.
 */
export async function makeReproducible(dir: string, start: Date): Promise<void> {
  for (const name of (await readdir(dir, { recursive: true, encoding: 'utf8' })).toSorted())
    if (/\.[ejw]ar$/.test(name)) await makeArchiveReproducible(join(dir, name), start)
}

/** The same for one archive. */
export async function makeArchiveReproducible(path: string, start: Date): Promise<void> {
  if (!(await withZip(path, zip => isMadeSince(zip, start)))) return
  const contents = await withZip(path, contentsOf)
  const writer = new ZipWriter()
  const made = `${path}.new`
  const written = pipeline(writer.outputStream, createWriteStream(made))
  const isSigned = contents.some(({ entry }) => /^META-INF\/[^/]+\.SF$/i.test(entry.fileName))
  for (const { entry, bytes } of contents.toSorted(byRank)) {
    const name = entry.fileName
    const unixMode = entry.externalFileAttributes >>> 16
    const options = { mtime: archiveDate, forceDosTimestamp: true, ...(unixMode !== 0 && { mode: unixMode }) }
    if (name.endsWith('/')) writer.addEmptyDirectory(name, options)
    // A library in an archive of Spring Boot's may not be compressed.
    else {
      const compress = entry.compressionMethod !== 0
      writer.addBuffer(isSigned ? bytes : withoutDate(name, bytes), name, { ...options, compress })
    }
  }
  writer.end()
  await written
  await rename(made, path)
}

/** `archiveTime` as zip archives have it, which know no time zone. */
const archiveDate = new Date(1980, 0, 1, 0, 0, 2)

/** True if the archive has an entry that was written since `start`, and nothing else, such as a program, is in front of its entries. */
async function isMadeSince(zip: ZipFile, start: Date): Promise<boolean> {
  // Times in archives have steps of two seconds.
  const since = Math.floor(start.getTime() / 2000) * 2000
  let isNew = false
  let begins = false
  for await (const entry of zip.eachEntry()) {
    isNew ||= entry.getLastModDate().getTime() >= since
    begins ||= entry.relativeOffsetOfLocalHeader === 0
  }
  return isNew && begins
}

async function contentsOf(zip: ZipFile): Promise<Content[]> {
  const contents: Content[] = []
  for await (const entry of zip.eachEntry())
    contents.push({ entry, bytes: await buffer(await zip.openReadStreamPromise(entry)) })
  return contents
}

/** Readers of a stream want the manifest in the first two entries, and signatures before what they sign (java.util.jar.JarInputStream). */
const first = [/^META-INF\/$/, /^META-INF\/MANIFEST\.MF$/, /^META-INF\//, /^/]

function byRank(a: Content, b: Content): number {
  const [one, other] = [a.entry.fileName, b.entry.fileName]
  const rank = (name: string) => first.findIndex(pattern => pattern.test(name))
  return rank(one) - rank(other) || (one < other ? -1 : Number(one > other))
}

/** Maven's record of a project without the date that old versions write above it. */
function withoutDate(name: string, bytes: Buffer): Buffer {
  if (basename(name) !== 'pom.properties') return bytes
  return Buffer.from(bytes.toString('latin1').replaceAll(/^#.*\r?\n/gm, ''), 'latin1')
}
