import { createHash } from 'node:crypto'
import { BaleError } from '../errors.ts'

/** `sha256:` and 64 lower-case hex digits (image-spec descriptor.md, "Digests"). Other algorithms are not made here. */
export type Digest = `sha256:${string}`

const pattern = /^sha256:[0-9a-f]{64}$/

export function isDigest(text: unknown): text is Digest {
  return typeof text === 'string' && pattern.test(text)
}

/** The digest in `text`; anything else (another algorithm, a path in disguise) is an error that says where it stood. */
export function parseDigest(text: unknown, where: string): Digest {
  if (isDigest(text)) return text
  throw new BaleError('input', `${JSON.stringify(text)?.slice(0, 100)} is not a sha256 digest`, { where })
}

export function digestOf(bytes: Uint8Array | string): Digest {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}

/** The 64 hex digits, as blobs are named on disk. */
export function hexOf(digest: Digest): string {
  return digest.slice('sha256:'.length)
}
