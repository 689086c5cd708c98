import { existsSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parseAnalyzed } from '../../../lifecycle/spec/analyzed.ts'
import type { Tree } from '../../helpers/tree.ts'
import { writeTree } from '../../helpers/tree.ts'
import { buildpack } from '../../phases/harness.ts'
import { addRunImage, machine, registryWithRun, stored } from './line.ts'
import { place, runBinary } from './run.ts'

// Image extensions as image_extension.md and platform.md have them.

const pack = (id: string, scripts: Parameters<typeof buildpack>[1] = {}): Tree =>
  Object.fromEntries(Object.entries(buildpack(id, scripts)).map(([path, e]) => [`cnb/${path}`, e]))

interface Extension {
  readonly detect?: string
  readonly generate?: string
  readonly files?: Tree
}

/** An extension in the directory of extensions: scripts, or what it brings in their place. */
function extension(id: string, { detect, generate, files = {} }: Extension): Tree {
  const dir = `cnb/extensions/${id}/1.0.0`
  return {
    [`${dir}/extension.toml`]: `api = "0.10"\n[extension]\nid = "${id}"\nversion = "1.0.0"\n`,
    ...(detect !== undefined && { [`${dir}/bin/detect`]: { script: detect } }),
    ...(generate !== undefined && { [`${dir}/bin/generate`]: { script: generate } }),
    ...Object.fromEntries(Object.entries(files).map(([path, e]) => [`${dir}/${path}`, e])),
  }
}

const provides = (name: string): string => `printf '[[provides]]\\nname = "${name}"\\n' > "$CNB_BUILD_PLAN_PATH"`
const requires = (...names: string[]): string =>
  `printf '${names.map(name => `[[requires]]\\nname = "${name}"\\n`).join('')}' > "$CNB_BUILD_PLAN_PATH"`
const orderOf = (...extensions: string[]): string => {
  const groups = extensions.map(id => `[[order-extensions.group]]\nid = "${id}"\nversion = "1.0.0"\n`).join('')
  return `[[order]]\n[[order.group]]\nid = "web"\nversion = "1.0.0"\n[[order-extensions]]\n${groups}`
}
const base = 'ARG base_image\nFROM ${base_image}\n'
const analyzed =
  '[run-image]\nreference = "r.io/run@sha256:aa"\nimage = "r.io/run"\n[run-image.target]\nos = "linux"\narch = "amd64"\n'

async function detected(tree: Tree, more: Readonly<Record<string, string>> = {}) {
  const at = await place({ 'layers/analyzed.toml': analyzed, ...pack('web'), ...tree })
  const path = (relative: string): string => join(at.root, relative)
  const run = (name: string, others: Readonly<Record<string, string | undefined>> = {}) =>
    runBinary(name, at, {
      more: { CNB_EXTENSIONS_DIR: path('cnb/extensions'), CNB_RUN_PATH: path('cnb/run.toml'), ...more, ...others },
    })
  const { code, output } = await run('detector')
  const read = (relative: string): Promise<string> => readFile(path(relative), 'utf8')
  return { code, output, read, run, path, has: (relative: string) => existsSync(path(relative)) }
}
type Result = Awaited<ReturnType<typeof detected>>
const images = async ({ read }: Result) => {
  const { runImage, buildImage } = parseAnalyzed(await read('layers/analyzed.toml'), 'analyzed.toml')
  return { runImage, buildImage }
}

