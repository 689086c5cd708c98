import { describe, expect, it } from 'vitest'
import { type BuildEvent, silent } from '../../lifecycle/events.ts'
import { labelOf } from '../../lifecycle/image/config.ts'
import { type Image, makeImage } from '../../lifecycle/image/image.ts'
import { docker } from '../../lifecycle/image/media-types.ts'
import { parseConfig } from '../../lifecycle/image/validate.ts'
import { findRunImage, rebase } from '../../lifecycle/phases/rebase.ts'
import { requirePlatformApi } from '../../lifecycle/spec/api.ts'
import { memoryStore } from '../../lifecycle/stores/memory/store.ts'
import type { ImageStore } from '../../lifecycle/stores/store.ts'
import {
  type AppImageOptions,
  type Label,
  type RunImageOptions,
  debian,
  putAppImage,
  putRunImage,
} from '../helpers/app-image.ts'
import { failureOf } from '../helpers/failure.ts'
import { platform } from '../helpers/images.ts'

const lifecycle = 'io.buildpacks.lifecycle.metadata'

interface Options {
  app?: AppImageOptions
  /** Of the run image that the app is on, and of the new one. */
  old?: RunImageOptions
  now?: RunImageOptions
  name?: string
  force?: boolean
  api?: string
}

/** An app on the run image `run:1`, put on `run:2`, which takes its place under the recorded name. */
async function rebased(options: Options = {}) {
  const store = memoryStore()
  const events: BuildEvent[] = []
  const old = await putRunImage(store, 'run:1', options.old)
  const app = await putAppImage(store, 'app', { image: old, name: 'example.com/run:1' }, options.app)
  const now = await putRunImage(store, 'run:2', options.now ?? options.old)
  const result = await put(store, app, now, events, options)
  return { ...result, store, old, app, now, events }
}

async function put(store: ImageStore, app: Image, now: Image, events: BuildEvent[] = [], options: Options = {}) {
  return rebase({
    app: { name: 'app', image: app },
    runImage: { name: options.name ?? 'example.com/run:1', image: now, reference: `example.com/run@${now.digest}` },
    destination: { sink: store, names: ['app'] },
    force: options.force ?? false,
    features: requirePlatformApi(options.api ?? '0.15'),
    reporter: { event: e => void events.push(e), close: () => Promise.resolve() },
  })
}

const labelIn = (image: Image): Label => JSON.parse(labelOf(image.config, lifecycle)!) as Label
const diffIds = (image: Image): readonly string[] => image.config.rootfs.diff_ids
const warnings = (events: BuildEvent[]) => events.flatMap(e => (e.type === 'warning' ? [e.text] : []))

