import { expect, it } from 'vitest'
import { publishElsewhere, withDisplayNames, displayNames } from '../../lifecycle/platform/publish.ts'
import type { BuildEvent, Reporter } from '../../lifecycle/events.ts'
import { makeImage } from '../../lifecycle/image/image.ts'
import { memoryStore } from '../../lifecycle/stores/memory.ts'

const hello = 'index.docker.io/library/hello:latest'

function recorder(): { events: BuildEvent[]; reporter: Reporter } {
  const events: BuildEvent[] = []
  return { events, reporter: { event: e => void events.push(e), close: async () => {} } }
}

it('a file or a directory is called by its path, and names in one store come together', () => {
  const texts = ['oci:out:v1', 'hello', 'docker-archive:a.tar', 'oci:out:v2', 'hello', 'docker-daemon:hello']
  expect(displayNames(texts, false)).toEqual([
    ['oci:out:v1', 'oci:out:v2'],
    [hello],
    ['docker-archive:a.tar'],
    ['docker.io/library/hello:latest'],
  ])
})

it('the user is told of every place that an image goes to', async () => {
  const { events, reporter } = recorder()
  const image = makeImage({ os: 'linux', architecture: 'amd64', rootfs: { type: 'layers', diff_ids: [] } }, [])
  const { digest, imageId } = image
  withDisplayNames(['docker-archive:a.tar'], reporter).event({ type: 'saved', names: [''], digest, imageId, size: 0 })
  const sink = memoryStore()
  const place = { sink, names: [hello], identity: 'store', previous: { source: sink, name: hello } }
  const titles = [['oci:out:v1'], [hello]]
  const names = await publishElsewhere(image, [{ ...place, names: ['v1'] }, place], { names: titles, reporter })
  expect(names).toEqual(['v1', hello])
  expect(events.map(e => e.type === 'saved' && [e.names, e.digest])).toEqual([
    [['docker-archive:a.tar'], digest],
    [['oci:out:v1'], digest],
    [[hello], digest],
  ])
})
