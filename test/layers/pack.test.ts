import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { beforeEach, describe, expect, it } from 'vitest'
import { digestOf } from '../../lifecycle/image/digest.ts'
import type { LayerEntry } from '../../lifecycle/layers/tree/entries.ts'
import { layerSource, listTree } from '../../lifecycle/layers/tree/pack.ts'
import { readTar, type TarEntry } from '../../lifecycle/layers/tar/reader.ts'
import { readEntries } from '../helpers/archives.ts'
import { bytesOf } from '../helpers/images.ts'
import { streamOf } from '../helpers/tar.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { writeTree } from '../helpers/tree.ts'

const owner = { uid: 1000, gid: 1001 }
let dir: string
beforeEach(async () => {
  dir = await temporaryDirectory()
})

const pack = (...entries: LayerEntry[]): Promise<Buffer> => bytesOf(layerSource('test', entries).tar())
const tree = (hostPath = dir, imagePath = '/app'): LayerEntry => ({ kind: 'tree', hostPath, imagePath, ...owner })

/** Headers and contents, with names of bytes as they are. */
const read = async (tar: Buffer) =>
  (await readEntries(tar)).map(entry => ({ ...entry, content: entry.content.toString('latin1') }))

const names = async (tar: Buffer): Promise<string[]> => (await read(tar)).map(header => header.name)

describe('layerSource', () => {
  it('packs explicit entries: absolute names, the owner given, no names of users, a fixed time', async () => {
    const tar = await pack(
      { kind: 'directory', imagePath: '/layers', mode: 0o755, ...owner },
      { kind: 'file', imagePath: '/layers/a', mode: 0o640, content: Buffer.from('hello'), ...owner },
      { kind: 'symlink', imagePath: '/layers/ü', target: '/cnb/lifecycle/launcher', uid: 0, gid: 0 },
    )
    const common = { uid: 1000, gid: 1001, uname: '', gname: '', mtime: new Date('1980-01-01T00:00:01Z') }
    expect(await read(tar)).toMatchObject([
      { ...common, name: '/layers', type: 'directory', mode: 0o755, size: 0 },
      { ...common, name: '/layers/a', type: 'file', mode: 0o640, size: 5, content: 'hello' },
      {
        ...common,
        name: '/layers/ü',
        type: 'symlink',
        linkname: '/cnb/lifecycle/launcher',
        mode: 0o777,
        uid: 0,
        gid: 0,
      },
    ])
    expect(tar.toString('latin1', 0, 9), 'no trailing slash in the header').toBe('/layers\0\0')
  })

  it('packs a host file with the mode given', async () => {
    await writeTree(dir, { launcher: 'ELF' })
    const entry: LayerEntry = {
      kind: 'host-file',
      hostPath: join(dir, 'launcher'),
      imagePath: '/cnb/l',
      mode: 0o755,
      uid: 0,
      gid: 0,
    }
    expect(await read(await pack(entry))).toMatchObject([{ name: '/cnb/l', mode: 0o755, content: 'ELF', uid: 0 }])
  })

  it('packs a tree with itself, depth first, in byte order of names in each directory', async () => {
    await writeTree(dir, { 'a/z': '', 'a.txt': '', 'a/b/c': '', Z: '', é: '', b: { link: 'a' }, empty: { dir: true } })
    expect(await names(await pack(tree()))).toEqual(
      ['/app', '/app/Z', '/app/a', '/app/a/b', '/app/a/b/c', '/app/a/z', '/app/a.txt', '/app/b', '/app/empty', '/app/é'], // prettier-ignore
    )
  })

  it('keeps modes, links and contents', async () => {
    await writeTree(dir, {
      file: 'text',
      script: { script: 'true' },
      loop: { link: 'loop' },
      out: { link: '../../etc/passwd' },
    })
    chmodSync(join(dir, 'file'), 0o604)
    chmodSync(dir, 0o1711)
    expect(await read(await pack(tree()))).toMatchObject([
      { name: '/app', mode: 0o1711 },
      { name: '/app/file', mode: 0o604, content: 'text' },
      { name: '/app/loop', linkname: 'loop' }, // S05
      { name: '/app/out', linkname: '../../etc/passwd' }, // S06
      { name: '/app/script', mode: 0o755 },
    ])
  })

  it('leaves out what is skipped, with everything below', async () => {
    await writeTree(dir, { 'a/b/c': '', 'a/d': '', '.git/HEAD': '' })
    const skip = (path: Buffer): boolean => ['.git', 'a/b'].includes(path.toString())
    expect(await names(await pack({ ...tree(), skip } as LayerEntry))).toEqual(['/app', '/app/a', '/app/a/d'])
  })

  it('packs chosen paths, each alone, in byte order of whole paths, once', async () => {
    await writeTree(dir, { 'a/b': 'in', 'a.txt': 'out', 'c/d': 'not', e: { link: 'a' } })
    const paths = ['a/b', 'e', 'a.txt', 'a', 'a/b', ''].map(path => Buffer.from(path))
    const tar = await pack({ kind: 'paths', hostPath: dir, imagePath: '/app', paths, ...owner })
    expect(await names(tar)).toEqual(['/app', '/app/a', '/app/a.txt', '/app/a/b', '/app/e'])
  })

  it('all paths of a tree, chosen, are the tree in another order', async () => {
    await writeTree(dir, { 'a/b/c': '1', 'a/b.d': '2', 'a/b/e/f': '3', g: { link: 'a' }, 'a-': '4', h: { dir: true } })
    const chosen = await names(
      await pack({ kind: 'paths', hostPath: dir, imagePath: '/app', paths: await listTree(dir), ...owner }),
    )
    expect([...chosen, '/app'].sort()).toEqual((await names(await pack(tree()))).sort())
    const plain = chosen.map(name => name.replace(/\/$/, ''))
    expect(plain).toEqual([...plain].sort())
  })

  it('reads the same again', async () => {
    await writeTree(dir, { a: 'x' })
    const source = layerSource('test', [tree()])
    expect((await bytesOf(source.tar())).equals(await bytesOf(source.tar()))).toBe(true)
  })

  it.each(['relative', '/trailing/', '/a/../b', '/a//b', '/./a', '/a\0b', ''])(
    'refuses the image path %j',
    imagePath => {
      expect(() => layerSource('test', [{ kind: 'directory', imagePath, mode: 0o755, ...owner }])).toThrow(
        'normalised image path',
      )
    },
  )

  it.each(['/layers/bp/.wh.layer', '/.wh..wh..opq', '/a/.wh.b/c'])('refuses the image path %s', imagePath => {
    expect(() => layerSource('test', [tree(dir, imagePath)])).toThrow('means "deleted"')
  })

  it.each([-1, 0.5, NaN, 2 ** 32 - 1, 2 ** 40])('refuses the owner %d', uid => {
    expect(() => layerSource('test', [{ kind: 'directory', imagePath: '/a', mode: 0o755, uid, gid: 0 }])).toThrow(
      'as its owner',
    )
  })
})

