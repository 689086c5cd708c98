import { describe, expect, it } from 'vitest'
import { BaleError } from '../../lifecycle/errors.ts'
import { digestOf } from '../../lifecycle/image/digest.ts'
import { type Image, makeImage } from '../../lifecycle/image/image.ts'
import type { Layer } from '../../lifecycle/image/layer.ts'
import { copyImage } from '../../lifecycle/stores/copy.ts'
import { memoryStore } from '../../lifecycle/stores/memory/store.ts'
import type { ImageStore } from '../../lifecycle/stores/store.ts'
import { bytesOf, configOf, noise, platform, sourceOf } from '../helpers/images.ts'
import { type FakeRegistry, startRegistry } from '../helpers/registry.ts'
import { connectTo, credentialsOf, secret } from '../helpers/registry/set-up.ts'
import { Random, countOf, seed } from '../helpers/seed.ts'
import { type Kind, kinds } from './registry-fault-kinds.ts'

/**
 * The oracle: a tag always names the complete old image or the complete new one. Pulled bytes match their digests. A failure is
 * a BaleError that names the request and contains no secret. After the faults end, the same operation gives the reference
 * digest. Bale recovers from 99 % of temporary faults.
 */

const login = { username: 'ann', password: secret }
/** An operation meets so many faults at most. */
const most = 3
/** So many go on at once, each with a registry of its own: they wait more than they work. */
const concurrency = 4

const trees = { before: { '/app/a': noise(30_000, 'before') }, after: { '/app/a': noise(60_000, 'after') } }
const base = await memoryStore().putLayer(sourceOf({ '/base': noise(20_000, 'base') }, { piece: 4000 }))

/** Puts the image of a tree, as an export does: a layer that is made, and one that is the run image's. */
async function push(store: ImageStore, tree: keyof typeof trees, tags = ['latest']): Promise<Image> {
  const layers = [await store.putLayer(base), await store.putLayer(sourceOf(trees[tree], { piece: 4000 }))]
  const image = makeImage(configOf(), layers)
  await store.putImage(image, tags)
  return image
}

const reference = { before: await push(memoryStore(), 'before'), after: await push(memoryStore(), 'after') }
const blobs = new Map<string, Buffer>()
for (const { layers } of Object.values(reference)) {
  for (const layer of layers) blobs.set(layer.digest, await bytesOf(layer.open()))
}

interface Outcome {
  readonly met: readonly Kind[]
  readonly error: unknown
}

type Operation = (at: (repository: string) => ImageStore) => Promise<void>

const operations: Readonly<Record<string, Operation>> = {
  push: async at => void (await push(at('team/app'), 'after', ['latest', 'v2'])),
  async pull(at) {
    const image = await at('team/app').pull('latest', platform)
    // A registry that says 404 has no such image, as far as anybody can know.
    if (image !== undefined) await expectBytes(image)
  },
  async copy(at) {
    const image = await at('base/app').pull('v1', platform)
    if (image === undefined) return
    await copyImage(image, at('team/app'), ['latest'])
  },
}

/** All layers have the bytes that their digests say. */
async function expectBytes({ layers }: { layers: readonly Layer[] }): Promise<void> {
  for (const layer of layers) expect(digestOf(await bytesOf(layer.open()))).toBe(layer.digest)
}

/** One operation with its faults, and what is left after it. */
async function episode(number: number): Promise<Outcome> {
  const random = new Random(seed, number)
  const server = await startRegistry({ auth: { scheme: 'bearer', ...login }, refusesMounts: random.below(2) === 0 })
  const client = connectTo(server.host, {
    credentials: credentialsOf({ kind: 'password', ...login }),
    limits: { answer: 300, commit: 300, idle: 150, firstPause: 1, longestPause: 4 },
  })
  try {
    const operation = operations[random.oneOf(Object.keys(operations))] as Operation
    hold(server, 'team/app:latest', reference.before)
    hold(server, 'base/app:v1', reference.after)
    const met = misbehave(server, random)
    const error = await operation(client.at).catch((reason: unknown) => reason)
    server.faults = undefined
    expectInOrder(server)
    if (error !== undefined) expectHelpful(error)
    await push(client.at('team/app'), 'after')
    const now = await client.at('team/app').pull('latest', platform)
    expect(now?.digest).toBe(reference.after.digest)
    return { met, error }
  } finally {
    await client.registry.close()
    await server.close()
  }
}

