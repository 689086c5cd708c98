import { randomBytes } from 'node:crypto'
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { beforeEach, describe, expect, it } from 'vitest'
import { layerSource } from '../../lifecycle/layers/tree/pack.ts'
import { removeTree } from '../../lifecycle/files/remove.ts'
import { unpackTree } from '../../lifecycle/layers/tree/unpack.ts'
import { failureOf } from '../helpers/failure.ts'
import { bytesOf } from '../helpers/images.ts'
import { directory, entry, file, hardlink, pax, streamOf, symlink, tar } from '../helpers/tar.ts'
import { workDirectory } from './work-directory.ts'
import { readTree } from '../helpers/tree.ts'
import { asOrdinaryUser } from '../helpers/user.ts'

// The oracle: a hostile layer is refused with one line that names the entry, and nothing is left of it; the canary beside is as
// it was.

const from = '/layers/bp/out'
let dir: string
let to: string
let canary: string

/** A canary stands where attacks would write; after each refusal it must be as it was, and nothing else be there. */
beforeEach(async () => {
  dir = await workDirectory()
  to = join(dir, 'layers', 'out')
  canary = join(dir, 'canary')
  mkdirSync(join(dir, 'layers'))
  mkdirSync(canary)
  writeFileSync(join(canary, 'secret'), 'untouched')
})

const unpack = (...parts: Uint8Array[]): Promise<void> => unpackTree(streamOf(tar(...parts)), { from, to })

async function refused(parts: readonly Uint8Array[], message: RegExp): Promise<void> {
  const error = await failureOf(unpack(...parts))
  expect(error).toEqual(
    expect.objectContaining({ name: 'BaleError', code: 'input', message: expect.stringMatching(message) as string }),
  )
  expect((error as Error).message).not.toMatch(/[\x00-\x1f\x7f-\x9f]/)
  expect(readdirSync(join(dir, 'layers')), 'nothing is left').toEqual([])
  expect(await readTree(canary)).toEqual({ secret: 'untouched' })
}

const top = [directory('/layers'), directory('/layers/bp'), directory(from)]

