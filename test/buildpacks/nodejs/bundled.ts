import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'

export const source = join(import.meta.dirname, '../../../buildpacks/nodejs')

/** The buildpack as it is bundled, with npm 11.6.0 beside it. */
export async function bundledDir(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'nodejs-'))
  onTestFinished(() => rm(dir, { recursive: true }))
  await copyFile(join(source, 'buildpack.toml'), join(dir, 'buildpack.toml'))
  await mkdir(join(dir, 'npm/bin'), { recursive: true })
  const about = { name: 'npm', version: '11.6.0', engines: { node: '^20.17.0 || >=22.9.0' } }
  await writeFile(join(dir, 'npm/package.json'), JSON.stringify(about))
  await writeFile(join(dir, 'npm/bin/npm-cli.js'), '')
  return dir
}
