import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Component, packageUrl, type SbomSubject } from '../buildpacks/sdk/sbom/component.ts'
import { cycloneDx } from '../buildpacks/sdk/sbom/cyclonedx.ts'
import { withoutDuplicates } from '../buildpacks/sdk/sbom/files.ts'
import { spdx } from '../buildpacks/sdk/sbom/spdx.ts'
import { syft } from '../buildpacks/sdk/sbom/syft.ts'
import { BaleError } from '../lifecycle/errors.ts'
import { lifecycleVersion } from '../lifecycle/version.ts'
import type { Machine } from './machine.ts'
import { type NodeFiles, nodeVersion } from './node.ts'

const formats = { cdx: cycloneDx, spdx, syft }

/** The bills of materials of a binary, with the file names of platform.md ("exporter", -launcher-sbom). */
export function sbomFiles(name: string, components: readonly Component[]): Map<string, string> {
  const subject: SbomSubject = { name, type: 'application', tool: { id: 'bale', version: lifecycleVersion } }
  const sorted = withoutDuplicates(components)
  return new Map(
    Object.entries(formats).map(([ending, format]) => [`${name}.sbom.${ending}.json`, format(subject, sorted)]),
  )
}

/** A program of Bale. */
export function ownComponent(name: string, version: string): Component {
  return { name, version, purl: packageUrl('generic', name, version), license: 'Apache-2.0' }
}

/** An npm package and its directory. */
export interface NpmPackage {
  readonly dir: string
  readonly component: Component
}

/** The packages in a bundle. */
export function npmPackages(inputs: readonly string[], root: string): NpmPackage[] {
  const dirs = inputs.flatMap(input => /^.*node_modules\/(@[^/]+\/)?[^/]+(?=\/)/.exec(input)?.[0] ?? [])
  return [...new Set(dirs)].sort().map(dir => {
    const read = JSON.parse(readFileSync(join(root, dir, 'package.json'), 'utf8')) as Record<string, string>
    const { name = '', version = '', license } = read
    const purl = packageUrl('npm', name, version)
    return { dir, component: { name, version, purl, license } }
  })
}

/** The entries of `process.versions` that are not software: interfaces and data. */
const notSoftware = new Set(['cldr', 'modules', 'napi', 'node', 'tz', 'unicode'])

/** Node, and the libraries that are compiled into it. */
export function nodeComponents(versions: Readonly<Record<string, string | undefined>> = process.versions): Component[] {
  if (versions['node'] !== nodeVersion)
    throw new BaleError('failed', `this runs on Node ${versions['node']}, and makes a lifecycle with ${nodeVersion}`, {
      fix: 'run it through npm run dist, after npm ci',
    })
  const cpe = `cpe:2.3:a:nodejs:node.js:${nodeVersion}:*:*:*:*:*:*:*`
  const parts = Object.entries(versions).filter(
    (part): part is [string, string] => !notSoftware.has(part[0]) && Boolean(part[1]),
  )
  return [
    { name: 'node', version: nodeVersion, purl: packageUrl('generic', 'node', nodeVersion), cpe, license: 'MIT' },
    ...parts.map(([name, version]) => ({ name, version, purl: packageUrl('generic', name, version) })),
  ]
}

/** Joins the licences of everything in the folder, since they must be passed on. */
export function licenses(sections: readonly { readonly title: string; readonly files: readonly string[] }[]): string {
  return sections
    .flatMap(({ title, files }) => {
      const file = files.find(candidate => existsSync(candidate))
      return file === undefined ? [] : [`==== ${title} ====\n\n${readFileSync(file, 'utf8').trim()}\n`]
    })
    .join('\n\n')
}

export interface Licensed {
  readonly root: string
  /** The sources of the bundles, whose npm packages have licences. */
  readonly sources: readonly string[]
  readonly machine: Machine
  readonly node: NodeFiles
}

/** LICENSES.txt of a program with its own Node and C libraries. */
export function allLicenses({ root, sources, machine, node }: Licensed): string {
  return licenses([
    { title: 'Bale', files: [join(root, 'LICENSE')] },
    ...npmPackages(sources, root).map(({ dir, component }) => ({
      title: component.name,
      files: ['LICENSE', 'LICENSE.md', 'LICENSE.txt', 'license'].map(name => join(root, dir, name)),
    })),
    ...machine.libraryPackages.map(name => ({ title: name, files: [`/usr/share/doc/${name}/copyright`] })),
    { title: 'Node.js', files: [node.license] },
  ])
}
