import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { hexOf } from '../../lifecycle/image/digest.ts'
import { makeImage } from '../../lifecycle/image/image.ts'
import type { Layer } from '../../lifecycle/image/layer.ts'
import { parseReference } from '../../lifecycle/image/reference.ts'
import { anonymous } from '../../lifecycle/stores/credentials.ts'
import { memoryStore } from '../../lifecycle/stores/memory/store.ts'
import { openRegistry, registryStore } from '../../lifecycle/stores/registry/store.ts'
import { storeContract } from '../contracts/stores.ts'
import { type DockerRegistry, login, missing, startDockerRegistry } from '../helpers/docker-registry.ts'
import { bytesOf, configOf, noise, platform, sourceOf, uncompressed } from '../helpers/images.ts'
import { startRelay } from '../helpers/relay.ts'
import { credentialsOf, refusal } from '../helpers/registry/set-up.ts'
import { skip } from '../helpers/skip.ts'

const absent = missing('docker-registry')
if (absent !== undefined) it('a real registry', context => skip(context, absent))

describe.runIf(absent === undefined).each([
  ['open to all', false],
  ['with TLS and a login', true],
])("Docker's registry, %s", (_name, secure) => {
  let server: DockerRegistry
  let count = 0
  beforeAll(async () => {
    server = await startDockerRegistry({ secure })
  })
  afterAll(() => server.close())

  const connect = (credentials = secure ? credentialsOf({ kind: 'password', ...login }) : anonymous) => {
    const ca = server.certificate === undefined ? [] : [server.certificate]
    return openRegistry({ registry: server.host, credentials, ca })
  }
  const at = (repository: string) => {
    const registry = connect()
    onTestFinished(() => registry.close())
    return registryStore(parseReference(`${server.host}/${repository}`), { registry })
  }

  storeContract('docker-registry', () => {
    const repository = parseReference(`${server.host}/test/app-${count++}`)
    const registry = connect()
    const store = registryStore(repository, { registry })
    return Promise.resolve({
      store,
      name: text => text,
      reopen: () => Promise.resolve(registryStore(repository, { registry })),
      corrupt: digest => {
        const path = server.blobPath(hexOf(digest))
        const bytes = readFileSync(path)
        bytes[bytes.length - 3]! ^= 1
        writeFileSync(path, bytes)
        return Promise.resolve()
      },
      ...(secure && {
        unwritable: () => {
          const stranger = connect(anonymous)
          onTestFinished(() => stranger.close())
          return Promise.resolve(registryStore(repository, { registry: stranger }))
        },
      }),
      close: () => registry.close(),
    })
  })

  it('mounts a layer from another repository without a byte', async () => {
    const base = at('base/run')
    const layer = await base.putLayer(sourceOf({ '/big': noise(500_000, 'mounted') }, { piece: 100_000 }))
    const unread: Layer = { ...layer, open: () => expect.unreachable('the layer was read') }
    const store = at('team/mounted')
    const mounted = await store.putLayer(unread)
    await store.putImage(makeImage(configOf(), [mounted]), ['v1'])
    expect(await bytesOf((await store.pull('v1', platform))!.layers[0]!.open())).toHaveLength(layer.size)
  })

  it('takes a layer of many megabytes, and says when it does not know a tag', async () => {
    const store = at('team/large')
    const layer = await store.putLayer(sourceOf({ '/big': noise(10_000_000) }, { piece: 1_000_000 }))
    const image = makeImage(configOf(), [layer])
    await store.putImage(image, ['v1', 'v2'])
    const found = await store.pull('v2', platform)
    expect(uncompressed(await bytesOf(found!.layers[0]!.open()), layer.mediaType).length).toBeGreaterThan(10_000_000)
    expect(await store.pull('v3', platform)).toBeUndefined()
  })

  it.runIf(secure)('says how to log in', async () => {
    const registry = connect(anonymous)
    onTestFinished(() => registry.close())
    const store = registryStore(parseReference(`${server.host}/team/app`), { registry })
    expect(await refusal(store.checkWrite(['v1']))).toMatch(
      /401: UNAUTHORIZED: authentication required \| run docker login/,
    )
  })

  it('holds what skopeo reads, and what it writes', async context => {
    const without = missing('skopeo')
    if (without !== undefined) return skip(context, without)
    const dir = mkdtempSync(join(tmpdir(), 'bale-skopeo-'))
    onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
    const skopeo = (...args: string[]) => execFileSync('skopeo', ['--insecure-policy', ...args], { encoding: 'utf8' })
    const user = (side: string) => (secure ? [`--${side}creds=${login.username}:${login.password}`] : [])
    const store = at('team/skopeo')
    for (const format of ['oci', 'docker'] as const) {
      const layers = [
        await store.putLayer(sourceOf({ '/app/hello.txt': 'hello' })),
        await store.putLayer(sourceOf({ '/x': 'x' })),
      ]
      const image = makeImage(configOf({ created: '1980-01-01T00:00:01Z' }), layers, format)
      await store.putImage(image, [format])
      const from = `docker://${server.host}/team/skopeo:${format}`
      skopeo('copy', '--src-tls-verify=false', ...user('src-'), from, `oci:${dir}/${format}:v1`)
      skopeo('copy', '--dest-tls-verify=false', ...user('dest-'), `oci:${dir}/${format}:v1`, `${from}-back`)
      const inspected = JSON.parse(skopeo('inspect', '--tls-verify=false', ...user(''), from)) as { Digest: string }
      expect(inspected.Digest).toBe(image.digest)
      const back = await store.pull(`${format}-back`, platform)
      expect(back?.layers.map(l => l.digest)).toEqual(image.layers.map(l => l.digest))
      expect(back?.config.rootfs).toEqual(image.config.rootfs)
    }
  })
})

describe.runIf(absent === undefined)("R20 R40 an upload to Docker's registry that is cut at 90 %", () => {
  it.each(['a layer that is made', 'a layer that exists'])('is begun anew: %s', async kind => {
    const server = await startDockerRegistry({ secure: false })
    onTestFinished(() => server.close())
    const source = sourceOf({ '/big': noise(8_000_000) }, { piece: 200_000 })
    const layer = await memoryStore().putLayer(source)
    const relay = await startRelay(server.host, layer.size * 0.9)
    onTestFinished(() => relay.close())
    const registry = openRegistry({ registry: relay.host, credentials: anonymous })
    onTestFinished(() => registry.close())
    const store = registryStore(parseReference(`${relay.host}/team/cut`), { registry })
    const put = await store.putLayer(kind.endsWith('made') ? source : layer)
    expect(put.digest).toBe(layer.digest)
    expect(await bytesOf(put.open())).toHaveLength(layer.size)
    // This registry (2.8) keeps the offset in the signed Location, and knows no session whose stream broke off: it answers
    // 404. Those that do say where they stopped are in registry-push.test.ts.
    expect(relay.sent / layer.size).toBeGreaterThan(1.8)
    expect(relay.sent / layer.size).toBeLessThan(2)
  })
})
