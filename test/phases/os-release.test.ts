import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { digestOf } from '../../lifecycle/image/digest.ts'
import type { Layer } from '../../lifecycle/image/layer.ts'
import { layerMediaType } from '../../lifecycle/image/media-types.ts'
import { readOsRelease } from '../../lifecycle/phases/os-release.ts'
import { failureOf } from '../helpers/failure.ts'
import { noise } from '../helpers/images.ts'
import { directory, file, hardlink, streamOf, symlink, tar } from '../helpers/tar.ts'

function layer(...entries: Uint8Array[]): Layer & { opened: number } {
  const bytes = tar(...entries)
  const blob = gzipSync(bytes)
  return {
    kind: 'layer',
    diffId: digestOf(bytes),
    digest: digestOf(blob),
    size: blob.length,
    mediaType: layerMediaType('gzip'),
    opened: 0,
    open() {
      this.opened++
      return streamOf(blob)
    },
  }
}

const debian = layer(
  directory('etc/'),
  symlink('etc/os-release', '../usr/lib/os-release'),
  file('usr/lib/os-release', 'ID=debian\n'),
)
const other = layer(file('usr/lib/os-release', 'ID=other\n'))

describe('the os-release of an image', () => {
  it.each<[string, Layer[], string | undefined]>([
    ['is a file in /etc', [layer(file('./etc/os-release', 'ID=alpine\n'))], 'ID=alpine\n'],
    ['is where the link leads', [debian], 'ID=debian\n'],
    ['is where an absolute link leads', [other, layer(symlink('etc/os-release', '/usr/lib/os-release'))], 'ID=other\n'],
    ['may have variants', [layer(symlink('etc/os-release', '../usr/lib/os-release'), symlink('usr/lib/os-release', './os.release.d/os-release-fedora'), file('usr/lib/os.release.d/os-release-fedora', 'ID=fedora\n'))], 'ID=fedora\n'], // prettier-ignore
    ['is that of the topmost layer', [debian, other], 'ID=other\n'],
    ['stays below layers that have nothing to do with it', [debian, layer(file('app', 'x'))], 'ID=debian\n'],
    ['is in a large layer', [layer(file('x', '', { content: noise(2_000_000) }), file('etc/os-release', 'ID=ä\n'))], 'ID=ä\n'], // prettier-ignore
    ['is gone when it is deleted', [debian, layer(file('etc/.wh.os-release'))], undefined],
    ['is gone when what it leads to is deleted', [debian, layer(file('usr/.wh.lib'))], undefined],
    ['is gone when its directory is emptied', [debian, layer(file('etc/.wh..wh..opq'))], undefined],
    ['is gone when something else takes the place of its directory', [debian, layer(symlink('etc', 'usr'))], undefined],
    ['survives what a layer deletes below itself', [debian, layer(file('etc/.wh..wh..opq'), file('etc/os-release', 'ID=new\n'))], 'ID=new\n'], // prettier-ignore
    ['is not there in an image from scratch', [layer(file('app', 'x'))], undefined],
    ['leads in a circle', [layer(symlink('etc/os-release', 'os-release'))], undefined],
    ['leads out of the image', [layer(symlink('etc/os-release', '../../../../etc/hostname'))], undefined],
    ['is not what a hard link shares with a file elsewhere', [debian, layer(file('x', 'y'), hardlink('etc/os-release', 'x'))], undefined], // prettier-ignore
    ['is not a gigantic file', [layer(file('etc/os-release', 'x'.repeat(100_000)))], undefined],
  ])('%s', async (_what, layers, text) => {
    expect(await readOsRelease(layers)).toBe(text)
  })

  it('is looked for from above, each layer once, and no further down than need be', async () => {
    const [low, middle, top] = [layer(file('low', 'x')), layer(symlink('etc/os-release', '../usr/lib/os-release'), file('usr/lib/os-release', 'ID=a\n')), layer(file('top', 'x'))] // prettier-ignore
    expect(await readOsRelease([low, middle, top])).toBe('ID=a\n')
    expect([low.opened, middle.opened, top.opened]).toEqual([0, 1, 1])
  })

  it('is not believed when the layer is not what its digest says', async () => {
    const forged = { ...debian, open: () => other.open() }
    expect(await failureOf(readOsRelease([forged]))).toMatchObject({ code: 'input' })
  })
})
