import { rm, writeFile } from 'node:fs/promises'

/**
 * Writes a file in place of whatever is there. Its directory may be one that a buildpack can write to: what stands at its
 * name is taken away first, and no link is followed (X21, D11).
 */
export async function writeAnew(path: string, content: string | Uint8Array): Promise<void> {
  await rm(path, { recursive: true, force: true })
  await writeFile(path, content, { flag: 'wx' })
}
