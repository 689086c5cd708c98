import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { digestOf } from '../../lifecycle/image/digest.ts'
import type { Layer } from '../../lifecycle/image/layer.ts'
import { type Compression, layerMediaType } from '../../lifecycle/image/media-types.ts'
import { unpackImage } from '../../lifecycle/layers/tree/unpack.ts'
import { failureOf } from '../helpers/failure.ts'
import { bytesOf, noise } from '../helpers/images.ts'
import { directory, entry, file, gnuLong, hardlink, streamOf, symlink, tar } from '../helpers/tar.ts'
import { workDirectory } from './work-directory.ts'
import { readTree } from '../helpers/tree.ts'

// The oracle: a hostile layer is refused with one line that names the entry, and nothing is left of it; where an image may have
// such a thing, it is harmless; the canary beside is as it was.

let dir: string
let to: string
let canary: string

beforeEach(async () => {
  dir = await workDirectory()
  to = join(dir, 'work', 'root')
  canary = join(dir, 'canary')
  mkdirSync(join(dir, 'work'))
  mkdirSync(canary)
  writeFileSync(join(canary, 'secret'), 'untouched')
})

function layer(parts: readonly Uint8Array[], compression: Compression = 'none'): Layer {
  const plain = tar(...parts)
  const stored = { none: () => plain, gzip: () => gzipSync(plain), zstd: () => zstdCompressSync(plain) }[compression]()
  return {
    kind: 'layer',
    diffId: digestOf(plain),
    digest: digestOf(stored),
    size: stored.length,
    mediaType: layerMediaType(compression),
    open: () => streamOf(stored, 700),
  }
}

/** Unpacks an image whose layers are these. */
const unpack = (...layers: (readonly Uint8Array[])[]): Promise<void> =>
  unpackImage(
    layers.map(parts => layer(parts)),
    to,
  )

async function refused(layers: (readonly Uint8Array[])[], message: RegExp): Promise<void> {
  const error = await failureOf(unpack(...layers))
  expect(error).toEqual(
    expect.objectContaining({ name: 'BaleError', code: 'input', message: expect.stringMatching(message) as string }),
  )
  expect((error as Error).message).not.toMatch(/[\x00-\x1f\x7f-\x9f]/)
  expect(readdirSync(join(dir, 'work')), 'nothing is left').toEqual([])
  expect(await readTree(canary)).toEqual({ secret: 'untouched' })
}

