import { describe, expect, it, onTestFinished } from 'vitest'
import { digestOf } from '../../lifecycle/image/digest.ts'
import { makeImage } from '../../lifecycle/image/image.ts'
import type { Layer } from '../../lifecycle/image/layer.ts'
import { parseReference } from '../../lifecycle/image/reference.ts'
import { compressLayer } from '../../lifecycle/layers/compression/compress.ts'
import { anonymous } from '../../lifecycle/stores/credentials.ts'
import { openRegistry, registryStore } from '../../lifecycle/stores/registry/store.ts'
import { memoryStore } from '../../lifecycle/stores/memory/store.ts'
import { configOf, layerOf, noise, pieces, platform, sourceOf, withBytes } from '../helpers/images.ts'
import { failureOf } from '../helpers/failure.ts'
import { type Answer, type Fault, type FakeRegistry, type Recorded, errorAnswer } from '../helpers/registry.ts'
import { connect, impatient, refusal, seed, serve } from '../helpers/registry/set-up.ts'

// The oracle: an upload arrives whole, after a bounded number of attempts, or fails with one line that names the request
// (`refusal`); no tag moves to an image that is not there with all its layers, and the image of before stays.

/** The fault, for the first `times` requests of this kind. */
function first(times: number, kind: string, fault: Fault): (request: Recorded) => Fault | undefined {
  return ({ method, url }) => (`${method} ${url.pathname}`.includes(kind) && times-- > 0 ? fault : undefined)
}

const count = (server: FakeRegistry, kind: string) => server.lines.filter(line => line.startsWith(kind)).length

describe('a small layer', () => {
  it('is asked for by its digest, and sent whole', async () => {
    const server = await serve()
    const layer = await connect(server.host).store.putLayer(sourceOf({ '/a': 'a' }))
    expect(server.lines.slice(-3)).toEqual([
      `HEAD /v2/team/app/blobs/${layer.digest}`,
      'POST /v2/team/app/blobs/uploads/',
      'PUT /v2/team/app/blobs/uploads/upload-0',
    ])
    expect(server.blobs.get(layer.digest)).toHaveLength(layer.size)
  })

  it('that the registry has costs one request, and the image with it no other', async () => {
    const server = await serve()
    const first = await connect(server.host).store.putLayer(sourceOf({ '/a': 'a' }))
    const { store } = connect(server.host)
    const before = server.requests.length
    const layer = await store.putLayer(sourceOf({ '/a': 'a' }))
    expect(layer.digest).toBe(first.digest)
    await store.putImage(makeImage(configOf(), [layer]), ['latest'])
    const asked = server.lines.slice(before)
    expect(asked.filter(line => line.includes(layer.digest))).toEqual([`HEAD /v2/team/app/blobs/${layer.digest}`])
  })

  it('has the same bytes as one that is streamed', async () => {
    const server = await serve()
    const files = { '/a': 'a', '/b': 'b' }
    const layer = await connect(server.host).store.putLayer(sourceOf(files))
    expect(layer).toMatchObject(await compressLayer(sourceOf(files), () => {}))
  })

  it('fails as its source fails, before any request', async () => {
    const server = await serve()
    const broken = new RangeError('not an error of a registry')
    const failing = {
      kind: 'source' as const,
      createdBy: 'test',
      // eslint-disable-next-line @typescript-eslint/require-await, require-yield
      async *tar(): AsyncGenerator<Uint8Array> {
        throw broken
      },
    }
    await expect(connect(server.host).store.putLayer(failing)).rejects.toBe(broken)
    expect(server.requests).toEqual([])
  })
})

