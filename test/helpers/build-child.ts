// Run as a process by the kill tests: a build of an app from the first look at its previous image to the commit of its
// cache, all that Bale's own process does; what buildpacks would do between is written here. Prints the image's digest, or
// the error. With BALE_FAIL, `EIO 7`, its seventh write fails; a full disk stays full.
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { appCache } from '../../lifecycle/platform/app-cache.ts'
import { openWorkspace } from '../../lifecycle/platform/workspace.ts'
import { BaleError } from '../../lifecycle/errors.ts'
import { type Reporter, silent } from '../../lifecycle/events.ts'
import { wrapErrno } from '../../lifecycle/files/wrap-errno.ts'
import { analyze, runImageMetadata } from '../../lifecycle/phases/analyze.ts'
import { exportImage } from '../../lifecycle/phases/export.ts'
import { restore } from '../../lifecycle/phases/restore.ts'
import { requirePlatformApi } from '../../lifecycle/spec/api.ts'
import { Stores } from '../../lifecycle/stores/open.ts'
import { interceptWrites, osError } from './faults.ts'
import { noise, platform } from './images.ts'
import { writeTree } from './tree.ts'

const [root, variant, name] = process.argv.slice(2) as [string, string, string]
const reporter: Reporter = {
  ...silent,
  event: e => void (e.type === 'warning' && process.stdout.write(`warning: ${e.text}\n`)),
}
const settings = {
  dataDir: join(root, 'data'),
  cacheDir: join(root, 'cache'),
  platform,
  environment: {},
  dockerConfig: '/nonexistent',
  dockerSocket: '/nonexistent',
}
const group = [{ id: 'test/bp', version: '1.0.0', api: '0.12' }]

/** Layers of all kinds, each with something that stays from variant to variant and something that does not. */
async function buildpacks(layers: string): Promise<void> {
  const types = { app: 'launch = true', both: 'launch = true\ncache = true', tools: 'build = true\ncache = true' }
  for (const [name, type] of Object.entries(types)) {
    const dir = join(layers, 'test_bp', name)
    await mkdir(dir, { recursive: true })
    for (let i = 0; i < 10; i++) await writeFile(join(dir, `kept-${i}`), noise(5_000, `${name} ${i}`))
    // Large enough to be kept as they are compressed.
    if (name !== 'tools') await writeFile(join(dir, 'large'), noise(1_300_000, name))
    await writeFile(join(dir, 'changed'), noise(100_000, `${name} ${name === 'both' ? '' : variant}`))
    await writeFile(`${dir}.toml`, `[types]\n${type}\n[metadata]\nvariant = "${variant}"\n`)
  }
  await writeTree(layers, { 'config/metadata.toml': '' })
}

const features = requirePlatformApi('0.15')

async function build(): Promise<string> {
  await using stores = new Stores(settings, reporter)
  const [destination] = await stores.destinations([name], false)
  await using workspace = await openWorkspace(settings.cacheDir)
  await using cache = await appCache(settings.cacheDir, destination, { clear: false, platform, reporter })
  const layersDir = { host: workspace.layers, image: '/layers' }
  await wrapErrno(workspace.app, () => writeTree(workspace.app, { 'main.js': variant }))
  const open = (name: string) => Promise.resolve({ source: stores.local, name })
  const analysis = await analyze({
    platform,
    previous: destination.previous,
    runImage: { names: { image: 'base', mirrors: [] }, open },
    destinations: [destination],
    reporter,
  })
  const { previous } = analysis
  const { image } = analysis.runImage
  await restore({ layersDir, group, previous, cache, features, reporter })
  await wrapErrno(workspace.layers, () => buildpacks(workspace.layers))
  const { published } = await exportImage({
    output: { layersDir, appDir: { host: workspace.app, image: '/workspace' }, group, owner: { uid: 1000, gid: 1000 } },
    runImage: { image, metadata: runImageMetadata(image, 'base') },
    previous,
    destination,
    cache,
    settings: { launcher: { path: join(root, 'launcher'), version: '1.0.0' }, project: {} },
    features,
    reporter,
  })
  return published.digest ?? published.imageId
}

const [code, number] = (process.env['BALE_FAIL'] ?? '').split(' ')
if (code) {
  await interceptWrites(async call => {
    const frees = /^(rm|rmdir|unlink|rename)$/.test(call.name)
    if (code === 'EIO' ? call.number !== Number(number) : call.number < Number(number) || frees) return
    await call.half()
    throw osError(code as 'EIO', call.name)
  })
}
process.stdout.write('begin\n')
try {
  process.stdout.write(`${await build()}\n`)
} catch (error) {
  if (!(error instanceof BaleError)) throw error
  process.stdout.write(`${error.code}: ${error.where} | ${error.message} | ${error.fix}\n`)
  process.exitCode = 1
}
