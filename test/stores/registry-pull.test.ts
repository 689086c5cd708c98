import { describe, expect, it } from 'vitest'
import { digestOf } from '../../lifecycle/image/digest.ts'
import { docker, oci } from '../../lifecycle/image/media-types.ts'
import { bytesOf, noise, pieces, platform } from '../helpers/images.ts'
import { type Answer, type Fault, type Recorded, errorAnswer } from '../helpers/registry.ts'
import { connect, impatient, refusal, seed, serve } from '../helpers/registry/set-up.ts'

// The oracle: Bale refuses wrong data before it uses them. The error comes soon, is one line, names request, digest or limit,
// and contains no secret (`refusal`). Bale retries temporary faults a limited number of times. Once the registry is correct,
// the same pull works.

const forManifests = (fault: Fault) => (request: Recorded) =>
  request.url.pathname.includes('/manifests/') ? fault : undefined
const forBlobs = (fault: Fault) => (request: Recorded) => (request.url.pathname.includes('/blobs/') ? fault : undefined)

const textOf = (answer: Answer) => Buffer.from(answer.body as Uint8Array).toString()

async function* endless(): AsyncGenerator<Uint8Array> {
  for (;;) yield* pieces(Buffer.alloc(1_000_000), 100_000)
}

describe('manifests that lie', () => {
  it('R01 has other bytes than its digest', async () => {
    const server = await serve()
    const { digest } = await seed(server)
    const { store } = connect(server.host)
    server.faults = forManifests({ edit: a => ({ ...a, headers: {}, body: `${textOf(a)} ` }) })
    const line = await refusal(store.pull(digest, platform))
    expect(line).toContain(`GET ${server.url}/v2/team/app/manifests/${digest}`)
    expect(line).toMatch(/the manifest has the digest sha256:\w{64}, not sha256:\w{64}/)
    server.faults = undefined
    expect((await store.pull(digest, platform))?.digest).toBe(digest)
  })

  it('R07 says another digest in its header than it has', async () => {
    const server = await serve()
    const { digest } = await seed(server)
    const { store } = connect(server.host)
    const other = digestOf('other')
    server.faults = forManifests({
      edit: a => ({ ...a, headers: { ...a.headers, 'docker-content-digest': other } }),
    })
    for (const name of ['v1', digest]) expect(await refusal(store.pull(name, platform))).toContain(`not ${other}`)
    // A digest of another algorithm says nothing that could be compared.
    const sha512 = `sha512:${'a'.repeat(128)}`
    server.faults = forManifests({
      edit: a => ({ ...a, headers: { ...a.headers, 'docker-content-digest': sha512 } }),
    })
    expect(await store.pull('v1', platform)).toBeDefined()
  })

  it('R08 R04 is endless', async () => {
    const server = await serve()
    await seed(server)
    const { store } = connect(server.host)
    server.faults = forManifests({
      edit: a => ({ ...a, headers: { 'transfer-encoding': 'chunked' }, body: endless() }),
    })
    expect(await refusal(store.pull('v1', platform))).toContain('the answer is longer than 4194304 bytes')
  })

  it('R08 is an endless error', async () => {
    const server = await serve()
    const { store } = connect(server.host)
    server.faults = forManifests({
      answer: {
        status: 403,
        headers: { 'transfer-encoding': 'chunked', 'content-type': 'text/plain' },
        body: endless(),
      },
    })
    expect(await refusal(store.pull('v1', platform))).toContain('the registry answered 403')
  })

  it('R31 is an index to the header and an image to the reader', async () => {
    const server = await serve()
    await seed(server)
    const { store } = connect(server.host)
    server.faults = forManifests({ edit: a => ({ ...a, headers: { ...a.headers, 'content-type': oci.index } }) })
    expect(await refusal(store.pull('v1', platform))).toContain(`is called ${oci.index}, but it is ${oci.manifest}`)
    server.faults = forManifests({
      edit: a => ({ ...a, headers: { ...a.headers, 'content-type': `${oci.manifest}; charset=utf-8` } }),
    })
    expect(await store.pull('v1', platform)).toBeDefined()
  })

  const config = { mediaType: oci.config, digest: digestOf('c'), size: 1 }
  const image = { schemaVersion: 2, mediaType: oci.manifest, config, layers: [] }
  it.each<[string, unknown, string]>([
    ['R31 has the fields of both', { ...image, manifests: [] }, 'the fields of an index and of an image manifest'],
    ['R32 has keys that differ by case', { ...image, Layers: [] }, 'has the key "Layers"'],
    ['R33 is of schema 1', { schemaVersion: 1, fsLayers: [] }, 'schema 1, which is obsolete'],
    ['R37 has a path for a digest', { ...image, config: { ...config, digest: 'sha256:../../x' } }, 'config.digest'],
    ['R37 uses MD5', { ...image, config: { ...config, digest: `md5:${'a'.repeat(32)}` } }, 'is not sha256:'],
    ['R38 has a negative size', { ...image, config: { ...config, size: -1 } }, '-1 is not a size'],
    ['R38 has a size above 2^53', JSON.stringify(image).replace('"size":1', '"size":9007199254740993'), 'not a size'],
    ['P10 is cut off', JSON.stringify(image).slice(0, -5), 'is not JSON'],
    ['is a page of a captive portal', '<html><body>Log in</body></html>', 'is not JSON'],
  ])('%s', async (_what, content, why) => {
    const server = await serve()
    server.addManifest('team/app', 'v1', oci.manifest, content)
    const line = await refusal(connect(server.host).store.pull('v1', platform))
    expect(line).toContain(why)
    expect(line).toContain(`${server.host}/team/app:v1`)
  })

  it('R36 has more layers than its config has diff_ids', async () => {
    const server = await serve()
    const { manifest } = await seed(server)
    const twice = { ...manifest, layers: [...manifest.layers, ...manifest.layers] }
    server.addManifest('team/app', 'v2', oci.manifest, twice)
    const line = await refusal(connect(server.host).store.pull('v2', platform))
    expect(line).toContain('the manifest has 2 layers, but its config has 1 diff_ids')
  })

  it('R18 names a URL for a layer, which is never fetched', async () => {
    const [server, inside] = [await serve(), await serve()]
    const { manifest } = await seed(server)
    const urls = [`${inside.url}/latest/meta-data`]
    const at = (mediaType: string) => ({ ...manifest, layers: manifest.layers.map(l => ({ ...l, mediaType, urls })) })
    server.addManifest(
      'team/app',
      'foreign',
      oci.manifest,
      at('application/vnd.docker.image.rootfs.foreign.diff.tar.gzip'),
    )
    server.addManifest('team/app', 'usual', oci.manifest, at(oci.layerGzip))
    const { store } = connect(server.host)
    expect(await refusal(store.pull('foreign', platform))).toContain('layers[0].mediaType | is a foreign layer')
    const usual = await store.pull('usual', platform)
    await bytesOf(usual!.layers[0]!.open())
    expect(inside.requests).toEqual([])
  })
})

