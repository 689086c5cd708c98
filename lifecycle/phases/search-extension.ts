import { Buffer } from 'node:buffer'
import { printableName } from '../files/byte-string.ts'
import type { Image } from '../image/image.ts'
import type { Layer } from '../image/layer.ts'
import { contentTar } from '../layers/layer-tar.ts'
import { relativeName } from '../layers/tar/names.ts'
import { readTar } from '../layers/tar/reader.ts'
import { type Search, finderOf } from './search-tree.ts'

/** A run image that image extensions have extended. */
export interface ExtendedRunImage {
  readonly base: Image
  readonly image: Image
}

/**
 * Searches what image extensions have added to the run image: names, links and files of layers, and settings of the config.
 * @throws BaleError from `found`, for the first place
 */
export async function searchExtension(
  { base, image }: ExtendedRunImage,
  search: Pick<Search, 'forms' | 'found'>,
  signal?: AbortSignal,
): Promise<void> {
  const before = new Set(settingsOf(base))
  for (const setting of settingsOf(image)) {
    const form = before.has(setting) ? undefined : search.forms.find(({ utf8 }) => setting.includes(utf8))
    if (form !== undefined) throw search.found(form.id, `the run image’s ${/^[^=]*/.exec(setting)?.[0]}`)
  }
  for (const layer of image.layers.slice(base.layers.length)) await searchLayer(layer, search, signal)
}

function settingsOf({ config: { config = {} } }: Image): string[] {
  const { Env = [], Labels, ...others } = config
  return [
    ...(Env ?? []).map(variable => `variable ${variable}`),
    ...Object.entries(Labels ?? {}).map(([name, value]) => `label ${name}=${value}`),
    ...Object.entries(others).map(([name, value]) => `${name}=${JSON.stringify(value)}`),
  ]
}

async function searchLayer(
  layer: Layer,
  { forms, found }: Pick<Search, 'forms' | 'found'>,
  signal?: AbortSignal,
): Promise<void> {
  const tar = contentTar(layer, signal)
  if (tar === undefined) return
  const { find, overlap } = finderOf(forms)
  let where = ''
  let kept = Buffer.alloc(0)
  const refuse = (bytes: Buffer): void => {
    const form = find(bytes)
    if (form !== undefined) throw found(form.id, where)
  }
  const handler = {
    entry({ name, target }: { readonly name: string; readonly target: string }): void {
      where = `/${printableName(relativeName(name))}`
      kept = Buffer.alloc(0)
      refuse(Buffer.from(`${name}\n${target}`, 'latin1'))
    },
    data(chunk: Uint8Array): void {
      const bytes = Buffer.concat([kept, chunk])
      refuse(bytes)
      kept = Buffer.from(bytes.subarray(Math.max(0, bytes.length - overlap)))
    },
    endOfFile(): void {},
  }
  await readTar(tar, handler, signal === undefined ? {} : { signal })
}
