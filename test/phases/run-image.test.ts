import { describe, expect, it } from 'vitest'
import { BaleError } from '../../lifecycle/errors.ts'
import { makeImage } from '../../lifecycle/image/image.ts'
import { runImageEntry, selectRunImage } from '../../lifecycle/phases/run-image.ts'
import { failureOf } from '../helpers/failure.ts'
import { configOf, platform } from '../helpers/images.ts'
import { recorder } from './harness.ts'

const image = makeImage(configOf(), [])
const names = { image: 'one.example/run', mirrors: ['two.example/run', 'three.example/run:1'] }

/** Selects among `names`, of which some can be read. */
async function select(
  registry: string | undefined,
  there: Readonly<Record<string, 'readable' | BaleError>>,
  asked = names,
) {
  const reads: string[] = []
  const reporter = recorder()
  const selected = await selectRunImage({
    names: asked,
    registry,
    platform,
    reporter,
    read: name => {
      reads.push(name)
      const found = there[name]
      if (found instanceof BaleError) return Promise.reject(found)
      return Promise.resolve(found === undefined ? { image: undefined, place: 'its registry' } : { image })
    },
  })
  return { name: selected.name, reads, reporter }
}

const all = { 'one.example/run': 'readable', 'two.example/run': 'readable', 'three.example/run:1': 'readable' } as const

describe('the run image (platform.md, "Run Image Resolution")', () => {
  it.each([
    ['the mirror in the app’s registry', 'two.example', 'two.example/run'],
    ['the image itself where it is in the app’s registry', 'one.example', 'one.example/run'],
    ['the image itself where no mirror is near', 'four.example', 'one.example/run'],
    ['the image itself for an app in no registry', undefined, 'one.example/run'],
  ])('is %s', async (_what, registry, wanted) => {
    const { name, reads } = await select(registry, all)
    expect(name).toBe(wanted)
    expect(reads).toEqual([wanted])
  })

  it('is the next name where the nearest is missing or cannot be read', async () => {
    const denied = new BaleError('registry', 'denied')
    const { name, reads } = await select('two.example', {
      'one.example/run': denied,
      'three.example/run:1': 'readable',
    })
    expect(name).toBe('three.example/run:1')
    expect(reads).toEqual(['two.example/run', 'one.example/run', 'three.example/run:1'])
  })

  it('is an error that names every name and its reason', async () => {
    const denied = new BaleError('registry', 'denied')
    expect(await failureOf(select(undefined, { 'one.example/run': denied }))).toMatchObject({
      code: 'arguments',
      message:
        'no run image can be read: one.example/run: denied; two.example/run: it does not exist; three.example/run:1: it does not exist',
    })
  })

  it('with one name only, fails as reading it fails', async () => {
    const denied = new BaleError('registry', 'denied')
    const one = { image: 'one.example/run', mirrors: [] }
    expect(await failureOf(select(undefined, { 'one.example/run': denied }, one))).toBe(denied)
    expect(await failureOf(select(undefined, {}, one))).toMatchObject({
      message: 'the run image one.example/run does not exist in its registry',
    })
  })

  it('of another platform is passed over', async () => {
    const other = makeImage(configOf({ architecture: 'arm64' }), [])
    const read = (name: string) => Promise.resolve({ image: name === 'one.example/run' ? other : image })
    const { name } = await selectRunImage({ names, registry: undefined, platform, reporter: recorder(), read })
    expect(name).toBe('two.example/run')
  })
})

it('finds an entry of run.toml by each way to write its names', () => {
  const run = { images: [{ image: 'index.docker.io/library/base:latest', mirrors: ['m.example/base'] }] }
  for (const name of ['base', 'docker.io/library/base', 'm.example/base:latest'])
    expect(runImageEntry(run, name)).toBe(run.images[0])
  expect(runImageEntry(run, 'base:2')).toBeUndefined()
})
