import { chmodSync, copyFileSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { readFile } from 'node:fs/promises'
import { buildHelpers, bundlePhases } from '../scripts/bundle.mjs'
import { lifecycleVersion } from '../lifecycle/version.ts'
import { lifecycleToml } from './descriptor.ts'
import { libraries, libraryComponents } from './libraries.ts'
import { type Machine, runTool } from './machine.ts'
import { fetchNode } from './node.ts'
import { allLicenses, nodeComponents, npmPackages, ownComponent, sbomFiles } from './sbom.ts'

/** The names under which the dispatcher runs; `node` is for buildpacks. */
export const phaseNames: readonly string[] = [
  'analyzer',
  'builder',
  'creator',
  'detector',
  'exporter',
  'extender',
  'rebaser',
  'restorer',
]

/**
 * Assembles a lifecycle in `out`: `lifecycle.toml`, and `lifecycle/` without subfolders, because pack ignores
 * deeper files. Modes do not depend on the umask, and contents do not depend on this machine's paths or clock.
 */
export async function assembleLifecycle(machine: Machine, root: string, out: string): Promise<void> {
  const dir = join(out, 'lifecycle')
  mkdirSync(dir, { recursive: true })
  const put = (path: string, name = basename(path)): void => copyFileSync(path, join(dir, name))
  const { loader, others } = libraries(machine)
  const node = fetchNode(machine, root)

  runTool(join(root, 'distribution/dispatcher/build'), [machine.arch, join(dir, 'lifecycle')])
  for (const name of [...phaseNames, 'node']) symlinkSync('lifecycle', join(dir, name))
  buildHelpers(machine.arch, dir)
  put(join(root, 'distribution/dispatcher/start.cjs'))
  const sources = await bundlePhases(dir, { precompiled: machine.native })
  put(node.program, 'nodejs')
  for (const path of [loader, ...others]) put(path)
  runTool(join(root, 'launcher/build'), [machine.arch])
  put(join(root, `launcher/dist/launcher-linux-${machine.arch}`), 'launcher')

  const launcherVersion = await packageVersion(root)
  const packages = npmPackages(sources, root)
  const sboms = [
    ...sbomFiles('launcher', [ownComponent('bale-launcher', launcherVersion)]),
    ...sbomFiles('lifecycle', [
      ownComponent('bale-lifecycle', lifecycleVersion),
      ...packages.map(({ component }) => component),
      ...nodeComponents(),
      ...libraryComponents(machine),
    ]),
  ]
  for (const [name, text] of sboms) writeFileSync(join(dir, name), text)
  writeFileSync(join(dir, 'LICENSES.txt'), allLicenses({ root, sources, machine, node }))
  writeFileSync(join(out, 'lifecycle.toml'), lifecycleToml())
  setModes(out, dir, machine)
}

const programs = new Set(['lifecycle', 'launcher', 'nodejs', 'supervisor', 'landlock'])

function setModes(out: string, dir: string, { loader }: Machine): void {
  for (const entry of readdirSync(dir, { withFileTypes: true })) {
    if (entry.isSymbolicLink()) continue
    // Executable but not readable: see dispatcher/main.c, "Secrets".
    const mode = entry.name === loader ? 0o711 : programs.has(entry.name) ? 0o755 : 0o644
    chmodSync(join(dir, entry.name), mode)
  }
  for (const folder of [out, dir]) chmodSync(folder, 0o755)
  chmodSync(join(out, 'lifecycle.toml'), 0o644)
}

async function packageVersion(root: string): Promise<string> {
  const read = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string }
  return read.version
}