describe('uploads of layers that are being made', () => {
  async function put(faults: FakeRegistry['faults']) {
    const server = await serve({ faults })
    const { store } = connect(server.host)
    const source = sourceOf({ '/big': noise(300_000) }, { piece: 20_000 })
    return { server, store, source }
  }

  it('go as one stream', async () => {
    const { server, store, source } = await put(undefined)
    const layer = await store.putLayer(source)
    expect(server.lines.slice(-3)).toEqual([
      'POST /v2/team/app/blobs/uploads/',
      'PATCH /v2/team/app/blobs/uploads/upload-0',
      'PUT /v2/team/app/blobs/uploads/upload-0',
    ])
    expect(server.blobs.get(layer.digest)).toHaveLength(layer.size)
    expect(server.requests.find(r => r.method === 'PATCH')?.headers['transfer-encoding']).toBe('chunked')
  })

  it.each<[string, Fault]>([
    ['R20 whose session is lost', { answer: errorAnswer(404, 'BLOB_UPLOAD_UNKNOWN', 'never heard of it') }],
    ['R21 whose offset is another', { answer: errorAnswer(416, 'RANGE_INVALID', 'the offset is 7') }],
  ])('%s begin anew', async (_what, fault) => {
    for (const kind of ['PATCH', 'PUT']) {
      const { server, store, source } = await put(first(2, kind, fault))
      const layer = await store.putLayer(source)
      expect(server.blobs.get(layer.digest)).toHaveLength(layer.size)
      expect(count(server, 'POST')).toBe(3)
      // What was begun in vain is given back.
      expect(count(server, 'DELETE')).toBe(2)
    }
  })

  it.each<[string, Fault]>([
    ['R40 whose connection is reset', { reset: 'before' }],
    ['R40 whose answer is lost', { reset: 'after' }],
    ['R19 that come at a bad time', { answer: errorAnswer(503, 'UNAVAILABLE', 'busy') }],
  ])('%s send nothing twice that is there', async (_what, fault) => {
    for (const kind of ['PATCH', 'PUT']) {
      const { server, store, source } = await put(first(2, kind, fault))
      const layer = await store.putLayer(source)
      expect(server.blobs.get(layer.digest)).toHaveLength(layer.size)
      if (kind === 'PUT' || fault.reset === 'after') expect(server.received).toBe(layer.size)
      // What was begun in vain is given back.
      expect(count(server, 'DELETE')).toBeGreaterThanOrEqual(count(server, 'POST') - 1)
    }
  })

  describe('R20 R40 cut at 90 %', () => {
    /** Cuts the first upload there; `forgetful` registries have nothing of it afterwards, others refuse to say. */
    async function cutAt90(kind: 'PATCH' | 'PUT', status?: 'forgotten' | 'unsupported') {
      const whole = await memoryStore().putLayer(sourceOf({ '/big': noise(2_000_000) }, { piece: 20_000 }))
      const { server, store } = await put(first(1, kind, { cut: Math.floor(whole.size * 0.9) }))
      const cut = server.faults
      server.faults = request => {
        const isStatus = request.method === 'GET' && request.url.pathname.includes('/uploads/')
        if (isStatus && status === 'forgotten') server.forgetUploads()
        if (isStatus && status === 'unsupported') return { answer: errorAnswer(405, 'UNSUPPORTED', 'no status here') }
        return cut?.(request)
      }
      const layer = await store.putLayer(kind === 'PUT' ? whole : sourceOf({ '/big': noise(2_000_000) }))
      expect(layer.digest).toBe(whole.digest)
      expect(digestOf(server.blobs.get(whole.digest)!)).toBe(whole.digest)
      return { server, sent: server.received / whole.size }
    }

    it.each(['PATCH', 'PUT'] as const)('%s goes on where it broke', async kind => {
      const { server, sent } = await cutAt90(kind)
      expect(sent).toBe(1)
      expect(count(server, 'POST')).toBe(1)
      expect(count(server, 'DELETE')).toBe(0)
    })

    it.each([
      ['PATCH', 'forgotten'],
      ['PUT', 'forgotten'],
      ['PATCH', 'unsupported'],
      ['PUT', 'unsupported'],
    ] as const)('%s begins anew where the session is %s', async (kind, status) => {
      const { server, sent } = await cutAt90(kind, status)
      expect(sent).toBeCloseTo(1.9, 2)
      expect(count(server, 'POST')).toBe(2)
      expect(count(server, 'DELETE')).toBe(1)
    })

    it.each([
      ['more than was sent', '0-99999999'],
      ['other bytes than were sent', '0-1000000'],
    ])('begins anew where the registry claims to have %s', async (_what, range) => {
      const { server, store } = await put(undefined)
      const source = sourceOf({ '/big': noise(2_000_000) }, { piece: 20_000 })
      let cuts = 1
      server.faults = ({ method, url }) => {
        if (method === 'PATCH' && cuts-- > 0) return { cut: 500_000 }
        if (method !== 'GET' || !url.pathname.includes('/uploads/')) return undefined
        return { edit: a => ({ ...a, headers: { ...a.headers, range } }) }
      }
      const layer = await store.putLayer(source)
      expect(digestOf(server.blobs.get(layer.digest)!)).toBe(layer.digest)
      expect(count(server, 'POST')).toBe(2)
    })
  })

  it('whose answer is lost are not sent twice', async () => {
    const { server, store, source } = await put(first(1, 'PUT', { reset: 'after' }))
    await store.putLayer(source)
    expect(count(server, 'PATCH')).toBe(1)
    // The first one ends where the layer is too large to be made in memory.
    expect(source.reads).toBe(2)
  })

  it('R20 are given up after some attempts', async () => {
    const { server, store, source } = await put(
      first(99, 'PATCH', { answer: errorAnswer(404, 'BLOB_UPLOAD_UNKNOWN', 'lost') }),
    )
    const line = await refusal(store.putLayer(source))
    expect(line).toMatch(
      /^PATCH .*\/blobs\/uploads\/upload-4\?… \| the registry answered 404: BLOB_UPLOAD_UNKNOWN: lost/,
    )
    expect(count(server, 'PATCH')).toBe(5)
    server.faults = undefined
    await store.putLayer(source)
  })

  it('are not repeated where the registry will not have them', async () => {
    const { server, store, source } = await put(
      first(99, 'PATCH', { answer: errorAnswer(413, 'SIZE_INVALID', 'too large') }),
    )
    expect(await refusal(store.putLayer(source))).toContain('413: SIZE_INVALID: too large | raise the upload limit')
    expect(count(server, 'PATCH')).toBe(1)
  })

  it('fail as their source fails, once', async () => {
    const { server, store } = await put(undefined)
    const broken = new RangeError('not an error of a registry')
    const failing = {
      kind: 'source' as const,
      createdBy: 'test',
      async *tar() {
        yield* pieces(noise(300_000), 100_000)
        throw broken
      },
    }
    await expect(store.putLayer(failing)).rejects.toBe(broken)
    expect(count(server, 'PATCH')).toBe(1)
    expect(count(server, 'PUT')).toBe(0)
    expect(count(server, 'DELETE')).toBe(1)
  })

  it('R05 that nobody reads are given up', async () => {
    const server = await serve({ faults: first(99, 'PATCH', { hang: true }) })
    const { store } = connect(server.host, { limits: { idle: 300, attempts: 2 } })
    // More than the buffers on both sides hold.
    const source = sourceOf({ '/big': noise(9_000_000) }, { piece: 500_000 })
    const line = await refusal(store.putLayer(source))
    expect(line).toContain('the server read nothing of the request for 0.3 s')
  })

  it.each<[string, Record<string, string>]>([
    ['relative to the session', { location: 'upload-0?x=1' }],
    ['as before if there is none', {}],
  ])('R24 go on at a Location %s', async (_what, headers) => {
    const { server, store, source } = await put(undefined)
    server.faults = ({ method }) => (method === 'PATCH' ? { edit: a => ({ ...a, headers }) } : undefined)
    const layer = await store.putLayer(source)
    expect(server.blobs.has(layer.digest)).toBe(true)
  })
})

