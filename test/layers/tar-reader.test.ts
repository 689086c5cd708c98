import { pack } from 'tar-stream'
import { describe, expect, it } from 'vitest'
import { defaultTarLimits, readTar, type TarEntry, type TarLimits } from '../../lifecycle/layers/tar/reader.ts'
import { failureOf } from '../helpers/failure.ts'
import { bytesOf } from '../helpers/images.ts'
import { directory, entry, file, gnuLong, hardlink, pax, padded, streamOf, symlink, tar } from '../helpers/tar.ts'

// The oracle: an archive that two readers could take for different things is refused before anything is made of it, with one
// line that names the entry or the limit, escaped.

type Read = Partial<TarEntry> & { content?: string }

async function read(bytes: Uint8Array, limits: Partial<TarLimits> = {}, piece?: number): Promise<Read[]> {
  const entries: Read[] = []
  await readTar(
    streamOf(bytes, piece),
    {
      entry: e => void entries.push({ ...e, ...(e.type === 'file' && { content: '' }) }),
      data: chunk => ((entries.at(-1) as Read).content += Buffer.from(chunk).toString('latin1')),
      endOfFile: () => {},
    },
    { limits },
  )
  return entries
}

const refusal = async (bytes: Uint8Array, limits?: Partial<TarLimits>): Promise<unknown> =>
  failureOf(read(bytes, limits))
const input = (message: RegExp): unknown =>
  expect.objectContaining({ name: 'BaleError', code: 'input', message: expect.stringMatching(message) as string })

const example = tar(
  directory('/layers/'),
  file('/layers/a', 'content of a', { mode: 0o4755, mtime: 1_000_000_000 }),
  file('/layers/empty'),
  symlink('/layers/link', 'a'),
  hardlink('/layers/hard', '/layers/a'),
  file('name', 'x', { prefix: 'some/prefix' }),
)

describe('readTar', () => {
  it('tells names, types, modes, times, targets and contents', async () => {
    expect(await read(example)).toEqual([
      { type: 'directory', name: '/layers/', target: '', mode: 0o755, size: 0, mtime: 315_532_801, uid: 0, gid: 0 },
      {
        type: 'file',
        name: '/layers/a',
        target: '',
        mode: 0o4755,
        size: 12,
        mtime: 1e9,
        uid: 0,
        gid: 0,
        content: 'content of a',
      },
      expect.objectContaining({ type: 'file', name: '/layers/empty', content: '' }),
      expect.objectContaining({ type: 'symlink', name: '/layers/link', target: 'a' }),
      expect.objectContaining({ type: 'hardlink', name: '/layers/hard', target: '/layers/a' }),
      expect.objectContaining({ type: 'file', name: 'some/prefix/name', content: 'x' }),
    ])
  })

  it.each([1, 7, 511, 512, 513, 4000])('reads the same in pieces of %i bytes', async piece => {
    expect(await read(example, {}, piece)).toEqual(await read(example))
  })

  it('reads what tar-stream writes', async () => {
    const writer = pack()
    writer.entry({ name: `${'long/'.repeat(60)}name`, mode: 0o600 }, 'deep')
    writer.entry({ name: 'ünï', type: 'symlink', linkname: 'x'.repeat(300) })
    writer.finalize()
    const [deep, link] = await read(await bytesOf(writer as AsyncIterable<Uint8Array>))
    expect(deep).toMatchObject({ name: `${'long/'.repeat(60)}name`, content: 'deep', mode: 0o600 })
    expect(link).toMatchObject({ name: Buffer.from('ünï').toString('latin1'), target: 'x'.repeat(300) })
  })

  it('reads pax records, and ignores those that are not its business (T17)', async () => {
    const records = {
      path: 'long name',
      mtime: '12.75',
      size: '3',
      'SCHILY.xattr.security.capability': '\x01\x00\x00\x02',
      'SCHILY.xattr.trusted.overlay.opaque': 'y',
      'LIBARCHIVE.creationtime': '1',
      uname: 'root',
      uid: '3000000',
    }
    expect(await read(tar(pax(records), file('short', 'abc')))).toEqual([
      {
        type: 'file',
        name: 'long name',
        target: '',
        mode: 0o644,
        size: 3,
        mtime: 12.75,
        uid: 3_000_000,
        gid: 0,
        content: 'abc',
      },
    ])
  })

  it('reads GNU long names and targets, and no prefix where GNU has none', async () => {
    const bytes = tar(
      gnuLong('K', 'y'.repeat(200)),
      gnuLong('L', 'x'.repeat(300)),
      entry('short', { type: '2', link: 'y', magic: 'ustar  \0', prefix: 'times of GNU' }),
      entry('next', { magic: 'ustar  \0' }),
    )
    expect(await read(bytes)).toMatchObject([{ name: 'x'.repeat(300), target: 'y'.repeat(200) }, { name: 'next' }])
  })

  it('reads a size and an owner in base-256', async () => {
    const base256 = (length: number, value: number): Buffer => {
      const field = Buffer.alloc(length)
      field.writeUIntBE(value, length - 6, 6)
      field[0] = 0x80
      return field
    }
    const bytes = tar(file('a', 'abc', { size: base256(12, 3), uid: base256(8, 3_000_000_000) }))
    expect(await read(bytes)).toMatchObject([{ size: 3, content: 'abc' }])
  })

  it('passes over a global header that only comments', async () => {
    expect(await read(tar(pax({ comment: 'a commit' }, 'g'), file('a')))).toMatchObject([{ name: 'a' }])
  })

  it('accepts zeros after the end', async () => {
    expect(await read(Buffer.concat([example, Buffer.alloc(10_240)]))).toHaveLength(6)
  })
})