describe('indexes that lie', () => {
  const entry = { mediaType: oci.manifest, platform, size: 1, digest: digestOf('missing') }
  const index = (...manifests: unknown[]) => ({ schemaVersion: 2, mediaType: oci.index, manifests })

  it('R02 says another size than the manifest has', async () => {
    const server = await serve()
    const { digest, manifestBytes } = await seed(server)
    server.addManifest('team/app', 'all', oci.index, index({ ...entry, digest, size: manifestBytes.length + 1 }))
    expect(await refusal(connect(server.host).store.pull('all', platform))).toContain('but the index says')
  })

  it('R27 names a manifest that is missing', async () => {
    const server = await serve()
    server.addManifest('team/app', 'all', oci.index, index(entry))
    expect(await refusal(connect(server.host).store.pull('all', platform))).toContain(
      `${entry.digest}, which an index names, is missing`,
    )
  })

  it('R34 calls itself, or another index, an image', async () => {
    const server = await serve()
    const inner = server.addManifest('team/app', 'inner', oci.index, index(entry))
    const size = server.manifests.get('team/app:inner')!.bytes.length
    server.addManifest('team/app', 'outer', oci.index, index({ ...entry, digest: inner, size }))
    const { store } = connect(server.host)
    // Asked for as an image it is not there; a registry that gives it nevertheless is found out.
    expect(await refusal(store.pull('outer', platform))).toContain('is missing')
    server.faults = ({ headers, url }) => {
      if (!url.pathname.endsWith(inner)) return undefined
      expect(headers.accept).not.toContain('index')
      return { answer: { status: 200, headers: { 'content-type': oci.index }, body: JSON.stringify(index(entry)) } }
    }
    expect(await refusal(store.pull('outer', platform))).toContain('but it is an index')
  })

  it('R34 has 10,000 entries', async () => {
    const server = await serve()
    server.addManifest('team/app', 'all', docker.index, {
      ...index(...Array<unknown>(10_000).fill(entry)),
      mediaType: docker.index,
    })
    expect(await refusal(connect(server.host).store.pull('all', platform))).toContain('10000 entries, more than 1000')
  })

  it('R35 has nothing for the platform', async () => {
    const server = await serve()
    const s390x = { os: 'linux', architecture: 's390x' }
    server.addManifest('team/app', 'all', oci.index, index({ ...entry, platform: s390x }))
    expect(await refusal(connect(server.host).store.pull('all', platform))).toContain(
      'no image for linux/amd64; it has linux/s390x',
    )
  })
})

