import { describe, expect, it } from 'vitest'
import { digestOf } from '../../lifecycle/image/digest.ts'
import { makeImage } from '../../lifecycle/image/image.ts'
import { parseReference } from '../../lifecycle/image/reference.ts'
import { anonymous } from '../../lifecycle/stores/credentials.ts'
import { openRegistry, registryStore } from '../../lifecycle/stores/registry/store.ts'
import { storeContract } from '../contracts/stores.ts'
import { bytesOf, configOf, layerOf, noise, platform, sourceOf } from '../helpers/images.ts'
import { startRegistry } from '../helpers/registry.ts'
import type { AuthOptions } from '../helpers/registry/auth.ts'
import { connect, credentialsOf, refusal, seed, serve } from '../helpers/registry/set-up.ts'

const login = { username: 'ann', password: 'pass:word ü' }

describe.each<[string, AuthOptions | undefined]>([
  ['open to all', undefined],
  ['with basic authentication', { scheme: 'basic', ...login }],
  ['with tokens', { scheme: 'bearer', ...login }],
])('%s', (_name, auth) => {
  storeContract('registry', async () => {
    const server = await startRegistry({ auth })
    const credentials = auth ? credentialsOf({ kind: 'password', ...login }) : anonymous
    const registry = openRegistry({ registry: server.host, credentials })
    const repository = parseReference(`${server.host}/team/app`)
    return {
      store: registryStore(repository, { registry }),
      name: text => text,
      reopen: () => Promise.resolve(registryStore(repository, { registry })),
      corrupt: digest => {
        const bytes = Buffer.from(server.blobs.get(digest)!)
        bytes[bytes.length - 3]! ^= 1
        server.blobs.set(digest, bytes)
        return Promise.resolve()
      },
      unwritable: () => {
        // Nobody may write where nobody is known; without any authentication, nobody may write to a full registry.
        if (!auth) server.faults = ({ method }) => (method === 'POST' ? { answer: { status: 403 } } : undefined)
        const stranger = openRegistry({ registry: server.host, credentials: anonymous })
        return Promise.resolve(registryStore(repository, { registry: stranger }))
      },
      close: async () => {
        await registry.close()
        await server.close()
      },
    }
  })
})

describe('names', () => {
  it('are tags, digests, or references to the same repository', async () => {
    const server = await serve()
    const { digest } = await seed(server)
    const { store } = connect(server.host)
    for (const name of ['v1', digest, `${server.host}/team/app:v1`, `${server.host}/team/app@${digest}`]) {
      expect((await store.pull(name, platform))?.digest).toBe(digest)
    }
  })

  it('of other repositories are refused', async () => {
    const server = await serve()
    const { store } = connect(server.host)
    expect(await refusal(store.pull(`${server.host}/team/other:v1`, platform))).toContain('is not in the repository')
    expect(await refusal(store.checkWrite(['ubuntu:latest']))).toContain(
      'index.docker.io/library/ubuntu:latest is not in',
    )
    expect(server.requests).toEqual([])
  })

  it('R42 with a line break are refused before anything is sent', async () => {
    const server = await serve()
    const { store } = connect(server.host)
    expect(await refusal(store.pull('v1\r\nX-Evil: 1', platform))).toContain('not an image reference')
    expect(server.requests).toEqual([])
  })

  it('come back in full, as users write them', async () => {
    const server = await serve()
    const { store } = connect(server.host)
    const image = makeImage(configOf(), [await store.putLayer(sourceOf({ '/a': 'a' }))])
    const published = await store.putImage(image, ['v1', `${server.host}/team/app:v2`])
    expect(published.names).toEqual([`${server.host}/team/app:v1`, `${server.host}/team/app:v2`])
  })

  it('that are digests name only their own image', async () => {
    const server = await serve()
    const { store } = connect(server.host)
    const image = makeImage(configOf(), [await store.putLayer(sourceOf({ '/a': 'a' }))])
    await store.putImage(image, [image.digest])
    await store.putImage(image, [])
    expect((await store.pull(image.digest, platform))?.imageId).toBe(image.imageId)
    expect(await refusal(store.putImage(image, [digestOf('x')]))).toContain(`cannot name the image ${image.digest}`)
  })
})

describe('requests', () => {
  it('move no byte that is there already', async () => {
    const server = await serve()
    const { store } = connect(server.host)
    const layer = await layerOf({ '/big': noise(100_000) })
    const image = makeImage(configOf(), [await store.putLayer(layer)])
    await store.putImage(image, ['v1'])
    const before = server.received
    const again = connect(server.host).store
    await again.putImage(makeImage(configOf(), [await again.putLayer(layer)]), ['v2'])
    expect(server.received).toBe(before)
    expect(server.lines.filter(l => l.startsWith('POST'))).toHaveLength(2)
  })

  it('mount a layer from another repository of the registry', async () => {
    const server = await serve()
    const { layers } = (await seedAndPull(server.host, () => seed(server, 'base/run:v1')))!
    const { store } = connect(server.host)
    const layer = await store.putLayer(layers[0]!)
    expect(layer.repository?.repository).toBe('team/app')
    expect(server.received).toBe(0)
    await store.putImage(makeImage(configOf(), [layer]), ['v1'])
    expect(await bytesOf((await store.pull('v1', platform))!.layers[0]!.open())).toHaveLength(layer.size)
  })

  it('copy a layer from one registry to another', async () => {
    const [from, to] = [await serve(), await serve()]
    const { layers } = (await seedAndPull(from.host, () => seed(from, 'base/run:v1')))!
    await connect(to.host).store.putLayer(layers[0]!)
    expect(to.blobs.get(layers[0]!.digest)).toEqual(from.blobs.get(layers[0]!.digest))
    // One PUT with the whole blob, since its digest is known.
    expect(to.lines.filter(line => !line.includes('HEAD') && line !== 'GET /v2/')).toEqual([
      'POST /v2/team/app/blobs/uploads/',
      'PUT /v2/team/app/blobs/uploads/upload-0',
    ])
  })

  it('tell of the bytes that move', async () => {
    const server = await serve()
    const { registry } = connect(server.host)
    const seen: { name: string; done: number; total?: number }[] = []
    const repository = parseReference(`${server.host}/team/app`)
    const store = registryStore(repository, { registry, onPush: t => seen.push(t), onPull: t => seen.push(t) })
    const layer = await store.putLayer(sourceOf({ '/big': noise(300_000) }, { createdBy: 'Layer: big' }))
    expect(seen.at(-1)).toMatchObject({ name: 'Layer: big', done: layer.size })
    await bytesOf(layer.open())
    expect(seen.at(-1)).toMatchObject({ name: layer.digest, done: layer.size, total: layer.size })
  })

  it('carry the name of Bale and of its platform', async () => {
    const server = await serve()
    await connect(server.host, { userAgent: 'kpack/1.0' }).store.checkWrite([])
    expect(server.requests.at(-1)?.headers['user-agent']).toBe('bale kpack/1.0')
  })
})

async function seedAndPull(host: string, plant: () => Promise<unknown>) {
  await plant()
  return connect(host, { repository: 'base/run' }).store.pull('v1', platform)
}
