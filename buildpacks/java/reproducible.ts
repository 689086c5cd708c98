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
 * Rewrites each archive in `dir` that tools made since `start`: with entries sorted by name, and one time. Old tools record the current
 * time and the order in which they found the files: Maven's jar plugin before 3.2, the default of Debian's Maven and older wrappers.
 * Existing archives keep their bytes.
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
  // If an entry cannot be read, the writer's output would never end.
  writer.on('error', error => output.destroy(error as Error))
  writer.outputStream.pipe(output)
  const written = pipeline(output, createWriteStream(made))
  // The error of an entry is thrown below, or here after all entries are added.
  written.catch(() => {})
  const contentOf = async (entry: Entry) => buffer(await zip.openReadStreamPromise(entry))
  for (const entry of entries) {
    const name = entry.fileName
    const mode = entry.externalFileAttributes >>> 16
    const options = { mtime: archiveDate, forceDosTimestamp: true, ...(mode !== 0 && { mode }) }
    if (name.endsWith('/')) writer.addEmptyDirectory(name, options)
    // In old versions, Maven's record of a project starts with the date.
    else if (!isSigned && isRecord(entry)) writer.addBuffer(withoutDate(await contentOf(entry)), name, options)
    // A library in a Spring Boot archive must not be compressed, and its size has to precede it.
    else if (entry.compressionMethod === 0)
      writer.addBuffer(await contentOf(entry), name, { ...options, compress: false })
    // One after the other, since there may be tens of thousands.
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

/** `archiveTime` for zip archives, which have no time zone. */
const archiveDate = new Date(1980, 0, 1, 0, 0, 2)

/**
 * True if one of the entries was written since `start`, all of them can be read, and nothing else, such as a program, precedes them.
 * Times in archives are in the writer's time zone, in steps of two seconds.
 */
function isMadeSince(entries: readonly Entry[], start: Date): boolean {
  const since = Math.floor(start.getTime() / 2000) * 2000
  return (
    entries.some(entry => entry.getLastModDate().getTime() >= since) &&
    entries.some(({ relativeOffsetOfLocalHeader }) => relativeOffsetOfLocalHeader === 0) &&
    entries.every(entry => [0, 8].includes(entry.compressionMethod) && !entry.isEncrypted())
  )
}

/**
 * Readers of a stream require the manifest in the first two entries, and signatures before the signed entries
 * (java.util.jar.JarInputStream).
 */
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
