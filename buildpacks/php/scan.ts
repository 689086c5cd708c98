import { readdir } from 'node:fs/promises'
import type { App, Log } from '../sdk/index.ts'
import { basePackages, type ExtensionRequest, packageOfExtension } from './extensions.ts'

/** Calls in code that indicate an extension, if nothing declares the extensions. */
const calls: readonly (readonly [extension: string, pattern: RegExp])[] = [
  ['mysqli', /\bnew\s+\\?mysqli\b|\bmysqli_\w+\s*\(/i],
  ['pdo_mysql', /['"]mysql:/],
  ['pdo_pgsql', /['"]pgsql:/],
  ['pgsql', /\bpg_p?connect\s*\(/],
  ['gd', /\bimagecreate\w*\s*\(/i],
  ['imagick', /\bnew\s+\\?Imagick\b/],
  ['intl', /\b(?:NumberFormatter|IntlDateFormatter|MessageFormatter|Normalizer|Collator|Transliterator)\b/],
  ['zip', /\bZipArchive\b/],
  ['bcmath', /\bbc(?:add|sub|mul|div|mod|pow|sqrt|comp)\s*\(/],
  ['gmp', /\bgmp_\w+\s*\(/],
  ['soap', /\bSoap(?:Client|Server)\b/],
  ['redis', /\bnew\s+\\?Redis\b/],
  ['memcached', /\bnew\s+\\?Memcached\b/],
  ['mongodb', /\bMongoDB\\/],
  ['ldap', /\bldap_\w+\s*\(/],
  ['apcu', /\bapcu_\w+\s*\(/],
  ['yaml', /\byaml_(?:parse|emit)\w*\s*\(/],
  ['tidy', /\btidy_\w+\s*\(|\bnew\s+\\?tidy\b/i],
]

/** Maximum numbers of files and of bytes to read: an application without composer.json is small. */
const [mostFiles, mostBytes] = [2000, 512 * 1024]

/** The extensions of an application without a composer.json, from the calls in its code. */
export async function usedExtensions(app: App, log: Log): Promise<ExtensionRequest[]> {
  const found = new Map<string, ExtensionRequest>()
  const waiting = ['']
  let count = 0
  for (let dir = waiting.shift(); dir !== undefined; dir = waiting.shift()) {
    const entries = await readdir(app.at(dir), { withFileTypes: true }).catch(() => [])
    for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
      const name = dir === '' ? entry.name : `${dir}/${entry.name}`
      if (entry.isDirectory() && !entry.name.startsWith('.') && entry.name !== 'node_modules') waiting.push(name)
      if (!entry.isFile() || !/\.(?:php|inc)$/.test(entry.name) || ++count > mostFiles) continue
      const text = ((await app.read(name)) ?? '').slice(0, mostBytes)
      for (const [extension, pattern] of calls) {
        if (!found.has(extension) && pattern.test(text)) found.set(extension, { name: extension, where: name })
      }
    }
  }
  if (count > mostFiles)
    log.warning(
      `the source has ${count} PHP files and no composer.json: its extensions are read from the first ${mostFiles}`,
      'Add missing extensions: BP_PHP_EXTENSIONS=gd,intl',
    )
  return [...found.values()].filter(({ name }) => !basePackages.includes(packageOfExtension(name) ?? ''))
}
