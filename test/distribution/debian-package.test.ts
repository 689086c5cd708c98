import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { cliContents, describeCli } from '../../distribution/cli-package.ts'
import {
  type PackageContents,
  type PackageFile,
  compressed,
  packageFile,
  writeDebianPackage,
} from '../../distribution/debian-package.ts'
import { root } from '../helpers/bale.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { writeTree } from '../helpers/tree.ts'

const description = {
  name: 'sample',
  version: '1.2.3',
  arch: 'arm64',
  depends: ['b', 'c (>= 2)'],
  suggests: [],
  description: ['a synopsis', 'word '.repeat(40).trim(), 'end'],
} as const

/** The members of an ar archive, by ar(5), read here without the code that wrote them. */
function members(file: string): Map<string, Buffer> {
  const bytes = readFileSync(file)
  expect(bytes.subarray(0, 8).toString()).toBe('!<arch>\n')
  const found = new Map<string, Buffer>()
  for (let at = 8; at < bytes.length;) {
    const header = bytes.subarray(at, at + 60).toString()
    const size = Number(header.slice(48, 58))
    expect(header.slice(58)).toBe('`\n')
    found.set(header.slice(0, 16).trim(), bytes.subarray(at + 60, at + 60 + size))
    at += 60 + size + (size % 2)
  }
  return found
}

async function sample() {
  const dir = await temporaryDirectory()
  await writeTree(dir, { program: { script: 'echo hello' } })
  const contents: PackageContents = new Map<string, PackageFile>([
    ['/usr/lib/sample/program', { kind: 'file', from: join(dir, 'program'), mode: 0o755 }],
    ['/usr/bin/sample', { kind: 'symlink', target: '../lib/sample/program' }],
    ['/usr/lib/sample-more', { kind: 'bytes', content: Buffer.from('x'.repeat(2000)) }],
    ['/usr/share/man/man1/sample.1.gz', compressed('.TH SAMPLE 1\n')],
  ])
  const file = join(dir, packageFile(description))
  await writeDebianPackage(description, contents, file)
  const parts = members(file)
  const list = (name: string): string[] =>
    execFileSync('tar', ['-tvz', '--full-time', '--utc'], { input: parts.get(name), encoding: 'utf8' })
      .trim()
      .split('\n')
      .map(line => line.replace(/ +/g, ' '))
  const control = (name: string): string =>
    execFileSync('tar', ['-xzO', `./${name}`], { input: parts.get('control.tar.gz'), encoding: 'utf8' })
  return { dir, file, contents, parts, list, control }
}

describe('a Debian package', () => {
  it('has its members in order, and files of root with parents before them', async () => {
    const { file, parts, list } = await sample()
    expect(file).toMatch(/\/sample_1\.2\.3_arm64\.deb$/)
    expect([...parts.keys()]).toEqual(['debian-binary', 'control.tar.gz', 'data.tar.gz'])
    expect(parts.get('debian-binary')?.toString()).toBe('2.0\n')
    const date = '1980-01-01 00:00:01'
    expect(list('data.tar.gz').map(line => line.replace(/ \d+ 1980/, ' N 1980'))).toEqual([
      `drwxr-xr-x 0/0 N ${date} ./`,
      `drwxr-xr-x 0/0 N ${date} ./usr/`,
      `drwxr-xr-x 0/0 N ${date} ./usr/bin/`,
      `lrwxrwxrwx 0/0 N ${date} ./usr/bin/sample -> ../lib/sample/program`,
      `drwxr-xr-x 0/0 N ${date} ./usr/lib/`,
      `drwxr-xr-x 0/0 N ${date} ./usr/lib/sample/`,
      `-rw-r--r-- 0/0 N ${date} ./usr/lib/sample-more`,
      `-rwxr-xr-x 0/0 N ${date} ./usr/lib/sample/program`,
      `drwxr-xr-x 0/0 N ${date} ./usr/share/`,
      `drwxr-xr-x 0/0 N ${date} ./usr/share/man/`,
      `drwxr-xr-x 0/0 N ${date} ./usr/share/man/man1/`,
      `-rw-r--r-- 0/0 N ${date} ./usr/share/man/man1/sample.1.gz`,
    ])
  })

  it('says what dpkg asks: fields, sizes in KiB, a checksum for each file', async () => {
    const { contents, control } = await sample()
    const fields = control('control')
    expect(fields).toMatch(/^Package: sample\nVersion: 1\.2\.3\nArchitecture: arm64\nMaintainer: .+ <\S+@\S+>\n/)
    // One for each directory and small file, two for 2000 bytes.
    expect(fields).toContain('\nInstalled-Size: 11\nDepends: b, c (>= 2)\n')
    expect(fields).not.toContain('Suggests')
    expect(fields).toMatch(/\nDescription: a synopsis\n( (word )+word\n)+ \.\n end\n$/)
    expect(fields.split('\n').filter(line => line.length > 80)).toEqual([])
    const program = contents.get('/usr/lib/sample/program') as PackageFile & { kind: 'file' }
    const sums = control('md5sums').trim().split('\n')
    expect(sums.map(line => line.slice(34))).toEqual([
      'usr/lib/sample-more',
      'usr/lib/sample/program',
      'usr/share/man/man1/sample.1.gz',
    ])
    expect(sums[1]).toBe(
      `${createHash('md5').update(readFileSync(program.from)).digest('hex')}  usr/lib/sample/program`,
    )
  })

  it('has the same bytes whatever the order in which its contents were found', async () => {
    const { dir, file, contents } = await sample()
    const again = join(dir, 'again.deb')
    await writeDebianPackage(description, new Map([...contents].reverse()), again)
    expect(readFileSync(again).equals(readFileSync(file))).toBe(true)
  })
})

describe('the package of the command line', () => {
  it('has program, manual, completions and licences where Debian looks for them', async () => {
    const folder = await temporaryDirectory()
    await writeTree(folder, {
      bale: { script: 'exit 0' },
      node: { link: 'bale' },
      'LICENSES.txt': 'the licences\n',
      'buildpacks/go/bin/detect': { script: 'exit 0' },
    })
    const contents = cliContents(folder, root)
    const content = (path: string): Buffer => {
      const entry = contents.get(path)
      if (entry?.kind !== 'bytes') throw new Error(`${path} is not there`)
      return Buffer.from(entry.content)
    }
    expect(contents.get('/usr/bin/bale')).toEqual({ kind: 'symlink', target: '../lib/bale/bale' })
    expect(contents.get('/usr/lib/bale/node')).toEqual({ kind: 'symlink', target: 'bale' })
    expect(contents.get('/usr/lib/bale/buildpacks/go/bin/detect')).toMatchObject({ kind: 'file', mode: 0o755 })
    expect(gunzipSync(content('/usr/share/man/man1/bale-build.1.gz')).toString()).toContain('.SH OPTIONS')
    expect(content('/usr/share/bash-completion/completions/bale').toString()).toContain('complete -o default -F _bale')
    expect(content('/usr/share/zsh/vendor-completions/_bale').toString()).toMatch(/^#compdef bale\n/)
    expect(content('/usr/share/fish/vendor_completions.d/bale.fish').toString()).toContain('complete -c bale')
    expect(content('/usr/share/doc/bale/copyright').toString()).toBe('the licences\n')
    expect(describeCli('amd64').depends).toEqual(expect.arrayContaining(['bubblewrap', 'mmdebstrap', 'uidmap']))
  })
})
