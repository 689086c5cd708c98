import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { pack } from 'tar-stream'
import { describe, expect, it } from 'vitest'
import { digestOf } from '../../../lifecycle/image/digest.ts'
import { type Image, makeImage } from '../../../lifecycle/image/image.ts'
import type { Layer } from '../../../lifecycle/image/layer.ts'
import { layerMediaType } from '../../../lifecycle/image/media-types.ts'
import { checkStart } from '../../../lifecycle/phases/start-check/check-start.ts'
import { formatToml } from '../../../lifecycle/spec/toml.ts'
import { bytesOf } from '../../helpers/images.ts'
import { temporaryDirectory } from '../../helpers/temporary.ts'
import { type Tree, writeTree } from '../../helpers/tree.ts'

/** A layer of a run image: a number is a file's mode, a text a link's target. */
async function runLayer(entries: Readonly<Record<string, number | string>>): Promise<Layer> {
  const tar = pack()
  for (const [name, what] of Object.entries(entries)) {
    if (typeof what === 'string') tar.entry({ name, type: 'symlink', linkname: what })
    else tar.entry({ name, mode: what }, '')
  }
  tar.finalize()
  const bytes = await bytesOf(tar as AsyncIterable<Uint8Array>)
  const digest = digestOf(bytes)
  const open = async function* () {
    yield Promise.resolve(bytes)
  }
  return { kind: 'layer', diffId: digest, digest, size: bytes.length, mediaType: layerMediaType('none'), open }
}

const debian = {
  bin: 'usr/bin',
  'usr/bin/bash': 0o755,
  'usr/bin/awk': '/etc/alternatives/awk',
  'etc/alternatives/awk': '/usr/bin/mawk',
  'usr/bin/mawk': 0o755,
  'usr/bin/notes': 0o644,
  'usr/bin/loop': 'loop',
}

async function runImage(...layers: Readonly<Record<string, number | string>>[]): Promise<Image> {
  return makeImage({ architecture: 'amd64', os: 'linux' } as never, await Promise.all(layers.map(runLayer)))
}

type Command = string | readonly string[]

interface Build {
  /** `web` and so on: a text is for a shell. */
  readonly processes: Readonly<Record<string, Command>>
  readonly app?: Tree
  /** Below `layers/acme_lang`. */
  readonly layers?: Tree
  readonly image?: Image
}

async function check({ processes, app = {}, layers = {}, image }: Build): Promise<string> {
  const dir = await temporaryDirectory()
  const document = {
    processes: Object.entries(processes).map(([type, command]) => ({
      type,
      command: typeof command === 'string' ? ['bash', '-c', command, 'bash'] : command,
      args: [],
      direct: true,
      'buildpack-id': 'acme/lang',
    })),
    buildpacks: [{ id: 'acme/lang', version: '1.0.0', api: '0.10' }],
  }
  const prefixed = (place: string, tree: Tree) =>
    Object.fromEntries(Object.entries(tree).map(([path, entry]) => [`${place}/${path}`, entry]))
  await writeTree(dir, {
    'layers/config/metadata.toml': formatToml(document),
    'app/.keep': '',
    ...prefixed('app', app),
    ...prefixed('layers/acme_lang', layers),
  })
  const output = {
    layersDir: { host: join(dir, 'layers'), image: '/layers' },
    appDir: { host: join(dir, 'app'), image: '/workspace' },
    group: [{ id: 'acme/lang', version: '1.0.0', api: '0.10' }],
    owner: { uid: 1000, gid: 1000 },
  }
  const index = join(dir, 'index')
  // One image for both: its files have the time at which it is made.
  const base = image ?? (await runImage(debian))
  const found = checkStart(output, base, { indexDir: index })
  const message = await found.then(
    () => 'fine',
    (error: { where?: string; message: string; code: string }) => `${error.code} ${error.where}: ${error.message}`,
  )
  // What was read once is kept.
  const again = await checkStart(output, base, { indexDir: index }).then(
    () => 'fine',
    () => 'failed',
  )
  expect(again).toBe(message === 'fine' ? 'fine' : 'failed')
  expect((await readdir(index).catch(() => [])).length).toBeLessThan(2)
  return message
}

const launch = '[types]\nlaunch = true\n'
const program = { script: '' }

