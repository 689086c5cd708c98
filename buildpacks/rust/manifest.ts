import semver from 'semver'
import { parseToml } from '../../lifecycle/spec/toml.ts'
import { type App, BuildpackError } from '../sdk/index.ts'
import { tableOf } from '../sdk/tables.ts'

/** A value and its place, for messages: `1.85` from `Cargo.toml rust-version`. */
export interface Located {
  readonly value: string
  readonly where: string
}

/** The parts of a Cargo.toml that are needed before Cargo can read it. */
export interface Manifest {
  /** The oldest Rust that can build it. */
  readonly rustVersion: Located | undefined
  /** The members that Cargo builds by default. */
  readonly defaultMembers: readonly string[] | undefined
}

export async function readManifest(app: App): Promise<Manifest> {
  const document = parseToml((await app.read('Cargo.toml')) ?? '', 'Cargo.toml')
  const workspace = tableOf(document['workspace'])
  const declared = [tableOf(document['package']), tableOf(workspace['package'])].map(table => table['rust-version'])
  const version = declared.find(value => typeof value === 'string')
  const members: unknown = workspace['default-members']
  return {
    rustVersion: version === undefined ? undefined : { value: version, where: 'Cargo.toml rust-version' },
    defaultMembers: Array.isArray(members) ? members.filter(member => typeof member === 'string') : undefined,
  }
}

/** A crate in Cargo.lock. */
export interface LockedCrate {
  readonly name: string
  readonly version: string
  /** SHA-256 of its archive; absent for the application's own crates and those from git. */
  readonly checksum: string | undefined
  readonly source: string | undefined
}

/** The crates of Cargo.lock, and its text; undefined if there is none. */
export async function readLock(app: App): Promise<{ text: string; crates: LockedCrate[] } | undefined> {
  const text = await app.read('Cargo.lock')
  if (text === undefined) return undefined
  const packages: unknown = parseToml(text, 'Cargo.lock')['package']
  if (packages !== undefined && !Array.isArray(packages)) {
    throw new BuildpackError('"package" is not a list', {
      where: 'Cargo.lock',
      fix: 'create it again: cargo generate-lockfile',
    })
  }
  const crates = (packages ?? []).map(tableOf).map(crate => ({
    name: textOf(crate['name']) ?? '',
    version: textOf(crate['version']) ?? '',
    checksum: textOf(crate['checksum']),
    source: textOf(crate['source']),
  }))
  return { text, crates }
}

/** `1.85` in semver's form: 1.85.0; undefined for an invalid version. */
export function toVersion(text: string): string | undefined {
  const parts = /^(\d+)(?:\.(\d+))?(?:\.(\d+))?$/.exec(text.trim())
  return parts === null ? undefined : (semver.valid(`${parts[1]}.${parts[2] ?? 0}.${parts[3] ?? 0}`) ?? undefined)
}

export function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}
