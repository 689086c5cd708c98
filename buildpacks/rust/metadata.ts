import { posix, relative } from 'node:path'
import { type Component, packageUrl, type Program } from '../sdk/index.ts'
import { type Table, tableOf } from '../sdk/tables.ts'
import { textOf } from './manifest.ts'

/** A crate that an application is built from. */
export interface Crate {
  readonly name: string
  readonly version: string
  /** It belongs to the application; other crates come from a registry or from git. */
  readonly isOwn: boolean
  readonly isMember: boolean
  /** The folder of an own crate, relative to the application. */
  readonly dir: string
  readonly features: readonly string[]
  /** The oldest Rust that can build it, by its manifest. */
  readonly rustVersion: string | undefined
  readonly license: string | undefined
  readonly programs: readonly RustProgram[]
}

export interface RustProgram extends Program {
  readonly crate: string
  /** It is compiled only with features that may be off. */
  readonly isOptional: boolean
}

/**
 * The crates in the output of `cargo metadata --format-version 1`, except those that no used crate depends on (doc.rust-lang.org/cargo,
 * "cargo metadata").
 */
export function readMetadata(json: string, appDir: string): Crate[] {
  const document = tableOf(JSON.parse(json))
  const members = listOf(document['workspace_members'])
  const nodes = listOf(tableOf(document['resolve'])['nodes']).map(tableOf)
  const features = new Map(nodes.map(node => [node['id'], listOf(node['features']).map(String)]))
  return listOf(document['packages'])
    .map(tableOf)
    .filter(({ id }) => features.has(id))
    .map(entry => {
      const name = textOf(entry['name']) ?? ''
      const dir = relative(appDir, posix.dirname(textOf(entry['manifest_path']) ?? '')) || '.'
      return {
        name,
        version: textOf(entry['version']) ?? '',
        isOwn: entry['source'] === null,
        isMember: members.includes(entry['id']),
        dir,
        features: features.get(entry['id']) ?? [],
        rustVersion: textOf(entry['rust_version']),
        license: textOf(entry['license']),
        programs: programsOf(entry, { name, dir, appDir }),
      }
    })
}

function programsOf(
  entry: Table,
  { name: crate, dir, appDir }: { name: string; dir: string; appDir: string },
): RustProgram[] {
  const main = textOf(entry['default_run']) ?? crate
  return listOf(entry['targets'])
    .map(tableOf)
    .filter(target => listOf(target['kind']).includes('bin'))
    .map(target => {
      const name = textOf(target['name']) ?? ''
      const source = relative(appDir, posix.dirname(textOf(target['src_path']) ?? ''))
      return {
        name,
        crate,
        dir: name === main ? dir : source,
        isOptional: listOf(target['required-features']).length > 0,
      }
    })
    .toSorted((a, b) => Number(b.name === main) - Number(a.name === main))
}

/** The third-party crates, for a bill of materials. */
export function crateComponents(crates: readonly Crate[]): Component[] {
  return crates
    .filter(({ isOwn }) => !isOwn)
    .map(({ name, version, license }) => ({
      name,
      version,
      purl: packageUrl('cargo', name, version),
      ...(license !== undefined && { license }),
    }))
}

function listOf(value: unknown): unknown[] {
  return Array.isArray(value) ? value : []
}