describe('unpackImage', () => {
  it('puts layers on top of one another, whatever their compression', async () => {
    const layers = [
      layer([directory('./etc/'), file('./etc/a', 'old', { mode: 0o600 }), file('./etc/b', 'kept')], 'gzip'),
      layer([file('etc/a', 'new', { mode: 0o444, mtime: 1_000_000_000 })], 'zstd'),
      layer([directory('/srv', { mode: 0o700 }), file('/srv/c', 'c')], 'none'),
    ]
    await unpackImage(layers, to)
    expect(await readTree(to)).toEqual({ 'etc/a': 'new', 'etc/b': 'kept', 'srv/c': 'c' })
    const a = lstatSync(join(to, 'etc/a'))
    expect([a.mode & 0o7777, a.mtimeMs]).toEqual([0o444, 1e12])
    expect(lstatSync(join(to, 'srv')).mode & 0o777).toBe(0o700)
  })

  it('replaces a directory by a file, and a file or a link by a directory', async () => {
    await unpack(
      [
        directory('a'),
        file('a/x', '1'),
        file('b', '2'),
        symlink('c', 'b'),
        directory('d', { mode: 0o700 }),
        file('d/y', '3'),
      ],
      [file('a', 'now a file'), directory('b'), file('b/z', '4'), directory('c'), directory('d', { mode: 0o755 })],
    )
    expect(await readTree(to)).toEqual({ a: 'now a file', 'b/z': '4', 'd/y': '3' })
    expect(lstatSync(join(to, 'c')).isDirectory()).toBe(true)
    expect(lstatSync(join(to, 'd')).mode & 0o777).toBe(0o755)
  })

  it('lets later layers into directories that their mode forbids', async () => {
    await unpack(
      [directory('a', { mode: 0o555 })],
      [file('a/b', 'x')],
      [directory('a/c', { mode: 0 })],
      [file('a/c/d', 'y')],
    )
    expect(lstatSync(join(to, 'a')).mode & 0o777).toBe(0o555)
    expect(lstatSync(join(to, 'a/c')).mode & 0o777).toBe(0)
  })

  it('makes hard links, also to files of lower layers and across directories', async () => {
    await unpack(
      [file('bin/perl', '#!', { mode: 0o755 }), hardlink('bin/perl5', './bin/perl')],
      [hardlink('usr/bin/p', '/bin/perl')],
    )
    expect(statSync(join(to, 'usr/bin/p')).ino).toBe(statSync(join(to, 'bin/perl')).ino)
    expect(statSync(join(to, 'bin/perl5')).nlink).toBe(3)
  })

  it('makes hard links into a directory that was deleted and made anew', async () => {
    const linked = [directory('d'), file('d/file', 'x'), hardlink('link', 'd/file')]
    await unpack(linked, [file('.wh.d'), directory('d'), file('d/file', 'new'), hardlink('link', 'd/file')])
    expect(await readTree(to)).toEqual({ 'd/file': 'new', link: 'new' })
  })

  it('replaces one name of a file without touching the others', async () => {
    await unpack([file('a', 'old'), hardlink('b', 'a')], [file('a', 'new')])
    expect(await readTree(to)).toEqual({ a: 'new', b: 'old' })
  })

  it('reads GNU long names, as base images have them', async () => {
    const name = `${'deep/'.repeat(30)}file`
    await unpack([gnuLong('L', name), entry('deep', { content: 'x', magic: 'ustar  \0' })])
    expect(await readTree(to)).toEqual({ [name]: 'x' })
  })

  it('T13 T14 leaves devices and fifos out', async () => {
    await unpack([
      entry('dev/null', { type: '3' }),
      entry('dev/sda', { type: '4' }),
      entry('run/pipe', { type: '6' }),
      file('a', 'x'),
    ])
    expect(await readTree(to)).toEqual({ a: 'x' })
    expect(readdirSync(to)).toEqual(['a'])
  })

  it('T16 drops setuid and setgid, and keeps sticky on directories', async () => {
    await unpack([file('bin/su', '', { mode: 0o4755 }), directory('tmp', { mode: 0o1777 })])
    expect(lstatSync(join(to, 'bin/su')).mode & 0o7777).toBe(0o755)
    expect(lstatSync(join(to, 'tmp')).mode & 0o7777).toBe(0o1777)
  })

  it('T10 a hard link to a symlink is another name for the link, and follows it nowhere', async () => {
    await unpack([symlink('a', `${canary}/secret`), hardlink('b', 'a')])
    expect(readlinkSync(join(to, 'b'))).toBe(`${canary}/secret`)
    expect(statSync(join(canary, 'secret')).nlink).toBe(1)
  })

  it('T18 takes the later of two files of one name', async () => {
    await unpack([file('a', 'first'), file('a', 'second'), directory('d'), directory('d', { mode: 0o700 })])
    expect(await readTree(to)).toEqual({ a: 'second' })
    expect(lstatSync(join(to, 'd')).mode & 0o777).toBe(0o700)
  })
})

