import { existsSync } from 'node:fs'

/**
 * A file that belongs to a module: it lies beside it; or beside the bundle that the module became part of, which may keep
 * its chunks in a folder.
 * @param url the module's `import.meta.url`
 */
export function assetUrl(url: string, name: string): URL {
  const beside = new URL(`./${name}`, url)
  return existsSync(beside) ? beside : new URL(`../${name}`, url)
}
