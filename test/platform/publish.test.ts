import { join } from 'node:path'
import { expect, it } from 'vitest'
import { silent } from '../../lifecycle/events.ts'
import { publishElsewhere, withDisplayNames } from '../../lifecycle/platform/publish.ts'
import type { BuildEvent, Reporter } from '../../lifecycle/events.ts'
import { makeImage } from '../../lifecycle/image/image.ts'
import { memoryStore } from '../../lifecycle/stores/memory/store.ts'
import { Stores } from '../../lifecycle/stores/open.ts'
import { storeSettings } from '../../lifecycle/stores/settings.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'

const hello = 'index.docker.io/library/hello:latest'

function recorder(): { events: BuildEvent[]; reporter: Reporter } {
  const events: BuildEvent[] = []
  return { events, reporter: { event: e => void events.push(e), close: async () => {} } }
}

it('a file or a directory is called by its path, and names in one store come together', async () => {
  await using stores = new Stores(storeSettings({ HOME: join(await temporaryDirectory(), 'home') }), silent)
  const texts = ['oci:out:v1', 'hello', 'docker-archive:a.tar', 'oci:out:v2', 'hello', 'docker-daemon:hello']
  const destinations = await stores.destinations(texts, false)
  expect(destinations.map(d => d.displayNames)).toEqual([
    ['oci:out:v1', 'oci:out:v2'],
    [hello],
    ['docker-archive:a.tar'],
    ['docker.io/library/hello:latest'],
  ])
  expect(destinations.map(d => d.names)).toEqual([['v1', 'v2'], [hello], [''], ['docker.io/library/hello:latest']])
})

it('the user is told of every place that an image goes to', async () => {
  const { events, reporter } = recorder()
  const image = makeImage({ os: 'linux', architecture: 'amd64', rootfs: { type: 'layers', diff_ids: [] } }, [])
  const { digest, imageId } = image
  const sink = memoryStore()
  const at = (name: string, displayName = name) => {
    const previous = { source: sink, name }
    return { sink, names: [name], displayNames: [displayName], identity: 'store', previous }
  }
  const saved = { type: 'saved', names: [''], digest, imageId, size: 0 } as const
  withDisplayNames(at('', 'docker-archive:a.tar'), reporter).event({ ...saved, names: [''] })
  const names = await publishElsewhere(image, [at('v1', 'oci:out:v1'), at(hello)], reporter)
  expect(names).toEqual(['v1', hello])
  expect(events.map(e => e.type === 'saved' && [e.names, e.digest])).toEqual([
    [['docker-archive:a.tar'], digest],
    [['oci:out:v1'], digest],
    [[hello], digest],
  ])
})