describe('whiteouts (T23)', () => {
  const base = [
    file('file1', '1'),
    file('a/file2', '2'),
    directory('b'),
    file('b/inside', 'x'),
    file('c/file3', '3'),
    symlink('link', 'file1'),
  ]

  it('delete files, directories and links of lower layers', async () => {
    await unpack(base, [file('.wh.file1'), file('a/.wh.file2'), file('.wh.b'), file('.wh.link'), file('file4', '4')])
    expect(await readTree(to)).toEqual({ 'c/file3': '3', file4: '4' })
    expect(readdirSync(to).sort()).toEqual(['a', 'c', 'file4'])
  })

  it.each(['before', 'after'])('spare what their own layer has, whether it stands %s them', async order => {
    const added = [file('file1', 'new'), directory('b'), file('b/mine', 'new')]
    const deleted = [file('.wh.file1'), file('.wh.b')]
    await unpack(base, order === 'before' ? [...added, ...deleted] : [...deleted, ...added])
    expect(await readTree(to)).toEqual({ file1: 'new', 'a/file2': '2', 'b/mine': 'new', 'c/file3': '3' })
  })

  it.each(['before', 'after'])('opaque: hides all of the lower directory, with entries %s it', async order => {
    const lower = [file('a/b/c/bar', 'old'), file('a/b/old', 'old'), file('a/x', 'old'), file('d', 'kept')]
    const added = [directory('a/b'), directory('a/b/c'), file('a/b/c/foo', 'new')]
    const hidden = [file('a/.wh..wh..opq')]
    await unpack(
      lower,
      order === 'before' ? [directory('a'), ...added, ...hidden] : [directory('a'), ...hidden, ...added],
    )
    expect(await readTree(to)).toEqual({ 'a/b/c/foo': 'new', d: 'kept' })
  })

  it('opaque at the root hides everything', async () => {
    await unpack(base, [file('new', 'x'), file('.wh..wh..opq')])
    expect(readdirSync(to)).toEqual(['new'])
  })

  it('of something that is not there are nothing, also where there is no directory', async () => {
    await unpack(base, [file('.wh.absent'), file('no/such/.wh.thing'), file('no/.wh..wh..opq')])
    expect((await readTree(to))['file1']).toBe('1')
  })

  it('delete directories that their mode forbids to enter, and never through a link', async () => {
    await unpack([directory('d', { mode: 0 }), symlink('d/link', canary), file('d/e/f', 'x')], [file('.wh.d')])
    expect(readdirSync(to)).toEqual([])
    expect(await readTree(canary)).toEqual({ secret: 'untouched' })
  })

  it.each(['.wh.', '.wh..', '.wh...', 'd/.wh.', 'd/.wh..', 'd/.wh...'])('%s names nothing to delete', async name => {
    await refused([[file('d/x')], [file(name)]], /does not name a file to delete/)
  })

  it('through a symlink are refused', async () => {
    await refused([[symlink('out', canary)], [file('out/.wh.secret')]], /out: .*not a directory/)
    await refused([[symlink('out', canary), file('out/.wh.secret')]], /out: .*not a directory/)
    await refused([[symlink('up', '..')], [file('up/.wh.work')]], /up: .*not a directory/)
  })

  it('opaque through a symlink deletes nothing', async () => {
    await refused([[symlink('d/out', canary)], [file('d/out/x/.wh..wh..opq')]], /out: .*not a directory/)
    await unpack([symlink('out', canary)], [file('out/.wh..wh..opq')])
    expect(await readTree(canary)).toEqual({ secret: 'untouched' })
  })

  it('with content, of another type, or with something beneath are refused', async () => {
    await refused([[file('.wh.a', 'content')]], /must be an empty file/)
    await refused([[symlink('.wh.a', 'b')]], /must be an empty file/)
    await refused([[directory('.wh.a'), file('.wh.a/b')]], /must be an empty file/)
    await refused([[file('.wh.a/b')]], /below a whiteout/)
  })
})

