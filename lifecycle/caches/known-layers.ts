import type { BlobInfoCache } from './blob-info-cache.ts'
import type { Fingerprint, LayerDigests, LayerSource } from '../image/layer.ts'

/** Something that stores a layer, and says what it stored. */
type Put<T extends LayerDigests> = (source: LayerSource) => Promise<T>

/**
 * Stores a layer; one whose files are as they were when it was stored before is known, and need not be read.
 * @param purpose tells apart what is stored of the same files, as compressed layers for instance
 */
export async function putKnownLayer<T extends LayerDigests>(
  source: LayerSource,
  purpose: string,
  index: BlobInfoCache | undefined,
  put: Put<T>,
): Promise<T> {
  // Before it is read: a change meanwhile gives it another fingerprint the next time.
  const fingerprint: Fingerprint | undefined = index && (await source.fingerprint?.())
  if (index === undefined || fingerprint === undefined) return put(source)
  const key = `${purpose} ${fingerprint.key}`
  const known = index.layer(key)
  const stored = await put(known === undefined ? source : { ...source, known })
  index.setLayer(key, stored)
  return stored
}
