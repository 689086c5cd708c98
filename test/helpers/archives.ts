import { readFile, writeFile } from 'node:fs/promises'
import { type Header, extract, pack } from 'tar-stream'
import { bytesOf } from './images.ts'

/** An entry of a tar as a test writes it: a text or bytes for a file, or a header of another kind. */
export type TarLiteral = Readonly<Record<string, string | Uint8Array | Partial<Header>>>

export async function tarFrom(entries: TarLiteral): Promise<Buffer> {
  const tar = pack()
  for (const [name, content] of Object.entries(entries)) {
    if (typeof content === 'string' || content instanceof Uint8Array) tar.entry({ name }, Buffer.from(content))
    else tar.entry({ name, ...content })
  }
  tar.finalize()
  return bytesOf(tar as AsyncIterable<Uint8Array>)
}

/** Headers and contents of a tar as tar-stream reads them, which shares no code with Bale's writer. */
export async function readEntries(tar: Uint8Array): Promise<(Header & { readonly content: Buffer })[]> {
  const reader = extract()
  reader.end(tar)
  const found: (Header & { content: Buffer })[] = []
  for await (const entry of reader) {
    const content = await bytesOf(entry as unknown as AsyncIterable<Uint8Array>)
    found.push({ ...entry.header, content })
  }
  return found
}

/** The files in a tar, in order, as tar-stream reads them. */
export async function readTarFiles(path: string): Promise<Map<string, Buffer>> {
  const entries = await readEntries(await readFile(path))
  return new Map(entries.filter(({ type }) => type === 'file').map(({ name, content }) => [name, content]))
}

/** Changes the content of one file in a tar. The size must stay the same. */
export async function changeInTar(path: string, name: string, change: (content: Buffer) => void): Promise<void> {
  const bytes = await readFile(path)
  const header = bytes.indexOf(Buffer.from(`${name}\0`))
  if (header < 0 || header % 512 !== 0) throw new Error(`${name} is not in ${path}`)
  const size = parseInt(bytes.toString('latin1', header + 124, header + 135), 8)
  change(bytes.subarray(header + 512, header + 512 + size))
  await writeFile(path, bytes)
}