describe('unpackTree', () => {
  it('makes files, directories and links with their modes and times', async () => {
    await unpack(
      ...top,
      directory(`${from}/bin`, { mode: 0o1775 }),
      file(`${from}/bin/tool`, '#!', { mode: 0o750, mtime: 1_000_000_000 }),
      symlink(`${from}/current`, '/etc/passwd'),
    )
    expect(lstatSync(join(to, 'bin')).mode & 0o7777).toBe(0o1775)
    const tool = lstatSync(join(to, 'bin/tool'))
    expect([tool.mode & 0o7777, tool.mtimeMs]).toEqual([0o750, 1e12])
    expect(readlinkSync(join(to, 'current'))).toBe('/etc/passwd')
  })

  it.runIf(process.geteuid?.() === 0)('gives all that it makes to another user, where root unpacks', async () => {
    const parts = [
      directory(`${from}/bin`),
      file(`${from}/bin/tool`, '#!'),
      file(`${from}/lib/a`, ''),
      symlink(`${from}/l`, 'x'),
    ]
    await unpackTree(streamOf(tar(...parts)), { from, to, owner: { uid: 1234, gid: 2345 } })
    const names = ['', 'bin', 'bin/tool', 'lib', 'lib/a', 'l']
    const owners = names.map(name => lstatSync(join(to, name))).map(({ uid, gid }) => `${uid}:${gid}`)
    expect(owners).toEqual(names.map(() => '1234:2345'))
  })

  it('accepts relative names, names with ./, and archives without directories', async () => {
    await unpack(file('layers/bp/out/a/b', '1'), file('./layers/bp/out/c', '2'))
    expect(await readTree(to)).toEqual({ 'a/b': '1', c: '2' })
    expect(lstatSync(join(to, 'a')).mode & 0o777).toBe(0o755)
  })

  it('gives directories their modes last and inner ones first, so that one can forbid what was put there', async () => {
    chmodSync(dir, 0o711)
    chmodSync(join(dir, 'layers'), 0o777)
    const parts = [
      directory(`${from}/a`, { mode: 0 }),
      directory(`${from}/a/b`, { mode: 0o555 }),
      file(`${from}/a/b/c`, 'x'),
    ]
    await asOrdinaryUser(() => unpack(...top, ...parts))
    expect(lstatSync(join(to, 'a')).mode & 0o777).toBe(0)
    chmodSync(join(to, 'a'), 0o755)
    expect(lstatSync(join(to, 'a/b')).mode & 0o777).toBe(0o555)
  })

  it('restores what layerSource packs, byte for byte', async () => {
    const source = join(dir, 'source')
    mkdirSync(join(source, 'sub/empty'), { recursive: true })
    writeFileSync(join(source, 'sub', 'big'), randomBytes(3_000_000))
    writeFileSync(Buffer.concat([Buffer.from(`${source}/not utf-8 \n`), Buffer.from([0xff, 0x1b])]), 'odd')
    writeFileSync(join(source, 'x'.repeat(255)), 'long')
    symlinkSync('nowhere', join(source, 'dangling'))
    const pack = (hostPath: string): Promise<Buffer> =>
      bytesOf(layerSource('test', [{ kind: 'tree', hostPath, imagePath: from, uid: 1000, gid: 1000 }]).tar())
    const packed = await pack(source)
    await unpackTree(streamOf(packed, 1000), { from, to })
    expect((await pack(to)).equals(packed)).toBe(true)
  })

  it('makes the parents of the target, and takes the place of an empty directory', async () => {
    to = join(dir, 'layers/new/parents/out')
    await unpack(...top, file(`${from}/a`, '1'))
    expect(await readTree(to)).toEqual({ a: '1' })
    to = join(dir, 'layers/empty')
    mkdirSync(to)
    await unpack(...top, file(`${from}/a`, '2'))
    expect(await readTree(to)).toEqual({ a: '2' })
  })

  it('leaves a directory with content as it is', async () => {
    mkdirSync(to)
    writeFileSync(join(to, 'mine'), 'kept')
    const error = await failureOf(unpack(...top, file(`${from}/a`)))
    expect(error).toMatchObject({ code: 'filesystem', message: `${to} cannot be made: it exists and is not empty` })
    expect(await readTree(join(dir, 'layers'))).toEqual({ 'out/mine': 'kept' })
  })

  it('leaves nothing when the source fails midway, and passes its error on', async () => {
    const broken = async function* (): AsyncGenerator<Uint8Array> {
      yield* streamOf(Buffer.concat([...top, file(`${from}/a`, 'x'.repeat(5000))]).subarray(0, -1000))
      throw new Error('connection lost')
    }
    expect(await failureOf(unpackTree(broken(), { from, to }))).toEqual(new Error('connection lost'))
    expect(readdirSync(join(dir, 'layers'))).toEqual([])
  })

  it('stops when it is aborted', async () => {
    const stop = new AbortController()
    const endless = async function* (): AsyncGenerator<Uint8Array> {
      for (let i = 0; ; i++) {
        if (i === 10) stop.abort(new Error('enough'))
        yield await Promise.resolve(file(`${from}/${i}`, 'x'))
      }
    }
    expect(await failureOf(unpackTree(endless(), { from, to, signal: stop.signal }))).toEqual(new Error('enough'))
    expect(readdirSync(join(dir, 'layers'))).toEqual([])
  })

  it('T20 keeps names apart that differ in case or in Unicode form only', async () => {
    const [composed, decomposed] = ['\xc3\xa9', 'e\xcc\x81']
    await unpack(...top, ...['a', 'A', composed, decomposed].map((name, i) => file(`${from}/${name}`, String(i))))
    expect(await readTree(to)).toEqual({ a: '0', A: '1', '\u00e9': '2', 'e\u0301': '3' })
  })

  it('T16 drops setuid and setgid from files, and keeps sticky on directories', async () => {
    await unpack(...top, file(`${from}/su`, '', { mode: 0o6755 }), directory(`${from}/tmp`, { mode: 0o1777 }))
    expect(lstatSync(join(to, 'su')).mode & 0o7777).toBe(0o755)
    expect(lstatSync(join(to, 'tmp')).mode & 0o7777).toBe(0o1777)
  })

  it('T17 ignores extended attributes, however large', async () => {
    const records = {
      'SCHILY.xattr.security.capability': '\x01\x00\x00\x02',
      'SCHILY.xattr.user.big': 'x'.repeat(500_000),
    }
    await unpack(...top, pax(records), file(`${from}/a`, 'x'))
    expect(await readTree(to)).toEqual({ a: 'x' })
  })

  it('T21 keeps newlines, escapes and bytes that are not UTF-8 in names', async () => {
    await unpack(...top, file(`${from}/a\nb\x1b[0m\xff`, 'x'))
    expect(readdirSync(to, 'buffer')).toEqual([Buffer.from('a\nb\x1b[0m\xff', 'latin1')])
  })
})

