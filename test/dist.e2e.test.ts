import { execFile, execFileSync, spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmodSync, chownSync, copyFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs'
import { once } from 'node:events'
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { describeCli } from '../distribution/cli-package.ts'
import { packageFile } from '../distribution/debian-package.ts'
import { phaseNames } from '../distribution/lifecycle.ts'
import { archs, machineFor } from '../distribution/machine.ts'
import { unpackImage } from '../lifecycle/layers/tree/unpack.ts'
import { parseToml } from '../lifecycle/spec/toml.ts'
import { ociArchiveStore } from '../lifecycle/stores/oci-archive/store.ts'
import { layoutStore } from '../lifecycle/stores/layout/store.ts'
import { lifecycleVersion } from '../lifecycle/version.ts'
import { bale, root } from './helpers/bale.ts'
import { processesWith } from './helpers/processes.ts'
import { skip } from './helpers/skip.ts'
import { writeTree } from './helpers/tree.ts'

// What others install, made as they would and run where there is nothing else, as platforms do.

const dir = await mkdtemp(join(tmpdir(), 'bale-test-dist-'))
afterAll(() => rm(dir, { recursive: true, force: true }))
chmodSync(dir, 0o755)
const here = join(dir, 'here')
const there = join(dir, 'there')
const files = [
  'lifecycle-linux-amd64.tgz',
  'lifecycle-linux-arm64.tgz',
  'lifecycle-image.tar',
  ...archs.map(arch => packageFile(describeCli(arch))),
]
const own = process.arch === 'arm64' ? 'arm64' : 'amd64'
const lifecycleDir = join(here, `linux-${own}`, 'lifecycle')

const run = promisify(execFile)
const make = (checkout: string, out: string, prefix: readonly string[] = [], env: Record<string, string> = {}) => {
  const argv = [
    ...prefix,
    'node',
    join(checkout, 'scripts/dist.mjs'),
    '--out',
    out,
    'lifecycle',
    'lifecycle-image',
    'deb',
  ]
  return run(argv[0] as string, argv.slice(1), { env: { ...process.env, ...env }, cwd: '/' })
}
const digest = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex')

beforeAll(async () => {
  await make(root, here)
}, 300_000)

describe('npm run dist', () => {
  it('makes the same bytes from another path, with another umask, time zone and locale', async () => {
    const checkout = join(dir, 'a checkout', 'elsewhere')
    const left = new Set(['node_modules', 'dist', '.git', join('launcher', 'dist')].map(name => join(root, name)))
    await cp(root, checkout, { recursive: true, filter: path => !left.has(path) })
    // Hard links where they can be made: the tree is large.
    const from = join(root, 'node_modules')
    if (spawnSync('cp', ['-al', from, checkout]).status !== 0) execFileSync('cp', ['-a', from, checkout])
    const env = { TZ: 'Asia/Tokyo', LC_ALL: 'C', LANG: 'de_DE.UTF-8' }
    await make(checkout, there, ['sh', '-c', 'umask 077; exec "$@"', 'sh'], env)
    expect(files.map(name => digest(join(there, name)))).toEqual(files.map(name => digest(join(here, name))))
  })

  it('makes tarballs that pack takes: flat, with every binary', () => {
    for (const file of files.slice(0, 2)) {
      const names = execFileSync('tar', ['-tzf', join(here, file)], { encoding: 'utf8' })
        .trim()
        .split('\n')
      expect(names[0]).toBe('lifecycle.toml')
      expect(names.slice(1).filter(name => !/^lifecycle\/[^/]*$/.test(name))).toEqual([])
      const wanted = [...phaseNames, 'lifecycle', 'launcher', 'lifecycle.sbom.cdx.json', 'launcher.sbom.syft.json']
      expect(names).toEqual(expect.arrayContaining(wanted.map(name => `lifecycle/${name}`)))
    }
    const toml = parseToml(readFileSync(join(lifecycleDir, '../lifecycle.toml')), 'lifecycle.toml')
    expect(toml['lifecycle']).toEqual({ version: lifecycleVersion })
  })

  it('lists Node, its libraries, the C library and npm’s packages in each bill of materials', () => {
    for (const format of ['cdx', 'spdx', 'syft']) {
      const text = readFileSync(join(lifecycleDir, `lifecycle.sbom.${format}.json`), 'utf8')
      for (const purl of [
        'pkg:generic/node@',
        'pkg:generic/openssl@',
        '/libc6@',
        '/libstdc%2B%2B6@',
        'pkg:npm/valibot@',
      ])
        expect(text, `${format}: ${purl}`).toContain(purl)
    }
  })
})

/** Runs a binary of a lifecycle that lies in /cnb/lifecycle of a root file system. */
function inside(
  rootfs: string,
  argv: readonly string[],
  env: Record<string, string> = {},
  mounts: readonly string[] = [],
) {
  const set = Object.entries(env).flatMap(([name, value]) => ['--setenv', name, value])
  const sandbox = [
    '--ro-bind',
    rootfs,
    '/',
    ...mounts,
    '--proc',
    '/proc',
    '--dev',
    '/dev',
    '--unshare-pid',
    '--clearenv',
  ]
  return spawnSync('bwrap', [...sandbox, ...set, ...argv], { encoding: 'utf8' })
}

/** Every binary answers, and none does without a Platform API. */
function answers(rootfs: string, mounts: readonly string[]): void {
  const api = { CNB_PLATFORM_API: '0.12' }
  for (const name of phaseNames) {
    const path = `/cnb/lifecycle/${name}`
    const answer = inside(rootfs, [path, '-version'], api, mounts)
    expect([name, answer.status, answer.stdout, answer.stderr]).toEqual([name, 0, `${lifecycleVersion}\n`, ''])
    expect([name, inside(rootfs, [path], {}, mounts).status]).toEqual([name, 11])
  }
  const verb = inside(rootfs, ['/cnb/lifecycle/lifecycle', 'analyze', '-version'], api, mounts)
  expect([verb.status, verb.stdout]).toEqual([0, `${lifecycleVersion}\n`])
  expect(inside(rootfs, ['/cnb/lifecycle/launcher'], {}, mounts).status).toBe(11)
  const node = inside(rootfs, ['/cnb/lifecycle/node', '-p', 'process.execPath'], {}, mounts)
  expect([node.status, node.stdout]).toEqual([0, '/cnb/lifecycle/node\n'])
}

describe('the lifecycle in images that lack what Node needs', () => {
  const mount = ['--ro-bind', lifecycleDir, '/cnb/lifecycle']

  it('runs without a C library and without a loader', () => {
    const rootfs = join(dir, 'busybox')
    for (const name of ['bin', 'cnb/lifecycle', 'proc', 'dev']) mkdirSync(join(rootfs, name), { recursive: true })
    copyFileSync('/bin/busybox', join(rootfs, 'bin/busybox'))
    expect(inside(rootfs, ['/bin/busybox', 'find', '/', '-name', '*.so*']).stdout).toBe('')
    answers(rootfs, mount)
  })

  it('takes nothing from a C library of another kind', async () => {
    const rootfs = join(dir, 'foreign')
    const libraries = [
      'ld-linux-x86-64.so.2',
      'libc.so.6',
      'libm.so.6',
      'libstdc++.so.6',
      'libgcc_s.so.1',
      'libdl.so.2',
    ]
    const tree = ['lib', 'lib64', 'usr/lib', 'lib/x86_64-linux-gnu', 'lib/aarch64-linux-gnu'].flatMap(place =>
      libraries.map(name => [join(place, name), 'not a library of this machine'] as const),
    )
    await writeTree(rootfs, {
      ...Object.fromEntries(tree),
      'etc/ld.so.cache': 'not a cache',
      'cnb/lifecycle': { dir: true },
    })
    for (const name of ['proc', 'dev']) mkdirSync(join(rootfs, name))
    answers(rootfs, [...mount, '--setenv', 'LD_LIBRARY_PATH', '/lib:/usr/lib', '--setenv', 'NODE_OPTIONS', '--no-such'])
  })

  it('runs on our own run image', async () => {
    await writeTree(join(dir, 'app'), { Procfile: 'web: echo hello\n' })
    const out = join(dir, 'app-image')
    const built = await bale(['build', `oci:${out}:latest`, '--path', join(dir, 'app')])
    expect(built.code, built.output).toBe(0)
    const image = await layoutStore(out).pull('latest', { os: 'linux', architecture: own })
    // The first layer is the run image: see stacks/image.ts.
    await unpackImage((image?.layers ?? []).slice(0, 1), join(dir, 'run-image'))
    for (const name of ['cnb/lifecycle', 'proc', 'dev']) mkdirSync(join(dir, 'run-image', name), { recursive: true })
    answers(join(dir, 'run-image'), mount)
  })
})

describe('the lifecycle image', () => {
  const store = ociArchiveStore(join(here, 'lifecycle-image.tar'), { tmpDir: dir })

  it('says what platforms ask of it, for both architectures', async () => {
    for (const architecture of ['amd64', 'arm64']) {
      const image = await store.pull('', { os: 'linux', architecture })
      expect(image?.config.architecture).toBe(architecture)
      const { Labels: labels = {}, WorkingDir } = image?.config.config ?? {}
      expect(WorkingDir).toBe('/layers')
      expect(labels?.['io.buildpacks.lifecycle.version']).toBe(lifecycleVersion)
      const api = { buildpack: '0.7', platform: '0.7' }
      const metadata = { lifecycle: { version: lifecycleVersion }, api }
      expect(JSON.parse(labels?.['io.buildpacks.builder.metadata'] ?? '')).toEqual(metadata)
      const { apis } = parseToml(readFileSync(join(lifecycleDir, '../lifecycle.toml')), 'lifecycle.toml')
      expect(JSON.parse(labels?.['io.buildpacks.lifecycle.apis'] ?? '')).toEqual(apis)
    }
  })

  it('is all that the phases need, with the lifecycle in its last layer', async () => {
    const image = await store.pull('', { os: 'linux', architecture: own })
    const layers = image?.layers ?? []
    await unpackImage(layers.slice(-1), join(dir, 'last-layer'))
    expect(existsSync(join(dir, 'last-layer/cnb/lifecycle/creator'))).toBe(true)
    const rootfs = join(dir, 'lifecycle-image')
    await unpackImage(layers, rootfs)
    for (const name of ['proc', 'dev']) mkdirSync(join(rootfs, name))
    answers(rootfs, [])
  })
})

describe('the builder image', () => {
  it('builds with its own phases, buildpacks and order, as its user', async context => {
    if (process.getuid?.() !== 0) return skip(context, 'only root can give /layers and /workspace to their owner')
    const out = join(dir, 'builder')
    await run('node', [
      join(root, 'scripts/dist.mjs'),
      '--out',
      out,
      '--run-image',
      'registry.test/run',
      'builder-image',
    ])
    const platform = { os: 'linux', architecture: own }
    const image = await ociArchiveStore(join(out, 'builder-image.tar'), { tmpDir: dir }).pull('', platform)
    const runImage = await ociArchiveStore(join(out, 'run-image.tar'), { tmpDir: dir }).pull('', platform)
    expect(runImage?.config.config?.Labels?.['io.buildpacks.stack.id']).toBe('io.bale.stacks.trixie')
    const rootfs = join(dir, 'builder-root')
    await unpackImage(image?.layers ?? [], rootfs)
    chmodSync(rootfs, 0o755)
    const target = '[run-image.target]\nos = "linux"\narch = "amd64"\n'
    await writeTree(rootfs, {
      'workspace/Procfile': 'web: echo hello\n',
      'layers/analyzed.toml': `[run-image]\nreference = "registry.test/run@sha256:${'0'.repeat(64)}"\n${target}`,
    })
    for (const path of ['layers', 'workspace']) execFileSync('chown', ['-R', '1000:1000', join(rootfs, path)])
    const binds = ['layers', 'workspace'].flatMap(path => ['--bind', join(rootfs, path), `/${path}`])
    binds.push('--perms', '1777', '--tmpfs', '/tmp')
    const env = { CNB_PLATFORM_API: '0.12', PATH: '/usr/bin:/bin' }
    for (const phase of ['detector', 'builder']) {
      const asUser = ['/usr/bin/setpriv', '--reuid=1000', '--regid=1000', '--clear-groups', `/lifecycle/${phase}`]
      const { status, stdout, stderr } = inside(rootfs, asUser, env, binds)
      expect(status, stdout + stderr).toBe(0)
    }
    const metadata = parseToml(readFileSync(join(rootfs, 'layers/config/metadata.toml')), 'metadata.toml')
    expect(metadata['buildpack-default-process-type']).toBe('web')
    const { status, stdout } = inside(rootfs, ['/cnb/lifecycle/detector'], env, binds)
    expect([status, stdout]).toEqual([1, expect.stringContaining('root')])
  })
})

describe('secrets of a phase', () => {
  const canary = 'canary-5f1c'
  const work = join(dir, 'k15')
  /** The command line and environment of a detector whose one buildpack reads what the kernel tells it of the lifecycle. */
  const prepare = async (loaderMode: number, more: string) => {
    await rm(work, { recursive: true, force: true })
    // The supervisor, and the phase above it.
    const read = `phase=$(sed -n 's/^PPid:[^0-9]*//p' /proc/$PPID/status)
      for pid in $PPID $phase; do for what in environ maps mem; do head -c 1000000 /proc/$pid/$what && echo "read $what"; done; done`
    await writeTree(work, {
      'buildpacks/spy/1.0.0/buildpack.toml':
        'api = "0.10"\n[buildpack]\nid = "spy"\nversion = "1.0.0"\n[[targets]]\nos = "linux"\n',
      'buildpacks/spy/1.0.0/bin/detect': {
        script: `{ id -u; ${read}; ls /proc/$PPID/fd/ && echo "read fd"; ls /proc/$phase/fd/ && echo "read fd"; ${more} } >${work}/layers/seen 2>&1; exit 0`,
      },
      'buildpacks/spy/1.0.0/bin/build': { script: 'exit 0' },
      'order.toml': '[[order]]\n[[order.group]]\nid = "spy"\nversion = "1.0.0"\n',
      'layers/analyzed.toml': '[run-image]\nreference = "r"\n[run-image.target]\nos = "linux"\narch = "amd64"\n',
      'workspace/app': 'x',
      platform: { dir: true },
    })
    chownSync(join(work, 'layers'), 1000, 1000)
    // As it lies in an image: root's.
    const folder = join(work, 'lifecycle')
    execFileSync('cp', ['-a', '--no-preserve=ownership', lifecycleDir, folder])
    chmodSync(join(folder, machineFor(own).loader), loaderMode)
    const at = {
      layers: 'layers',
      order: 'order.toml',
      buildpacks: 'buildpacks',
      platform: 'platform',
      app: 'workspace',
    }
    const flags = Object.entries(at).map(([name, file]) => `-${name}=${join(work, file)}`)
    const env = { CNB_PLATFORM_API: '0.12', CNB_REGISTRY_AUTH: `{"r.io":"Basic ${canary}"}`, PATH: '/usr/bin:/bin' }
    const argv = ['--reuid=1000', '--regid=1000', '--clear-groups', join(folder, 'detector'), ...flags]
    return { argv, env, folder }
  }
  /** Runs it, and gives what it could read. */
  const spyOn = async (loaderMode: number, more = ''): Promise<string> => {
    const { argv, env } = await prepare(loaderMode, more)
    const { status, stdout, stderr } = spawnSync('setpriv', argv, { env, encoding: 'utf8' })
    if (more === '') expect(status, stdout + stderr).toBe(0)
    return readFileSync(join(work, 'layers/seen'), 'latin1')
  }

  it('K15 are out of reach for a buildpack of the same user', async context => {
    if (process.getuid?.() !== 0) return skip(context, 'only root can have a lifecycle that another user cannot read')
    const seen = await spyOn(0o711)
    expect(seen).toMatch(/^1000\n/)
    expect(seen).not.toMatch(/^read /m)
    expect(seen).not.toContain(canary)
  })

  it('X37 K19 are not given away by an inspector, which a signal would open', async context => {
    if (process.getuid?.() !== 0) return skip(context, 'only root can start it as another user')
    // 9229 on the loopback; the signal ends the phase instead, as any other would.
    const attack =
      'kill -USR1 $PPID $phase; sleep 1; grep -q " 0100007F:240D " /proc/net/tcp && echo inspector; echo done;'
    const seen = await spyOn(0o711, attack)
    expect(seen).toMatch(/^done$/m)
    expect(seen).not.toMatch(/^inspector$/m)
  })

  it('K15 are not in the environment even of a lifecycle that its user can read', async context => {
    if (process.getuid?.() !== 0) return skip(context, 'only root can start it as another user')
    // Where the kernel has no Landlock the buildpack could read it; root can, in any case.
    const [held, go] = [join(work, 'layers/held'), join(work, 'layers/go')]
    const hold = `touch ${held}; while ! [ -e ${go} ]; do sleep 0.05; done;`
    const { argv, env, folder } = await prepare(0o755, hold)
    const phase = spawn('setpriv', argv, { env, stdio: 'ignore' })
    const ended = once(phase, 'exit')
    try {
      await vi.waitFor(() => expect(existsSync(held)).toBe(true), 20_000)
      const pids = await processesWith(`${folder}/`)
      const environments = pids.map(pid => readFileSync(`/proc/${pid}/environ`, 'latin1'))
      expect(environments.some(text => /(^|\0)BALE_ENVIRONMENT=\d+\0/.test(text))).toBe(true)
      for (const text of environments) expect(text).not.toContain(canary)
    } finally {
      await writeFile(go, '')
      await ended
    }
    expect(readFileSync(join(work, 'layers/seen'), 'latin1')).not.toContain(canary)
  })
})

describe('the lifecycle for the other architecture', () => {
  it('answers through an emulator', context => {
    if (own === 'arm64') return skip(context, 'it is amd64 here, which the other suites run')
    const folder = join(here, 'linux-arm64', 'lifecycle')
    const qemu = spawnSync('qemu-aarch64-static', ['--version'])
    if (qemu.error !== undefined) return skip(context, 'qemu-aarch64-static is missing; install qemu-user-static')
    // What the dispatcher starts (test/distribution/dispatcher.test.ts); it could not start it itself, since the kernel
    // does not know what to do with a program for another machine.
    const loader = [join(folder, 'ld-linux-aarch64.so.1'), '--inhibit-cache', '--library-path', folder]
    const args = [...loader, join(folder, 'nodejs'), join(folder, 'phase.cjs'), 'analyzer', '-version']
    const env = { CNB_PLATFORM_API: '0.12' }
    const { status, stdout, stderr } = spawnSync('qemu-aarch64-static', args, { env, encoding: 'utf8' })
    expect([status, stdout, stderr]).toEqual([0, `${lifecycleVersion}\n`, ''])
    expect(spawnSync('qemu-aarch64-static', [join(folder, 'launcher')], { env: {} }).status).toBe(11)
  })
})
