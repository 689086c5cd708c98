import { createHash } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import { buffer, text } from 'node:stream/consumers'
import tar, { type Header } from 'tar-stream'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readDescription } from '../../lifecycle/stacks/description.ts'
import { type ImageKind, rulesFor, sourcesPath } from '../../lifecycle/stacks/rules.ts'
import { normaliseTree } from '../../lifecycle/stacks/normalise-tree.ts'

const stack = await readDescription(resolve(import.meta.dirname, '../../stacks/trixie'))
const bare = await readDescription(resolve(import.meta.dirname, '../../stacks/static'))
let dir: string
beforeAll(async () => void (dir = await mkdtemp(join(tmpdir(), 'bale-test-'))))
afterAll(() => rm(dir, { recursive: true }))

type Input = Partial<Header> & { name: string; text?: string }
type Output = Partial<Header> & { text: string }

async function tarOf(entries: Input[]): Promise<Buffer> {
  const pack = tar.pack()
  for (const { text: content = '', ...header } of entries) {
    pack.entry({ mode: 0o644, uid: 0, gid: 0, ...header }, content)
  }
  pack.finalize()
  return await buffer(pack as AsyncIterable<Buffer>)
}

async function entriesOf(path: string): Promise<Map<string, Output>> {
  const extract = tar.extract()
  extract.end(await readFile(path))
  const found = new Map<string, Output>()
  for await (const entry of extract) {
    expect(found.has(entry.header.name), `${entry.header.name} twice`).toBe(false)
    found.set(entry.header.name, { ...entry.header, text: await text(entry as AsyncIterable<Buffer>) })
  }
  return found
}

let made = 0
interface Options {
  kind?: ImageKind
  wanted?: string[]
  files?: Map<string, string>
  of?: typeof stack
}

async function normalise(entries: Input[], { kind = 'run', wanted = [], files = new Map(), of = stack }: Options = {}) {
  const path = join(dir, `${made++}.tar`)
  const { signal } = new AbortController()
  const input = Readable.from([await tarOf(entries)])
  const tree = await normaliseTree(input, path, rulesFor(of, kind, files), new Set(wanted), signal)
  return { ...tree, path, entries: await entriesOf(path) }
}

const passwd = { name: './etc/passwd', text: 'root:x:0:0:root:/root:/bin/bash\n' }

