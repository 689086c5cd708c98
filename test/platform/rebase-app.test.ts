import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { rebase } from '../../lifecycle/platform/rebase-app.ts'
import { settings } from '../../lifecycle/platform/settings.ts'
import { layoutStore } from '../../lifecycle/stores/layout/store.ts'
import { memoryStore } from '../../lifecycle/stores/memory/store.ts'
import { memoryTransport } from '../../lifecycle/stores/memory/transport.ts'
import { transports } from '../../lifecycle/stores/transports.ts'
import { putAppImage, putRunImage } from '../helpers/app-image.ts'
import { platform } from '../helpers/images.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'

/** A machine with an app on the run image `name`, of which a newer version is in the same place. */
async function machine(name: string) {
  const home = await temporaryDirectory()
  const [memory, local] = [memoryStore(), layoutStore(join(home, '.local/share/bale/images'))]
  const [store, there] = name.startsWith('memory:') ? [memory, name.slice(7)] : [local, `${name}:latest`]
  const image = await putRunImage(store, there, { layers: [{ '/release': '1' }] })
  await putAppImage(memory, 'app', { image, name })
  const newer = await putRunImage(store, there, { layers: [{ '/release': '2' }] })
  const own = { ...settings({ HOME: home }), registryAttempts: 1, transports: [...transports, memoryTransport(memory)] }
  return { memory, settings: own, newer }
}

describe('bale rebase', () => {
  it('with --previous-image rebases that one, which keeps its name, and reports the result', async () => {
    const { memory, settings, newer } = await machine('memory:run')
    const before = await memory.pull('app', platform)
    const { report } = await rebase({ image: 'memory:result', previousImage: 'memory:app', force: true, settings })
    const result = await memory.pull('result', platform)
    expect(result?.layers[0]?.diffId).toBe(newer.layers[0]?.diffId)
    expect(result?.layers).toHaveLength(before?.layers.length ?? 0)
    expect((await memory.pull('app', platform))?.digest).toBe(before?.digest)
    expect(report).toMatchObject({ tags: ['result'], digest: result?.digest })
  })

  it('names the previous image that is not there', async () => {
    const { settings } = await machine('memory:run')
    const rebased = rebase({ image: 'memory:app', previousImage: 'memory:none', settings })
    await expect(rebased).rejects.toThrow('there is no image memory:none')
  })

  it('reads a plain run image on this machine or in its registry, as the pull policy says', async () => {
    const { settings } = await machine('registry.invalid/run')
    const app = { image: 'memory:app', settings }
    await expect(rebase({ ...app, pullPolicy: 'always' })).rejects.toThrow('the host does not exist')
    expect((await rebase({ ...app, pullPolicy: 'never' })).kind).toBe('image')
    expect((await rebase({ ...app, pullPolicy: 'if-not-present' })).kind).toBe('image')
    const elsewhere = { ...app, runImage: 'registry.invalid/other', force: true }
    await expect(rebase({ ...elsewhere, pullPolicy: 'never' })).rejects.toThrow(
      'there is no image registry.invalid/other in the local store',
    )
  })
})
