import { BaleError } from '../errors.ts'
import { parseReference } from '../image/reference.ts'
import type { ImageSource } from './store.ts'
import { registry } from './registry/transport.ts'
import type { ImageReference } from './transport.ts'

/** The same image in mirrors of its registry: `HOST[:PORT][/PATH]` replaces the registry's name. */
export function mirrorsOf({ docker }: ImageReference, mirrors: readonly string[]): readonly ImageReference[] {
  if (docker === undefined) return []
  const { repository, tag, digest } = docker
  return mirrors.map(mirror => {
    const [host, ...path] = mirror.split('/')
    const at = parseReference(`${host}/${[...path, repository].join('/')}`)
    return registry.at({ registry: at.registry, repository: at.repository, ...(digest ? { digest } : { tag }) })
  })
}

/** Reads an image from the first of several places that has it. A place that fails counts as not having it. */
export function mirroredSource(
  description: string,
  places: readonly { readonly store: ImageSource; readonly name: string }[],
  warn: (text: string) => void,
): ImageSource {
  const first = async <T>(
    read: (store: ImageSource, name: string) => Promise<T | undefined>,
  ): Promise<T | undefined> => {
    for (const [i, { store, name }] of places.entries()) {
      try {
        const found = await read(store, name)
        if (found !== undefined) return found
      } catch (error) {
        if (i === places.length - 1 || !(error instanceof BaleError)) throw error
        warn(`the mirror ${store.description} is skipped: ${error.message}`)
      }
    }
    return undefined
  }
  return {
    description,
    pull: (_name, platform, signal) => first((store, name) => store.pull(name, platform, signal)),
    pullIndex: (_name, signal) => first((store, name) => store.pullIndex(name, signal)),
  }
}