describe('readTar refuses', () => {
  it.each(['7', 'S', 'D', 'V', 'M', 'A', '9', ' ', '\xff'])('T15 the type %j', async type => {
    expect(await refusal(tar(entry('odd', { type })))).toEqual(input(/odd: the type .* is unknown/))
  })

  it.each([
    ['negative', Buffer.alloc(12, 0xff)],
    ['negative, first byte only', Buffer.from([0xff, ...Array<number>(11).fill(0)])],
    ['with a minus sign', '-0000000001\0'],
    ['not octal', '00000000009\0'],
    ['with text behind', '0000000001 x'],
  ])('T24 a size that is %s', async (_what, size) => {
    expect(await refusal(tar(entry('a', { size })))).toEqual(input(/a size is not a number/))
  })

  it('T25 a size above 2⁵³', async () => {
    const size = Buffer.from([0x80, 0, 0, 0, 0, 0x20, 0, 0, 0, 0, 0, 1])
    expect(await refusal(tar(entry('a', { size })))).toEqual(input(/size is not a number, or out of range/))
    expect(await refusal(tar(pax({ size: '9007199254740993' }), entry('a')))).toEqual(input(/bad size/))
  })

  const negative = Buffer.alloc(12, 0xff)
  it.each([
    ['a negative mtime', { mtime: negative }, /time is not a number/],
    [
      'an mtime in the year 10000',
      { mtime: Buffer.from([0x80, 0, 0, 0, 0, 0, 0, 0x3a, 0xff, 0xf4, 0x41, 0x80]) },
      /time is out of range/,
    ],
    ['an mtime that is not a number', { mtime: 'NaN' }, /time is not a number/],
    ['a negative uid', { uid: negative.subarray(0, 8) }, /owner is not a number/],
    ['a uid that wraps around to root', { uid: Buffer.from([0x80, 0, 0, 1, 0, 0, 0, 0]) }, /owner is out of range/],
    ['a gid of −1', { gid: Buffer.from([0x80, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]) }, /owner is out of range/],
    ['a mode that is not a number', { mode: 'rwxr-x' }, /mode is not a number/],
    ['a huge mode', { mode: 0o7777777 }, /mode is out of range/],
  ])('T26 %s', async (_what, raw, message) => {
    expect(await refusal(tar(entry('a', raw)))).toEqual(input(message))
  })

  it.each(['-1', 'NaN', '1e9', '9'.repeat(13), ''])('T26 a pax mtime of %j', async mtime => {
    expect(await refusal(tar(pax({ mtime }), entry('a')))).toEqual(input(/mtime|time is out of range/))
  })

  it.each(['-1', '4294967295', '4294967296', '1e3', 'root'])('T26 a pax uid of %j', async uid => {
    expect(await refusal(tar(pax({ uid }), entry('a')))).toEqual(input(/bad uid/))
  })

  it('T27 a pax size that is not the size of the header: one reader would see an entry that another does not', async () => {
    const smuggled = tar(file('smuggled', 'x'))
    expect(await refusal(tar(pax({ size: String(smuggled.length) }), file('a', '', { size: 0 }), smuggled))).toEqual(
      input(/a: its two headers give different sizes/),
    )
  })

  it('T28 a pax header before a GNU long name, or behind it: does the size apply to the name?', async () => {
    const size = pax({ size: '1024' })
    expect(await refusal(tar(size, gnuLong('L', 'name'), file('a')))).toEqual(input(/several extended headers/))
    expect(await refusal(tar(gnuLong('L', 'name'), size, file('a')))).toEqual(input(/several extended headers/))
    expect(await refusal(tar(pax({ path: 'a' }), pax({ path: 'b' }), file('c')))).toEqual(
      input(/several extended headers/),
    )
    expect(await refusal(tar(gnuLong('L', 'a'), gnuLong('L', 'b'), file('c')))).toEqual(input(/two long names/))
  })

  it.each(['path', 'linkpath', 'size', 'uid', 'mtime'])('T29 a global pax header that sets %s', async key => {
    expect(await refusal(tar(pax({ [key]: '1' }, 'g'), file('a')))).toEqual(
      input(new RegExp(`global header sets ${key}`)),
    )
  })

  it('T30 a pax header of 1 GB, before reading it', async () => {
    let pulled = 0
    const endless = async function* (): AsyncGenerator<Uint8Array> {
      yield entry('PaxHeader', { type: 'x', size: 1024 ** 3 })
      for (; ; pulled++) yield await Promise.resolve(Buffer.alloc(65_536, 'x'))
    }
    expect(await failureOf(readTar(endless(), { entry() {}, data() {}, endOfFile() {} }))).toEqual(
      input(/size of 1073741824/),
    )
    expect(pulled).toBe(0)
  })

  it('T30 a GNU long name of 1 GB', async () => {
    expect(await refusal(entry('././@LongLink', { type: 'L', size: 1024 ** 3 }))).toEqual(input(/size of 1073741824/))
  })

  it.each([
    ['a length of zero', '0 path=x\n'],
    ['a length that is too short', '5 path=x\n'],
    ['a length beyond the header', '999 path=x\n'],
    ['a length with a sign', '+9 path=x\n'],
    ['a length with a leading zero', '010 path=x\n'],
    ['a length of 30 digits', `${'9'.repeat(30)} path=x\n`],
    ['no length', ' path=x\n'],
    ['no equals sign', '7 path\n'],
    ['no key', '5 =x\n'],
    ['no newline', '10 path=xyz'],
    ['nothing but text', 'hello'],
    ['NULs', '\0\0\0\0'],
    ['a NUL in the path', '12 path=a\0b\n'],
    ['an empty path', '8 path=\n'],
    ['the path twice', '10 path=a\n10 path=b\n'],
  ])('T31 a pax header with %s', async (_what, text) => {
    expect(await refusal(tar(pax(text), file('a')))).toEqual(input(/pax header/))
  })

  it.each(['x', 'g', 'L', 'K'])('T31 an extended header of type %s without content', async type => {
    expect(await refusal(tar(entry('PaxHeader', { type }), file('a')))).toEqual(input(/extended header is empty/))
  })

  it('T31 a GNU long name that is empty or has something after its NUL', async () => {
    const long = (content: string): Buffer => entry('././@LongLink', { type: 'L', content })
    for (const content of ['\0', 'no end', 'a\0b']) {
      expect(await refusal(tar(long(content), file('a')))).toEqual(input(/long name is malformed/))
    }
  })

  it('T32 sparse files, GNU and pax', async () => {
    expect(await refusal(tar(entry('bomb', { type: 'S', magic: 'ustar  \0' })))).toEqual(input(/type "S"/))
    expect(await refusal(tar(pax({ 'GNU.sparse.major': '1', 'GNU.sparse.realsize': '1' }), file('a')))).toEqual(
      input(/sparse/),
    )
  })

  it('T33 a wrong checksum, and what is not a header at all', async () => {
    expect(await refusal(tar(entry('a', { checksum: '0000000\0' })))).toEqual(input(/wrong checksum/))
    expect(await refusal(tar(padded(Buffer.alloc(512, 'x'))))).toEqual(input(/checksum/))
    expect(await refusal(tar(entry('a', { magic: 'notatar\0' })))).toEqual(input(/neither POSIX nor GNU/))
  })

  it('T34 an archive that is cut short anywhere', async () => {
    const whole = tar(file('a', 'x'.repeat(600)), file('b', 'y'))
    for (let length = 0; length < whole.length; length += 64) {
      expect(await refusal(whole.subarray(0, length)), `${length} bytes`).toEqual(input(/cut short/))
    }
  })

  it('T35 data after the end', async () => {
    expect(await refusal(Buffer.concat([example, file('late', 'x')]))).toEqual(input(/has data after its end/))
    expect(await refusal(tar(file('a'), Buffer.alloc(512), file('b')))).toEqual(input(/has data after its end/))
  })

  it('T37 more entries than the limit; the limit of its own is below ten million', async () => {
    expect(await refusal(tar(...Array.from({ length: 11 }, (_, i) => file(String(i)))), { entries: 10 })).toEqual(
      input(/more than 10 entries/),
    )
    expect(defaultTarLimits.entries).toBeLessThan(10_000_000)
  })

  it('more bytes than the limit, before reading them', async () => {
    expect(await refusal(entry('a', { size: 101 }), { bytes: 100 })).toEqual(input(/more than 100 bytes/))
  })

  it('content in an entry that cannot have any', async () => {
    for (const type of ['1', '2', '3', '4', '5', '6'])
      expect(await refusal(tar(entry('a', { type, link: 'b', content: 'x' })))).toEqual(input(/has content/))
  })

  it('an entry without a name, a link without a target, a file named like a directory', async () => {
    expect(await refusal(tar(entry('')))).toEqual(input(/no name/))
    expect(await refusal(tar(entry('a', { type: '2' })))).toEqual(input(/no target/))
    expect(await refusal(tar(file('a/', 'x')))).toEqual(input(/the name of a directory/))
  })

  it('an extended header that belongs to no entry', async () => {
    expect(await refusal(tar(file('a'), pax({ path: 'b' })))).toEqual(input(/an extended header has no entry/))
  })

  it('T21 control characters of a name are escaped in the message', async () => {
    const error = (await refusal(tar(entry('\x1b[2Jevil\n\xff', { type: 'Z' })))) as Error
    expect(error.message).toContain('\\x1b[2Jevil\\n\\xff: the type')
  })

  it('an aborted signal, with its reason', async () => {
    const signal = AbortSignal.abort(new Error('enough'))
    const handler = { entry() {}, data() {}, endOfFile() {} }
    expect(await failureOf(readTar(streamOf(example), handler, { signal }))).toEqual(new Error('enough'))
  })
})