describe('the Location of an upload', () => {
  const at = (change: (location: string) => string | undefined): FakeRegistry['faults'] => {
    return ({ method }) => {
      if (method !== 'POST') return undefined
      return {
        edit: a => {
          const location = change(String(a.headers?.location))
          return location === undefined ? { status: a.status } : { status: a.status, headers: { location } }
        },
      }
    }
  }

  it('R24 may be absolute; its query comes back as it was', async () => {
    const server = await serve()
    server.faults = at(location => `${server.url}${location}`)
    await connect(server.host).store.putLayer(sourceOf({ '/big': noise(300_000) }))
    const [patch, put] = server.requests.filter(r => r.method === 'PATCH' || r.method === 'PUT')
    expect(patch?.url.search).toBe('?_state=a%2Bb~c%3D%3D')
    expect(put?.url.search).toMatch(/^\?_state=a%2Bb~c%3D%3D&digest=sha256%3A[0-9a-f]{64}$/)
  })

  it('R24 R16 may be elsewhere, where nobody learns who we are', async () => {
    const elsewhere = await serve()
    const server = await serve({ auth: { scheme: 'basic', username: 'ann', password: 'x' } })
    server.faults = at(location => `${elsewhere.url}${location}`)
    elsewhere.faults = ({ method }) => ({ answer: { status: method === 'PUT' ? 201 : 202 } })
    const credentials = {
      find: () => Promise.resolve({ kind: 'password', username: 'ann', password: 'x' } as const),
    }
    await connect(server.host, { credentials }).store.putLayer(sourceOf({ '/big': noise(300_000) }))
    expect(elsewhere.lines.map(l => l.split(' ')[0])).toEqual(['PATCH', 'PUT'])
    for (const { headers } of elsewhere.requests) expect(headers.authorization).toBeUndefined()
  })

  it.each([
    ['missing', () => undefined, 'without a usable Location'],
    ['nonsense', () => 'http://[', 'without a usable Location'],
    ['a metadata service', () => 'http://169.254.169.254/upload', '169.254.169.254, a special address'],
    ['a file', () => 'file:///tmp/x', 'does not follow'],
  ])('R24 may be %s, which is an error', async (_what, location, why) => {
    const server = await serve({ faults: at(location) })
    const { store } = connect(server.host)
    expect(await refusal(store.putLayer(sourceOf({ '/a': 'a' })))).toContain(why)
    expect(count(server, 'PATCH') + count(server, 'PUT')).toBe(0)
  })
})

