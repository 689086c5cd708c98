import { expect, it } from 'vitest'
import { chunkedCache } from '../../../lifecycle/caches/chunks/cache.ts'
import { layerSource } from '../../../lifecycle/layers/tree/pack.ts'
import type { LayerEntry } from '../../../lifecycle/layers/tree/entries.ts'
import type { LayerSource } from '../../../lifecycle/image/layer.ts'
import { metadataOf } from '../../contracts/caches.ts'
import { noise } from '../../helpers/images.ts'
import { memoryStorage } from '../../helpers/memory-storage.ts'

// Bytes that ten apps move whose dependencies are the same but for a fifth: to caches of their own, and to a shared one.

const root = { uid: 1000, gid: 1000 }
const modules = '/layers/bale_nodejs/modules/node_modules'

/** A package: between 2 and 80 kB in some files, in a folder more often than not. Its text compresses as code does. */
function packageOf(name: string, seed: number): LayerEntry[] {
  const dir = `${modules}/${name}`
  const entries: LayerEntry[] = [{ kind: 'directory', imagePath: dir, mode: 0o755, ...root }]
  const file = (path: string, size: number): void => {
    const content = Buffer.from(
      noise(Math.ceil(size / 4), `${name} ${path}`)
        .toString('hex')
        .repeat(2)
        .slice(0, size),
    )
    entries.push({ kind: 'file', imagePath: `${dir}/${path}`, mode: 0o644, content, ...root })
  }
  file('LICENSE', 1000)
  if (seed % 3 > 0) {
    entries.push({ kind: 'directory', imagePath: `${dir}/lib`, mode: 0o755, ...root })
    for (let i = 0; i < 1 + (seed % 7); i++) file(`lib/${i}.js`, 500 + ((seed * 7919 + i * 104_729) % 12_000))
  }
  file('package.json', 600 + (seed % 500))
  return entries
}

/** node_modules of an app: packages by name, of which a fifth are its own. */
function appLayer(app: number): LayerSource {
  const names = Array.from({ length: 80 }, (_, i) => [i % 5 === 2 ? `pkg-${i}-of-app-${app}` : `pkg-${i}`, i] as const)
  const sorted = names.toSorted(([a], [b]) => (a < b ? -1 : 1))
  const dirs = ['/layers', '/layers/bale_nodejs', '/layers/bale_nodejs/modules', modules]
  return layerSource('dependencies', [
    ...dirs.map((imagePath): LayerEntry => ({ kind: 'directory', imagePath, mode: 0o755, ...root })),
    ...sorted.flatMap(([name, seed]) => packageOf(name, seed)),
  ])
}

it('moves less than 30 % of what ten separate caches take', async () => {
  const shared = memoryStorage()
  let [separate, objects] = [0, 0]
  for (let app = 0; app < 10; app++) {
    const alone = memoryStorage()
    for (const storage of [alone, shared]) {
      await using writer = await chunkedCache(storage, `app-${app}`).begin()
      const { diffId } = await writer.put(appLayer(app))
      await writer.commit(metadataOf({ modules: diffId }))
    }
    separate += alone.moved.put
    objects = alone.objects.size
  }
  const ratio = shared.moved.put / separate
  expect(ratio).toBeLessThan(0.3) // 0.289; what they have in common and nothing else would be 0.28
  expect(objects).toBeLessThan(100)
})