describe('a program that a process starts', () => {
  it.each<[string, Build]>([
    ['in the run image', { processes: { web: 'exec awk x' } }],
    ['at a path through links', { processes: { web: ['/bin/awk'] } }],
    ['in a layer’s bin', { processes: { web: 'run' }, layers: { 'x.toml': launch, 'x/bin/run': program } }],
    [
      'in a layer’s bin, as a link within it',
      {
        processes: { web: 'run' },
        layers: { 'x.toml': launch, 'x/bin/run': { link: '../usr/run' }, 'x/usr/run': program },
      },
    ],
    [
      'where a layer’s variable says',
      {
        processes: { web: 'run' },
        layers: { 'x.toml': launch, 'x/env.launch/PATH.prepend': '/workspace/bin', 'x/env.launch/PATH.delim': ':' },
        app: { 'bin/run': program },
      },
    ],
    [
      'where a process’s variable says',
      {
        processes: { web: 'run' },
        layers: { 'x.toml': launch, 'x/env.launch/web/PATH.prepend': '/workspace/bin:', 'x/env/X': '' },
        app: { 'bin/run': program },
      },
    ],
    [
      'in the application',
      { processes: { web: './run --x', worker: ['bin/work'] }, app: { run: program, 'bin/work': program } },
    ],
    [
      'through a link from the application to a layer',
      {
        processes: { web: 'node_modules/.bin/vite' },
        app: { node_modules: { link: '/layers/acme_lang/m/node_modules' } },
        layers: {
          'm.toml': launch,
          'm/node_modules/.bin/vite': { link: '../vite/cli.js' },
          'm/node_modules/vite/cli.js': program,
        },
      },
    ],
    [
      'that may be in a layer of the previous image',
      {
        processes: { web: 'node_modules/.bin/vite' },
        app: { node_modules: { link: '/layers/acme_lang/m/node_modules' } },
        layers: { 'm.toml': launch },
      },
    ],
    [
      'that may be in the bin of a layer of the previous image',
      { processes: { web: 'run' }, layers: { 'x.toml': launch } },
    ],
    [
      'that an exec.d program may make findable',
      { processes: { web: 'run' }, layers: { 'x.toml': launch, 'x/exec.d/set': { script: 'echo PATH=1 >&3' } } },
    ],
  ])('is there: %s', async (_name, build) => expect(await check(build)).toBe('fine'))

  it.each<[string, Build, string]>([
    [
      'nowhere',
      { processes: { web: 'ruby app.rb' } },
      'buildpack-failed process web (acme/lang): the program "ruby" that it starts is not in the image: none of these directories contains it: /usr/local/sbin, /usr/local/bin',
    ],
    ['nowhere, at once', { processes: { web: ['ruby', 'app.rb'] } }, 'the program "ruby"'],
    [
      'in a build layer only',
      { processes: { web: 'run' }, layers: { 'x.toml': '[types]\nbuild = true\n', 'x/bin/run': program } },
      'the program "run"',
    ],
    [
      'not executable',
      { processes: { web: './run' }, app: { run: '' } },
      'the program "./run" that it starts is not executable',
    ],
    ['not executable in the run image', { processes: { web: '/usr/bin/notes' } }, 'there is no /usr/bin/notes'],
    ['a directory', { processes: { web: './run' }, app: { 'run/x': '' } }, 'the program "./run"'],
    ['a link to itself', { processes: { web: 'loop' } }, 'the program "loop"'],
    [
      'a link out of the image',
      { processes: { web: './run' }, app: { run: { link: '/etc/passwd' } } },
      'there is no /workspace/run',
    ],
    [
      'not beside a harmless exec.d program',
      { processes: { web: 'run' }, layers: { 'x.toml': launch, 'x/exec.d/set': { script: 'echo X=1 >&3' } } },
      'the program "run"',
    ],
  ])('is missing: %s', async (_name, build, expected) => expect(await check(build)).toContain(expected))

  it('is missing where an upper layer of the run image removed it', async () => {
    const removed = await runImage(debian, { 'usr/bin/.wh.mawk': 0o644 })
    expect(await check({ processes: { web: 'awk' }, image: removed })).toContain('the program "awk"')
    const emptied = await runImage(debian, { 'usr/bin/.wh..wh..opq': 0o644, 'usr/bin/bash': 0o755 })
    expect(await check({ processes: { web: 'awk' }, image: emptied })).toContain('the program "awk"')
  })

  it('is missing where there is no shell to start it', async () => {
    expect(await check({ processes: { web: 'x' }, image: await runImage({ 'etc/passwd': 0o644 }) })).toContain(
      'the program "bash"',
    )
  })

  it('is named for each process', async () => {
    const message = await check({ processes: { web: 'ruby x', worker: 'php y' } })
    expect(message).toMatch(/process web .*"ruby"[\s\S]*\nprocess worker .*"php"/)
  })
})