describe('blobs that lie', () => {
  async function layerUnder(faults?: (request: Recorded) => Fault | undefined, limits = {}) {
    const server = await serve()
    await seed(server, 'team/app:v1', { '/big': noise(200_000) })
    const { store } = connect(server.host, { limits })
    const image = await store.pull('v1', platform)
    const before = server.requests.length
    server.faults = faults
    return { server, store, layer: image!.layers[0]!, gets: () => server.requests.slice(before) }
  }
  const ranges = (requests: Recorded[]) => requests.map(r => r.headers.range)

  it('R01 has other bytes than its digest', async () => {
    const { layer } = await layerUnder(forBlobs({ edit: a => ({ ...a, body: noise((a.body as Buffer).length, 'x') }) }))
    expect(await refusal(bytesOf(layer.open()))).toMatch(
      new RegExp(`the bytes of ${layer.digest} have the digest sha256:\\w{64}.*push the image again`),
    )
  })

  it('R01 R02 is a config with other bytes or another length', async () => {
    const server = await serve()
    const { imageId } = await seed(server)
    const { store } = connect(server.host)
    server.faults = forBlobs({ edit: a => ({ ...a, body: textOf(a).replace('linux', 'LINUX') }) })
    expect(await refusal(store.pull('v1', platform))).toContain(`the bytes of ${imageId} have the digest`)
    server.faults = forBlobs({ edit: a => ({ ...a, body: `${textOf(a)} ` }) })
    expect(await refusal(store.pull('v1', platform))).toContain('but the manifest says')
    server.faults = undefined
    expect((await store.pull('v1', platform))?.imageId).toBe(imageId)
  })

  it('R02 has another length than the manifest says', async () => {
    const { layer, gets } = await layerUnder(forBlobs({ edit: a => ({ ...a, body: Buffer.alloc(10) }) }))
    expect(await refusal(bytesOf(layer.open()))).toContain(`the blob has 10 bytes, but the manifest says ${layer.size}`)
    expect(gets()).toHaveLength(1)
  })

  it('R03 R40 breaks off, and is taken up where it broke', async () => {
    let faults = 0
    const { layer, gets } = await layerUnder(() => (faults++ < 2 ? { reset: 50_000 } : undefined))
    expect(digestOf(await bytesOf(layer.open()))).toBe(layer.digest)
    const asked = ranges(gets())
    expect(asked).toHaveLength(3)
    expect(asked[0]).toBeUndefined()
    expect(asked[1]).toMatch(/^bytes=\d+-$/)
  })

  it('R03 R40 breaks off each time', async () => {
    const { layer, gets } = await layerUnder(() => ({ reset: 0 }))
    expect(await refusal(bytesOf(layer.open()))).toMatch(/the connection was (reset|closed)/)
    expect(gets().length).toBe(5)
  })

  it('R03 ends early without saying its length', async () => {
    const { layer } = await layerUnder(
      forBlobs({
        edit: a => ({ ...a, headers: { 'transfer-encoding': 'chunked' }, body: (a.body as Buffer).subarray(0, 100) }),
      }),
    )
    expect(await refusal(bytesOf(layer.open()))).toContain(`the blob ended after 100 of ${layer.size} bytes`)
  })

  it('R04 is endless', async () => {
    const { layer } = await layerUnder(
      forBlobs({ edit: a => ({ ...a, headers: { 'transfer-encoding': 'chunked' }, body: endless() }) }),
    )
    expect(await refusal(bytesOf(layer.open()))).toContain(`longer than the ${layer.size} bytes that the manifest says`)
  })

  it('R05 comes a byte at a time', async () => {
    const server = await serve()
    await seed(server, 'team/app:v1', { '/big': noise(20_000) })
    const { store } = connect(server.host, { limits: impatient })
    const image = await store.pull('v1', platform)
    server.faults = () => ({ drip: 20 })
    expect(await refusal(bytesOf(image!.layers[0]!.open()))).toMatch(/the answer is too slow: \d+ bytes in \d+ s/)
  })

  it('R05 stops coming', async () => {
    const { layer } = await layerUnder(forBlobs({ edit: a => ({ ...a, body: stalled(a.body as Buffer) }) }), impatient)
    expect(await refusal(bytesOf(layer.open()))).toContain('the answer stopped')
  })

  it('R06 has a Content-Encoding, or several', async () => {
    for (const encoding of ['gzip', 'gzip, br, gzip']) {
      const { layer, gets } = await layerUnder(
        forBlobs({ edit: a => ({ ...a, headers: { ...a.headers, 'content-encoding': encoding } }) }),
      )
      expect(await refusal(bytesOf(layer.open()))).toContain(`the Content-Encoding "${encoding}"`)
      expect(gets()[0]?.headers['accept-encoding']).toBe('identity')
    }
  })

  it('R22 begins at the start again though a range was asked for', async () => {
    let faults = 0
    const { layer, gets } = await layerUnder(({ headers }) => {
      delete headers.range
      return faults++ < 2 ? { reset: 60_000 } : undefined
    })
    expect(digestOf(await bytesOf(layer.open()))).toBe(layer.digest)
    expect(gets()).toHaveLength(3)
  })

  it.each(['bytes 7-99/100', 'bytes */200', 'nonsense', ''])('R23 answers with another range: %j', async range => {
    let faults = 0
    const { layer, gets } = await layerUnder(() => {
      if (faults++ === 0) return { reset: 60_000 }
      return { edit: a => (a.status === 206 ? { ...a, headers: { ...a.headers, 'content-range': range } } : a) }
    })
    expect(digestOf(await bytesOf(layer.open()))).toBe(layer.digest)
    // The third time without a range.
    expect(ranges(gets()).map(r => r !== undefined)).toEqual([false, true, false])
  })

  it('R23 has an ETag of another version', async () => {
    let faults = 0
    const { layer } = await layerUnder(() =>
      faults++ === 0
        ? { reset: 60_000 }
        : {
            edit: a => ({
              ...a,
              headers: { ...a.headers, etag: '"other"' },
              body: noise((a.body as Buffer).length, 'x'),
            }),
          },
    )
    expect(await refusal(bytesOf(layer.open()))).toContain('have the digest')
  })

  it('R27 is gone', async () => {
    const { server, layer } = await layerUnder()
    server.faults = ({ method }) =>
      method === 'GET' ? { answer: errorAnswer(404, 'BLOB_UNKNOWN', 'gone') } : undefined
    const line = await refusal(bytesOf(layer.open()))
    expect(line).toContain('the registry answered 404: BLOB_UNKNOWN: gone')
    expect(line).toContain(layer.digest)
  })

  it('says so in words that would forge a log line', async () => {
    const { layer } = await layerUnder(
      forBlobs({ answer: errorAnswer(400, 'BAD\nBAD', '\u001b[31mERROR\u0007 everything is lost\r\nDONE') }),
    )
    expect(await refusal(bytesOf(layer.open()))).toContain('BAD\\u000aBAD: \\u001b[31mERROR')
  })
})

