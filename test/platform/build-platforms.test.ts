import { cp, readFile, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { digestOf } from '../../lifecycle/image/digest.ts'
import { makeImage } from '../../lifecycle/image/image.ts'
import { makeImageIndex } from '../../lifecycle/image/image-index.ts'
import type { Index } from '../../lifecycle/image/manifest.ts'
import { build } from '../../lifecycle/platform/build-app.ts'
import type { BuildOptions } from '../../lifecycle/platform/build-options.ts'
import { buildPlatforms } from '../../lifecycle/platform/build-platforms.ts'
import { layoutStore } from '../../lifecycle/stores/layout/store.ts'
import { hostPlatform } from '../../lifecycle/stores/settings.ts'
import { type Script, builds, detects, fakeEngine, machine } from '../helpers/build-machine.ts'
import { failureOf } from '../helpers/failure.ts'
import { configOf, layerOf } from '../helpers/images.ts'
import { startRegistry } from '../helpers/registry.ts'

const amd64 = { os: 'linux', architecture: 'amd64' }
const arm64 = { os: 'linux', architecture: 'arm64' }
const both = [amd64, arm64] as const
const runImage = 'bale.local/stacks/stack:run'
const app = 'index.docker.io/library/app:latest'

const analyzed = (mounted: (path: string) => string) => readFile(join(mounted('/layers'), 'analyzed.toml'), 'utf8')

/** A machine with the stack for both architectures, whose builds leave the one that they are told of. */
async function bothMachine(builder?: Script) {
  const leaves: Script = async (run, mounted) => {
    const [, arch = ''] = /^arch = "(.*)"/m.exec(await analyzed(mounted)) ?? []
    await builds({ 'test_bp/deps/file': `for ${arch}` })(run, mounted)
  }
  const engine = fakeEngine({ detector: detects(), builder: builder ?? leaves })
  const made = await machine(engine)
  const { dataDir } = made.options.settings
  const local = layoutStore(join(dataDir, 'images'))
  const native = await local.pull(runImage, amd64)
  const layer = await local.putLayer(await layerOf({ '/etc/os-release': 'ID=debian\nVERSION_ID=13\n# arm64\n' }))
  const foreign = makeImage(configOf({ architecture: 'arm64' }), [layer])
  if (native !== undefined) await local.putIndex?.(makeImageIndex([native, foreign]), [runImage])
  const stacks = join(dataDir, 'stacks')
  await cp(join(stacks, 'stack-amd64'), join(stacks, 'stack-arm64'), { recursive: true })
  const forPlatform = (platform: typeof amd64, more: Partial<BuildOptions> = {}): BuildOptions => ({
    ...made.options,
    ...more,
    settings: { ...made.options.settings, platform },
  })
  return { ...made, engine, local, forPlatform }
}

describe('a build for another platform', () => {
  it('has the run image and the stack of that platform, and what runs its programs', async () => {
    const { options, forPlatform, local } = await bothMachine()
    const places: unknown[] = []
    const { settings } = forPlatform(arm64)
    const found: string[] = []
    const engine: typeof settings.engine = place => {
      places.push(place.rootfs, place.emulator)
      return settings.engine(place)
    }
    const findEmulator = (architecture: string) => {
      found.push(architecture)
      return Promise.resolve({ architecture, registration: 'x' })
    }
    const { image } = await build({ ...options, settings: { ...settings, engine, findEmulator } })
    expect(image.config.architecture).toBe('arm64')
    expect((await local.pull(app, arm64))?.digest).toBe(image.digest)
    if (hostPlatform().architecture !== 'amd64') return
    expect(found).toEqual(['arm64'])
    expect(places).toEqual([
      [join(settings.dataDir, 'stacks/stack-arm64/build-root')],
      { architecture: 'arm64', registration: 'x' },
    ])
  })

  it('is refused before anything is done where nothing runs its programs', async () => {
    const { forPlatform, engine, options } = await bothMachine()
    const foreign = hostPlatform().architecture === 'amd64' ? arm64 : amd64
    const refused = new Error('no qemu')
    const settings = { ...forPlatform(foreign).settings, findEmulator: () => Promise.reject(refused) }
    expect(await failureOf(build({ ...options, settings }))).toBe(refused)
    expect(await failureOf(buildPlatforms({ ...options, settings }, both))).toBe(refused)
    expect(engine.runs).toEqual([])
  })

  it('needs a launcher', async () => {
    const { forPlatform, engine, root } = await bothMachine()
    await rm(join(root, 'dist/launcher'))
    const foreign = hostPlatform().architecture === 'amd64' ? arm64 : amd64
    expect(await failureOf(build(forPlatform(foreign)))).toMatchObject({
      code: 'engine',
      where: join(root, 'dist/launcher'),
    })
    expect(engine.runs).toEqual([])
  })

  it('reuses nothing of an image or a cache for this one', async () => {
    const { forPlatform, reporter, options } = await bothMachine()
    await build(forPlatform(amd64))
    reporter.events.splice(0)
    await build(forPlatform(arm64))
    expect(reporter.events.some(e => e.type === 'restored')).toBe(false)
    expect(reporter.events.some(e => e.type === 'layer' && e.kind === 'buildpack' && e.action === 'reused')).toBe(false)
    expect(reporter.events.filter(e => e.type === 'warning')).toEqual([])
    expect(await readdir(join(options.settings.cacheDir, 'apps'))).toHaveLength(2)
  })
})

describe('a build for several platforms', () => {
  it('makes one index of the images that each build alone makes', async () => {
    const { options, forPlatform, local, reporter } = await bothMachine()
    const alone = [
      (await build(forPlatform(amd64, { image: 'one' }))).image.digest,
      (await build(forPlatform(arm64, { image: 'two' }))).image.digest,
    ]
    reporter.events.splice(0)
    const result = await buildPlatforms(options, both)
    const index = await local.pullIndex(app)
    expect(index?.manifests.map(({ image }) => image.digest)).toEqual(alone)
    expect(index?.manifests.map(({ platform }) => platform?.architecture)).toEqual(['amd64', 'arm64'])
    expect(result).toMatchObject({
      published: { digest: index?.digest },
      report: { digest: index?.digest },
      names: [app],
    })
    const saved = reporter.events.filter(e => e.type === 'saved')
    expect(saved).toMatchObject([{ names: [app], digest: index?.digest }])
    // Again: the same, from the caches and images of each platform.
    reporter.events.splice(0)
    expect((await buildPlatforms(options, both)).published.digest).toBe(index?.digest)
    const layers = reporter.events.flatMap(e => (e.type === 'layer' && e.kind === 'buildpack' ? [e.action] : []))
    expect(layers).toEqual(['reused', 'reused'])
  })

  it('gives every name the index', async () => {
    const { options, root, local } = await bothMachine()
    const tags = ['app:2', `oci:${join(root, 'out')}:x`]
    const { published, names } = await buildPlatforms({ ...options, tags }, both)
    expect((await local.pullIndex('index.docker.io/library/app:2'))?.digest).toBe(published.digest)
    expect((await layoutStore(join(root, 'out')).pullIndex('x'))?.digest).toBe(published.digest)
    expect(names).toEqual([app, 'index.docker.io/library/app:2', 'x'])
  })

  it('puts it into a registry', async () => {
    const registry = await startRegistry()
    onTestFinished(() => registry.close())
    const { options } = await bothMachine()
    const settings = { ...options.settings, insecureRegistries: [registry.host] }
    const image = `${registry.host}/team/app:1`
    const result = await buildPlatforms({ ...options, image, settings, publish: true }, both)
    const tagged = registry.manifests.get('team/app:1')
    expect(tagged && digestOf(tagged.bytes)).toBe(result.published.digest)
    const { manifests } = JSON.parse(tagged?.bytes.toString() ?? '') as Index
    expect(manifests.map(({ digest }) => digest)).toEqual(result.builds.map(one => one.result.image.digest))
    expect([...registry.manifests.keys()].filter(key => !key.includes('@'))).toEqual(['team/app:1'])
  })

  it('moves no name if one of them fails', async () => {
    let count = 0
    const { options, local, forPlatform } = await bothMachine(async (run, mounted) => {
      if (++count === 3) return 1
      return builds()(run, mounted)
    })
    const before = (await build(forPlatform(amd64))).image.digest
    expect(await failureOf(buildPlatforms(options, both))).toMatchObject({ code: 'failed' })
    expect(await local.pullIndex(app)).toBeUndefined()
    expect((await local.pull(app, amd64))?.digest).toBe(before)
  })

  it.each<[string, Partial<BuildOptions>, object]>([
    [
      'a daemon',
      { image: 'docker-daemon:app' },
      { code: 'arguments', fix: expect.stringContaining('oci:DIR') as string },
    ],
    [
      'a Docker archive',
      { image: 'docker-archive:/tmp/x.tar' },
      { code: 'arguments', fix: expect.stringContaining('oci:DIR') as string },
    ],
    ['an OCI archive', { tags: ['oci-archive:/tmp/x.tar'] }, { code: 'arguments', where: 'oci-archive:/tmp/x.tar' }],
    [
      'a cache image',
      { cacheImage: 'r.example/cache' },
      { code: 'usage', where: expect.stringContaining('--cache-image') as string },
    ],
    [
      'a cache in a registry',
      { cacheTo: ['r.example/cache'] },
      { code: 'usage', where: expect.stringContaining('--cache-to') as string },
    ],
  ])('is refused for %s, before anything is built', async (_name, more, expected) => {
    const { options, engine } = await bothMachine()
    expect(await failureOf(buildPlatforms({ ...options, ...more }, both))).toMatchObject(expected)
    expect(engine.runs).toEqual([])
  })

  it('is refused in a container of a builder image', async () => {
    const { options } = await bothMachine()
    const distribution = options.distribution && { ...options.distribution, container: '/container.json' }
    expect(await failureOf(buildPlatforms({ ...options, distribution }, both))).toMatchObject({ where: '--platform' })
  })

  it('ends with its signal', async () => {
    const stop = new AbortController()
    const { options, local } = await bothMachine(async (run, mounted) => {
      stop.abort(new Error('stopped'))
      return builds()(run, mounted)
    })
    expect(await failureOf(buildPlatforms({ ...options, signal: stop.signal }, both))).toMatchObject({
      message: 'stopped',
    })
    expect(await local.pullIndex(app)).toBeUndefined()
  })
})