describe('detector with image extensions', () => {
  it('runs those whose provides are required, and takes what they meet out of the plan', async () => {
    const result = await detected({
      'cnb/order.toml': orderOf('tools', 'unused'),
      ...extension('tools', {
        detect: `${provides('make')}; test -n "$CNB_EXTENSION_DIR" && test -z "$CNB_BUILDPACK_DIR"`,
        generate: `cat "$CNB_BP_PLAN_PATH" > "$CNB_PLATFORM_DIR/plan-seen"; echo "$CNB_TARGET_ARCH" >> "$CNB_PLATFORM_DIR/plan-seen"
          test "$1" = "$CNB_OUTPUT_DIR" && printf '${base.replaceAll('\n', '\\n')}RUN apt-get install make\\n' > "$CNB_OUTPUT_DIR/build.Dockerfile"
          printf '[[build.args]]\\nname = "a"\\nvalue = "b"\\n' > "$CNB_OUTPUT_DIR/extend-config.toml"
          mkdir "$CNB_OUTPUT_DIR/context.build"; echo data > "$CNB_OUTPUT_DIR/context.build/file"`,
      }),
      ...extension('unused', { detect: provides('nobody'), generate: 'exit 1' }),
      ...pack('web', { detect: requires('make') }),
    })
    expect(result.code, result.output).toBe(0)
    expect(result.output).toContain('1 of 1 buildpacks participating')
    expect(result.output).toContain('Image extensions: tools@1.0.0')
    expect(await result.read('layers/group.toml')).toContain(
      '[[group-extensions]]\nid = "tools"\nversion = "1.0.0"\napi = "0.10"\n',
    )
    expect(await result.read('layers/plan.toml')).toBe('')
    expect(await result.read('platform/plan-seen')).toContain('name = "make"')
    expect(await result.read('platform/plan-seen')).toMatch(/^amd64$/m)
    expect(await result.read('layers/generated/tools/build.Dockerfile')).toContain('RUN apt-get install make')
    expect(await result.read('layers/generated/tools/extend-config.toml')).toContain('name = "a"')
    expect(await result.read('layers/generated/tools/context.build/file')).toBe('data\n')
    expect(await images(result)).toEqual({
      runImage: parseAnalyzed(analyzed, '').runImage,
      buildImage: { extend: true },
    })
    const { code, output } = await result.run('builder')
    expect([code, output]).toEqual([1, expect.stringContaining('run extender as root instead of builder')])
    // Nothing of it is left for a later build without the extension.
    await writeFile(result.path('cnb/order.toml'), orderOf('unused'))
    expect((await result.run('detector')).code).toBe(20)
    expect(result.has('layers/generated/tools')).toBe(false)
  })

  it('needs neither bin/detect nor bin/generate: the extension’s folders have the output', async () => {
    const files = { 'detect/plan.toml': '[[provides]]\nname = "x"\n', 'generate/run.Dockerfile': 'FROM r.io/other\n' }
    const tree = {
      'cnb/order.toml': orderOf('still'),
      ...extension('still', { files }),
      ...pack('web', { detect: requires('x') }),
    }
    const result = await detected(tree)
    expect(result.code, result.output).toBe(0)
    expect(await images(result)).toEqual({
      runImage: { reference: '', image: 'r.io/other' },
      buildImage: { extend: false },
    })
    expect(await result.read('layers/plan.toml')).toBe('')
  })

  const select = (image: string, more = ''): Extension => ({
    files: { 'generate/run.Dockerfile': `FROM ${image}\n${more}` },
  })
  const onTop: Extension = { files: { 'generate/run.Dockerfile': `${base}RUN true\n` } }
  it.each([
    ['the last one that is named', [select('r.io/a'), select('r.io/b')], 'r.io/b', undefined, ['one']],
    ['extended, where one follows', [select('r.io/a'), onTop], 'r.io/a', true, []],
    ['extended, where it has more instructions', [select('r.io/a', 'RUN true\n')], 'r.io/a', true, []],
    ['the original one, where all extend it', [onTop, onTop], 'r.io/run', true, []],
    ['not extended by Dockerfiles before it', [onTop, select('r.io/b')], 'r.io/b', undefined, ['one']],
  ])('selects a run image: %s', async (_what, extensions, image, extend, ignored) => {
    const names = ['one', 'two'].slice(0, extensions.length)
    const trees = names.map((name, i) => extension(name, extensions[i] as Extension))
    const result = await detected(
      trees.reduce((all, one) => ({ ...all, ...one }), { 'cnb/order.toml': orderOf(...names) }),
    )
    expect(result.code, result.output).toBe(0)
    const { runImage } = await images(result)
    expect([runImage?.image, runImage?.extend]).toEqual([image, extend])
    expect(runImage?.reference).toBe(image === 'r.io/run' ? 'r.io/run@sha256:aa' : '')
    expect(names.filter(name => result.has(`layers/generated/${name}/run.Dockerfile.ignore`))).toEqual(ignored)
  })

  it.each([
    ['r.io/listed', false],
    ['r.io/stranger', true],
  ])('warns of a run image that run.toml lacks: %s', async (image, warned) => {
    const result = await detected({
      'cnb/order.toml': orderOf('one'),
      'cnb/run.toml': '[[images]]\nimage = "r.io/listed"\n',
      ...extension('one', select(image)),
    })
    expect(result.code).toBe(0)
    expect(result.output.includes('which is not in run.toml')).toBe(warned)
  })

  it('has a folder for each kind before 0.13, and no Dockerfile on top of the run image before 0.12', async () => {
    const files = { 'generate/build.Dockerfile': base, 'generate/run.Dockerfile': 'FROM r.io/other\n' }
    const old = { CNB_PLATFORM_API: '0.11', CNB_EXPERIMENTAL_MODE: 'silent' }
    const tree = { 'cnb/order.toml': orderOf('one'), ...extension('one', { files }) }
    const result = await detected(tree, old)
    expect(result.code, result.output).toBe(0)
    expect(['build/one/Dockerfile', 'run/one/Dockerfile'].map(f => result.has(`layers/generated/${f}`))).toEqual([
      true,
      true,
    ])
    expect((await images(result)).runImage).toEqual({ reference: 'r.io/other', image: 'r.io/other' })
    const extending = await detected({ 'cnb/order.toml': orderOf('one'), ...extension('one', onTop) }, old)
    expect([extending.code, extending.output]).toEqual([92, expect.stringContaining('before Platform API 0.12')])
    const unasked = await detected(tree, { CNB_PLATFORM_API: '0.12' })
    expect([unasked.code, unasked.output]).toEqual([1, expect.stringContaining('CNB_EXPERIMENTAL_MODE')])
  })

  it.each([
    ['91 where bin/generate fails', { generate: 'echo no >&2; exit 7' }, 91, 'bin/generate exited with status 7'],
    [
      '92 for a Dockerfile that is none',
      { generate: 'echo RUN a > "$CNB_OUTPUT_DIR/build.Dockerfile"' },
      92,
      'it has no FROM',
    ],
    [
      '92 for a context beside another',
      { generate: 'mkdir "$CNB_OUTPUT_DIR/context" "$CNB_OUTPUT_DIR/context.run"' },
      92,
      'there is both a folder context and',
    ],
    [
      '92 for an image that cannot be one',
      { generate: 'echo FROM a/B > "$CNB_OUTPUT_DIR/run.Dockerfile"' },
      92,
      'run.Dockerfile of one@1.0.0:1; FROM does not name an image',
    ],
    [
      '92 for a fifo in a context',
      {
        generate:
          'echo FROM r.io/a > "$CNB_OUTPUT_DIR/run.Dockerfile"; mkdir "$CNB_OUTPUT_DIR/context"; mkfifo "$CNB_OUTPUT_DIR/context/pipe"',
      },
      92,
      'output of one; pipe is not a file, directory or link',
    ],
    [
      '92 for a link in place of a Dockerfile',
      { generate: 'ln -s /etc/passwd "$CNB_OUTPUT_DIR/run.Dockerfile"' },
      92,
      'symbolic link',
    ],
  ] as const)('ends with %s', async (_what, scripts, status, message) => {
    const result = await detected({ 'cnb/order.toml': orderOf('one'), ...extension('one', scripts) })
    expect([result.code, result.output]).toEqual([status, expect.stringContaining(message)])
    expect(result.has('layers/plan.toml')).toBe(false)
  })

  it('leaves out an extension that requires something, with the reason, and one whose bin/detect fails', async () => {
    const result = await detected({
      'cnb/order.toml': orderOf('needy', 'no'),
      ...extension('needy', { detect: requires('x'), generate: 'exit 1' }),
      ...extension('no', { detect: 'exit 100', generate: 'exit 1' }),
    })
    expect(result.code, result.output).toBe(0)
    expect(result.output).toContain(
      'Warning: the image extension needy is ignored: error (exit status 0): its build plan has',
    )
    expect(result.has('layers/generated/needy')).toBe(false)
  })

  it('removes nothing that an extension did not make', async () => {
    const tree = { 'cnb/order.toml': orderOf('one'), ...extension('one', select('r.io/a')), 'mine/notes/file': 'x' }
    const result = await detected(tree)
    const { code, output } = await result.run('detector', { CNB_GENERATED_DIR: result.path('mine') })
    expect([code, output]).toEqual([3, expect.stringContaining('notes in it was not made by an image extension')])
    expect(await result.read('mine/notes/file')).toBe('x')
  })

  it('says which extension is not there', async () => {
    const { code, output } = await detected({ 'cnb/order.toml': orderOf('absent') })
    expect([code, output]).toEqual([1, expect.stringContaining('the order names absent@1.0.0, which is not in')])
  })
})

