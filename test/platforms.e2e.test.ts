import { execFileSync, spawnSync } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { BaleError } from '../lifecycle/errors.ts'
import type { Image } from '../lifecycle/image/image.ts'
import { makeImageIndex } from '../lifecycle/image/image-index.ts'
import { type Emulator, findEmulator, registerCommands } from '../lifecycle/processes/emulation.ts'
import { inOwnUsers } from '../lifecycle/stacks/own-users.ts'
import { layoutStore } from '../lifecycle/stores/layout/store.ts'
import { hostPlatform } from '../lifecycle/stores/settings.ts'
import { bale, root } from './helpers/bale.ts'
import { builderMetadata, makeBuilderImage, makeRunImage, shellBuildpack } from './helpers/builder-images.ts'
import { rootlessPodman } from './helpers/rootless-podman.ts'
import { type Available, skip, suiteWith } from './helpers/skip.ts'
import { temporaryDirectory } from './helpers/temporary.ts'
import { type Tree, writeTree } from './helpers/tree.ts'

// Builds for the architecture that this machine has not, whose programs the real qemu runs: busybox of Debian's, in a root file
// system of nothing else. Making it takes 10 s, and nothing of that architecture has to run for it.

const here = hostPlatform().architecture
const other = here === 'amd64' ? 'arm64' : 'amd64'
const machineOf: Readonly<Record<string, string>> = { amd64: 'x86_64', arm64: 'aarch64' }

const emulation = await findEmulator(other).then(
  (value): Available<Emulator> => ({ state: 'available', value }),
  (error: unknown): Available<Emulator> => {
    if (error instanceof BaleError) return { state: 'missing', reason: error.message }
    throw error
  },
)

let base: string
let busybox: string
let builder: string
let runImage: string
let app: string
beforeAll(async () => {
  if (emulation.state === 'missing') return
  base = await mkdtemp(join(tmpdir(), 'bale-platforms-'))
  execFileSync('chmod', ['755', base])
  busybox = join(base, 'busybox.tar')
  const mode = process.geteuid?.() === 0 ? 'root' : 'unshare'
  const argv = [`--mode=${mode}`, '--variant=extract', '--include=busybox-static', `--architectures=${other}`]
  execFileSync('mmdebstrap', [...argv, 'trixie', busybox], { stdio: ['ignore', 'ignore', 'pipe'] })
  builder = await index(
    'builder',
    await makeBuilderImage(base, contents),
    await makeBuilderImage(join(base, other), foreign),
  )
  runImage = await index('run', await makeRunImage(base), await makeRunImage(join(base, other), {}, foreign))
  app = join(base, 'app')
  await writeTree(app, { 'app.txt': 'hello\n' })
})
afterAll(async () => {
  if (emulation.state === 'available') await rm(base, { recursive: true, force: true })
})

async function busyboxRoot(dir: string): Promise<void> {
  await mkdir(dir, { recursive: true })
  const script = `
    set -e; cd "$1"; mkdir -p usr/bin etc home tmp var/tmp; ln -s usr/bin bin
    tar -xO -f "$2" ./usr/bin/busybox >usr/bin/busybox; chmod 755 usr/bin/busybox
    for name in sh cat env mkdir mkfifo chmod rm uname; do ln -s busybox usr/bin/$name; done
    echo 'cnb:x:1234:5678::/home/cnb:/bin/sh' >etc/passwd; echo 'cnb:x:5678:' >etc/group
    printf 'ID=debian\\nVERSION_ID="13"\\n' >etc/os-release`
  execFileSync('sh', ['-c', script, 'sh', dir, busybox])
}

