import { execFile } from 'node:child_process'
import { release, totalmem } from 'node:os'
import { promisify } from 'node:util'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { findBwrap } from '../../engines/bwrap.ts'
import { canLayer } from '../../engines/overlay.ts'
import { baleVersion, lifecycleVersion } from '../../version.ts'
import { supportedBuildpackApis, supportedPlatformApis } from '../../spec/api.ts'
import { configFile, readUserConfig } from '../config-file.ts'
import type { CommandContext, GlobalOptions } from '../context.ts'
import { formatBytes, printable } from '../text.ts'

/** Prints the facts for a bug report. Without `--explicit`, it names no builder and no registry. */
export async function reportCommand(context: CommandContext, { explicit }: GlobalOptions): Promise<void> {
  const { settings, env } = context
  const config = await readUserConfig(env)
  const shown = (text: string | undefined): string =>
    text === undefined ? 'not set' : explicit === true ? printable(text) : '(set; --explicit shows it)'
  const tmpDir = join(settings.cacheDir, 'tmp')
  await mkdir(tmpDir, { recursive: true, mode: 0o700 })
  const lines: [string, string][] = [
    ['Bale', baleVersion],
    ['Lifecycle', lifecycleVersion],
    ['Platform APIs', `${supportedPlatformApis[0]} to ${supportedPlatformApis.at(-1)}`],
    ['Buildpack APIs', `${supportedBuildpackApis[0]} to ${supportedBuildpackApis.at(-1)}`],
    ['Node', process.version],
    ['System', `Linux ${release()} on ${settings.platform.architecture}, ${formatBytes(totalmem())} of memory`],
    ['bubblewrap', await bubblewrapVersion()],
    [
      'Overlays',
      (await canLayer(tmpDir)) ? 'yes: builders share unpacked layers' : 'no: each builder is unpacked separately',
    ],
    ['Images', settings.dataDir],
    ['Caches', settings.cacheDir],
    ['Settings', configFile(env)],
    ['Default builder', shown(config.defaultBuilder)],
    ['Pull policy', config.pullPolicy ?? 'not set'],
    ['Default destination', config.defaultDestination ?? 'store'],
    [
      'Run image mirrors',
      explicit === true
        ? printable(JSON.stringify(config.runImageMirrors))
        : String(Object.keys(config.runImageMirrors).length),
    ],
    [
      'Registry mirrors',
      explicit === true
        ? printable(JSON.stringify(config.registryMirrors))
        : String(Object.keys(config.registryMirrors).length),
    ],
    ['Insecure registries', shown(settings.insecureRegistries?.join(', ') || undefined)],
  ]
  for (const [name, value] of lines) context.print(`${`${name}:`.padEnd(22)}${value}`)
}

async function bubblewrapVersion(): Promise<string> {
  try {
    const { path } = await findBwrap()
    return (await promisify(execFile)(path, ['--version'], { env: {} })).stdout.trim()
  } catch (error) {
    return printable((error as Error).message)
  }
}