describe('a rebased image', () => {
  it('has the layers of the new run image below its own', async () => {
    const { image, old, now, app } = await rebased({ now: { layers: [{ '/a': 'a' }, { '/b': 'b' }, { '/c': 'c' }] } })
    const own = diffIds(app).slice(old.layers.length)
    expect(diffIds(image)).toEqual([...now.layers.map(l => l.diffId), ...own])
    expect(image.manifest.layers.map(l => l.digest)).toEqual(image.layers.map(l => l.digest))
  })

  it('says on which run image it is, and is otherwise the same', async () => {
    const { image, now, app } = await rebased()
    const { runImage, ...rest } = labelIn(image)
    const { runImage: before, ...others } = labelIn(app)
    expect(runImage).toEqual({
      ...before,
      topLayer: now.layers.at(-1)!.diffId,
      reference: `example.com/run@${now.digest}`,
    })
    expect(rest).toEqual(others)
    const { Labels: _now, ...config } = image.config.config!
    const { Labels: _was, ...configBefore } = app.config.config!
    expect(config).toEqual(configBefore)
  })

  it('keeps its history: one entry a layer, those of the run image dated as the image', async () => {
    const { image } = await rebased()
    expect(image.config.history!.map(h => h.created_by)).toEqual([
      'layer 0 of run:2',
      'layer 1 of run:2',
      "Layer: 'node'",
      "Layer: 'sbom'",
      "Layer: 'slice'",
      "Layer: 'launcher'",
      "Layer: 'config'",
    ])
    expect(new Set(image.config.history!.map(h => h.created))).toEqual(new Set(['1980-01-01T00:00:01Z']))
    expect(image.config.created).toBe('1980-01-01T00:00:01Z')
  })

  it('is the same one every time', async () => {
    const first = await rebased()
    const second = await rebased()
    expect(second.published.digest).toBe(first.published.digest)
    const again = await put(first.store, first.image, first.now)
    expect(again.published.digest).toBe(first.published.digest)
  })

  it('is what it was when it is put on the run image that it is on', async () => {
    const store = memoryStore()
    const run = await putRunImage(store, 'run:1')
    const app = await putAppImage(
      store,
      'app',
      { image: run, name: 'example.com/run:1' },
      {
        label: usual => ({ ...usual, runImage: { ...usual.runImage, reference: `example.com/run@${run.digest}` } }),
      },
    )
    expect((await put(store, app, run)).published.digest).toBe(app.digest)
  })

  it('keeps the keys of its config where they stand, and what is null', async () => {
    const store = memoryStore()
    const run = await putRunImage(store, 'run:1')
    const app = await putAppImage(store, 'app', { image: run, name: 'example.com/run:1' })
    const { config, ...rest } = app.config
    const { Env, ...others } = config!
    const odd = { zebra: 1, ...rest, config: { Zebra: true, ...others, OnBuild: null, Env } }
    const bytes = Buffer.from(JSON.stringify({ ...odd, history: null }))
    const parsed = parseConfig(bytes, 'config')
    const { image } = await put(store, { ...app, config: parsed, configBytes: bytes }, run)
    const written = Buffer.from(image.configBytes).toString()
    const now = JSON.parse(written) as typeof odd
    expect(Object.keys(now)).toEqual(Object.keys({ ...odd, history: null }))
    expect(Object.keys(now.config)).toEqual(Object.keys(odd.config))
    expect(written).toContain('"OnBuild":null')
  })

  it('keeps the format of its manifest', async () => {
    const store = memoryStore()
    const run = await putRunImage(store, 'run:1')
    const app = await putAppImage(store, 'app', { image: run, name: 'example.com/run:1' })
    const { image } = await put(store, makeImage(app.config, app.layers, 'docker'), run)
    expect(image.manifest.mediaType).toBe(docker.manifest)
    expect(new Set(image.manifest.layers.map(l => l.mediaType))).toEqual(new Set([docker.layerGzip]))
  })

  it('has the labels of the new run image about what it is, and none of the old one’s', async () => {
    const labels = {
      ...debian,
      'io.buildpacks.base.released': 'now',
      'io.buildpacks.stack.id': 'new',
      maintainer: 'new',
    }
    const old = { ...debian, 'io.buildpacks.base.homepage': 'old', maintainer: 'old' }
    const { image } = await rebased({ old: { labels: old }, now: { labels } })
    expect(image.config.config!.Labels).toMatchObject({ ...labels, maintainer: 'old' })
    expect(image.config.config!.Labels).not.toHaveProperty('io.buildpacks.base.homepage')
  })

  it('has its labels about the stack alone replaced by a rebaser of Platform API 0.11', async () => {
    const labels = { ...debian, 'io.buildpacks.base.id': 'new', 'io.buildpacks.stack.id': 'same' }
    const { image } = await rebased({
      old: { labels: { ...labels, 'io.buildpacks.base.id': 'old' } },
      now: { labels },
      api: '0.11',
    })
    expect(image.config.config!.Labels).toMatchObject({ ...labels, 'io.buildpacks.base.id': 'old' })
  })

  it('is reported', async () => {
    const { report, image } = await rebased()
    expect(report).toEqual({
      tags: ['app'],
      digest: image.digest,
      imageId: image.imageId,
      manifestSize: image.manifestBytes.length,
    })
  })

  it('ends where the run image ended, though an empty layer is there several times', async () => {
    const none = {}
    const app = {
      node: { '/n': 'n' },
      sbom: { '/s': 's' },
      slice: none,
      launcher: { '/l': 'l' },
      config: { '/c': 'c' },
    }
    const first = { ...app, node: none }
    for (const layers of [app, first]) {
      const {
        image,
        old,
        app: before,
      } = await rebased({
        old: { layers: [none, { '/etc': 'x' }, none] },
        now: { layers: [{ '/new': 'new' }] },
        app: { layers },
      })
      expect(diffIds(image).slice(1)).toEqual(diffIds(before).slice(old.layers.length))
    }
  })
})