describe('the phases after it', () => {
  it('restorer finds the run image that an extension selected, with its target', async () => {
    const registry = await registryWithRun()
    await addRunImage(registry, 'other')
    const order = orderOf('one').replaceAll('"web"', '"test/app"')
    const m = await machine('0.15', { 'order.toml': order })
    const selecting = extension('one', { files: { 'generate/run.Dockerfile': `FROM ${registry.host}/other\n` } })
    await mkdir(m.path('cnb'))
    await writeTree(m.root, selecting)
    const extensions = { CNB_EXTENSIONS_DIR: m.path('cnb/extensions') }
    const image = `${registry.host}/app`
    for (const [name, args, env] of [
      ['analyzer', ['-run-image', `${registry.host}/run`, image], {}],
      ['detector', [], extensions],
      ['restorer', ['-build-image', 'b', '-log-level', 'debug'], {}],
      ['builder', [], {}],
      ['exporter', [image], {}],
    ] as const) {
      const { status, said } = await m.run(name, args, env)
      expect(status, said).toBe(0)
      if (name === 'restorer') expect(said).toContain('-build-image is ignored')
    }
    const { runImage } = parseAnalyzed(await m.read('layers/analyzed.toml'), '')
    expect(runImage).toMatchObject({
      image: `${registry.host}/other`,
      target: { os: 'linux', distro: { name: 'debian' } },
    })
    expect(runImage?.reference).toMatch(new RegExp(`^${registry.host}/other@sha256:`))
    expect(await m.read('layers/config/metadata.toml')).toContain('[[extensions]]\nid = "one"\nversion = "1.0.0"')
    expect(stored(registry, 'app').label('build.metadata')).toMatchObject({
      extensions: [{ id: 'one', version: '1.0.0', api: '0.10' }],
    })
  })
})
