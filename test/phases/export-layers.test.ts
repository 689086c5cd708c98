import { describe, expect, it } from 'vitest'
import { silent } from '../../lifecycle/events.ts'
import { appLayers, configLayer, launcherLayer } from '../../lifecycle/phases/export-layers.ts'
import { bytesOf } from '../helpers/images.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { writeTree } from '../helpers/tree.ts'
import { entriesIn } from './rebuild.ts'

const owner = { uid: 1000, gid: 1000 }

describe('the parents of what a layer holds', () => {
  it('are those within the layers and app directories: an entry for /tmp or /usr would change the run image’s', async () => {
    const host = await temporaryDirectory()
    await writeTree(host, { 'config/metadata.toml': '', 'app/main.js': '' })
    const layers = { host, image: '/tmp/platform/layers' }
    const app = { host: `${host}/app`, image: '/usr/src/app' }
    const paths = async (source: { tar(): AsyncIterable<Uint8Array> }): Promise<string[]> => [
      ...(await entriesIn(await bytesOf(source.tar()))).keys(),
    ]
    expect(await paths(configLayer(layers, owner, silent).source)).toEqual([
      '/tmp/platform/layers',
      '/tmp/platform/layers/config',
      '/tmp/platform/layers/config/metadata.toml',
    ])
    const [whole] = await appLayers(app, [], owner, silent)
    expect(await paths(whole!.source)).toEqual(['/usr/src/app', '/usr/src/app/main.js'])
    const [slice] = await appLayers(app, [{ paths: ['main.js'] }], owner, silent)
    expect(await paths(slice!.source)).toEqual(['/usr/src/app', '/usr/src/app/main.js'])
    expect(await paths(launcherLayer(`${host}/app/main.js`).source)).toEqual([
      '/cnb',
      '/cnb/lifecycle',
      '/cnb/lifecycle/launcher',
    ])
  })
})