describe('what is against it', () => {
  const ubuntu = { ...debian, 'io.buildpacks.base.distro.name': 'ubuntu' }
  const cases: [string, Options, string][] = [
    ['its label', { app: { labels: { 'io.buildpacks.rebasable': 'false' } } }, 'forbids it'],
    ['another distribution', { now: { labels: ubuntu } }, 'is for "linux/amd64, ubuntu 13"'],
    [
      'another version of it',
      { now: { labels: { ...debian, 'io.buildpacks.base.distro.version': '14' } } },
      'debian 14',
    ],
    ['another architecture', { now: { config: { architecture: 'arm64' } } }, 'linux/arm64'],
    ['another operating system', { now: { config: { os: 'freebsd' } } }, 'freebsd'],
    ['another variant', { old: { config: { variant: 'v2' } }, now: { config: { variant: 'v3' } } }, 'linux/amd64/v3'],
    ['a name that is not recorded', { name: 'example.com/other:1' }, '"example.com/other:1" is not one of'],
  ]

  it.each(cases)('%s: it fails, and the tag stays', async (_what, options, words) => {
    const error = await failureOf(rebased(options))
    expect(error).toMatchObject({ code: 'input' })
    expect(String(error)).toContain(words)
  })

  it.each(cases)(
    '%s: it goes by force, with a warning, and the image says what it is',
    async (_what, options, words) => {
      const { image, now, events } = await rebased({ ...options, force: true })
      expect(warnings(events).join()).toContain(words)
      const { os, architecture, variant } = now.config
      expect(image.config).toMatchObject({ os, architecture, ...(variant !== undefined && { variant }) })
    },
  )

  it.each<[string, Options]>([
    ['a label that is not exactly false', { app: { labels: { 'io.buildpacks.rebasable': 'False' } } }],
    ['a run image without a distribution', { now: { labels: {} } }],
    ['a run image without a variant', { old: { config: { variant: 'v2' } }, now: { config: {} } }],
    ['an app without a distribution', { old: { labels: {} }, now: { labels: debian } }],
    ['the recorded name at a digest', { name: `example.com/run:1@sha256:${'0'.repeat(64)}` }],
    ['a mirror', { name: 'mirror.example.com/run:1', app: { label: mirrored } }],
    ['another name, before Platform API 0.12', { name: 'example.com/other:1', api: '0.11' }],
    ['another name of Docker Hub', { name: 'index.docker.io/library/run:latest', app: { label: onDockerHub } }],
  ])('is not %s', async (_what, options) => {
    const { events, app, image } = await rebased(options)
    expect(warnings(events)).toEqual([])
    expect(labelIn(image).runImage.image).toBe(labelIn(app).runImage.image)
  })

  function mirrored(usual: Label): Label {
    return { ...usual, runImage: { ...usual.runImage, mirrors: ['mirror.example.com/run:1'] } }
  }
  function onDockerHub(usual: Label): Label {
    return { ...usual, runImage: { ...usual.runImage, image: 'run' } }
  }

  it('is recorded when it is forced on a run image of another name: no mirrors are known', async () => {
    const { image } = await rebased({ name: 'example.com/other:1', force: true, app: { label: mirrored } })
    expect(labelIn(image).runImage).toEqual({
      topLayer: expect.any(String) as string,
      reference: expect.any(String) as string,
      image: 'example.com/other:1',
    })
    expect(labelIn(image).stack).toEqual({ runImage: { image: 'example.com/other:1' } })
  })

  it('names a run image without a name by its reference, and records none', async () => {
    expect(String(await failureOf(rebased({ name: '' })))).toContain('"example.com/run@sha256:')
    const { image, app } = await rebased({ name: '', force: true })
    expect(labelIn(image).runImage.image).toBe(labelIn(app).runImage.image)
  })
})

