import * as v from 'valibot'
import { BaleError } from '../../errors.ts'
import { type Digest, isDigest } from '../../image/digest.ts'
import { largestChunk } from './split.ts'

/** A piece of a layer's tar: the digest of its bytes, its size, and the size of its object. */
export type Chunk = readonly [digest: Digest, size: number, stored: number]

/** The data that one build stored for the next one. */
export interface Generation {
  /** Milliseconds since 1970. */
  readonly expires?: number | undefined
  /** The metadata of the cache, as in the label of a cache image. */
  readonly metadata: string
  /** The chunks of each layer, by its diffID. */
  readonly layers: ReadonlyMap<Digest, readonly Chunk[]>
}

/** In bytes. */
export const maxGeneration = 16 * 1024 * 1024

const digest = v.custom<Digest>(isDigest, 'is not a digest')
const count = (most: number) => v.pipe(v.number(), v.safeInteger(), v.minValue(0), v.maxValue(most))
const chunk = v.tuple([digest, v.pipe(count(largestChunk), v.minValue(1)), count(2 * largestChunk)])
const document = v.object({
  version: v.literal(1),
  expires: v.optional(v.number()),
  metadata: v.string(),
  layers: v.array(v.object({ diffId: digest, chunks: v.array(chunk) })),
})

export function formatGeneration({ expires, metadata, layers }: Generation): Uint8Array {
  const all = [...layers].map(([diffId, chunks]) => ({ diffId, chunks }))
  return Buffer.from(JSON.stringify({ version: 1, expires, metadata, layers: all }))
}

/** @throws BaleError 'input' for anything that `formatGeneration` does not write */
export function parseGeneration(bytes: Uint8Array): Generation {
  const parsed = v.safeParse(document, parseJson(bytes))
  if (!parsed.success)
    throw new BaleError('input', `it is malformed: ${v.getDotPath(parsed.issues[0]) ?? 'no document'}`)
  const { expires, metadata, layers } = parsed.output
  return { expires, metadata, layers: new Map(layers.map(l => [l.diffId, l.chunks])) }
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (cause) {
    throw new BaleError('input', 'it is not JSON', { cause })
  }
}
