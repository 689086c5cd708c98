import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { App } from '../../sdk/index.ts'

/** The imports of the sources that are not local files. With the lock file they determine which modules Deno downloads. */
export async function importsOf(app: App): Promise<string[]> {
  const found = new Set<string>()
  const waiting = ['']
  for (let dir = waiting.pop(); dir !== undefined; dir = waiting.pop()) {
    for (const entry of await readdir(app.at(dir), { withFileTypes: true })) {
      if (entry.name === 'node_modules' || entry.name.startsWith('.')) continue
      const path = join(dir, entry.name)
      if (entry.isDirectory()) waiting.push(path)
      else if (entry.isFile() && /\.[cm]?[jt]sx?$/.test(entry.name)) {
        for (const name of specifiers(await readFile(app.at(path), 'utf8'))) found.add(name)
      }
    }
  }
  return [...found].toSorted()
}

/** Names after `from`, `import` and `require(`, and other texts with the form of a registry's module or a URL. */
function specifiers(text: string): string[] {
  const pattern = /(?:\bfrom|\bimport|\brequire)\s*\(?\s*(["'`])([^"'`\n]+)\1|(["'`])((?:npm|jsr|https?):[^"'`\n]+)\3/g
  return Array.from(text.matchAll(pattern), ([, , name, , url]) => name ?? url ?? '').filter(
    name => !/^\.{0,2}\//.test(name),
  )
}
