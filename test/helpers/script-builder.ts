import { join } from 'node:path'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { silent } from '../../lifecycle/events.ts'
import { makeImage } from '../../lifecycle/image/image.ts'
import type { LayerEntry } from '../../lifecycle/layers/tree/entries.ts'
import { layerSource } from '../../lifecycle/layers/tree/pack.ts'
import { Stores } from '../../lifecycle/stores/open.ts'
import { storeSettings } from '../../lifecycle/stores/settings.ts'
import { shellBuildpack } from './builder-images.ts'
import { writeTree } from './tree.ts'

const order = '[[order]]\n[[order.group]]\nid = "test/script"\nversion = "1"\n'

/** Writes a builder image again with one buildpack more, which runs the app's build.sh, as the only one of the order. */
export async function addScriptBuildpack(from: string, to: string): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'bale-script-builder-'))
  const settings = { ...storeSettings(process.env), cacheDir: join(dir, 'cache') }
  try {
    const tree = join(dir, 'tree')
    const buildpack = shellBuildpack('test/script', '1', {
      detect: 'test -e build.sh',
      build: 'exec sh ./build.sh "$@"',
    })
    await writeTree(tree, buildpack)
    await using stores = new Stores(settings, silent)
    const { image } = await stores.find(`oci-archive:${from}`)
    const [{ sink, names }] = await stores.destinations([`oci-archive:${to}`], false)
    const owner = { uid: 0, gid: 0 }
    const entries: LayerEntry[] = [
      {
        kind: 'tree',
        imagePath: '/cnb/buildpacks/test_script',
        hostPath: join(tree, 'cnb/buildpacks/test_script'),
        ...owner,
      },
      { kind: 'file', imagePath: '/cnb/order.toml', mode: 0o644, content: Buffer.from(order), ...owner },
    ]
    const layers = []
    for (const layer of [...image.layers, layerSource('A buildpack of tests', entries)])
      layers.push(await sink.putLayer(layer))
    await sink.putImage(makeImage({ ...image.config, history: [] }, layers), names)
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}
