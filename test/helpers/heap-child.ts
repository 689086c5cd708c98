// The test of K13 runs this as a process. It pushes a layer as a build does, and writes a heap snapshot during the push and
// one after it.
import { join } from 'node:path'
import { writeHeapSnapshot } from 'node:v8'
import { silent } from '../../lifecycle/events.ts'
import { makeImage } from '../../lifecycle/image/image.ts'
import { Stores } from '../../lifecycle/stores/open.ts'
import { configOf, platform, sourceOf } from './images.ts'

const [dir, host] = process.argv.slice(2) as [string, string]

async function push(): Promise<void> {
  const settings = {
    dataDir: join(dir, 'data'),
    cacheDir: join(dir, 'cache'),
    platform,
    environment: {},
    dockerConfig: join(dir, 'config.json'),
    dockerSocket: '/nonexistent',
  }
  await using stores = new Stores(settings, silent)
  const [{ sink }] = await stores.destinations([`docker://${host}/team/app:v1`], false)
  await sink.checkWrite(['v1'])
  const source = sourceOf({ '/app/file': 'file' })
  const layer = await sink.putLayer({
    kind: 'source',
    createdBy: 'test',
    async *tar() {
      writeHeapSnapshot(join(dir, 'during.heapsnapshot'))
      yield* source.tar()
    },
  })
  await sink.putImage(makeImage(configOf(), [layer]), ['v1'])
}

await push()
// Objects of this turn of the event loop are not garbage yet.
await new Promise(resolve => setTimeout(resolve, 50))
globalThis.gc?.()
writeHeapSnapshot(join(dir, 'after.heapsnapshot'))