describe('an app that was built before there were targets', () => {
  const stack = (id: string, mixins?: readonly string[]) => ({
    ...debian,
    'io.buildpacks.stack.id': id,
    ...(mixins && { 'io.buildpacks.stack.mixins': JSON.stringify(mixins) }),
  })
  const old = { labels: stack('a', ['git', 'run:wget']) }

  it.each(['0.11', '0.3', undefined])('goes by its stack, not by its distribution: CNB_PLATFORM_API %s', async api => {
    const other = { ...stack('a', ['wget', 'git', 'more']), 'io.buildpacks.base.distro.version': '14' }
    const { image } = await rebased({ app: { platformApi: api }, old, now: { labels: other } })
    expect(image.config.config!.Labels).toMatchObject(other)
  })

  it.each<[string, Options, string]>([
    ['another stack', { now: { labels: stack('b') } }, 'for the stack "a", and the new run image has the stack "b"'],
    ['no stack', { now: { labels: debian } }, 'has no stack'],
    ['no mixins', { now: { labels: stack('a') } }, 'lacks the mixins "git", "wget"'],
    ['no stack of its own', { old: { labels: debian } }, 'it has no label io.buildpacks.stack.id'],
  ])('is not put on one with %s, not even by force', async (_what, options, words) => {
    for (const force of [false, true]) {
      const error = await failureOf(rebased({ old, app: { platformApi: '0.10' }, ...options, force }))
      expect(String(error)).toContain(words)
    }
  })
})