describe('unpackTree refuses, and leaves nothing', () => {
  it.each([
    ['T01', '../x'],
    ['T01', '../canary/secret'],
    ['T01', `${from}/../../../canary/secret`],
    ['T03', `${from}/a/../../b`],
    ['T03', `${from}/a/..`],
    ['T04', `/${from}/x`],
    ['T04', `${from}//x`],
    ['T04', `${from}/./x`],
  ])('%s %s', async (_case, name) => {
    await refused([...top, file(name, 'x')], /not a plain path|is not under/)
  })

  it('T02 /etc/x', async () => {
    await refused([...top, file('/etc/x', 'x')], /\/etc\/x: it is not under \/layers\/bp\/out/)
    await refused([...top, directory('/etc')], /not under/)
    await refused([...top, symlink('/layers/bp/other', '/home')], /not under/)
    await refused([...top, file('/layers/bp', 'x')], /not under/)
  })

  it.each(['.', '/', './'])('T05 %j as a symlink', async name => {
    await refused([symlink(name, canary)], /not under|the name of a directory/)
  })

  it('T05 the layer itself as a symlink or a file', async () => {
    await refused([symlink(from, canary), file(`${from}/secret`, 'x')], /it should be a directory/)
    await refused([file(from, 'x')], /it should be a directory/)
  })

  it('T06 a symlink, then a file through it', async () => {
    await refused([...top, symlink(`${from}/out`, canary), file(`${from}/out/secret`, 'x')], /out: .*not a directory/)
    await refused([...top, symlink(`${from}/secret`, `${canary}/secret`), file(`${from}/secret`, 'x')], /appears twice/)
    await refused([...top, symlink(`${from}/d`, canary), directory(`${from}/d`)], /appears twice/)
    await refused([...top, symlink(`${from}/d`, canary), directory(`${from}/d/e`)], /not a directory/)
    await refused([...top, symlink(`${from}/d`, canary), symlink(`${from}/d/secret`, 'x')], /not a directory/)
  })

  it('T07 two symlinks in a row, then a hard link', async () => {
    const chain = [symlink(`${from}/a`, 'b'), symlink(`${from}/b`, canary)]
    await refused(
      [...top, ...chain, hardlink(`${from}/c`, `${from}/a/secret`)],
      /hardlink, which a cached layer cannot contain/,
    )
    await refused([...top, ...chain, file(`${from}/a/secret`, 'x')], /not a directory/)
  })

  it.each(['/etc/passwd', '../../../canary/secret', 'canary/secret', `${from}/a`])(
    'T08 a hard link to %s',
    async target => {
      await refused([...top, file(`${from}/a`), hardlink(`${from}/b`, target)], /hardlink/)
    },
  )

  it('T11 a sibling whose name begins like the layer', async () => {
    await refused([...top, file('/layers/bp/out-evil', 'x')], /out-evil: it is not under/)
    await refused([...top, directory('/layers/bp/out-evil')], /not under/)
  })

  it('T12 a directory swapped for a link while unpacking', async () => {
    const swapping = async function* (): AsyncGenerator<Uint8Array> {
      yield Buffer.concat([...top, file(`${from}/d/1`, 'x'), file(`${from}/e/1`, 'x')])
      const draft = join(dir, 'layers', readdirSync(join(dir, 'layers'))[0] as string)
      renameSync(join(draft, 'd'), join(draft, 'old'))
      symlinkSync(canary, join(draft, 'd'))
      yield await Promise.resolve(tar(file(`${from}/d/secret`, 'overwritten')))
    }
    expect(await failureOf(unpackTree(swapping(), { from, to }))).toMatchObject({ code: 'input' })
    expect(await readTree(canary)).toEqual({ secret: 'untouched' })
    expect(readdirSync(join(dir, 'layers'))).toEqual([])
  })

  it('T12 the directory of the moment swapped for a link: its descriptor is held', async () => {
    const swapping = async function* (): AsyncGenerator<Uint8Array> {
      yield Buffer.concat([...top, file(`${from}/d/1`, 'x')])
      const draft = join(dir, 'layers', readdirSync(join(dir, 'layers'))[0] as string)
      renameSync(join(draft, 'd'), join(draft, 'old'))
      symlinkSync(canary, join(draft, 'd'))
      yield await Promise.resolve(tar(file(`${from}/d/secret`, 'goes to the old directory')))
    }
    await unpackTree(swapping(), { from, to }).catch(() => undefined)
    expect(await readTree(canary)).toEqual({ secret: 'untouched' })
  })

  it.each(['3', '4'])('T13 a device, type %s', async type => {
    await refused([...top, entry(`${from}/sda`, { type })], /sda: it is a device/)
  })

  it('T14 a fifo', async () => {
    await refused([...top, entry(`${from}/pipe`, { type: '6' })], /pipe: it is a fifo/)
  })

  it('T18 the same name with another type, or twice', async () => {
    const d = `${from}/d`
    await refused([...top, directory(d), symlink(d, canary)], /appears twice/)
    await refused([...top, file(d), directory(d)], /appears twice/)
    await refused([...top, file(d, 'a'), file(d, 'b')], /appears twice/)
  })

  it('T19 a file, then a child beneath it', async () => {
    await refused([...top, file(`${from}/a`), file(`${from}/a/b`)], /a: .*not a directory/)
  })

  it('T21 newline, ANSI and bytes that are not UTF-8, which the message escapes', async () => {
    const name = `${from}/a\nERROR: \x1b[2J\xff`
    await refused([...top, file(name), file(name)], /a\\nERROR: \\x1b\[2J\\xff: it appears twice/)
  })

  it('T21 a NUL in a name', async () => {
    await refused([...top, pax('30 path=/layers/bp/out/a\0/../b\n'), file('a')], /pax header/)
  })

  it('T22 a part of 256 bytes, a path of 4,096, a tree 5,000 deep', async () => {
    const long = (path: string): Buffer[] => [...top, pax({ path: `${from}/${path}` }), file('a')]
    await refused(long('x'.repeat(256)), /a part of its name has more than 255 bytes/)
    await refused(long(`${'x'.repeat(200)}/`.repeat(21) + 'y'), /more than 4095 bytes/)
    await refused(long('d/'.repeat(5000) + 'f'), /more than 4095 bytes/)
  })

  it('T22 a tree as deep as paths can be is no harm', async () => {
    await unpack(...top, pax({ path: `${from}/${'d/'.repeat(2035)}f` }), file('a', 'deep'))
    expect(existsSync(join(to, 'd/'.repeat(100)))).toBe(true)
    await removeTree(to)
    expect(existsSync(to)).toBe(false)
  })

  it.each(['.wh.a', '.wh.', '.wh..', '.wh...', '.wh..wh..opq', 'd/.wh.a', '.wh.d/a'])(
    'T23 a whiteout %s',
    async name => {
      await refused([...top, file(`${from}/${name}`)], /only valid in an image/)
    },
  )

  it('T37 more entries than the limit', async () => {
    const many = Array.from({ length: 100 }, (_, i) => file(`${from}/${i}`))
    const error = await failureOf(unpackTree(streamOf(tar(...top, ...many)), { from, to, limits: { entries: 50 } }))
    expect(error).toMatchObject({ code: 'input', message: 'the archive cannot be read: it has more than 50 entries' })
    expect(readdirSync(join(dir, 'layers'))).toEqual([])
  })

  it('an archive that holds nothing of the layer', async () => {
    await refused([], /contains nothing of \/layers\/bp\/out/)
    await refused([directory('/layers')], /contains nothing/)
  })

  it('anything that the reader refuses, after files were made', async () => {
    await refused([...top, file(`${from}/a`, 'x'), entry(`${from}/b`, { checksum: '0000000\0' })], /checksum/)
  })
})
