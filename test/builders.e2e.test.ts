import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { bale } from './helpers/bale.ts'
import { builderMetadata, makeBuilderImage, makeRunImage, shellBuildpack } from './helpers/builder-images.ts'
import { temporaryDirectory } from './helpers/temporary.ts'
import { type Tree, writeTree } from './helpers/tree.ts'

// Builders of others, stood for by ones in their shape. Their buildpacks are shell scripts, their build images have no Node.

/** A part of bin/build: the image starts this. */
const web = (command: string): string =>
  `printf '[[processes]]\\ntype = "web"\\ncommand = ["sh", "-c", "${command}"]\\ndefault = true\\n' > "$1/launch.toml"`

let base: string
let runImage: string
let paketo: string
beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), 'bale-builders-'))
  runImage = await makeRunImage(base, { 'io.buildpacks.stack.id': 'google.22' })
  paketo = await makePaketo(base)
})
afterAll(() => rm(base, { recursive: true, force: true }))

async function app(more: Tree = {}): Promise<string> {
  const dir = await temporaryDirectory()
  await writeTree(dir, { 'src/app.txt': 'hello\n', ...more })
  return join(dir, 'src')
}

const build = async (builder: string, more: readonly string[] = [], files: Tree = {}) =>
  bale(['build', image, '--builder', builder, '--run-image', runImage, '--path', await app(files), ...more])
const image = 'bale-test-foreign'
const group = (...ids: string[]): string =>
  `[[order]]\n${ids.map(id => `[[order.group]]\nid = "${id}"\nversion = "1.0.0"\n`).join('')}`
/** Layers by the output of a bin/build: which buildpacks took part. */
const says = (text: string): string => `echo "says ${text}"`

/** A composite of composites on a base like Ubuntu's, with the labels that Paketo's stacks have. */
async function makePaketo(dir: string): Promise<string> {
  const layers = {
    'paketo-buildpacks/java': { '1.0.0': { api: '0.7', layerDiffID: 'sha256:x', order: [] } },
  }
  return makeBuilderImage(dir, {
    layers: [
      {
        ...shellBuildpack('paketo-buildpacks/jdk', '1.0.0', {
          api: '0.7',
          toml: '[[stacks]]\nid = "*"\n',
          detect: 'echo "[[provides]]\nname = \\"jdk\\"" > "$2"',
          build: says('jdk'),
        }),
      },
      {
        ...shellBuildpack('paketo-buildpacks/maven', '1.0.0', {
          api: '0.9',
          detect: 'printf "[[requires]]\nname = \\"jdk\\"\n" > "$CNB_BUILD_PLAN_PATH"',
          build: `${web('cat app.txt')}; ${says('maven $BP_FROM_BUILDER')}`,
        }),
        // A layer that deletes something of those below it.
        'etc/.wh.group': '',
      },
      shellBuildpack('paketo-buildpacks/java', '1.0.0', {
        order: group('paketo-buildpacks/jdk', 'paketo-buildpacks/maven'),
      }),
      shellBuildpack('paketo-buildpacks/java-azure', '1.0.0', { order: group('paketo-buildpacks/java') }),
      shellBuildpack('paketo-buildpacks/label', '1.0.0', { build: says('label') }),
      {
        'cnb/order.toml': `${group('paketo-buildpacks/java-azure')}\n[[order-extensions]]\n[[order-extensions.group]]\nid = "paketo-community/ubi"\nversion = "1.0.0"\n`,
        'cnb/extensions/paketo-community_ubi/1.0.0/extension.toml':
          'api = "0.9"\n[extension]\nid = "paketo-community/ubi"\nversion = "1.0.0"\n',
        'cnb/extensions/paketo-community_ubi/1.0.0/bin/detect': { script: 'exit 100' },
        'cnb/run.toml': '[[images]]\nimage = "registry.invalid/run:base"\nmirrors = ["mirror.invalid/run:base"]\n',
        'cnb/build-config/env/BP_FROM_BUILDER.default': 'operator',
      },
    ],
    labels: {
      'io.buildpacks.builder.metadata': builderMetadata(),
      'io.buildpacks.buildpack.layers': layers,
      'io.paketo.stack.packages': '[]',
      'io.buildpacks.base.distro.name': 'ubuntu',
      'io.buildpacks.base.distro.version': '22.04',
    },
  })
}