async function* stalled(bytes: Buffer): AsyncGenerator<Uint8Array> {
  yield bytes.subarray(0, 100)
  await new Promise(resolve => setTimeout(resolve, 5_000).unref())
}

describe('redirects', () => {
  it('R16 are followed without Authorization', async () => {
    const storage = await serve()
    const server = await serve({
      redirectBlobsTo: `${storage.url}/bucket`,
      auth: { scheme: 'basic', username: 'ann', password: 'x' },
    })
    const { layer } = await seed(server)
    storage.faults = ({ url }) => ({ answer: { status: 200, body: server.blobs.get(url.pathname.split('/').at(-1)!) } })
    const credentials = {
      find: () => Promise.resolve({ kind: 'password', username: 'ann', password: 'x' } as const),
    }
    const image = await connect(server.host, { credentials }).store.pull('v1', platform)
    expect(digestOf(await bytesOf(image!.layers[0]!.open()))).toBe(layer.digest)
    expect(storage.requests).toHaveLength(2)
    for (const { headers } of storage.requests) expect(headers.authorization).toBeUndefined()
    expect(server.requests.some(r => r.headers.authorization !== undefined)).toBe(true)
  })

  it('R17 in a circle end', async () => {
    const server = await serve()
    await seed(server)
    server.faults = forBlobs({ answer: { status: 307, headers: { location: '?again' } } })
    expect(await refusal(connect(server.host).store.pull('v1', platform))).toContain('redirects more than 5 times')
    expect(server.lines.filter(l => l.includes('/blobs/'))).toHaveLength(6)
  })

  it.each([
    ['http://169.254.169.254/latest/meta-data', '169.254.169.254, a special address'],
    ['http://[::ffff:169.254.169.254]/', 'a special address'],
    ['http://0.0.0.0:1/', '0.0.0.0, a special address'],
    ['file:///etc/passwd', 'to file://, which Bale does not follow'],
    ['ftp://127.0.0.1/', 'to ftp://, which Bale does not follow'],
    ['http://', 'without a usable Location'],
  ])('R17 to %s are not followed', async (location, why) => {
    const server = await serve()
    await seed(server)
    server.faults = forBlobs({ answer: { status: 302, headers: { location } } })
    expect(await refusal(connect(server.host).store.pull('v1', platform))).toContain(why)
  })

  it('R24 without a Location are an error', async () => {
    const server = await serve()
    await seed(server)
    server.faults = forBlobs({ answer: { status: 302 } })
    expect(await refusal(connect(server.host).store.pull('v1', platform))).toContain('without a usable Location')
  })

  it('K10 to signed URLs are named without the signature', async () => {
    const storage = await serve()
    const server = await serve({ redirectBlobsTo: storage.url })
    await seed(server)
    server.faults = forBlobs({
      answer: { status: 307, headers: { location: `${storage.url}/x?X-Amz-Signature=hunter2-s3cret&n=1` } },
    })
    storage.faults = () => ({ answer: { status: 403 } })
    const line = await refusal(connect(server.host).store.pull('v1', platform))
    expect(line).toContain(`GET ${storage.url}/x?n=1&…`)
  })
})