describe('headers', () => {
  /** The header blocks of an empty file of this name. */
  const headersOf = async (imagePath: string, uid = 0): Promise<Buffer> =>
    (await pack({ kind: 'file', imagePath, mode: 0o644, content: Buffer.alloc(0), uid, gid: 0 })).subarray(0, -1024)

  it('splits a name over 100 bytes at a slash where it fits', async () => {
    const name = `/${'p'.repeat(120)}/${'n'.repeat(100)}`
    const header = await headersOf(name)
    expect(header).toHaveLength(512)
    expect(
      await names(await pack({ kind: 'file', imagePath: name, mode: 0, content: Buffer.alloc(0), ...owner })),
    ).toEqual([name])
  })

  it.each([100, 101, 155, 156, 200, 255, 256, 257, 300, 1000, 4095])('carries a name of %i bytes', async length => {
    for (const part of [9, 99, 200]) {
      const parts = `/${'x'.repeat(part)}`.repeat(Math.ceil(length / (part + 1))).slice(0, length)
      const name = parts.endsWith('/') ? `${parts.slice(0, -1)}y` : parts
      const tar = await pack({ kind: 'file', imagePath: name, mode: 0o644, content: Buffer.from('z'), ...owner })
      expect(await read(tar)).toMatchObject([{ name, content: 'z', uid: 1000, mode: 0o644 }])
      expect(execFileSync('tar', ['-tPf', '-'], { input: tar, encoding: 'utf8' })).toBe(`${name}\n`)
    }
  })

  it('carries a link target of 4,000 bytes', async () => {
    const target = 't/'.repeat(2000)
    expect(await read(await pack({ kind: 'symlink', imagePath: '/l', target, ...owner }))).toMatchObject([
      { linkname: target },
    ])
  })

  it('carries an owner above 2²¹, and gives readers without pax nobody rather than root', async () => {
    const uid = 3_000_000_000
    const tar = Buffer.concat([await headersOf('/a', uid), Buffer.alloc(1024)])
    const listed = execFileSync('tar', ['--numeric-owner', '-tvPf', '-'], { input: tar, encoding: 'utf8' })
    expect(listed).toContain(' 3000000000/0 ')
    const last = (await headersOf('/a', uid)).subarray(-512)
    expect(parseInt(last.toString('latin1', 108, 115), 8)).toBe(65_534)
  })

  it('O05 carries a size of more than 8 GiB', async () => {
    const size = 9 * 1024 ** 3
    truncateOf(join(dir, 'big'), size)
    const head: Uint8Array[] = []
    for await (const chunk of layerSource('test', [tree()]).tar()) {
      head.push(chunk)
      break
    }
    const entries: TarEntry[] = []
    const handler = { entry: (e: TarEntry) => void entries.push(e), data() {}, endOfFile() {} }
    await readTar(streamOf(Buffer.concat(head)), handler).catch(() => undefined) // the rest is not there
    expect(entries[1]).toMatchObject({ name: '/app/big', size })
  })

  const truncateOf = (path: string, size: number): void => {
    writeFileSync(path, '')
    truncateSync(path, size)
  }
})

