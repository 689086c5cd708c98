import { silent } from '../lifecycle/events.ts'
import { parseReference } from '../lifecycle/image/reference.ts'
import { rebase } from '../lifecycle/phases/rebase.ts'
import { requirePlatformApi } from '../lifecycle/spec/api.ts'
import { anonymous } from '../lifecycle/stores/credentials.ts'
import { openRegistry, registryStore } from '../lifecycle/stores/registry/store.ts'
import { putAppImage, putRunImage } from '../test/helpers/app-image.ts'
import { noise, platform } from '../test/helpers/images.ts'
import { type Recorded, startRegistry } from '../test/helpers/registry.ts'
import type { Bench } from './bench.ts'
import type { Row } from './measure.ts'

/** Counts the requests of a rebase to a registry that has both images. */
export async function rebaseRows({ ends }: Bench): Promise<Row[]> {
  const server = ends.adopt(await startRegistry(), started => started.close())
  // Opens a new store each time: a store remembers what was pushed through it, and a new process has no such memory.
  const open = () => {
    const registry = ends.adopt(openRegistry({ registry: server.host, credentials: anonymous }), opened =>
      opened.close(),
    )
    return (repository: string) => registryStore(parseReference(`${server.host}/${repository}`), { registry })
  }
  const before = open()
  const name = `${server.host}/base/run`
  await putAppImage(before('team/app'), 'latest', { image: await putRunImage(before('base/run'), 'v1'), name })
  const layers = ['a', 'b', 'c', 'd', 'e'].map(letter => ({ [`/${letter}`]: noise(20_000, letter) }))
  await putRunImage(before('base/run'), 'v2', { layers })
  server.requests.length = 0
  const sent = server.received

  const now = open()
  const [apps, bases] = [now('team/app'), now('base/run')]
  const [app, image] = [await apps.pull('latest', platform), await bases.pull('v2', platform)]
  if (app === undefined || image === undefined) throw new Error('an image is not there')
  const rebased = await rebase({
    app: { name: 'app', image: app },
    runImage: { name: `${name}:v2`, image, reference: 'r' },
    destination: { sink: apps, names: ['latest'] },
    force: true,
    features: requirePlatformApi('0.15'),
    reporter: silent,
  })

  const asksFor = (digest: string) => (request: Recorded) =>
    [request.url.searchParams.get('mount'), request.url.pathname.split('/').at(-1)].includes(digest)
  const perLayer = rebased.image.layers.map(({ digest }) => server.requests.filter(asksFor(digest)))
  const ofLayers = perLayer.flat()
  const rest = server.requests.filter(request => !ofLayers.includes(request))
  const reads = (requests: readonly Recorded[]): number => requests.filter(({ method }) => method === 'GET').length
  const count = (what: string, value: number, target?: number): Row => {
    return { piece: 'rebase', name: what, count: value, ...(target !== undefined && { target, met: value <= target }) }
  }
  return [
    count(`HEADs and mounts, for ${perLayer.length} layers`, ofLayers.length - reads(ofLayers), perLayer.length),
    count('HEADs and mounts of one layer, at most', Math.max(...perLayer.map(of => of.length - reads(of))), 1),
    count('layers read', reads(ofLayers), 0),
    count('other reads: manifests and configs', reads(rest)),
    count('other requests: to write a config and a manifest', rest.length - reads(rest), 4),
    count('bytes sent but the config', server.received - sent - rebased.image.configBytes.length, 0),
  ]
}
