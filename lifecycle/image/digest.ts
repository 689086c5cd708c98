import { createHash } from 'node:crypto'
import { BaleError } from '../errors.ts'

/** `sha256:` and 64 lower-case hex digits (image-spec descriptor.md, "Digests"). Other algorithms are not supported. */
export type Digest = `sha256:${string}`

const pattern = /^sha256:[0-9a-f]{64}$/

export function isDigest(text: unknown): text is Digest {
  return typeof text === 'string' && pattern.test(text)
}

/** Parses a digest. @throws BaleError 'input' with `where` for anything else, such as another algorithm or a path (R37) */
export function parseDigest(text: unknown, where: string): Digest {
  if (isDigest(text)) return text
  throw new BaleError('input', `${JSON.stringify(text)?.slice(0, 100)} is not a sha256 digest`, { where })
}

export function digestOf(bytes: Uint8Array | string): Digest {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}

/** The 64 hex digits, which are the name of a blob's file. */
export function hexOf(digest: Digest): string {
  return digest.slice('sha256:'.length)
}