describe('the same tree gives the same bytes', () => {
  const make = async (root: string): Promise<void> => {
    await writeTree(root, { 'b/ä': '1', 'b/a': '2', a: '3', 'c/deep/er': '4', link: { link: 'a' } })
    for (const path of ['b', 'c', 'c/deep']) chmodSync(join(root, path), 0o755)
    for (const path of ['b/ä', 'b/a', 'a', 'c/deep/er']) chmodSync(join(root, path), 0o644)
    chmodSync(root, 0o755)
  }

  it('S17 at another path, with other times (before 1970, past 2038), made in another order', async () => {
    await make(join(dir, 'one'))
    await writeTree(join(dir, 'some/where/else'), {
      link: { link: 'a' },
      'c/deep/er': '4',
      a: '3',
      'b/a': '2',
      'b/ä': '1',
    })
    await make(join(dir, 'two'))
    utimesSync(join(dir, 'two/a'), -1000, 4_102_444_800)
    const [one, two] = [await pack(tree(join(dir, 'one'))), await pack(tree(join(dir, 'two')))]
    expect(one.equals(two)).toBe(true)
  })

  it('under another umask, locale and time zone', async () => {
    await make(join(dir, 'one'))
    const script = `
      import { layerSource } from ${JSON.stringify(join(import.meta.dirname, '../../lifecycle/layers/tree/pack.ts'))}
      import { createHash } from 'node:crypto'
      process.umask(0o077)
      const hash = createHash('sha256')
      const entry = { kind: 'tree', hostPath: ${JSON.stringify(join(dir, 'one'))}, imagePath: '/app', uid: 1000, gid: 1001 }
      for await (const chunk of layerSource('test', [entry]).tar()) hash.update(chunk)
      console.log('sha256:' + hash.digest('hex'))`
    const env = { ...process.env, LC_ALL: 'C', LANG: 'tr_TR', TZ: 'Asia/Kathmandu' }
    const other = execFileSync(process.execPath, ['--input-type=module-typescript', '-e', script], {
      env,
      encoding: 'utf8',
    })
    expect(other.trim()).toBe(digestOf(await pack(tree(join(dir, 'one')))))
  })

  it('whether files are hard links or copies (S07)', async () => {
    await make(join(dir, 'one'))
    await make(join(dir, 'two'))
    execFileSync('rm', [join(dir, 'two/b/a')])
    writeFileSync(join(dir, 'outside'), '2')
    chmodSync(join(dir, 'outside'), 0o644)
    linkSync(join(dir, 'outside'), join(dir, 'two/b/a'))
    expect((await pack(tree(join(dir, 'one')))).equals(await pack(tree(join(dir, 'two'))))).toBe(true)
  })
})

describe('other readers', () => {
  it('tar(1) unpacks it', async () => {
    mkdirSync(join(dir, 'in'))
    mkdirSync(join(dir, 'out'))
    await writeTree(join(dir, 'in'), { 'a/b': 'text', [`${'long/'.repeat(70)}name`]: 'deep', l: { link: 'a/b' } })
    const tar = await pack(tree(join(dir, 'in'), '/app'))
    execFileSync('tar', ['-xf', '-', '-C', join(dir, 'out')], { input: tar, stdio: ['pipe', 'pipe', 'ignore'] })
    const flags = ['-r', '--no-dereference']
    expect(execFileSync('diff', [...flags, join(dir, 'in'), join(dir, 'out/app')], { encoding: 'utf8' })).toBe('')
    expect(readlinkSync(join(dir, 'out/app/l'))).toBe('a/b')
  })

  it('tar(1) lists every name, also those that are not UTF-8 (S09) or have newlines (S16)', async () => {
    const odd = Buffer.from('\xff\xfe\n\x1b[31m', 'latin1')
    writeFileSync(Buffer.concat([Buffer.from(`${dir}/`), odd]), 'x')
    symlinkSync(odd, join(dir, 'link'))
    const listed = execFileSync('tar', ['-tPf', '-', '--quoting-style=literal'], { input: await pack(tree()) })
    expect(listed.toString('latin1')).toBe(`/app\n/app/link\n/app/${odd.toString('latin1')}\n`)
  })
})

describe('listTree', () => {
  it('lists everything below, in byte order of whole paths', async () => {
    await writeTree(dir, { 'a/b': '', 'a.txt': '', 'a/c/d': '', e: { link: 'a' }, f: { dir: true } })
    expect((await listTree(dir)).map(String)).toEqual(['a', 'a.txt', 'a/b', 'a/c', 'a/c/d', 'e', 'f'])
  })

  it('keeps names as bytes', async () => {
    const odd = Buffer.from('\xff\n', 'latin1')
    writeFileSync(Buffer.concat([Buffer.from(`${dir}/`), odd]), 'x')
    expect(await listTree(dir)).toEqual([odd])
    expect(readdirSync(dir)).toHaveLength(1)
  })
})
