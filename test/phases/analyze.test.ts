import { describe, expect, it } from 'vitest'
import { BaleError } from '../../lifecycle/errors.ts'
import { makeImage } from '../../lifecycle/image/image.ts'
import { type AnalyzeInput, analyze, runImageMetadata } from '../../lifecycle/phases/analyze.ts'
import { memoryStore } from '../../lifecycle/stores/memory/store.ts'
import { failureOf } from '../helpers/failure.ts'
import { configOf, layerOf, platform } from '../helpers/images.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { recorder } from './harness.ts'
import { openProject, rebuild } from './rebuild.ts'

async function setUp() {
  const project = await openProject(await temporaryDirectory())
  const { store } = project
  const reporter = recorder()
  const input: AnalyzeInput = {
    platform,
    previous: { source: store, name: 'app' },
    runImage: { names: { image: 'base', mirrors: [] }, open: name => Promise.resolve({ source: store, name }) },
    destinations: [{ sink: store, names: ['app'] }],
    reporter,
  }
  return { project, store, input, reporter }
}

describe('analyze', () => {
  it('finds no previous image the first time, which is no error', async () => {
    const { input } = await setUp()
    expect((await analyze(input)).previous).toBeUndefined()
  })

  it('finds the image of the last build and what it says of its layers', async () => {
    const { project, input } = await setUp()
    const { image, label } = await rebuild(project, { one: 'true' })
    const { previous } = await analyze(input)
    expect(previous?.image.digest).toBe(image.digest)
    expect(previous?.metadata).toEqual(label)
  })

  it('takes no notice of an image that no lifecycle made', async () => {
    const { store, input } = await setUp()
    const layer = await store.putLayer(await layerOf({ '/x': 'x' }))
    await store.putImage(makeImage(configOf(), [layer]), ['app'])
    expect((await analyze(input)).previous).toBeUndefined()
  })

  it('starts from nothing, with a warning, when the previous image is damaged', async () => {
    const { input, reporter } = await setUp()
    const pull = () => Promise.reject(new BaleError('input', 'no manifest'))
    const source = { description: 'x', pull, pullIndex: pull }
    expect((await analyze({ ...input, previous: { source, name: 'app' } })).previous).toBeUndefined()
    expect(reporter.events).toEqual([{ type: 'warning', text: 'the previous image app cannot be used: no manifest' }])
  })

  it('fails before any work when the result could not be written', async () => {
    const { input, store } = await setUp()
    const refused = new BaleError('registry', 'denied')
    const sink = { ...store, checkWrite: () => Promise.reject(refused) }
    expect(await failureOf(analyze({ ...input, destinations: [{ sink, names: ['app'] }] }))).toBe(refused)
  })

  it('fails when nothing that it started writes any more', async () => {
    const { input, store } = await setUp()
    let writing = true
    const checkWrite = async () => {
      await new Promise(resolve => setTimeout(resolve, 20))
      writing = false
    }
    const open = () => Promise.reject(new BaleError('registry', 'denied'))
    const runImage = { names: { image: 'base', mirrors: [] }, open }
    await failureOf(analyze({ ...input, runImage, destinations: [{ sink: { ...store, checkWrite }, names: ['app'] }] }))
    expect(writing).toBe(false)
  })

  it('X33 refuses to put the app in the place of the run image, and leaves that as it was', async () => {
    const { input, store, project } = await setUp()
    for (const names of [['base'], ['app', 'base']]) {
      const error = await failureOf(analyze({ ...input, destinations: [{ sink: store, names }] }))
      expect(error).toMatchObject({
        code: 'arguments',
        message: expect.stringContaining('its run image, base,') as string,
      })
    }
    // Elsewhere it is another image.
    const elsewhere = { ...memoryStore(), description: 'elsewhere' }
    await analyze({ ...input, destinations: [{ sink: elsewhere, names: ['base'] }] })
    expect((await store.pull('base', platform))?.digest).toBe(project.runImage.digest)
  })

  it('X33 refuses each name of a run image with mirrors, whichever it would select', async () => {
    const { input, store, project } = await setUp()
    await store.putImage(project.runImage, ['copy'])
    const runImage = { ...input.runImage, names: { image: 'base', mirrors: ['copy'] } }
    for (const name of ['base', 'copy']) {
      const destinations = [{ sink: store, names: [name] }]
      expect(await failureOf(analyze({ ...input, runImage, destinations }))).toMatchObject({
        code: 'arguments',
        message: `the app has the same name as its run image, ${name}, and would replace it`,
      })
    }
  })

  it('fails when a previous image that is there may not be read', async () => {
    const { input } = await setUp()
    const refused = new BaleError('registry', 'denied')
    const pull = () => Promise.reject(refused)
    const source = { description: 'x', pull, pullIndex: pull }
    expect(await failureOf(analyze({ ...input, previous: { source, name: 'app' } }))).toBe(refused)
  })

  it('needs the run image: not there, or for another platform', async () => {
    const { input } = await setUp()
    expect(
      await failureOf(analyze({ ...input, runImage: { ...input.runImage, names: { image: 'nope', mirrors: [] } } })),
    ).toMatchObject({
      code: 'arguments',
      message: 'the run image nope does not exist in memory',
    })
    expect(await failureOf(analyze({ ...input, platform: { os: 'linux', architecture: 'arm64' } }))).toMatchObject({
      code: 'arguments',
      message: 'the run image base is for linux/amd64',
    })
  })

  it('reads the target from the run image', async () => {
    const { input } = await setUp()
    expect((await analyze(input)).target).toEqual({
      os: 'linux',
      arch: 'amd64',
      distro: { name: 'debian', version: '13' },
    })
  })
})

describe('the run image in the app image', () => {
  it('is its name, its digest in the repository, its top layer and its mirrors', async () => {
    const { project } = await setUp()
    const { runImage } = project
    const topLayer = runImage.layers.at(-1)?.diffId
    expect(runImageMetadata(runImage, 'r.io:5000/base:1', ['m.io/base:1'])).toEqual({
      image: 'r.io:5000/base:1',
      reference: `r.io:5000/base@${runImage.digest}`,
      topLayer,
      mirrors: ['m.io/base:1'],
    })
    expect(runImageMetadata(runImage, 'r.io/base')).not.toHaveProperty('mirrors')
  })
})