describe('layers that exist', () => {
  const base = (server: FakeRegistry, layer: Layer): Layer => {
    return { ...layer, repository: { registry: server.host, repository: 'base/run' } }
  }

  it.each([202, 400, 401, 403, 404, 405])('R25 are uploaded where a mount is refused with %i', async status => {
    const server = await serve({ refusesMounts: true })
    const { layer } = await seed(server, 'base/run:v1')
    const refusal = errorAnswer(status, 'DENIED', 'no mounts')
    if (status !== 202) server.faults = ({ url }) => (url.searchParams.has('mount') ? { answer: refusal } : undefined)
    await connect(server.host).store.putLayer(base(server, layer))
    expect(server.links.has(`team/app@${layer.digest}`)).toBe(true)
    expect(server.received).toBe(layer.size)
    // The session that a refused mount opened is given back.
    expect(count(server, 'DELETE')).toBe(status === 202 ? 1 : 0)
  })

  it('R26 are uploaded where a mount says yes but did nothing', async () => {
    const server = await serve()
    const { layer } = await seed(server, 'base/run:v1')
    server.faults = ({ url }) => (url.searchParams.has('mount') ? { answer: { status: 201 } } : undefined)
    await connect(server.host).store.putLayer(base(server, layer))
    expect(server.links.has(`team/app@${layer.digest}`)).toBe(true)
    expect(server.received).toBe(layer.size)
  })

  it('R01 are refused for other bytes, also where the registry takes everything', async () => {
    const server = await serve()
    server.faults = ({ method }) => (method === 'PUT' ? { answer: { status: 201 } } : undefined)
    const lying = withBytes(await layerOf({ '/a': 'a' }), noise((await layerOf({ '/a': 'a' })).size))
    expect(await refusal(connect(server.host).store.putLayer(lying))).toContain(
      `the bytes of ${lying.digest} are wrong`,
    )
  })

  it('are uploaded anew where that broke off', async () => {
    const server = await serve({ faults: first(2, 'PUT', { reset: 'before' }) })
    const layer = await layerOf({ '/big': noise(200_000) })
    await connect(server.host).store.putLayer(layer)
    expect(server.blobs.get(layer.digest)).toHaveLength(layer.size)
    expect(count(server, 'PUT')).toBe(3)
  })

  it('fail as their source fails, once', async () => {
    const server = await serve()
    const layer = await layerOf({ '/big': noise(200_000) })
    const broken = new RangeError('not an error of a registry')
    const failing: Layer = {
      ...layer,
      async *open() {
        yield* pieces(Buffer.alloc(1000), 1000)
        throw broken
      },
    }
    await expect(connect(server.host).store.putLayer(failing)).rejects.toBe(broken)
    expect(count(server, 'PUT')).toBe(1)
  })
})

