import { describe, expect, it } from 'vitest'
import { silent } from '../../lifecycle/events.ts'
import { checkRebase } from '../../lifecycle/platform/rebase-app.ts'
import { settings } from '../../lifecycle/platform/settings.ts'
import { memoryStore } from '../../lifecycle/stores/memory/store.ts'
import { memoryTransport } from '../../lifecycle/stores/memory/transport.ts'
import { transports } from '../../lifecycle/stores/transports.ts'
import { putAppImage, putRunImage } from '../helpers/app-image.ts'
import type { Files } from '../helpers/images.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'

const stanza = (name: string, version: string, status?: string): string =>
  `Package: ${name}\n${status === undefined ? '' : `Status: ${status}\n`}Architecture: amd64\nVersion: ${version}\nDescription: x\n Version: 9\n`
const installed = 'install ok installed'
const status = (...stanzas: string[]): Files => ({ '/var/lib/dpkg/status': stanzas.join('\n') })

/** What `rebase --check` says of an app on a run image of layers, once the run image has others. */
async function check(before: Files[], after: Files[]) {
  const store = memoryStore()
  const own = settings({ HOME: await temporaryDirectory() })
  const run = await putRunImage(store, 'run', { layers: before })
  await putAppImage(store, 'app', { image: run, name: 'memory:run' })
  await putRunImage(store, 'run', { layers: after })
  const memory = { ...own, transports: [...transports, memoryTransport(store)] }
  const checks = await checkRebase({ image: 'memory:app', runImage: 'memory:run', settings: memory, reporter: silent })
  return checks[0]
}

describe('bale rebase --check', () => {
  it('lists the packages that change, of the topmost record in each image', async () => {
    const before: Files[] = [
      status(stanza('stale', '0', installed)),
      status(stanza('a', '1', installed), stanza('b', '1', installed), stanza('gone', '1', installed)),
    ]
    const after = [status(stanza('a', '2', installed), stanza('b', '1', installed), stanza('new', '1', installed))]
    expect(await check(before, after)).toMatchObject({
      state: 'newer',
      packages: [
        { name: 'a', from: '1', to: '2' },
        { name: 'gone', from: '1', to: undefined },
        { name: 'new', from: undefined, to: '1' },
      ],
    })
  })

  it('reads records of single packages, whiteouts, and leaves out what is not installed', async () => {
    const before: Files[] = [
      { '/var/lib/dpkg/status.d/a': stanza('a', '1'), '/var/lib/dpkg/status.d/b': stanza('b', '1') },
      { '/var/lib/dpkg/status.d/.wh.b': '' },
    ]
    const after = [status(stanza('a', '1', installed), stanza('c', '1', 'deinstall ok config-files'))]
    expect((await check(before, after))?.packages).toEqual([])
  })

  it('says nothing of packages that nobody records, or of the same run image', async () => {
    expect(await check([{ '/x': '1' }], [{ '/x': '2' }])).toMatchObject({ state: 'newer', packages: undefined })
    const same = [status(stanza('a', '1', installed))]
    expect(await check(same, same)).toMatchObject({ state: 'current', packages: undefined })
  })
})