/** Leaves a layer and a cache with what programs here say of the machine, and says whether another machine's was there before. */
const buildsMachine = `
echo "built on $(uname -m) for $CNB_TARGET_OS/$CNB_TARGET_ARCH, after $(cat "$CNB_LAYERS_DIR/machine/name")"
mkdir -p "$CNB_LAYERS_DIR/machine"; uname -m >"$CNB_LAYERS_DIR/machine/name"
printf '[types]\\nlaunch = true\\ncache = true\\n' >"$CNB_LAYERS_DIR/machine.toml"
printf '[[processes]]\\ntype = "web"\\ncommand = ["sh", "-c", "echo runs on $(uname -m); cat /layers/test_machine/machine/name app.txt"]\\ndefault = true\\n' >"$CNB_LAYERS_DIR/launch.toml"`

const contents = {
  layers: [
    shellBuildpack('test/machine', '1.0.0', { build: buildsMachine }),
    { 'cnb/order.toml': '[[order]]\n[[order.group]]\nid = "test/machine"\nversion = "1.0.0"\n' } satisfies Tree,
  ],
  labels: {
    'io.buildpacks.builder.metadata': builderMetadata(),
    'io.buildpacks.buildpack.layers': { 'test/machine': { '1.0.0': { api: '0.10' } } },
  },
}
const foreign = { ...contents, architecture: other, root: busyboxRoot }

/** Joins the images of two layouts to an index. */
async function index(name: string, ...references: string[]): Promise<string> {
  const all = layoutStore(join(base, 'all'))
  const images: Image[] = []
  for (const reference of references) {
    const image = await layoutStore(/^oci:(.*):latest$/.exec(reference)?.[1] ?? '').pull('latest', hostPlatform())
    if (image === undefined) throw new Error(`no image ${reference}`)
    for (const layer of image.layers) await all.putLayer(layer)
    images.push(image)
  }
  await all.putIndex?.(makeImageIndex(images), [name])
  return `oci:${join(base, 'all')}:${name}`
}

/** The least that a job builds in, since its programs are slow there. */
const image = (name: string, id: number): string => `
description = "A shell"
user = { name = "${name}", id = ${id} }
essential = false
packages = ["base-files", "base-passwd", "bash", "coreutils", "dash", "debianutils", "libc-bin", "mawk", "sed"]
remove = ["diffutils", "perl-base", "dpkg"]
`
const smallStack = `id = "test.small"
maintainer = "Tests"
[debian]
suite = "trixie"
components = ["main"]
epoch = 2025-08-09T00:00:00Z
[group]
name = "cnb"
id = 1000
[build]${image('cnb', 1000)}[run]${image('app', 1001)}`

const build = (image: string, platform: string | undefined, more: readonly string[] = []) => {
  const chosen = platform === undefined ? [] : ['--platform', platform]
  return bale(['build', image, '--builder', builder, '--run-image', runImage, '--path', app, ...chosen, ...more])
}