describe('manifests', () => {
  async function ready(limits = {}) {
    const tag = 'latest'
    const server = await serve()
    const { store } = connect(server.host, { limits })
    const before = makeImage(configOf(), [await store.putLayer(sourceOf({ '/before': 'x' }))])
    await store.putImage(before, [tag])
    const after = makeImage(configOf(), [await store.putLayer(sourceOf({ '/after': 'x' }))])
    return { server, store, before, after }
  }

  describe('R43 under a tag that the registry protects', () => {
    const words = {
      ECR: errorAnswer(
        400,
        'TAG_INVALID',
        "The image tag 'latest' already exists and cannot be overwritten because the tag is immutable.",
      ),
      Harbor: errorAnswer(412, 'PRECONDITION', "Failed to process request due to 'latest' configured as immutable."),
      'Artifact Registry': errorAnswer(400, 'DENIED', 'The repository has enabled tag immutability'),
      Nexus: errorAnswer(400, 'UNKNOWN', 'Repository does not allow updating assets: docker'),
    }
    const protectedTag = (answer: Answer) => ({
      faults: (r: Recorded) =>
        r.method === 'PUT' && r.url.pathname.endsWith('/manifests/latest') ? { answer } : undefined,
    })

    it.each(Object.entries(words))('are there already, which is enough: %s', async (_registry, answer) => {
      const { server, store, before } = await ready()
      server.faults = protectedTag(answer).faults
      expect(await store.putImage(before, ['latest'])).toMatchObject({ digest: before.digest })
    })

    it.each(Object.entries(words))('are an error if it is another image’s: %s', async (_registry, answer) => {
      const { server, store, before, after } = await ready()
      server.faults = protectedTag(answer).faults
      const error = await failureOf(store.putImage(after, ['latest']))
      expect(error).toMatchObject({ code: 'registry', fix: 'use another tag: this tag belongs to another image' })
      expect((await store.pull('latest', platform))?.digest).toBe(before.digest)
    })

    it('can be had by their digest where that is wanted', async () => {
      const { server, before, after } = await ready()
      server.faults = protectedTag(words.ECR).faults
      const kept: string[] = []
      const registry = openRegistry({ registry: server.host, credentials: anonymous })
      onTestFinished(() => registry.close())
      const store = registryStore(parseReference(`${server.host}/team/app`), {
        registry,
        onKeptTag: name => kept.push(name),
      })
      const { names } = await store.putImage(after, ['latest', 'other'])
      expect(names).toEqual([`${server.host}/team/app@${after.digest}`, `${server.host}/team/app:other`])
      expect(kept).toEqual([`${server.host}/team/app:latest`])
      expect((await store.pull('latest', platform))?.digest).toBe(before.digest)
      for (const name of ['other', after.digest]) expect((await store.pull(name, platform))?.digest).toBe(after.digest)
    })

    it('are an error as ever where the refusal has another reason', async () => {
      const { server, store, before } = await ready()
      server.faults = protectedTag(errorAnswer(403, 'DENIED', 'you may not')).faults
      expect(await refusal(store.putImage(before, ['latest']))).toContain('you may not')
    })
  })

  it('R28 are not put where a layer that was taken is not there', async () => {
    const { server, store, before, after } = await ready()
    const [layer] = after.layers
    server.links.delete(`team/app@${layer!.digest}`)
    expect(await refusal(store.putImage(after, ['latest']))).toContain(
      `accepted the layer ${layer!.digest}, but does not have it`,
    )
    expect((await store.pull('latest', platform))?.digest).toBe(before.digest)
  })

  it('are refused at once where a layer was never put', async () => {
    const { server, store } = await ready()
    const image = makeImage(configOf(), [await layerOf({ '/never': 'put' })])
    expect(await refusal(store.putImage(image, ['latest']))).toContain(
      `${image.layers[0]!.digest} was never stored there`,
    )
    expect(count(server, `HEAD /v2/team/app/blobs/${image.layers[0]!.digest}`)).toBe(1)
  })

  it('R28 wait for storage that takes a moment', async () => {
    const { server, store, after } = await ready()
    const digest = after.layers[0]!.digest
    server.faults = first(2, `HEAD /v2/team/app/blobs/${digest}`, { answer: { status: 404 } })
    await store.putImage(after, ['latest'])
    expect((await store.pull('latest', platform))?.digest).toBe(after.digest)
  })

  it.each<[string, Fault]>([
    ['the answer is lost', { reset: 'after' }],
    ['no answer comes', { hang: true }],
    ['the registry is busy', { answer: errorAnswer(500, 'UNKNOWN', 'try again') }],
  ])('R29 are put again where %s', async (_what, fault) => {
    const { server, store, after } = await ready(fault.hang && impatient)
    server.faults = first(1, 'PUT /v2/team/app/manifests/', fault)
    await store.putImage(after, ['latest', 'v2'])
    expect((await store.pull('latest', platform))?.digest).toBe(after.digest)
    expect(count(server, 'PUT /v2/team/app/manifests/v2')).toBe(1)
  })

  it('R30 of two writers are both kept; the last one has the tag', async () => {
    const { server, store, before, after } = await ready()
    const second = connect(server.host).store
    await second.putImage(after, ['latest'])
    await store.putImage(before, ['latest'])
    expect((await store.pull('latest', platform))?.digest).toBe(before.digest)
    expect((await store.pull(after.digest, platform))?.imageId).toBe(after.imageId)
  })

  it('R30 of two writers at the same time are both whole, and each tag is one of theirs', async () => {
    const { server, store, before, after } = await ready()
    const second = connect(server.host).store
    for (let round = 0; round < 10; round++) {
      // The order of requests differs from round to round.
      server.faults = first(3, round % 2 === 0 ? 'PUT ' : 'HEAD ', { answer: errorAnswer(503, 'UNKNOWN', 'busy') })
      await Promise.all([
        second.putImage(after, ['latest', `b${round}`]),
        store.putImage(before, ['latest', `a${round}`]),
      ])
      const latest = await store.pull('latest', platform)
      expect([before.digest, after.digest]).toContain(latest?.digest)
      expect((await store.pull(`a${round}`, platform))?.digest).toBe(before.digest)
      expect((await store.pull(`b${round}`, platform))?.digest).toBe(after.digest)
      for (const image of [before, after])
        expect((await store.pull(image.digest, platform))?.imageId).toBe(image.imageId)
    }
  })

  it('move no tag where the registry refuses them, and the error says why', async () => {
    const { server, store, before, after } = await ready()
    server.faults = ({ url, method }) =>
      method === 'PUT' && url.pathname.includes('/manifests/')
        ? { answer: errorAnswer(400, 'MANIFEST_INVALID', 'policy: no unsigned images') }
        : undefined
    expect(await refusal(store.putImage(after, ['latest', 'new']))).toContain(
      '400: MANIFEST_INVALID: policy: no unsigned images',
    )
    server.faults = undefined
    expect((await store.pull('latest', platform))?.digest).toBe(before.digest)
    expect(await store.pull('new', platform)).toBeUndefined()
  })

  it('R07 that are stored as something else are an error', async () => {
    const { server, store, before, after } = await ready()
    server.faults = ({ url, method }) =>
      method === 'PUT' && url.pathname.includes('/manifests/')
        ? { edit: a => ({ ...a, headers: { 'docker-content-digest': before.digest } }) }
        : undefined
    expect(await refusal(store.putImage(after, ['v2']))).toContain(
      `stored the manifest ${after.digest} as ${before.digest}`,
    )
  })

  it('come after everything that they name', async () => {
    const { server } = await ready()
    const manifest = server.lines.findIndex(l => l.startsWith('PUT /v2/team/app/manifests/'))
    const others = server.lines.slice(0, manifest).filter(l => l.startsWith('PUT /v2/team/app/blobs/'))
    expect(others).toHaveLength(2)
  })
})
