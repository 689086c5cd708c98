import { silent } from '../lifecycle/events.ts'
import { parseReference } from '../lifecycle/image/reference.ts'
import { rebase } from '../lifecycle/phases/rebase.ts'
import { requirePlatformApi } from '../lifecycle/spec/api.ts'
import { anonymous } from '../lifecycle/stores/credentials.ts'
import { openRegistry, registryStore } from '../lifecycle/stores/registry/store.ts'
import { putAppImage, putRunImage } from '../test/helpers/app-image.ts'
import { noise, platform } from '../test/helpers/images.ts'
import { startRegistry } from '../test/helpers/registry.ts'
import type { Row } from './measure.ts'

/** What a rebase asks of a registry that has both images. */
export async function rebaseRows(): Promise<Row[]> {
  const server = await startRegistry()
  const registry = openRegistry({ registry: server.host, credentials: anonymous })
  try {
    const at = (repository: string) => registryStore(parseReference(`${server.host}/${repository}`), { registry })
    const [apps, bases] = [at('team/app'), at('base/run')]
    const layers = ['a', 'b', 'c', 'd', 'e'].map(name => ({ [`/${name}`]: noise(20_000, name) }))
    const old = await putRunImage(bases, 'v1')
    await putAppImage(apps, 'latest', { image: old, name: `${server.host}/base/run` })
    const image = await putRunImage(bases, 'v2', { layers })
    const app = await apps.pull('latest', platform)
    if (app === undefined) throw new Error('the app is not there')
    server.requests.length = 0
    const before = server.received
    const rebased = await rebase({
      app: { name: 'app', image: app },
      runImage: { name: `${server.host}/base/run:v2`, image, reference: 'r' },
      destination: { sink: apps, names: ['latest'] },
      force: true,
      features: requirePlatformApi('0.15'),
      reporter: silent,
    })
    const named = new Set<string>(rebased.image.layers.map(layer => layer.digest))
    const ofLayers = server.requests.filter(
      ({ url }) => url.searchParams.has('mount') || named.has(url.pathname.split('/').at(-1) ?? ''),
    )
    const read = ofLayers.filter(({ method }) => method === 'GET').length
    const rest = server.requests.length - ofLayers.length
    const count = (name: string, value: number, target: number): Row => {
      return { piece: 'rebase', name, count: value, target, met: value <= target }
    }
    return [
      // One more than layers: whether a registry that says it has mounted a layer tells the truth.
      count(`HEADs and mounts, for ${named.size} layers`, ofLayers.length - read, named.size + 1),
      count('layers read', read, 0),
      count('other requests: config and manifest', rest, 4),
      count('bytes sent but config and manifest', server.received - before - rebased.image.configBytes.length, 0),
    ]
  } finally {
    await registry.close()
    await server.close()
  }
}
