import { createWriteStream } from 'node:fs'
import { readdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import type { Entry, ZipFile } from 'yauzl'
import { ZipFile as ZipWriter } from 'yazl'
import { withZip } from './archive.ts'

/**
 * Rewrites each archive in `dir` that tools made since `start`: entries sorted by name, with one time. Old tools write when
 * and in which order they found the files: Maven's jar plugin before 3.2, which Debian's Maven and older wrappers take by default. Archives
 * of others keep their bytes.
 */
export async function makeReproducible(dir: string, start: Date): Promise<void> {
  for (const name of (await readdir(dir, { recursive: true, encoding: 'utf8' })).toSorted())
    if (/\.[ejw]ar$/.test(name)) await makeArchiveReproducible(join(dir, name), start)
}

/** The same for one archive. */
export async function makeArchiveReproducible(path: string, start: Date): Promise<void> {
  const made = `${path}.new`
  const isMade = await withZip(path, async zip => {
    const entries: Entry[] = []
    for await (const entry of zip.eachEntry()) entries.push(entry)
    if (!isMadeSince(entries, start)) return false
    await rewrite(zip, entries.toSorted(byRank), made)
    return true
  })
  if (isMade) await rename(made, path)
}

async function rewrite(zip: ZipFile, entries: readonly Entry[], made: string): Promise<void> {
  const isSigned = entries.some(({ fileName }) => /^META-INF\/[^/]+\.SF$/i.test(fileName))
  const writer = new ZipWriter()
  const output = new PassThrough()
  // Of an entry that cannot be read the writer's output would never end.
  writer.on('error', error => output.destroy(error as Error))
  writer.outputStream.pipe(output)
  const written = pipeline(output, createWriteStream(made))
  // The error of an entry is thrown below, or here once all are added.
  written.catch(() => {})
  const contentOf = async (entry: Entry) => buffer(await zip.openReadStreamPromise(entry))
  for (const entry of entries) {
    const name = entry.fileName
    const mode = entry.externalFileAttributes >>> 16
    const options = { mtime: archiveDate, forceDosTimestamp: true, ...(mode !== 0 && { mode }) }
    if (name.endsWith('/')) writer.addEmptyDirectory(name, options)
    // Maven's record of a project has the date above it, with old versions.
    else if (!isSigned && isRecord(entry)) writer.addBuffer(withoutDate(await contentOf(entry)), name, options)
    // A library in an archive of Spring Boot's may not be compressed, and its size has to stand before it.
    else if (entry.compressionMethod === 0)
      writer.addBuffer(await contentOf(entry), name, { ...options, compress: false })
    // One after the other: there may be tens of thousands.
    else
      writer.addReadStreamLazy(name, options, done =>
        zip.openReadStream(entry, (error, stream) => {
          stream?.on('error', failure => output.destroy(failure))
          done(error, stream)
        }),
      )
  }
  writer.end()
  await written
}

/** `archiveTime` as zip archives have it, which know no time zone. */
const archiveDate = new Date(1980, 0, 1, 0, 0, 2)

/**
 * True if one of the entries was written since `start`, all of them can be read, and nothing else, such as a program, is in front of them.
 * Times in archives are in the time zone of whoever writes them, in steps of two seconds.
 */
function isMadeSince(entries: readonly Entry[], start: Date): boolean {
  const since = Math.floor(start.getTime() / 2000) * 2000
  return (
    entries.some(entry => entry.getLastModDate().getTime() >= since) &&
    entries.some(({ relativeOffsetOfLocalHeader }) => relativeOffsetOfLocalHeader === 0) &&
    entries.every(entry => [0, 8].includes(entry.compressionMethod) && !entry.isEncrypted())
  )
}

/** Readers of a stream want the manifest in the first two entries, and signatures before what they sign (java.util.jar.JarInputStream). */
const first = [/^META-INF\/$/, /^META-INF\/MANIFEST\.MF$/, /^META-INF\//, /^/]

function byRank(a: Entry, b: Entry): number {
  const [one, other] = [a.fileName, b.fileName]
  const rank = (name: string) => first.findIndex(pattern => pattern.test(name))
  return rank(one) - rank(other) || (one < other ? -1 : Number(one > other))
}

const isRecord = ({ fileName, uncompressedSize }: Entry): boolean =>
  /^META-INF\/maven\/[^/]+\/[^/]+\/pom\.properties$/.test(fileName) && uncompressedSize < 1 << 20

const withoutDate = (record: Buffer): Buffer =>
  Buffer.from(record.toString('latin1').replaceAll(/^#.*\r?\n/gm, ''), 'latin1')
