import { execFileSync, spawn, spawnSync } from 'node:child_process'
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  renameSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { BaleError } from '../../lifecycle/errors.ts'
import { OpenDirectory } from '../../lifecycle/files/open-directory.ts'
import { removeTree } from '../../lifecycle/files/remove.ts'
import { copySource } from '../../lifecycle/platform/copy-source.ts'
import { swapForEver } from '../helpers/attack.ts'
import { failureOf } from '../helpers/failure.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { writeTree } from '../helpers/tree.ts'
import { asOrdinaryUser } from '../helpers/user.ts'
import { recorder } from '../phases/harness.ts'

// The oracle: what no image can hold is left out with a warning or refused by name, and never opened; all else is copied with
// its bytes and name, and with modes and times that no checkout changes.

async function copied(tree: Parameters<typeof writeTree>[1], prepare: (dir: string) => unknown = () => undefined) {
  const dir = await temporaryDirectory()
  const [from, to] = [join(dir, 'src'), join(dir, 'out')]
  mkdirSync(from)
  mkdirSync(to)
  await writeTree(from, tree)
  await prepare(from)
  const reporter = recorder()
  await copySource(from, to, { reporter })
  return { from, to, reporter }
}

/** Killed, so that it does not remove the socket. */
const bindSocket = "net.createServer().listen(process.argv[1], () => process.kill(process.pid, 'SIGKILL'))"