describe('a builder image in the shape of Google’s', () => {
  const make = async (dir: string) =>
    makeBuilderImage(dir, {
      layers: [
        {
          ...shellBuildpack('google.config.entrypoint', '0.9.0', { api: '0.9', detect: 'exit 100' }),
          ...shellBuildpack('google.utils.label', '0.0.1', {
            api: '0.9',
            detect: '[ "$CNB_STACK_ID" = google.22 ]',
            build: `${web('cat app.txt; echo $FROM_EXEC_D')}
              mkdir -p "$1/run/exec.d"; printf '[types]\nlaunch = true\n' > "$1/run.toml"
              printf '#!/bin/sh\necho FROM_EXEC_D=\\"set by exec.d\\" >&3\n' > "$1/run/exec.d/set"
              chmod +x "$1/run/exec.d/set"; echo "uid $(id -u) in $(sed -n s/^VERSION_ID=//p /etc/os-release)"`,
          }),
        },
        {
          'cnb/order.toml':
            '[[order]]\n[[order.group]]\nid = "google.config.entrypoint"\n[[order]]\n[[order.group]]\nid = "google.utils.label"\nversion = "0.0.1"\n',
          'cnb/stack.toml': '[run-image]\nimage = "gcr.invalid/run"\n',
        },
      ],
      env: ['CNB_USER_ID=1234', 'CNB_GROUP_ID=5678', 'CNB_STACK_ID=google.22'],
      labels: { 'io.buildpacks.builder.metadata': builderMetadata(), 'io.buildpacks.stack.id': 'google.22' },
    })

  it('builds by Bale’s own phases, and the image runs with its exec.d program', async () => {
    const built = await build(await make(await temporaryDirectory()))
    expect(built.code, built.output).toBe(0)
    expect(built.output).toContain('uid 1234 in "22.04"')
    const ran = await bale(['run', image])
    expect(ran.stdout, ran.output).toBe('hello\nset by exec.d\n')
  })
})

describe('a builder image in the shape of Heroku’s, with the lifecycle that it carries', () => {
  /** A lifecycle that shows what a platform gives it, and does the least that a platform needs. */
  const detector = `echo "detector: $CNB_PLATFORM_API $*"
    printf '[[group]]\nid = "heroku/procfile"\nversion = "4.0.0"\napi = "0.10"\n' > /layers/group.toml; : > /layers/plan.toml`
  const builder = `echo "builder: $*"; mkdir -p /layers/config
    printf 'buildpack-default-process-type = "web"\n[[processes]]\ntype = "web"\ncommand = ["sh", "-c", "cat app.txt"]\ndirect = true\nbuildpack-id = "heroku/procfile"\n[[buildpacks]]\nid = "heroku/procfile"\nversion = "4.0.0"\napi = "0.10"\n' > /layers/config/metadata.toml`
  const make = async (platformApis: readonly string[], scripts = { detector, builder }) =>
    makeBuilderImage(await temporaryDirectory(), {
      layers: [
        shellBuildpack('heroku/procfile', '4.0.0'),
        {
          'cnb/lifecycle/detector': { script: scripts.detector },
          'cnb/lifecycle/builder': { script: scripts.builder },
          'cnb/order.toml': '[[order]]\n[[order.group]]\nid = "heroku/procfile"\nversion = "4.0.0"\n',
        },
      ],
      labels: {
        'io.buildpacks.builder.metadata': builderMetadata({
          lifecycle: { version: '0.20.5', apis: { platform: { supported: platformApis } } },
        }),
      },
    })

  it('speaks the newest Platform API that both have', async () => {
    const built = await build(await make(['0.6', '0.9', '0.12', '0.99']), ['--lifecycle', 'builder'])
    expect(built.code, built.output).toBe(0)
    expect(built.output).toContain('detector: 0.12 -app /workspace -layers /layers -order /layers/order.toml')
    expect((await bale(['run', image])).stdout).toBe('hello\n')
    const moved = await build(await make(['0.12']), ['--lifecycle', 'builder', '--workspace', '/home/app/src'])
    expect(moved.output).toContain('detector: 0.12 -app /home/app/src -layers')
    expect((await bale(['run', image])).stdout, moved.output).toBe('hello\n')
  })

  it('says so if there is none', async () => {
    const built = await build(await make(['0.2', '0.99']), ['--lifecycle', 'builder'])
    expect(built.code).toBe(11)
    expect(built.stderr).toContain('has 0.2, 0.99')
    expect(built.stderr).toContain('--lifecycle bale')
  })

  it.each([
    ['detector', 20, 'no group of buildpacks fits this source'],
    ['builder', 51, 'a buildpack failed to build'],
  ] as const)('has the exit status of its %s: %s', async (which, status, message) => {
    const failing = await make(['0.12'], { detector, builder, [which]: `exit ${status}` })
    const built = await build(failing, ['--lifecycle', 'builder'])
    expect(built.code, built.output).toBe(status)
    expect(built.stderr).toContain(message)
  })
})

