import type { BlobInfoCache } from './blob-info-cache.ts'
import type { Fingerprint, LayerDigests, LayerSource } from '../image/layer.ts'

/** Stores a layer, and returns its stored form. */
type Put<T extends LayerDigests> = (source: LayerSource) => Promise<T>

/**
 * Stores a layer. A layer whose files are unchanged since it was last stored need not be read.
 * @param purpose separates different results for the same files, such as compressed layers
 */
export async function putKnownLayer<T extends LayerDigests>(
  source: LayerSource,
  purpose: string,
  index: BlobInfoCache | undefined,
  put: Put<T>,
): Promise<T> {
  // Taken before the layer is read: a change meanwhile gives it another fingerprint the next time.
  const fingerprint: Fingerprint | undefined = index && (await source.fingerprint?.())
  if (index === undefined || fingerprint === undefined) return put(source)
  const key = { purpose, ...fingerprint }
  const known = index.layer(key)
  const stored = await put(known === undefined ? source : { ...source, known })
  index.setLayer(key, stored)
  return stored
}
