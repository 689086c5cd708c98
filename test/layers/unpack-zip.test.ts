import { lstat, readFile, readdir, readlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { unpackZip } from '../../lifecycle/layers/tree/unpack-zip.ts'
import { failureOf } from '../helpers/failure.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { type ZipEntry, zipOf } from '../helpers/zip.ts'

async function unpack(entries: readonly ZipEntry[], options: Parameters<typeof unpackZip>[2] = {}) {
  const dir = await temporaryDirectory()
  await writeFile(join(dir, 'a.zip'), zipOf(...entries))
  const to = join(dir, 'to')
  return { dir, to, unpacking: unpackZip(join(dir, 'a.zip'), to, options) }
}

describe('unpackZip', () => {
  it('writes files, directories and links with their modes and times', async () => {
    const big = 'x'.repeat(300_000)
    const { to, unpacking } = await unpack([
      { name: 'bin/', mode: 0o40750 },
      { name: 'bin/run', content: big, mode: 0o104755 },
      { name: 'bin/start', content: 'run', mode: 0o120777 },
      { name: 'grüße/from-dos.txt', content: 'hello' },
      { name: 'empty/' },
    ])
    await unpacking
    expect(await readFile(join(to, 'bin/start'), 'utf8')).toBe(big)
    expect(await readlink(join(to, 'bin/start'))).toBe('run')
    expect(await readFile(join(to, 'grüße/from-dos.txt'), 'utf8')).toBe('hello')
    const [run, dos, bin] = await Promise.all(['bin/run', 'grüße/from-dos.txt', 'bin'].map(p => lstat(join(to, p))))
    expect([run?.mode, dos?.mode, bin?.mode].map(mode => (mode ?? 0) & 0o7777)).toEqual([0o755, 0o644, 0o750])
    expect(run?.mtime.toISOString()).toBe('2024-01-01T00:00:00.000Z')
    expect(await readdir(to)).toEqual(['bin', 'empty', 'grüße'])
  })

  it.each<[string, RegExp, ...ZipEntry[]]>([
    ['an absolute name', /absolute path/, { name: '/etc/x' }],
    ['a name that leads up', /invalid relative path/, { name: 'a/../../x' }],
    ['a name with a backslash', /invalid characters/, { name: 'a\\..\\x' }],
    ['a name with slashes in excess', /not a plain path/, { name: 'a//x' }],
    ['a name with NUL', /has a NUL/, { name: 'a\0b' }],
    ['a file twice', /appears twice/, { name: 'a', content: '1' }, { name: 'a', content: '2' }],
    ['a file through a link', /not a directory/, { name: 'a', content: '/tmp', mode: 0o120777 }, { name: 'a/x' }],
    ['a link in place of a file', /twice/, { name: 'a' }, { name: 'a', content: '/tmp', mode: 0o120777 }],
    ['a device', /not a file, directory or symbolic link/, { name: 'a', mode: 0o20666 }],
    ['a fifo', /not a file, directory or symbolic link/, { name: 'a', mode: 0o10666 }],
    ['a file named as a directory', /not a file, directory/, { name: 'a/', content: '/tmp', mode: 0o120777 }],
    ['a link to nothing', /not a path/, { name: 'a', mode: 0o120777 }],
    ['an encrypted entry', /encrypted/, { name: 'a', content: 'x', flags: 0x801 }],
    ['an unknown compression', /neither stored nor deflate/, { name: 'a', content: 'x', method: 14 }],
    ['a wrong checksum', /checksum is wrong/, { name: 'a', content: 'x', crc: 1 }],
    ['more bytes than it says', /too many bytes/, { name: 'a', content: 'x'.repeat(9999), size: 10 }],
    ['fewer bytes than it says', /not enough bytes/, { name: 'a', content: 'x', size: 10 }],
    [
      'entries that share their bytes',
      /shares bytes/,
      ...Array.from({ length: 400 }, (_, i) => ({
        name: `a${String(i).padStart(3, '0')}`,
        content: Buffer.alloc(1 << 20),
        shared: i > 0,
      })),
    ],
  ])('T43 refuses %s, and leaves nothing', async (_what, message, ...entries) => {
    const { dir, unpacking } = await unpack([{ name: 'before', content: 'x' }, ...entries])
    expect(await failureOf(unpacking)).toMatchObject({ message: expect.stringMatching(message) as string })
    expect(await readdir(dir)).toEqual(['a.zip'])
  })

  it('T43 has limits of entries and of bytes', async () => {
    const entries = [
      { name: 'a', content: 'xx' },
      { name: 'b', content: 'xx' },
    ]
    for (const [limits, message] of [
      [{ entries: 1 }, /more than 1 entries/],
      [{ bytes: 3 }, /more than 3 bytes/],
    ] as const) {
      const { unpacking } = await unpack(entries, { limits })
      expect(await failureOf(unpacking)).toMatchObject({ message: expect.stringMatching(message) as string })
    }
  })
})
