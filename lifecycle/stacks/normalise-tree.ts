import { createHash } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import type { Readable, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import tar, { type Header, type Pack } from 'tar-stream'
import { BaleError } from '../errors.ts'
import type { Digest } from '../image/digest.ts'
import type { ImageRules } from './rules.ts'

export interface NormalisedTree {
  readonly diffId: Digest
  readonly size: number
  /** The text of the requested files, by path, without missing files. */
  readonly texts: ReadonlyMap<string, string>
}

/** An entry of tar-stream, whose own types refer to streamx, which is not a direct dependency. */
type Entry = AsyncIterable<Buffer> & { readonly header: Header }
type Attributes = Partial<Omit<Header, 'name' | 'type'>> & Pick<Header, 'type'>

/**
 * Reads mmdebstrap's tar and writes the image's to the new file `path`, in one pass. The output has names without a leading
 * `./`, numeric owners, no setuid or setgid bits, no devices, sockets or fifos, no extended attributes (file capabilities
 * are setuid by another name), and nothing newer than the rules' epoch.
 */
export async function normaliseTree(
  input: Readable,
  path: string,
  rules: ImageRules,
  wanted: ReadonlySet<string>,
  signal: AbortSignal,
): Promise<NormalisedTree> {
  const pack = tar.pack()
  const extract = tar.extract()
  const writer = new TreeNormaliser(pack, rules, wanted)
  const hash = createHash('sha256')
  let size = 0
  const measured = async function* (chunks: AsyncIterable<Buffer>) {
    for await (const chunk of chunks) {
      hash.update(chunk)
      size += chunk.length
      yield chunk
    }
  }
  const copy = async () => {
    for await (const entry of extract as AsyncIterable<unknown>) await writer.copy(entry as Entry)
    await writer.finish()
  }
  // Three loops wait for each other: the first failure ends all of them, and is thrown.
  const failure = new AbortController()
  const options = { signal: AbortSignal.any([signal, failure.signal]) }
  const loops = [
    pipeline(input, extract as unknown as Writable, options),
    copy(),
    pipeline(pack as AsyncIterable<Buffer>, measured, createWriteStream(path, { flags: 'wx' }), options),
  ]
  await Promise.allSettled(loops.map(loop => loop.catch((error: unknown) => failure.abort(error))))
  signal.throwIfAborted()
  failure.signal.throwIfAborted()
  return { diffId: `sha256:${hash.digest('hex')}`, size, texts: writer.texts }
}

class TreeNormaliser {
  readonly texts = new Map<string, string>()
  readonly #pack: Pack
  readonly #rules: ImageRules
  readonly #wanted: ReadonlySet<string>
  readonly #written = new Set<string>()

  constructor(pack: Pack, rules: ImageRules, wanted: ReadonlySet<string>) {
    this.#pack = pack
    this.#rules = rules
    this.#wanted = wanted
  }

  async copy(entry: Entry): Promise<void> {
    const path = normaliseName(entry.header.name)
    const rewritten = this.#rules.rewritten.get(path)
    const wanted = this.#wanted.has(path)
    if (path === '' || (!wanted && this.#rules.isDropped(path))) return drain(entry)
    if (rewritten === undefined && !wanted) return this.#write(path, entry.header, entry)
    const text = (await collect(entry)).toString()
    if (wanted) this.texts.set(path, text)
    if (this.#rules.isDropped(path)) return
    // A link in the place of such a file (Debian's resolv.conf under systemd) becomes a regular file.
    const header: Attributes = rewritten ? { ...entry.header, type: 'file' } : entry.header
    await this.#write(path, header, Buffer.from(rewritten ? rewritten.rewrite(text) : text))
  }

  /** Adds entries that the rules require and Debian's packages lack. */
  async finish(): Promise<void> {
    const { directories, files, rewritten } = this.#rules
    const folder = { type: 'directory' as const, mode: 0o755, uid: 0, gid: 0 }
    const file = { type: 'file' as const, mode: 0o644, uid: 0, gid: 0 }
    const required = [...rewritten].flatMap(([path, rule]) =>
      rule.required ? [[path, rule.rewrite('')] as const] : [],
    )
    for (const { path, ...attributes } of directories) await this.#writeNew(path, { ...folder, ...attributes })
    for (const [path, content] of [...required, ...files]) {
      const parts = path.split('/')
      for (let n = 1; n < parts.length; n++) await this.#writeNew(parts.slice(0, n).join('/'), folder)
      await this.#writeNew(path, file, Buffer.from(content))
    }
    this.#pack.finalize()
  }

  async #writeNew(path: string, attributes: Attributes, content?: Buffer): Promise<void> {
    if (!this.#written.has(path)) await this.#write(path, attributes, content ?? Buffer.alloc(0))
  }

  async #write(path: string, from: Attributes, content: Entry | Buffer): Promise<void> {
    const { type, mode = 0, uid = 0, gid = 0, linkname = '', size = 0, mtime } = from
    const isFile = type === 'file' || type === 'contiguous-file'
    if (!isFile && type !== 'directory' && type !== 'symlink' && type !== 'link') return drain(content)
    const epoch = this.#rules.epoch
    const header = {
      name: path,
      type: isFile ? ('file' as const) : type,
      mode: mode & 0o1777,
      uid,
      gid,
      mtime: mtime !== undefined && mtime < epoch ? mtime : epoch,
      linkname: type === 'link' ? this.#linkTarget(path, linkname) : linkname,
      size: !isFile ? 0 : content instanceof Buffer ? content.length : size,
    }
    this.#written.add(path)
    const sink = this.#pack.entry(header)
    await pipeline(content instanceof Buffer ? [content] : content, sink as unknown as Writable)
  }

  /** A hard link needs its target, which must come before it and must not have been left out. */
  #linkTarget(path: string, linkname: string): string {
    const target = normaliseName(linkname)
    if (this.#written.has(target)) return target
    throw new BaleError('failed', `${path} is a hard link to ${target}, which is not in the image`, {
      where: 'the tree that mmdebstrap made',
      fix: 'leave out the package that contains it, and report this',
    })
  }
}

function normaliseName(name: string): string {
  // tar-stream decodes names as UTF-8 and would write back different bytes.
  if (name.includes('\uFFFD')) throw new BaleError('failed', `the file name ${JSON.stringify(name)} is not UTF-8`)
  return name
    .replace(/^(\.?\/+)+/, '')
    .replace(/\/+$/, '')
    .replace(/^\.$/, '')
}

async function collect(entry: Entry): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of entry) chunks.push(chunk)
  return Buffer.concat(chunks)
}

async function drain(content: Entry | Buffer): Promise<void> {
  if (!(content instanceof Buffer)) for await (const _ of content);
}
