import { BaleError } from '../errors.ts'
import { platformOf } from '../image/image-index.ts'
import { platformName } from '../image/validate.ts'
import type { ImageSink, ImageStore } from './store.ts'

/**
 * Wraps a store so that an image of one platform cannot replace an index of several: the images of the
 * other platforms would be lost (O07). An index of one platform, which BuildKit writes, may be replaced.
 */
export function guardIndexes(store: ImageStore): ImageSink {
  const check = async (names: readonly string[], signal?: AbortSignal): Promise<void> => {
    for (const name of names) {
      const platforms = await platformsAt(store, name, signal)
      if (platforms.size < 2) continue
      throw new BaleError(
        'arguments',
        `${name === '' ? 'there' : name} is an index of images for ${[...platforms].join(', ')}: an image for one platform would replace them all`,
        { where: store.description, fix: 'give the image another name; to replace the index, remove it first' },
      )
    }
  }
  return {
    description: store.description,
    async checkWrite(names, signal, content = 'image') {
      await store.checkWrite(names, signal, content)
      if (content === 'image') await check(names, signal)
    },
    putLayer: (layer, signal) => store.putLayer(layer, signal),
    async putImage(image, names, signal) {
      await check(names, signal)
      return store.putImage(image, names, signal)
    },
    putIndex: store.putIndex && ((...index) => (store.putIndex as NonNullable<ImageSink['putIndex']>)(...index)),
  }
}

async function platformsAt(store: ImageStore, name: string, signal?: AbortSignal): Promise<ReadonlySet<string>> {
  try {
    const index = await store.pullIndex(name, signal)
    const manifests = index?.manifests ?? []
    return new Set(manifests.map(({ image, platform = platformOf(image) }) => platformName(platform)))
  } catch (error) {
    // An invalid image or index, such as a damaged one, must be replaceable.
    if (error instanceof BaleError && error.code === 'input') return new Set()
    throw error
  }
}
