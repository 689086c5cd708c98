import {
  appendFileSync,
  chmodSync,
  copyFileSync,
  cpSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { basename, join } from 'node:path'
import type { ImageConfig } from '../lifecycle/image/config.ts'
import type { Builder } from '../lifecycle/platform/builder.ts'
import { escapeId } from '../lifecycle/spec/ids.ts'
import { formatToml } from '../lifecycle/spec/toml.ts'
import { buildHelpers } from '../scripts/bundle.mjs'
import { libraries } from './libraries.ts'
import { type Arch, type Machine, archs, machineFor, runTool } from './machine.ts'
import { fetchNode } from './node.ts'
import { allLicenses } from './sbom.ts'

export interface CliParts {
  readonly arch: Arch
  readonly root: string
  /** The bundle for this machine: dist/bale. */
  readonly bundle: string
  /** The sources of the bundle, as paths from the root. */
  readonly sources: readonly string[]
}

/** Selects files to keep: all but the bundle's stamp and, for other kinds of machines, compiled code (`.v8`). */
const left = (machine: Machine) => (path: string) =>
  basename(path) !== 'stamp' && (machine.native || !path.endsWith('.v8'))

/**
 * Assembles `bale` in `out` with its own Node and C library: it runs in any image, from any folder, without installation.
 * @param shared the folder of a lifecycle in the same image: then Node and the libraries are links to it
 */
export function assembleCli({ arch, root, bundle, sources }: CliParts, out: string, shared?: string): void {
  const machine = machineFor(arch)
  mkdirSync(out, { recursive: true })
  cpSync(bundle, out, { recursive: true, verbatimSymlinks: true, filter: left(machine) })
  // Images for another platform need its launcher. The builder image only builds for its own.
  const launchers = (shared === undefined ? archs : [arch]).map(name => `launcher-linux-${name}`)
  for (const name of readdirSync(join(out, 'launcher'))) rmSync(join(out, 'launcher', name))
  for (const name of launchers) {
    runTool(join(root, 'launcher/build'), [name.replace('launcher-linux-', '')])
    copyFileSync(join(root, 'launcher/dist', name), join(out, 'launcher', name))
  }
  buildHelpers(arch, join(out, 'lifecycle'))
  runTool(join(root, 'distribution/dispatcher/build'), [arch, join(out, 'bale')])
  // For builders and buildpack packages that this program makes.
  for (const name of ['dispatcher', 'supervisor'])
    runTool(join(root, 'distribution', name, 'build'), [arch, join(out, 'runtime', name)])
  copyFileSync(join(root, 'distribution/dispatcher/start.cjs'), join(out, 'start.cjs'))
  for (const name of ['node', 'executor']) symlinkSync('bale', join(out, name))
  const { loader, others } = libraries(machine)
  // A readable copy, for users who do not own the other one: see nodeRuntime.
  copyFileSync(loader, join(out, 'runtime', basename(loader)))
  if (shared !== undefined) {
    for (const name of ['nodejs', ...[loader, ...others].map(path => basename(path))])
      symlinkSync(`${shared}/${name}`, join(out, name))
    return
  }
  const node = fetchNode(machine, root)
  copyFileSync(node.program, join(out, 'nodejs'))
  for (const path of [loader, ...others]) copyFileSync(path, join(out, basename(path)))
  writeFileSync(join(out, 'LICENSES.txt'), allLicenses({ root, sources, machine, node }))
  setModes(out)
  // Executable for all, but not readable: see dispatcher/main.c, "Secrets".
  chmodSync(join(out, basename(loader)), 0o711)
}

/** Sets modes that do not depend on the umask of the files' creator. */
function setModes(dir: string): void {
  chmodSync(dir, 0o755)
  for (const entry of readdirSync(dir, { withFileTypes: true })) {
    const path = join(dir, entry.name)
    if (entry.isDirectory()) setModes(path)
    else if (!entry.isSymbolicLink()) chmodSync(path, (statSync(path).mode & 0o100) === 0 ? 0o644 : 0o755)
  }
}

export interface SharedParts {
  readonly builder: Builder
  readonly runImage: { readonly image: string; readonly mirrors: readonly string[] }
  /** The config of the image that buildpacks run in. */
  readonly config: ImageConfig
}

/** For the builder image: links buildpacks and phases to the places that platforms expect, and sets the builder's run image. */
export function shareWithBuilder(out: string, { builder, runImage, config }: SharedParts): void {
  for (const name of ['buildpacks', 'lifecycle']) rmSync(join(out, name), { recursive: true, force: true })
  symlinkSync('../lifecycle', join(out, 'lifecycle'))
  mkdirSync(join(out, 'buildpacks'))
  for (const { descriptor, dir } of builder.buildpacks)
    symlinkSync(
      `../../buildpacks/${escapeId(descriptor.id)}/${descriptor.version}`,
      join(out, 'buildpacks', basename(dir)),
    )
  if (builder.runImage === undefined)
    appendFileSync(join(out, 'builder.toml'), `\n${formatToml({ run: { images: [runImage] } })}`)
  writeFileSync(join(out, 'container.json'), `${JSON.stringify(config)}\n`)
}