describe('labels that the Go lifecycle, or somebody else, wrote', () => {
  it('keep what we do not know', async () => {
    const label = (usual: Label) => ({ ...usual, 'exec-env': 'production', future: { deep: [1] } })
    const { image } = await rebased({ app: { label } })
    expect(labelIn(image)).toMatchObject({ 'exec-env': 'production', future: { deep: [1] } })
  })

  it('keep numbers that JavaScript cannot hold', async () => {
    const store = memoryStore()
    const run = await putRunImage(store, 'run:1')
    const top = run.layers.at(-1)!.diffId
    const label = `{"buildpacks":[{"key":"a","layers":{"l":{"data":{"n":12345678901234567890,"f":1.0}}}}],"runImage":{"topLayer":"${top}","reference":"","image":"example.com/run:1"}}`
    const app = await putAppImage(store, 'app', { image: run, name: 'x' }, { label })
    const { image } = await put(store, app, run)
    expect(labelOf(image.config, lifecycle)).toContain('{"n":12345678901234567890,"f":1.0}')
  })

  it.each<[string, (usual: Label) => unknown]>([
    [
      'only the older stack names the run image',
      ({ runImage: { topLayer }, ...u }) => ({ ...u, runImage: { topLayer } }),
    ],
    ['the stack is missing', ({ stack: _stack, ...usual }) => usual],
    ['lists are null, as Go writes empty ones', usual => ({ ...usual, buildpacks: null, app: null })],
    ['digests are empty or odd', usual => ({ ...usual, launcher: { sha: '' }, config: { sha: 'odd' }, sbom: null })],
    ['nearly all is missing', ({ runImage }) => ({ runImage })],
    [
      'keys are there that come later',
      usual => ({ ...usual, extensions: [], runImage: { ...usual.runImage, extend: true } }),
    ],
  ])('are read where %s', async (_how, label) => {
    const { image, old, now, app } = await rebased({ app: { label } })
    expect(diffIds(image)).toEqual([...now.layers.map(l => l.diffId), ...diffIds(app).slice(old.layers.length)])
    expect(labelIn(image).runImage.topLayer).toBe(now.layers.at(-1)!.diffId)
  })

  it.each<[string, string | ((usual: Label) => unknown), string]>([
    ['no JSON', '{"app":', 'not JSON'],
    ['a list', '[]', 'not a JSON object'],
    ['empty', '', 'not JSON'],
    ['without a last layer', '{}', 'its label names a last layer'],
    ['of another image', u => ({ ...u, runImage: { topLayer: 'sha256:00' } }), 'its label names a last layer'],
    ['of other types', u => ({ ...u, runImage: 'run' }), 'not a table'],
  ])('are refused where they are %s', async (_how, label, words) => {
    const error = await failureOf(rebased({ app: { label } }))
    expect(error).toMatchObject({ code: 'input', where: expect.stringContaining(lifecycle) as string })
    expect(String(error)).toContain(words)
  })

  it('are missed in an image that no lifecycle made', async () => {
    const store = memoryStore()
    const run = await putRunImage(store, 'run:1')
    expect(await failureOf(put(store, run, run))).toMatchObject({ code: 'input' })
  })
})

describe('the run image, when none is named', () => {
  async function found(
    app: string,
    there: readonly string[],
    recorded: { image?: string; mirrors?: string[] },
    wanted?: string,
  ) {
    const store = memoryStore()
    const run = await putRunImage(store, 'run:1')
    const label = (usual: Label) => ({
      ...usual,
      runImage: { ...usual.runImage, image: undefined, ...recorded },
      stack: null,
    })
    const image = await putAppImage(store, 'app', { image: run, name: 'x' }, { label })
    const asked: string[] = []
    const result = findRunImage({
      app: { name: app, image, registry: app.split('/')[0]! },
      reporter: silent,
      ...(wanted !== undefined && { wanted }),
      find: async (name, wantedPlatform) => {
        asked.push(name)
        expect(wantedPlatform).toMatchObject(platform)
        return there.includes(name) ? { name, image: run, reference: 'r' } : await Promise.resolve(undefined)
      },
    })
    return {
      name: await result.then(
        r => r.name,
        (e: unknown) => e,
      ),
      asked,
    }
  }
  const recorded = { image: 'one.example/run', mirrors: ['two.example/run', 'three.example/run'] }

  it('is the one of the app’s registry', async () => {
    const all = ['one.example/run', 'two.example/run']
    expect((await found('two.example/app', all, recorded)).name).toBe('two.example/run')
    expect((await found('four.example/app', all, recorded)).name).toBe('one.example/run')
  })

  it('is the next one that is there', async () => {
    const { name, asked } = await found('two.example/app', ['three.example/run'], recorded)
    expect(name).toBe('three.example/run')
    expect(asked).toEqual(['two.example/run', 'one.example/run', 'three.example/run'])
  })

  it('is an error where none is there, or none is recorded', async () => {
    expect(String((await found('a.example/app', [], recorded)).name)).toContain('no run image can be read')
    expect((await found('a.example/app', [], {})).name).toMatchObject({ code: 'arguments' })
    expect((await found('a.example/app', [], recorded, 'wanted')).name).toMatchObject({ code: 'failed' })
  })

  it('is not asked for when one is', async () => {
    const { name, asked } = await found('a.example/app', ['wanted'], recorded, 'wanted')
    expect([name, asked]).toEqual(['wanted', ['wanted']])
  })
})