describe('copySource', () => {
  it('gives modes and times that no umask or checkout changes', async () => {
    const { to } = await copied({ 'a/b.txt': 'x', 'run.sh': { script: 'true' } }, dir => {
      chmodSync(join(dir, 'a/b.txt'), 0o600)
      chmodSync(join(dir, 'run.sh'), 0o700)
      chmodSync(join(dir, 'a'), 0o700)
      utimesSync(join(dir, 'a/b.txt'), 5, 5)
    })
    const mode = (path: string): number => lstatSync(join(to, path)).mode & 0o7777
    expect([mode('a'), mode('a/b.txt'), mode('run.sh')]).toEqual([0o755, 0o644, 0o755])
    expect(new Set(['a', 'a/b.txt', 'run.sh'].map(p => lstatSync(join(to, p)).mtimeMs))).toEqual(
      new Set([315532801000]),
    )
  })

  it('leaves out .git at the top, which differs between checkouts', async () => {
    const { to } = await copied({ '.git/HEAD': 'x', 'sub/.git/HEAD': 'x', app: 'x' })
    expect(readdirSync(to).sort()).toEqual(['app', 'sub'])
    expect(readdirSync(join(to, 'sub'))).toEqual(['.git'])
  })

  it('S01 a socket is left out with a warning', async () => {
    const { to, reporter } = await copied({ app: 'x' }, async dir => {
      const server = createServer()
      await new Promise<void>(done => server.listen(join(dir, 'sock'), done))
      server.unref()
    })
    expect(readdirSync(to)).toEqual(['app'])
    expect(reporter.events).toContainEqual(
      expect.objectContaining({ type: 'warning', text: expect.stringContaining('sock') as string }),
    )
  })

  it.skipIf(process.geteuid?.() !== 0)('S03 a device is refused by name, without opening it', async () => {
    const error = await failureOf(copied({}, dir => execFileSync('mknod', [join(dir, 'tape'), 'c', '9', '0'])))
    expect(error).toMatchObject({ code: 'input', where: expect.stringMatching(/src\/tape$/) as string })
    expect((error as Error).message).toContain('a device')
  })

  it.each([
    ['file', { 'sub/closed': 'x' }],
    ['directory', { 'sub/closed/file': 'x' }],
  ])('S04 a %s that cannot be read fails by name', async (_what, tree) => {
    const [from, to] = [await temporaryDirectory(), await temporaryDirectory()]
    await writeTree(from, tree)
    chmodSync(join(from, 'sub/closed'), 0)
    chmodSync(from, 0o755)
    chmodSync(to, 0o777)
    const error = await asOrdinaryUser(() => failureOf(copySource(from, to, { reporter: recorder() })))
    expect(error).toMatchObject({ code: 'filesystem', where: join(from, 'sub/closed') })
    expect((error as Error).message).toContain('permission denied')
    chmodSync(join(from, 'sub/closed'), 0o755)
  })

  it('S05 S06 links stay links, wherever they point', async () => {
    const { to } = await copied({ loop: { link: 'loop' }, out: { link: '/etc/passwd' } })
    expect([readlinkSync(join(to, 'loop')), readlinkSync(join(to, 'out'))]).toEqual(['loop', '/etc/passwd'])
  })

  it('S09 a name that is not UTF-8 is kept as it is', async () => {
    const name = Buffer.from([0x66, 0xff])
    const { to } = await copied({}, dir => writeFileSync(Buffer.concat([Buffer.from(`${dir}/`), name]), 'x'))
    expect(readdirSync(to, { encoding: 'buffer' })).toEqual([name])
  })

  it('S12 X47 a sparse file of 1 TB is refused by name, with its size and the limit', async () => {
    const sparse = (dir: string): void => {
      writeFileSync(join(dir, 'disk.img'), '')
      truncateSync(join(dir, 'disk.img'), 2 ** 40)
    }
    const error = await failureOf(copied({ app: 'x' }, sparse))
    expect(error).toMatchObject({ code: 'input', where: expect.stringMatching(/src\/disk\.img$/) as string })
    expect(error).toMatchObject({
      message: expect.stringContaining('1099511627776 bytes, nearly all of them holes') as string,
    })
  })

  it('S15 what may be a secret is warned about', async () => {
    const { reporter } = await copied({ 'conf/.env': 'x', 'key.pem': 'x', 'main.py': 'x' })
    const warning = reporter.events.find(e => e.type === 'warning')
    expect(warning).toMatchObject({ text: expect.stringMatching(/\.env/) as string, fix: expect.any(String) as string })
    expect(JSON.stringify(warning)).not.toContain('main.py')
  })

  it.each([
    ['//registry.example/:_authToken=npm_a1', true],
    ['engine-strict=true\n_auth = "YTpi"', true],
    ['engine-strict=true', false],
    ['//registry.example/:_authToken=${NPM_TOKEN}\n//r/:_password="${NPM_PASSWORD}"', false],
    ['registry=https://bob:s3cret@registry.example/npm/', true],
    ['https-proxy=http://bob:pw@proxy.example:3128', true],
    ['key="-----BEGIN PRIVATE KEY-----\\nMII"', true],
    ['//registry.example/:key = "-----BEGIN PRIVATE KEY-----"', true],
    ['registry=https://${USER}:${PASSWORD}@registry.example:8080/npm/\nkey=${KEY}', false],
    ['registry=https://registry.example:8080/npm/\n@team:registry=https://team.example/', false],
    ['_auth=\nfund=false', false],
  ])('S15 .npmrc is one of them where it has a credential: %s', async (text, warns) => {
    const { reporter } = await copied({ '.npmrc': text })
    expect(reporter.events.some(event => event.type === 'warning')).toBe(warns)
  })

  it.each(['.env.example', '.env.local.sample', '.env.template'])('S15 %s is none', async path => {
    const { reporter } = await copied({ [path]: 'x' })
    expect(reporter.events).toEqual([])
  })

  it.each([
    ...['.env', '.env.local', 'id_rsa', 'id_ed25519', 'id_ecdsa', 'server.pem', 'tls.key', 'store.p12', '.netrc'],
    ...['vendored/.git/config', '.ssh/id_rsa'],
  ])('S15 %s is one of them, once', async path => {
    const { reporter, to } = await copied({ [path]: 'x' })
    const name = path.replace(/\.git\/.*/, '.git')
    expect(reporter.events).toMatchObject([
      { type: 'warning', text: `the image will contain possible secrets: ${name}` },
    ])
    expect(lstatSync(join(to, path)).isFile()).toBe(true)
  })

  it.each(['.git/config', 'environment', 'id_rsa.pub', 'pem'])('S15 %s is none', async path => {
    expect((await copied({ [path]: 'x' })).reporter.events).toEqual([])
  })

  it('S10 a path that no Linux could unpack is refused, and shown in short', { timeout: 30_000 }, async () => {
    const [from, to] = [await temporaryDirectory(), await temporaryDirectory()]
    let inner = OpenDirectory.open(from)
    for (let depth = 0; depth < 20; depth++) {
      mkdirSync(inner.path('d'.repeat(250)))
      const next = inner.enter('d'.repeat(250))
      inner.close()
      inner = next
    }
    inner.close()
    onTestFinished(async () => {
      for (const dir of [from, to]) await removeTree(dir)
    })
    const error = await failureOf(copySource(from, to, { reporter: recorder() }))
    expect(error).toMatchObject({ code: 'filesystem', fix: expect.stringContaining('shorter') as string })
    expect((error as BaleError).where?.length).toBeLessThan(500)
  })

  it('S10 a tree of 500 directories, one in another, is copied', async () => {
    const path = 'd/'.repeat(500)
    const { to } = await copied({ [`${path}file`]: 'deep' })
    expect(readFileSync(join(to, path, 'file'), 'utf8')).toBe('deep')
    expect(lstatSync(join(to, path)).mtimeMs).toBe(315532801000)
  })

  it('S11 a file that grows while it is copied is an error that names it', async () => {
    const [from, to] = [await temporaryDirectory(), await temporaryDirectory()]
    writeFileSync(join(from, 'app.log'), Buffer.alloc(256 * 1024 * 1024))
    const writer = spawn('sh', ['-c', 'while :; do echo x; done >> "$1"', 'sh', join(from, 'app.log')])
    onTestFinished(() => void writer.kill('SIGKILL'))
    await vi.waitFor(() => expect(lstatSync(join(from, 'app.log')).size % 1024).not.toBe(0))
    const error = await failureOf(copySource(from, to, { reporter: recorder() }))
    expect(error).toMatchObject({ code: 'filesystem', where: join(from, 'app.log') })
    expect((error as Error).message).toBe('it changed while it was copied')
  })

  describe('S11 a file that is another one when the copy gets to it', () => {
    /** Copies `a` and `b`; the mischief is done to `b` when `a` is looked at. */
    async function copyWhile(mischief: (path: string, dir: string) => unknown) {
      const dir = await temporaryDirectory()
      const [from, to] = [join(dir, 'src'), join(dir, 'out')]
      await writeTree(dir, { 'src/a': 'a', 'src/b': 'ours', 'outside/file': 'secret', out: { dir: true } })
      let done = false
      const filter = (path: string) => {
        if (path === 'a' && !done) mischief(join(from, 'b'), dir)
        done ||= path === 'a'
        return 'no' as const
      }
      const copying = copySource(from, to, { reporter: recorder(), filter })
      const error = await copying.catch((thrown: unknown) => thrown)
      expect(done).toBe(true)
      const files = execFileSync('find', [to, '-type', 'f'], { encoding: 'utf8' }).split('\n').filter(Boolean)
      return { error, where: join(from, 'b'), texts: files.map(file => readFileSync(file, 'utf8')).toSorted() }
    }

    it.each<[string, (path: string, dir: string) => unknown]>([
      ['it vanishes', path => unlinkSync(path)],
      ['it becomes a link', (path, dir) => (unlinkSync(path), symlinkSync(join(dir, 'outside/file'), path))],
      ['it becomes a directory', path => (unlinkSync(path), mkdirSync(path))],
      ['it becomes a fifo, which is not opened', path => (unlinkSync(path), execFileSync('mkfifo', [path]))],
      ['it becomes a socket', path => (unlinkSync(path), spawnSync(process.execPath, ['-e', bindSocket, path]))],
    ])('%s: an error that names it, and nothing else is copied', async (_what, mischief) => {
      const { error, where, texts } = await copyWhile(mischief)
      expect(error).toBeInstanceOf(BaleError)
      expect(error).toMatchObject({ code: 'filesystem', where })
      expect((error as Error).message).not.toContain('\n')
      expect(texts.filter(text => text !== 'a' && text !== '')).toEqual([])
    })

    it('it is replaced by a file: that one is copied, whole', async () => {
      const { error, texts } = await copyWhile((path, dir) => {
        writeFileSync(join(dir, 'new'), 'new')
        renameSync(join(dir, 'new'), path)
      })
      expect(error).toBeUndefined()
      expect(texts).toEqual(['a', 'new'])
    })
  })

  it('S11 a file that shrinks and grows while it is copied is an error that names it, or has one of its sizes', async () => {
    const [from, to] = [await temporaryDirectory(), await temporaryDirectory()]
    const file = join(from, 'data')
    writeFileSync(file, 'x')
    const script = 'while :; do truncate -s 1000 "$1"; truncate -s 60000000 "$1"; done'
    const writer = spawn('sh', ['-c', script, 'sh', file])
    onTestFinished(() => void writer.kill('SIGKILL'))
    await vi.waitFor(() => expect(lstatSync(file).size).toBeGreaterThanOrEqual(1000))
    let refused = 0
    for (let n = 0; n < 200 && refused < 3; n++) {
      const target = join(to, String(n))
      mkdirSync(target)
      try {
        await copySource(from, target, { reporter: recorder() })
        expect([1000, 60_000_000]).toContain(lstatSync(join(target, 'data')).size)
      } catch (error) {
        expect(error).toMatchObject({ code: 'filesystem', where: file, message: 'it changed while it was copied' })
        refused++
      }
      await removeTree(target)
    }
    expect(refused).toBe(3)
  })

  it(
    'X43 nothing of what a process swaps in for a directory or a file meanwhile is copied',
    { timeout: 30_000 },
    async () => {
      const dir = await temporaryDirectory()
      const [from, to] = [join(dir, 'src'), join(dir, 'out')]
      const inside = Object.fromEntries(Array.from({ length: 20 }, (_, n) => [`src/dir/file-${n}`, 'ours']))
      const outside = Object.fromEntries(Array.from({ length: 20 }, (_, n) => [`outside/file-${n}`, 'secret']))
      await writeTree(dir, { ...inside, ...outside, 'src/file': 'ours' })
      await writeTree(dir, {
        'src/z-dir': { link: join(dir, 'outside') },
        'src/z-file': { link: join(dir, 'outside/file-0') },
      })
      swapForEver(join(from, 'dir'), join(from, 'z-dir'))
      swapForEver(join(from, 'file'), join(from, 'z-file'))
      let copies = 0
      // Two seconds, and longer on a busy machine.
      for (const end = performance.now() + 2000; performance.now() < end || copies <= 10; copies++) {
        mkdirSync(to)
        await copySource(from, to, { reporter: recorder() }).catch((error: unknown) => {
          if (!(error instanceof BaleError) || error.code !== 'filesystem') throw error
        })
        for (const file of execFileSync('find', [to, '-type', 'f'], { encoding: 'utf8' }).split('\n').filter(Boolean))
          expect(readFileSync(file, 'utf8'), file).toBe('ours')
        await removeTree(to)
      }
    },
  )
})
