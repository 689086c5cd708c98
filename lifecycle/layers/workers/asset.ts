import { existsSync } from 'node:fs'

/**
 * Finds a file that belongs to a module. It is beside the module, or beside the bundle that contains the module, whose
 * chunks may be in a folder.
 * @param url the module's `import.meta.url`
 */
export function assetUrl(url: string, name: string): URL {
  const beside = new URL(`./${name}`, url)
  return existsSync(beside) ? beside : new URL(`../${name}`, url)
}
