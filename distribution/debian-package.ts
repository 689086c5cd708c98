import { createHash } from 'node:crypto'
import { createReadStream, readFileSync, statSync } from 'node:fs'
import { dirname, posix } from 'node:path'
import { gzipSync } from 'node:zlib'
import { type StagedFile, stageFile } from '../lifecycle/files/staged.ts'
import { compressLayer } from '../lifecycle/layers/compression/compress.ts'
import { type ArchiveEntry, tarBytes } from '../lifecycle/stores/archive/tar-bytes.ts'
import type { Arch } from './machine.ts'

// Implements deb(5), deb-control(5) and Debian's policy. dpkg-deb's output would depend on its version and on the clock.

/** The contents of a package: files, links and directories by their absolute paths. Parents are added. */
export type PackageContents = ReadonlyMap<string, PackageFile>
export type PackageFile =
  | { readonly kind: 'file'; readonly from: string; readonly mode: number }
  | { readonly kind: 'bytes'; readonly content: Uint8Array }
  | { readonly kind: 'symlink'; readonly target: string }

export interface PackageDescription {
  readonly name: string
  readonly version: string
  readonly arch: Arch
  /** Required packages, and packages that some builds use. */
  readonly depends: readonly string[]
  readonly suggests: readonly string[]
  /** The synopsis, then paragraphs. */
  readonly description: readonly [string, ...string[]]
}

/** The file name that `dpkg-deb --build` gives. */
export const packageFile = ({ name, version, arch }: PackageDescription): string => `${name}_${version}_${arch}.deb`

/** Writes a package atomically. Its bytes depend only on its contents. */
export async function writeDebianPackage(
  description: PackageDescription,
  contents: PackageContents,
  file: string,
): Promise<void> {
  const sorted = [...contents].sort(([a], [b]) => (a < b ? -1 : 1))
  const size = sorted.reduce((sum, [, entry]) => sum + Math.ceil(sizeOf(entry) / 1024), directoriesOf(sorted).size)
  const control = [
    { name: './', kind: 'directory' },
    text('./control', controlOf(description, size)),
    text('./md5sums', await md5sums(sorted)),
  ] as const
  await using data = await stageFile(dirname(file))
  await gzipTar(dataEntries(sorted), data)
  await using deb = await stageFile(dirname(file))
  await deb.write(Buffer.from('!<arch>\n'))
  await member(deb, 'debian-binary', [Buffer.from('2.0\n')])
  const chunks: Uint8Array[] = []
  await gzipTar(control, { write: chunk => Promise.resolve(void chunks.push(Buffer.from(chunk))) })
  await member(deb, 'control.tar.gz', chunks)
  await member(deb, 'data.tar.gz', createReadStream(data.path), statSync(data.path).size)
  await deb.commit(file)
}

const maintainer = 'The Bale authors <authors@bale.invalid>' // the field requires an address; RFC 2606 reserves `.invalid`

function controlOf({ name, version, arch, depends, suggests, description }: PackageDescription, size: number): string {
  const [synopsis, ...paragraphs] = description
  const lines = [
    `Package: ${name}`,
    `Version: ${version}`,
    `Architecture: ${arch}`,
    `Maintainer: ${maintainer}`,
    `Installed-Size: ${size}`,
    `Depends: ${depends.join(', ')}`,
    ...(suggests.length > 0 ? [`Suggests: ${suggests.join(', ')}`] : []),
    'Section: devel',
    'Priority: optional',
    `Description: ${synopsis}`,
    ...paragraphs.flatMap((paragraph, n) => [...(n > 0 ? [' .'] : []), ...wrap(paragraph)]),
  ]
  return `${lines.join('\n')}\n`
}

/** Lines of at most 79 columns, with the space that continues a field. */
function wrap(paragraph: string): string[] {
  const lines: string[] = []
  for (const word of paragraph.split(/\s+/)) {
    const last = lines.at(-1)
    if (last !== undefined && last.length + word.length < 79) lines[lines.length - 1] = `${last} ${word}`
    else lines.push(` ${word}`)
  }
  return lines
}

async function md5sums(contents: readonly (readonly [string, PackageFile])[]): Promise<string> {
  const lines: string[] = []
  for (const [path, entry] of contents) {
    if (entry.kind === 'symlink') continue
    const hash = createHash('md5')
    if (entry.kind === 'bytes') hash.update(entry.content)
    else for await (const chunk of createReadStream(entry.from)) hash.update(chunk as Buffer)
    lines.push(`${hash.digest('hex')}  ${path.slice(1)}\n`)
  }
  return lines.join('')
}

function directoriesOf(contents: readonly (readonly [string, PackageFile])[]): Set<string> {
  const found = new Set<string>()
  for (const [path] of contents) {
    for (let dir = posix.dirname(path); dir !== '/'; dir = posix.dirname(dir)) found.add(dir)
  }
  return found
}

/** Lists directories before their contents. */
function dataEntries(contents: readonly (readonly [string, PackageFile])[]): ArchiveEntry[] {
  const directories = [...directoriesOf(contents)].map(path => [path, undefined] as const)
  const all = [...directories, ...contents].sort(([a], [b]) => (a < b ? -1 : 1))
  return [
    { name: './', kind: 'directory' },
    ...all.map(([path, entry]): ArchiveEntry => {
      const name = `.${path}`
      if (entry === undefined) return { name: `${name}/`, kind: 'directory' }
      if (entry.kind === 'symlink') return { name, kind: 'symlink', target: entry.target }
      if (entry.kind === 'bytes') return { name, kind: 'bytes', content: entry.content }
      return { name, kind: 'file', place: { path: entry.from, offset: 0, size: sizeOf(entry) }, mode: entry.mode }
    }),
  ]
}

function sizeOf(entry: PackageFile): number {
  if (entry.kind === 'file') return statSync(entry.from).size
  return entry.kind === 'bytes' ? entry.content.length : 0
}

const text = (name: string, content: string) => ({ name, kind: 'bytes', content: Buffer.from(content) }) as const

/** A compressed document below /usr/share. Debian's policy requires that for manual pages and changelogs. */
export const compressed = (content: string | Uint8Array): PackageFile => ({
  kind: 'bytes',
  content: gzipSync(content, { level: 9 }),
})

export const document = (path: string): PackageFile => ({ kind: 'bytes', content: readFileSync(path) })

async function gzipTar(entries: Iterable<ArchiveEntry>, out: Pick<StagedFile, 'write'>): Promise<void> {
  await compressLayer({ kind: 'source', createdBy: 'package', tar: () => tarBytes(entries) }, chunk => out.write(chunk))
}

/** A member of an ar archive: ar(5), in the form of deb(5). */
async function member(
  deb: StagedFile,
  name: string,
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  size = Array.from(chunks as Iterable<Uint8Array>).reduce((sum, chunk) => sum + chunk.length, 0),
): Promise<void> {
  const fields = [
    name.padEnd(16),
    '0'.padEnd(12),
    '0'.padEnd(6),
    '0'.padEnd(6),
    '100644'.padEnd(8),
    `${size}`.padEnd(10),
  ]
  await deb.write(Buffer.from(`${fields.join('')}\`\n`))
  for await (const chunk of chunks) await deb.write(chunk)
  if (size % 2 === 1) await deb.write(Buffer.from('\n'))
}