describe('a builder image in the shape of Paketo’s', () => {
  it('builds with composites of composites, old APIs, and without an extension that does not detect', async () => {
    const built = await build(paketo)
    expect(built.code, built.output).toBe(0)
    expect(built.output).toMatch(/says jdk[\s\S]*says maven operator/)
    expect(built.output).not.toMatch(/image extension/i)
    expect((await bale(['run', image])).stdout).toBe('hello\n')
  })

  it('is refused if its user is root, unless --uid names another', async () => {
    const dir = await temporaryDirectory()
    const order = '[[order]]\n[[order.group]]\nid = "acme/a"\nversion = "1.0.0"\n'
    const rooted = await makeBuilderImage(dir, {
      layers: [shellBuildpack('acme/a', '1.0.0'), { 'cnb/order.toml': order }],
      labels: { 'io.buildpacks.builder.metadata': builderMetadata() },
      env: ['CNB_USER_ID=0', 'CNB_GROUP_ID=0'],
    })
    const build = [
      'build',
      'bale-test-root',
      '--path',
      dir,
      '--builder',
      rooted,
      '--run-image',
      await makeRunImage(dir),
    ]
    const refused = await bale(build)
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('the user of the builder is root')])
    expect(refused.stderr).toContain('--uid and --gid')
    const built = await bale([...build, '--uid', '1000', '--gid', '1000'])
    expect(built.code, built.output).toBe(0)
  })

  it('has its unpacked layers in the cache, and uses them again', async () => {
    const verbose = ['--verbose']
    await build(paketo, verbose)
    const again = await build(paketo, verbose)
    expect(again.code, again.output).toBe(0)
    expect(again.output).not.toContain('Unpacking')
    expect((await bale(['cache', 'ls'])).stdout).toContain('layer of builders')
  })

  it('takes buildpacks of the user before, after and in place of its own', async () => {
    const dir = await temporaryDirectory()
    await writeTree(dir, moved(shellBuildpack('acme/pre', '1.0.0', { build: says('pre') }), 'pre'))
    await writeTree(dir, moved(shellBuildpack('acme/post', '1.0.0', { build: says('post') }), 'post'))
    const around = await build(paketo, ['--pre-buildpack', `${dir}/pre`, '--post-buildpack', `${dir}/post`])
    expect(around.code, around.output).toBe(0)
    expect(around.output).toMatch(/says pre[\s\S]*says jdk[\s\S]*says maven[\s\S]*says post/)
    const instead = await build(paketo, ['-b', `${dir}/pre`, '-b', 'urn:cnb:builder:paketo-buildpacks/label'])
    expect(instead.code, instead.output).toBe(0)
    expect(instead.output).toMatch(/says pre[\s\S]*says label/)
    expect(instead.output).not.toContain('says jdk')
    const within = await build(paketo, ['-b', 'paketo-buildpacks/label@1.0.0', '-b', 'from=builder'])
    expect(within.output).toMatch(/says label[\s\S]*says jdk[\s\S]*says maven/)
  })

  it('does what project.toml says: group, pre, post and scripts', async () => {
    const toml = `[_]
schema-version = "0.2"
[[io.buildpacks.group]]
id = "paketo-buildpacks/label"
[[io.buildpacks.pre.buildpacks]]
id = "acme/inline"
[io.buildpacks.pre.buildpacks.script]
api = "0.10"
inline = "echo says inline"
`
    const built = await build(paketo, [], { 'src/project.toml': toml })
    expect(built.code, built.output).toBe(0)
    expect(built.output).toMatch(/says inline[\s\S]*says label/)
  })

  it('gives buildpacks the execution environment and volumes', async () => {
    const dir = await temporaryDirectory()
    const buildpack = shellBuildpack('acme/env', '1.0.0', {
      api: '0.12',
      build: `${web('cat app.txt')}; ${says('$CNB_EXEC_ENV $(cat /given/a)')}; ! touch /given/b 2>/dev/null`,
    })
    await writeTree(dir, { ...moved(buildpack, 'env'), 'given/a': 'by volume' })
    const given = ['--exec-env', 'test', '--volume', `${dir}/given:/given`]
    const built = await build(paketo, ['-b', `${dir}/env`, ...given])
    expect(built.code, built.output).toBe(0)
    expect(built.output).toContain('says test by volume')
    const older = await build(paketo, ['--exec-env', 'test', '--lifecycle', 'builder'])
    expect(older.code).toBe(3)
    expect(older.stderr).toContain('Platform API 0.13')
  })

  it('runs Bale’s own buildpacks, which need Node', async () => {
    const built = await build(paketo, ['-b', 'buildpacks/procfile'], { 'src/Procfile': 'web: cat app.txt Procfile\n' })
    expect(built.code, built.output).toBe(0)
    expect((await bale(['run', image])).stdout).toBe('hello\nweb: cat app.txt Procfile\n')
  })
})

/** A buildpack's own directory, under another name. */
function moved(tree: Tree, name: string): Tree {
  return Object.fromEntries(
    Object.entries(tree).map(([path, entry]) => [path.replace(/^cnb\/buildpacks\/[^/]+\/[^/]+/, name), entry]),
  )
}
