import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { cp, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { pipeline } from 'node:stream/promises'
import tar, { type Header } from 'tar-stream'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createStack, type Stack, type StackImage } from '../../lifecycle/stacks/create.ts'
import { unpackRootfs } from '../../lifecycle/stacks/unpack-rootfs.ts'

// With mmdebstrap and Debian's archive, as the current user. The digests must be the same for root and for ordinary users.

const stackDir = resolve(import.meta.dirname, '../../stacks/trixie')
const environment = process.env
const signal = new AbortController().signal
let dir: string
let stack: Stack

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'bale-e2e-'))
  stack = await createStack({ stackDir, outDir: join(dir, 'first'), environment, signal })
})
afterAll(() => rm(dir, { recursive: true, force: true }))

async function headersOf(image: StackImage): Promise<Map<string, Header>> {
  const extract = tar.extract()
  const headers = new Map<string, Header>()
  extract.on('entry', (header, stream, next) => {
    headers.set(header.name, header)
    stream.on('end', next)
    stream.resume()
  })
  await pipeline(createReadStream(image.tar), extract as unknown as NodeJS.WritableStream)
  return headers
}

async function sha256(path: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(path), hash)
  return `sha256:${hash.digest('hex')}`
}

describe.each(['build', 'run'] as const)('the %s image', kind => {
  it('is the tar that its description says', async () => {
    const image = stack[kind]
    expect(await sha256(image.tar)).toBe(image.diffId)
    expect(image.config.rootfs.diff_ids).toEqual([image.diffId])
    expect(image.packages.length).toBeGreaterThan(30)
  })

  it('has no setuid bits and nothing but files, directories and links', async () => {
    const headers = [...(await headersOf(stack[kind])).values()]
    expect(headers.filter(h => (h.mode & 0o6000) !== 0).map(h => h.name)).toEqual([])
    const others = headers.filter(h => !['directory', 'file', 'link', 'symlink'].includes(h.type))
    expect(others.map(h => h.name)).toEqual([])
    expect(headers.filter(h => /^\.?\//.test(h.name) || h.uname !== '')).toEqual([])
  })

  it('has mount points and the homes of its users', async () => {
    const headers = await headersOf(stack[kind])
    const folders = ['cnb', 'dev', 'layers', 'platform', 'proc', 'sys', 'tmp', 'workspace']
    for (const name of folders) expect(headers.get(name)?.type, name).toBe('directory')
    const [name, uid] = kind === 'build' ? ['cnb', 1000] : ['app', 1001]
    expect(headers.get(`home/${name}`)).toMatchObject({ uid, gid: 1000 })
    expect(headers.get('layers')).toMatchObject({ uid: 1000, gid: 1000 })
    expect(headers.get('etc/machine-id')?.size).toBe(0)
  })
})

describe('the run image', () => {
  it('is small, knows its packages, and has no package manager, interpreter or compiler', async () => {
    const headers = await headersOf(stack.run)
    expect(stack.run.size).toBeLessThan(100e6)
    const names = stack.run.packages.map(p => p.name)
    expect(names).toEqual(
      expect.arrayContaining(['bash', 'ca-certificates', 'libstdc++6', 'libssl3t64', 'tzdata', 'zlib1g']),
    )
    for (const gone of ['usr/bin/dpkg', 'usr/bin/perl', 'usr/bin/apt-get', 'usr/bin/gcc', 'etc/apt'])
      expect(headers.has(gone), gone).toBe(false)
    for (const name of names)
      expect(
        [...headers.keys()].some(p => p.startsWith(`usr/share/doc/${name}`)),
        name,
      ).toBe(true)
  })

  it('comes out the same again, in another folder, under another umask and locale', async () => {
    const copy = join(dir, 'stack')
    await cp(stackDir, copy, { recursive: true })
    // The build image takes longest and is compared by the same code: make it from little here.
    const text = await readFile(join(copy, 'stack.toml'), 'utf8')
    const [before = '', run = ''] = text.split(/^(?=\[run\])/m)
    const little = before.replace(/^packages = \[[^\]]*\]/m, 'packages = ["base-files"]')
    await writeFile(join(copy, 'stack.toml'), little + run)
    const umask = process.umask(0o077)
    const odd = { ...environment, LC_ALL: 'tr_TR.UTF-8', TZ: 'Pacific/Apia' }
    const again = await createStack({ stackDir: copy, outDir: join(dir, 'again'), environment: odd, signal }).finally(
      () => process.umask(umask),
    )
    expect(again.run.diffId).toBe(stack.run.diffId)
    expect(again.run.config).toEqual(stack.run.config)
  })
})

describe('the build image in a sandbox', () => {
  let root: string
  beforeAll(async () => {
    root = join(dir, 'root')
    await unpackRootfs(stack.build.tar, root, { environment, signal })
  })

  /** The flags of the engine's sandbox, with a read-only root. */
  function inSandbox(...command: string[]): string {
    const mounts = ['--ro-bind', root, '/', '--dev', '/dev', '--proc', '/proc', '--tmpfs', '/tmp', '--tmpfs', '/layers']
    const user = ['--unshare-all', '--uid', '1000', '--gid', '1000', '--cap-drop', 'ALL', '--clearenv', '--new-session']
    const env = ['--setenv', 'PATH', '/usr/bin:/bin', '--setenv', 'HOME', '/home/cnb', '--die-with-parent']
    return execFileSync('bwrap', [...mounts, ...user, ...env, ...command], { encoding: 'utf8', stdio: 'pipe' })
  }

  it('runs as its user', () => {
    inSandbox('/bin/true')
    expect(inSandbox('id')).toBe('uid=1000(cnb) gid=1000(cnb) groups=1000(cnb)\n')
    expect(() => inSandbox('touch', '/usr/x')).toThrow(/Read-only file system/)
  })

  it('compiles C and C++, and has the tools that buildpacks expect', () => {
    const script = `cd /tmp && echo 'int main(){return 0;}' >a.c && cp a.c a.cc && gcc a.c -o a && ./a && g++ a.cc -o b && ./b
      curl --version && git --version && python3 -c 'import json, ssl, sqlite3' && xz --version && unzip -v && pkg-config --modversion openssl`
    expect(inSandbox('bash', '-ec', script)).toContain('git version')
  })

  it('has an apt that an ordinary user can point at folders of their own', () => {
    const network = ['--share-net', '--ro-bind', '/etc/resolv.conf', '/etc/resolv.conf']
    const script = `cd /tmp && mkdir -p state/lists/partial cache/archives/partial
      dirs='-o Dir::State=/tmp/state -o Dir::State::status=/var/lib/dpkg/status -o Dir::Cache=/tmp/cache'
      apt-get $dirs update && apt-get $dirs download hello && ls`
    expect(inSandbox(...network, 'bash', '-ec', script)).toMatch(/^hello_.*\.deb$/m)
  })

  it('can be deleted by whoever unpacked it', async () => {
    await rm(root, { recursive: true })
    expect(await readdir(dir)).not.toContain('root')
  })
})

it.each([1000, 4000, 8000])('cancelled after %i ms, leaves nothing', async ms => {
  const work = await mkdtemp(join(tmpdir(), 'bale-e2e-'))
  execFileSync('chmod', ['755', work])
  try {
    const run = createStack({
      stackDir,
      outDir: join(dir, 'cancelled'),
      environment: { ...environment, TMPDIR: work },
      signal: AbortSignal.timeout(ms),
    })
    await expect(run).rejects.toMatchObject({ name: 'TimeoutError' })
    expect(await readdir(work)).toEqual([])
    expect(await readdir(join(dir, 'cancelled'))).toEqual([])
    expect(await readFile('/proc/self/mountinfo', 'utf8')).not.toContain(work)
  } finally {
    await rm(work, { recursive: true, force: true })
  }
})
