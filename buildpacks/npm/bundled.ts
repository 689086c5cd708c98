import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { readJson, requiredText, table, text } from '../../lifecycle/spec/read.ts'
import type { Npm } from './registry.ts'

/** The npm that the buildpack contains, beside main.cjs: bundle.json requests it. */
export async function bundledNpm(buildpackDir: string): Promise<Npm & { readonly engines: string }> {
  const dir = join(buildpackDir, 'npm')
  const file = join(dir, 'package.json')
  const root = readJson(await readFile(file), file)
  const engines = table(root, 'engines')
  return { version: requiredText(root, 'version'), dir, engines: (engines && text(engines, 'node')) ?? '*' }
}