describe('what a root file system becomes', () => {
  it('has nothing that would need a C library or a shell, if only some packages stay', async () => {
    const useless = [
      'usr/bin/awk',
      'usr/sbin/start-stop-daemon',
      'etc/alternatives/awk',
      'etc/ld.so.cache',
      'var/lib/dpkg/info/a.list',
    ]
    const useful = ['etc/ssl/certs/ca-certificates.crt', 'usr/share/zoneinfo/UTC', 'var/lib/dpkg/status']
    const { entries } = await normalise([passwd, ...[...useless, ...useful].map(name => ({ name: `./${name}` }))], {
      of: bare,
    })
    expect([...useless, ...useful].filter(name => entries.has(name))).toEqual(useful)
    expect(entries.get('etc/passwd')?.text).toMatch(/^app:x:1001:1000::\/home\/app:\/usr\/sbin\/nologin$/m)
  })

  it('has no setuid bits, devices, attributes, logs, caches or documentation, but the licences', async () => {
    const { entries } = await normalise([
      { name: './dev/null', type: 'character-device', devmajor: 1, devminor: 3 },
      { name: './', type: 'directory' },
      { name: './usr/bin/su', mode: 0o4755, text: 'su' },
      { name: './usr/bin/ping', mode: 0o755, text: 'p', pax: { 'SCHILY.xattr.security.capability': 'x' } },
      { name: './var/mail', type: 'directory', mode: 0o2775, gid: 8 },
      { name: './run/pipe', type: 'fifo' },
      { name: './var/log/apt/history.log', text: 'x' },
      { name: './usr/share/man/man1/ls.1.gz', text: 'x' },
      { name: './usr/share/doc/bash/', type: 'directory', mode: 0o755 },
      { name: './usr/share/doc/bash/README', text: 'x' },
      { name: './usr/share/doc/bash/copyright', text: 'GPL' },
      { name: './usr/lib/python3/__pycache__/a.pyc', text: 'x' },
      { name: './etc/apt/apt.conf.d/99bale', text: 'password' },
    ])
    expect(entries.get('usr/bin/su')).toMatchObject({ mode: 0o755, text: 'su' })
    expect(entries.get('usr/bin/ping')?.pax).toBeNull()
    expect(entries.get('var/mail')).toMatchObject({ mode: 0o775, gid: 8 })
    const kept = [...entries.keys()].filter(name => /^(usr|var|run|dev\/|etc\/apt)/.test(name))
    expect(kept).toEqual([
      'usr/bin/su',
      'usr/bin/ping',
      'var/mail',
      'usr/share/doc/bash',
      'usr/share/doc/bash/copyright',
    ])
    expect([...entries.values()].every(e => e.mtime! <= stack.debian.epoch && e.uname === '')).toBe(true)
  })

  it('has the users and the mount points of a stack', async () => {
    const run = await normalise([
      passwd,
      { name: './etc/machine-id', text: 'abc\n' },
      { name: './etc/shadow', mode: 0o640 },
    ])
    expect(run.entries.get('etc/passwd')?.text).toBe(`${passwd.text}app:x:1001:1000::/home/app:/bin/bash\n`)
    expect(run.entries.get('etc/group')?.text).toBe('cnb:x:1000:\n')
    expect(run.entries.get('etc/shadow')).toMatchObject({ text: 'app:*:20309:0:99999:7:::\n', mode: 0o640 })
    expect(run.entries.get('etc/machine-id')?.text).toBe('')
    expect(run.entries.get('home/app')).toMatchObject({ type: 'directory', uid: 1001, gid: 1000 })
    expect(run.entries.get('workspace')).toMatchObject({ type: 'directory', uid: 1000, gid: 1000 })
    expect(run.entries.get('tmp')).toMatchObject({ type: 'directory', mode: 0o1777 })
    for (const name of [
      'layers',
      'platform',
      'cnb',
      'cnb/buildpacks',
      'cnb/lifecycle',
      'cnb/build-config',
      'proc',
      'dev',
      'sys',
    ])
      expect(run.entries.get(name)?.type).toBe('directory')
    const build = await normalise([passwd], { kind: 'build' })
    expect(build.entries.get('home/cnb')).toMatchObject({ uid: 1000, gid: 1000 })
  })

  it("has the machine's apt sources only where there is apt", async () => {
    const entries = [{ name: './etc/apt/sources.list.d/0000debian.sources', text: 'with password' }]
    const files = new Map([[sourcesPath, 'Types: deb\n']])
    const run = await normalise(entries, { files })
    expect([...run.entries.keys()].filter(name => name.startsWith('etc/apt'))).toEqual([])
    const build = await normalise(entries, { files, kind: 'build' })
    expect(build.entries.get(sourcesPath)?.text).toBe('Types: deb\n')
    expect([...build.entries.keys()].filter(name => /^etc\/apt\/.*0000/.test(name))).toEqual([])
  })

  it('keeps hard links, symbolic links and long and odd names', async () => {
    const name = `usr/share/${'d'.repeat(120)}/Főtanúsítvány = x`
    const { entries } = await normalise([
      { name: './usr/bin/perl', text: 'perl' },
      { name: './usr/bin/perl5', type: 'link', linkname: './usr/bin/perl' },
      { name: './bin', type: 'symlink', linkname: 'usr/bin' },
      { name: `./${name}`, text: 'cert' },
    ])
    expect(entries.get('usr/bin/perl5')).toMatchObject({ type: 'link', linkname: 'usr/bin/perl' })
    expect(entries.get('bin')).toMatchObject({ type: 'symlink', linkname: 'usr/bin' })
    expect(entries.get(name)?.text).toBe('cert')
  })

  it('knows its digest, and what it was asked to note', async () => {
    const note = { name: './.bale-newest', text: '1767225600\n' }
    const { diffId, size, path, texts, entries } = await normalise([passwd, note], {
      wanted: ['.bale-newest', 'no/such'],
    })
    const bytes = await readFile(path)
    expect(diffId).toBe(`sha256:${createHash('sha256').update(bytes).digest('hex')}`)
    expect(size).toBe(bytes.length)
    expect([...texts]).toEqual([['.bale-newest', '1767225600\n']])
    expect(entries.has('.bale-newest')).toBe(false)
  })
})

describe('what fails', () => {
  it('a hard link to what was left out', async () => {
    const link = { name: './usr/bin/x', type: 'link' as const, linkname: './usr/share/man/x' }
    await expect(normalise([{ name: './usr/share/man/x', text: 'x' }, link])).rejects.toThrow(
      /usr\/bin\/x is a hard link/,
    )
  })

  it('an account that a package has already', async () => {
    const taken = { ...passwd, text: 'someone:x:1001:1001::/:/bin/sh\n' }
    await expect(normalise([taken])).rejects.toThrow(/already has an account someone:x:1001/)
  })

  it('a tar that ends early', async () => {
    const bytes = await tarOf([passwd, { name: './usr/bin/su', text: 'x'.repeat(5000) }])
    const input = Readable.from([bytes.subarray(0, 3000)])
    const { signal } = new AbortController()
    const run = normaliseTree(input, join(dir, 'short.tar'), rulesFor(stack, 'run'), new Set(), signal)
    await expect(run).rejects.toThrow(/Unexpected end of data/)
  })

  it('an existing or unwritable file, without a hang', async () => {
    const { signal } = new AbortController()
    const run = normaliseTree(new PassThrough(), dir, rulesFor(stack, 'run'), new Set(), signal)
    await expect(run).rejects.toMatchObject({ code: 'EEXIST' })
  })

  it('the signal, while it waits for input', async () => {
    const controller = new AbortController()
    const run = normaliseTree(
      new PassThrough(),
      join(dir, 'a.tar'),
      rulesFor(stack, 'run'),
      new Set(),
      controller.signal,
    )
    controller.abort(new Error('enough'))
    await expect(run).rejects.toThrow('enough')
  })
})