describe('registries that are busy', () => {
  it.each([429, 500, 502, 503, 504])('R19 are asked again after %i', async status => {
    const server = await serve()
    const { digest } = await seed(server)
    let faults = 0
    server.faults = forManifests({ answer: errorAnswer(status, 'TOOMANYREQUESTS', 'slow down') })
    const failing = server.faults
    server.faults = request => (faults++ < 3 ? failing(request) : undefined)
    expect((await connect(server.host).store.pull('v1', platform))?.digest).toBe(digest)
  })

  it('R19 are given up after some attempts', async () => {
    const server = await serve()
    server.faults = forManifests({ answer: errorAnswer(503, 'UNAVAILABLE', 'down for today') })
    expect(await refusal(connect(server.host).store.pull('v1', platform))).toContain(
      'answered 503: UNAVAILABLE: down for today | try again later',
    )
    expect(server.lines.filter(l => l.includes('/manifests/'))).toHaveLength(5)
  })

  it.each([
    ['1', 900],
    [new Date(Date.now() + 100_000_000).toUTCString(), 0],
    ['-5', 0],
    ['nonsense', 0],
  ])('R19 say when to ask again: %s', async (header, atLeast) => {
    const server = await serve()
    await seed(server)
    let faults = 0
    server.faults = request => {
      if (!request.url.pathname.includes('/manifests/') || faults++ > 0) return undefined
      return { answer: errorAnswer(429, 'TOOMANYREQUESTS', 'slow down', { 'retry-after': header }) }
    }
    const started = performance.now()
    const pull = connect(server.host).store.pull('v1', platform)
    if (header.endsWith('GMT')) {
      // A day from now: too long to wait.
      expect(await refusal(pull)).toMatch(/answered 429.*the next request in \d{5,6} s/)
    } else {
      expect(await pull).toBeDefined()
    }
    const took = performance.now() - started
    expect(took).toBeGreaterThanOrEqual(atLeast)
    expect(took).toBeLessThan(atLeast + 2_000)
  })

  it('R19 want to be asked again in ten years', async () => {
    const server = await serve()
    server.faults = forManifests({ answer: errorAnswer(503, 'X', 'y', { 'retry-after': '315360000' }) })
    expect(await refusal(connect(server.host).store.pull('v1', platform))).toContain('the next request in 315360000 s')
    expect(server.lines.filter(l => l.includes('/manifests/'))).toHaveLength(1)
  })

  it('R05 never answer', async () => {
    const server = await serve()
    server.faults = request => (request.url.pathname === '/v2/' ? undefined : { hang: true })
    const { store } = connect(server.host, { limits: impatient })
    expect(await refusal(store.pull('v1', platform))).toContain('no answer came in time')
  })
})
