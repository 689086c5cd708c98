import { expect, it } from 'vitest'
import { rebase } from '../../lifecycle/phases/rebase.ts'
import { requirePlatformApi } from '../../lifecycle/spec/api.ts'
import { silent } from '../../lifecycle/events.ts'
import { putAppImage, putRunImage } from '../helpers/app-image.ts'
import { noise, platform } from '../helpers/images.ts'
import type { RegistryOptions } from '../helpers/registry.ts'
import { connect, serve } from '../helpers/registry/set-up.ts'

const runLayers = ['a', 'b', 'c', 'd', 'e'].map(name => ({ [`/${name}`]: noise(20_000, name) }))

/** An app in `team/app` and a new run image in `base/run` of one registry; what it takes to rebase the one on the other. */
async function rebasedInRegistry(options: RegistryOptions = {}, prepare?: (server: Server) => void) {
  const server = await serve(options)
  const first = connect(server.host)
  const old = await putRunImage(first.at('base/run'), 'v1')
  await putAppImage(first.at('team/app'), 'latest', { image: old, name: `${server.host}/base/run` })
  await putRunImage(first.at('base/run'), 'v2', { layers: runLayers })
  server.requests.length = 0
  prepare?.(server)

  // Another process, which knows nothing yet.
  const { at } = connect(server.host)
  const [store, base] = [at('team/app'), at('base/run')]
  const [app, runImage] = [await store.pull('latest', platform), await base.pull('v2', platform)]
  const reads = server.requests.length
  const rebasing = rebase({
    app: { name: 'app', image: app! },
    runImage: { name: `${server.host}/base/run:latest`, image: runImage!, reference: 'r' },
    destination: { sink: store, names: ['latest'] },
    force: false,
    features: requirePlatformApi('0.15'),
    reporter: silent,
  })
  return { server, app: app!, runImage: runImage!, reads, rebasing }
}
type Server = Awaited<ReturnType<typeof serve>>

const isMount = (r: { url: URL }): boolean => r.url.searchParams.has('mount')

it('reads no layer, mounts those of the run image, and makes no request that it need not', async () => {
  const { server, app, runImage, reads, rebasing } = await rebasedInRegistry()
  const { image } = await rebasing
  // Manifest and config of both images, after one look at how the registry is reached.
  expect(reads).toBeLessThanOrEqual(2 * 2 + 1)
  const layers = new Set(image.layers.map(l => l.digest))
  const done = server.requests.slice(reads)
  const ofLayers = done.filter(r => isMount(r) || layers.has(r.url.pathname.split('/').at(-1) as `sha256:${string}`))
  // One a layer, and one to see that the registry's word on its first mount can be trusted (R26).
  expect(ofLayers.filter(isMount)).toHaveLength(runLayers.length)
  expect(ofLayers.filter(r => !isMount(r)).map(r => r.method)).toEqual(Array(app.layers.length - 2 + 1).fill('HEAD'))
  expect(ofLayers).toHaveLength(image.layers.length + 1)
  // The config: whether it is there, and an upload. The manifest.
  expect(done.filter(r => !ofLayers.includes(r)).map(r => r.method)).toEqual(['HEAD', 'POST', 'PUT', 'PUT'])
  expect(server.received).toBe(image.configBytes.length)
  const { layers: stored } = JSON.parse(server.manifests.get('team/app:latest')!.bytes.toString()) as {
    layers: { digest: string }[]
  }
  expect(stored.slice(0, runLayers.length).map(l => l.digest)).toEqual(runImage.layers.map(l => l.digest))
})

it('R25 copies the run image’s layers where the registry mounts none, and asks for that once', async () => {
  const { server, reads, rebasing } = await rebasedInRegistry({ refusesMounts: true })
  const { image } = await rebasing
  const done = server.requests.slice(reads)
  expect(done.filter(isMount).length).toBeLessThanOrEqual(4) // as many as are under way at once
  expect(server.received).toBe(image.layers.slice(0, 5).reduce((sum, l) => sum + l.size, image.configBytes.length))
})

it('R26 copies them where the registry says yes and does nothing', async () => {
  const { server, rebasing } = await rebasedInRegistry({}, lying => {
    lying.faults = ({ url }) => (url.searchParams.has('mount') ? { answer: { status: 201 } } : undefined)
  })
  const { image } = await rebasing
  for (const { digest } of image.layers) expect(server.links.has(`team/app@${digest}`)).toBe(true)
})

it('leaves the tag where it was when the registry takes no manifest', async () => {
  const { server, app, rebasing } = await rebasedInRegistry({}, refusing => {
    refusing.faults = ({ method, url }) =>
      method === 'PUT' && url.pathname.includes('/manifests/') ? { answer: { status: 403 } } : undefined
  })
  await expect(rebasing).rejects.toMatchObject({ code: 'registry' })
  server.faults = undefined
  expect((await connect(server.host).store.pull('latest', platform))!.digest).toBe(app.digest)
})
