import { buffer, text } from 'node:stream/consumers'
import { basename } from 'node:path'
import { openPromise, type ZipFile } from 'yauzl'
import { BuildpackError, type Component, packageUrl } from '../sdk/index.ts'

/** The time of entries in archives that a build makes, so that the same source gives the same bytes. DOS times have even seconds. */
export const archiveTime = '1980-01-01T00:00:02Z'

/** The metadata in a jar or war. */
export interface JavaArchive {
  readonly path: string
  /** The main attributes of its manifest (JAR file specification, "Main Attributes"). */
  readonly manifest: Readonly<Record<string, string>>
  readonly entries: readonly string[]
  /** Spring Boot's layers, each with its paths; undefined if it has none. */
  readonly layersIndex: string | undefined
  /** Maven's record in it. */
  readonly component: Component
}

/** @throws BuildpackError for a file that is not a zip archive */
export async function readArchive(path: string): Promise<JavaArchive> {
  return withZip(path, async zip => {
    const entries: string[] = []
    const texts = new Map<string, string>()
    const poms: string[] = []
    for await (const entry of zip.eachEntry()) {
      const name = entry.fileName
      entries.push(name)
      const isPom = /^META-INF\/maven\/[^/]+\/[^/]+\/pom\.properties$/.test(name)
      const isWanted = isPom || /^(META-INF\/MANIFEST\.MF|(BOOT|WEB)-INF\/layers\.idx)$/.test(name)
      if (!isWanted || entry.uncompressedSize > 1 << 20) continue
      texts.set(name, await text(await zip.openReadStreamPromise(entry)))
      if (isPom) poms.push(name)
    }
    const manifest = parseManifest(texts.get('META-INF/MANIFEST.MF') ?? '')
    const layersIndex = texts.get('BOOT-INF/layers.idx') ?? texts.get('WEB-INF/layers.idx')
    // An archive with several records is a bundle, whose own name says more.
    const pom = poms.length === 1 ? texts.get(poms[0] ?? '') : undefined
    return { path, manifest, entries, layersIndex, component: componentOf(path, pom) }
  })
}

/** The classes of an archive: their names, and their bytes. Classes that are too large to be handwritten are left out. */
export async function* classesIn(zip: ZipFile): AsyncGenerator<readonly [string, Buffer]> {
  for await (const entry of zip.eachEntry()) {
    if (!entry.fileName.endsWith('.class') || entry.uncompressedSize > 8 << 20) continue
    yield [entry.fileName, await buffer(await zip.openReadStreamPromise(entry))]
  }
}

/**
 * Opens an archive for `read`.
 * @throws BuildpackError for a file that is not a zip archive, or a damaged one
 */
export async function withZip<T>(path: string, read: (zip: ZipFile) => Promise<T>): Promise<T> {
  let zip: ZipFile | undefined
  try {
    zip = await openPromise(path, { autoClose: false })
    return await read(zip)
  } catch (cause) {
    throw new BuildpackError(`is not an archive: ${(cause as Error).message}`, {
      where: path,
      fix: 'build it again; for a file of Git LFS run "git lfs pull"',
      cause,
    })
  } finally {
    zip?.close()
  }
}

/** Values continue on lines that start with a space; the main section ends at an empty line. */
export function parseManifest(content: string): Record<string, string> {
  const [main = ''] = content.replaceAll(/\r\n?/g, '\n').split('\n\n')
  const lines = main.replaceAll('\n ', '').split('\n')
  return Object.fromEntries(
    lines.flatMap(line => {
      const [, name, value = ''] = /^([A-Za-z0-9_-]+): ?(.*)$/.exec(line) ?? []
      return name === undefined ? [] : [[name, value.trim()] as const]
    }),
  )
}

function componentOf(path: string, pom: string | undefined): Component {
  const property = (name: string) => new RegExp(`^${name}=(.*)$`, 'm').exec(pom ?? '')?.[1]?.trim()
  const [, ownName = basename(path), ownVersion = ''] = /^(.+?)-(\d[^/]*)\.[ejw]ar$/.exec(basename(path)) ?? []
  const name = property('artifactId') ?? ownName
  const version = property('version') ?? ownVersion
  const group = property('groupId')
  // Archives that Maven did not make have no group, without which there is no Maven package URL.
  const purl =
    group === undefined ? packageUrl('generic', name, version) : packageUrl('maven', `${group}/${name}`, version)
  return { name, version, purl }
}

/** The number of classes in an archive. */
export const countClasses = ({ entries }: JavaArchive): number => entries.filter(name => name.endsWith('.class')).length
