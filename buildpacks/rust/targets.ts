import { open } from 'node:fs/promises'
import { posix } from 'node:path'
import { parseToml } from '../../lifecycle/spec/toml.ts'
import type { Context } from '../sdk/index.ts'
import { tableOf } from '../sdk/tables.ts'

/** The targets that Cargo compiles for: triples, or paths of specification files (`acme.json`). Empty: this machine's own. */
export interface CargoTargets {
  readonly values: readonly string[]
  /** The place that names them, for messages; empty without one. */
  readonly where: string
}

/**
 * The targets from the first place of Cargo's own order (doc.rust-lang.org/cargo, "build.target").
 * @param named those of `--target`
 */
export async function cargoTargets(
  { app, env }: Pick<Context, 'app' | 'env'>,
  named: readonly string[],
): Promise<CargoTargets> {
  const file = await app.firstOf(['.cargo/config', '.cargo/config.toml'])
  const table = file === undefined ? {} : tableOf(parseToml((await app.read(file)) ?? '', file))
  const configured = tableOf(table['build'])['target']
  const places = [
    { all: named, where: 'BP_CARGO_INSTALL_ARGS --target' },
    { all: [env['CARGO_BUILD_TARGET']], where: 'CARGO_BUILD_TARGET' },
    { all: Array.isArray(configured) ? configured : [configured], where: `${file} build.target` },
  ].map(({ all, where }) => ({
    values: all.filter((target): target is string => typeof target === 'string' && target !== ''),
    where,
  }))
  return places.find(({ values }) => values.length > 0) ?? { values: [], where: '' }
}

/** The targets that rustup has and Debian's Rust lacks, such as musl's. The buildpack refuses programs for browsers later, so they need none. */
export const rustupTargets = ({ values }: CargoTargets): string[] =>
  values.filter(target => !target.endsWith('.json') && /-linux-(?!gnu$)/.test(target))

/** The folder of a target, in the target directory: `acme` for `targets/acme.json`. */
export const folderOf = (target: string): string => posix.basename(target, '.json')

/** The machines of programs (ELF gABI, e_machine), by the image's architecture. */
const machines: Readonly<Record<string, number>> = { amd64: 62, arm64: 183 }

/** Whether a program is one of another architecture. Only ELF files say so. */
export async function isForeign(path: string, arch: string): Promise<boolean> {
  const header = Buffer.alloc(20)
  await using file = await open(path)
  await file.read(header, 0, header.length, 0)
  const expected = machines[arch]
  return expected !== undefined && header.readUInt32BE(0) === 0x7f454c46 && header.readUInt16LE(18) !== expected
}