/** Puts an image there without a client. */
function hold(server: FakeRegistry, name: string, image: Image): void {
  const [repository = '', tag = ''] = name.split(':')
  server.addBlob(repository, image.configBytes)
  for (const { digest } of image.layers) server.addBlob(repository, blobs.get(digest)!)
  server.addManifest(repository, tag, image.manifest.mediaType, Buffer.from(image.manifestBytes).toString())
}

/** The faults of the next requests: each waits for some of them, and hits the first that it can. */
function misbehave(server: FakeRegistry, random: Random): Kind[] {
  const met: Kind[] = []
  const passing = random.below(5) > 0
  const planned = Array.from({ length: 1 + random.below(most) }, () => {
    return { kind: random.oneOf(kinds.filter(k => k.passes === passing)), from: random.below(16) }
  })
  let number = 0
  server.faults = request => {
    number++
    const index = planned.findIndex(p => p.from < number && p.kind.hits(request))
    if (index < 0) return undefined
    const { kind } = planned.splice(index, 1)[0]!
    met.push(kind)
    return kind.fault(request, random, server)
  }
  return met
}

/** What the registry holds now: tags of known images only, and every part of them. */
function expectInOrder(server: FakeRegistry): void {
  expect(server.manifests.has('team/app:latest')).toBe(true)
  for (const [name, { bytes }] of server.manifests) {
    const image = Object.values(reference).find(i => i.digest === digestOf(bytes))
    if (image === undefined) return expect.unreachable(`${name} is something else`)
    const repository = /^[^:@]+/.exec(name)?.[0]
    for (const part of [image.imageId, ...image.layers.map(l => l.digest)]) {
      expect(server.links).toContain(`${repository}@${part}`)
      expect(digestOf(server.blobs.get(part) ?? '')).toBe(part)
    }
  }
  expect(digestOf(server.manifests.get('base/app:v1')?.bytes ?? '')).toBe(reference.after.digest)
}

function expectHelpful(error: unknown): void {
  if (!(error instanceof BaleError)) throw error
  const line = [error.where, error.message, error.fix].join(' | ')
  expect(line).toMatch(/(GET|HEAD|POST|PUT|PATCH) http|sha256:[0-9a-f]{64}/)
  expect(line).not.toMatch(/[\x00-\x1f\x7f]/)
  for (const word of [secret, Buffer.from(`ann:${secret}`).toString('base64')]) expect(line).not.toContain(word)
}

describe(`faults of a registry, seed ${seed}`, () => {
  const wanted = countOf(1000)

  it(`R01-R05 R15 R19-R23 R40 ${wanted} of them, and no wrong tag, no corrupt image`, async () => {
    const outcomes: Outcome[] = []
    let [started, injected] = [0, 0]
    const worker = async () => {
      while (injected < wanted) {
        const number = started++
        const outcome = await episode(number).catch((cause: unknown) => {
          throw new Error(`operation ${number} of seed ${seed}`, { cause })
        })
        outcomes.push(outcome)
        injected += outcome.met.length
      }
    }
    await Promise.all(Array.from({ length: concurrency }, worker))
    const passing = outcomes.filter(o => o.met.length > 0 && o.met.every(k => k.passes))
    const lost = passing.filter(o => o.error !== undefined)
    const faults = (list: readonly Outcome[]): number => list.reduce((sum, o) => sum + o.met.length, 0)
    const recovered = 1 - faults(lost) / faults(passing)
    const percent = (recovered * 100).toFixed(2)
    console.log(
      `${injected} faults in ${outcomes.length} operations; ${percent} % of those that pass were recovered from`,
    )
    for (const { met, error } of lost) console.log(`not recovered: ${met.map(k => k.name).join(', ')}:`, error)
    expect(injected).toBeGreaterThanOrEqual(wanted)
    expect(recovered).toBeGreaterThanOrEqual(0.99)
    // Each kind was there, or the figures mean little.
    const seen = new Set(outcomes.flatMap(o => o.met.map(k => k.name)))
    const usual = kinds.filter(kind => !kind.rare).map(kind => kind.name)
    if (wanted >= 1000) expect(usual.filter(name => !seen.has(name))).toEqual([])
  }, 300_000)
})