describe('unpackImage refuses, and leaves nothing', () => {
  it.each([
    ['T01', '../x'],
    ['T03', 'a/../../x'],
    ['T03', 'a/..'],
    ['T04', '//x'],
    ['T04', 'a//x'],
  ])('%s %s', async (_case, name) => {
    await refused([[file(name, 'x')]], /not a plain path/)
  })

  it.each(['.', '/', './'])('T05 %j as a symlink', async name => {
    await refused([[symlink(name, canary)]], /the root is not a directory|the name of a directory/)
  })

  it('T06 a symlink, then a file through it; in one layer or in two', async () => {
    await refused([[symlink('out', canary), file('out/secret', 'x')]], /out: .*not a directory/)
    await refused([[symlink('out', canary)], [file('out/secret', 'x')]], /out: .*not a directory/)
    await refused([[symlink('out', canary)], [directory('out/new')]], /out: .*not a directory/)
    await refused([[symlink('out', canary)], [hardlink('out/hard', 'out')]], /out: .*not a directory/)
  })

  it('T06 a file in the place of a symlink takes its place', async () => {
    await unpack([symlink('secret', `${canary}/secret`)], [file('secret', 'mine')])
    expect(await readTree(to)).toEqual({ secret: 'mine' })
    expect(await readTree(canary)).toEqual({ secret: 'untouched' })
  })

  it('T07 a chain of two symlinks, then a hard link through it', async () => {
    const chain = [symlink('a', 'b'), symlink('b', canary)]
    await refused([[...chain, hardlink('c', 'a/secret')]], /a: .*not a directory/)
    await refused([chain, [hardlink('c', 'b/secret')]], /b: .*not a directory/)
  })

  it('T08 a hard link that leads out: absolute, up, relative to where we are', async () => {
    await refused([[hardlink('a', `${canary}/secret`)]], /which is missing/)
    await refused([[hardlink('a', '../../canary/secret')]], /not a plain path/)
    await refused([[hardlink('a', 'package.json')]], /package.json, which is missing/)
    await refused([[directory('d'), hardlink('a', 'd')]], /which is not a file/)
    await refused([[hardlink('a', '/')]], /which is not a file/)
  })

  it('T09 a hard link ahead of its target', async () => {
    await refused([[hardlink('a', 'b'), file('b')]], /a: it links to b, which is missing/)
  })

  it('T21 newline, ANSI and bytes that are not UTF-8, which the message escapes', async () => {
    const name = 'a\nERROR: \x1b[2J\xff'
    await refused(
      [[directory(name), symlink(name, canary)]],
      /a\\nERROR: \\x1b\[2J\\xff: it is a directory and a symlink/,
    )
  })

  it('T12 a directory swapped for a link while unpacking, by whoever can write beside', async () => {
    // The source is read ahead, but not by so much.
    const parts = [file('d/1', 'x'), file('e/1', 'x'), file('much', '', { content: noise(8_000_000) })]
    const evil = layer([...parts, file('d/secret', 'overwritten')])
    const whole = await bytesOf(evil.open())
    const swapping = async function* (): AsyncGenerator<Uint8Array> {
      const first = parts.reduce((length, part) => length + part.length, 0)
      yield whole.subarray(0, first)
      const draft = join(dir, 'work', readdirSync(join(dir, 'work'))[0] as string)
      await vi.waitFor(() => expect(existsSync(join(draft, 'e/1'))).toBe(true))
      renameSync(join(draft, 'd'), join(draft, 'old'))
      symlinkSync(canary, join(draft, 'd'))
      yield await Promise.resolve(whole.subarray(first))
    }
    expect(await failureOf(unpackImage([{ ...evil, open: swapping }], to))).toMatchObject({ code: 'input' })
    expect(readdirSync(join(dir, 'work'))).toEqual([])
    expect(await readTree(canary)).toEqual({ secret: 'untouched' })
  })

  it('T18 the same name with another type in one layer', async () => {
    await refused([[directory('d'), symlink('d', canary)]], /d: it is a directory and a symlink/)
    await refused([[symlink('d', canary), directory('d')]], /d: it is a symlink and a directory/)
    await refused([[file('d/x'), file('d', 'x')]], /d: it is a directory and a file/)
  })

  it('T19 a file, then a child beneath it', async () => {
    await refused([[file('a'), file('a/b')]], /a: .*not a directory/)
    await refused([[file('a')], [file('a/b')]], /a: .*not a directory/)
  })

  it('a layer whose bytes have another digest, size or diffID', async () => {
    const good = layer([file('a', 'x')], 'gzip')
    const other = layer([file('b', 'y')], 'gzip')
    const attempts: [Layer, RegExp][] = [
      [{ ...good, digest: other.digest }, /bytes of .* are wrong/],
      [{ ...good, size: good.size - 1 }, /there are more than/],
      [{ ...good, size: good.size + 1 }, /not/],
      [{ ...good, diffId: other.diffId }, /bytes of .* are wrong: their digest is/],
      [{ ...good, mediaType: 'text/html' }, /cannot be read/],
    ]
    for (const [bad, message] of attempts) {
      expect(await failureOf(unpackImage([bad], to))).toMatchObject({
        code: 'input',
        message: expect.stringMatching(message) as string,
      })
      expect(readdirSync(join(dir, 'work'))).toEqual([])
    }
  })

  it('T42 a layer that is not compressed as its media type says', async () => {
    const bad = { ...layer([file('a')], 'gzip'), mediaType: layerMediaType('zstd') }
    expect(await failureOf(unpackImage([bad], to))).toMatchObject({
      message: 'the media type of a layer says zstd, its bytes say gzip',
    })
  })
})