suiteWith('a platform that is not that of this machine', emulation, emulator => {
  it(
    'is built for and run by the emulator, in a layout; for several, as an index of the same images',
    { timeout: 300_000 },
    async () => {
      const out = await temporaryDirectory()
      const store = layoutStore(join(out, 'images'))
      const name = (tag: string): string => `oci:${join(out, 'images')}:${tag}`

      const alone = await build(name('alone'), `linux/${other}`)
      expect(alone.stdout + alone.stderr).toContain(`built on ${machineOf[other]} for linux/${other}, after`)
      expect(alone.code).toBe(0)
      const native = await build(name('native'), undefined)
      expect(native.stdout).toContain(`built on ${machineOf[here]} for linux/${here}, after`)

      const file = join(out, 'digest')
      const both = await build(name('both'), `linux/${here},linux/${other}`, ['--digest-file', file])
      expect(both.stderr).toBe('')
      expect(both.code).toBe(0)
      const made = await store.pullIndex('both')
      expect(made?.manifests.map(({ platform, image }) => [platform?.architecture, image.digest])).toEqual([
        [here, (await store.pull('native', hostPlatform()))?.digest],
        [other, (await store.pull('alone', hostPlatform()))?.digest],
      ])
      expect(await readFile(file, 'utf8')).toBe(made?.digest)

      // Each reuses the layers of its own platform.
      const again = await build(name('both'), `linux/${other},linux/${here}`)
      for (const arch of [here, other])
        expect(again.stdout).toContain(`built on ${machineOf[arch]} for linux/${arch}, after ${machineOf[arch]}`)

      const ran = await bale(['run', name('both'), '--platform', `linux/${other}`])
      expect(ran.stdout).toBe(`runs on ${machineOf[other]}\n${machineOf[other]}\nhello\n`)
      expect(ran.code).toBe(0)
    },
  )

  it(
    'has a builder image with packages of Debian’s, in which an unprivileged job builds on a read-only root',
    { timeout: 600_000 },
    async context => {
      if (process.geteuid?.() !== 0) return skip(context, 'the test starts Podman as another user, which takes root')
      const out = await temporaryDirectory()
      execFileSync('chmod', ['755', out])
      await writeTree(out, { 'stack/stack.toml': smallStack, 'app/Procfile': 'web: echo hello\n' })
      const options = [
        '--out',
        join(out, 'dist'),
        '--arch',
        other,
        '--stack',
        join(out, 'stack'),
        '--run-image',
        'test/run',
      ]
      execFileSync(process.execPath, [join(root, 'scripts/dist.mjs'), ...options, 'builder-image'], {
        stdio: ['ignore', 'ignore', 'pipe'],
      })
      const podman = await rootlessPodman(emulator)
      try {
        const [program, ...words] = podman.argv
        const run = (...argv: string[]) => spawnSync(program, [...words, ...argv], { encoding: 'utf8' })
        const pulled = run('pull', '-q', '--arch', other, `oci-archive:${join(out, 'dist/builder-image.tar')}`)
        const id = /^([0-9a-f]{12,})$/m.exec(pulled.stdout)?.[1] ?? ''
        expect(id, pulled.stderr).not.toBe('')
        const restricted = [
          '--cap-drop',
          'ALL',
          '--security-opt',
          'no-new-privileges',
          '--read-only',
          '--tmpfs',
          '/tmp',
        ]
        const script =
          'uname -m; /cnb/lifecycle/supervisor | sed "s/^/supervisor: /"; /kaniko/executor --context dir:///source --no-push --tar-path /tmp/app.tar'
        const job = ['run', '--rm', '--arch', other, '--network', 'none', '--user', '1000', ...restricted]
        const built = run(...job, '-v', `${join(out, 'app')}:/source:ro`, id, 'sh', '-c', script)
        expect(built.status, built.stdout + built.stderr).toBe(0)
        expect(built.stdout).toMatch(new RegExp(`^${machineOf[other]}\n[\\s\\S]*\nImage ID: sha256:`))
        // What QEMU cannot do is said.
        expect(built.stdout).toMatch(/^Warning: .*without a sandbox/m)
        const warns = /^Warning: leftover processes of buildpacks may still run/m.test(built.stdout)
        expect(warns).toBe(/^supervisor: orphans are not adopted$/m.test(built.stdout))
      } finally {
        await podman.close()
      }
    },
  )

  it('has its programs run in the user namespace of a stack that root makes', { timeout: 60_000 }, async () => {
    const dir = await temporaryDirectory()
    await mkdir(join(dir, 'binfmt'))
    await busyboxRoot(join(dir, 'root'))
    const { registration } = emulator
    const program = join(dir, 'root/usr/bin/busybox')
    const registers = registration === undefined ? [] : [join(dir, 'binfmt'), registration]
    const script = registration === undefined ? '"$1" uname -m' : `${registerCommands}; "$1" uname -m`
    const asRoot = process.geteuid?.() === 0 ? [] : ['unshare', '--user', '--map-root-user']
    const [first = '', ...rest] = [...asRoot, ...inOwnUsers, 'sh', '-c', script, 'sh', ...registers, program]
    expect(execFileSync(first, rest, { encoding: 'utf8' })).toBe(`${machineOf[other]}\n`)
  })
})
