import semver from 'semver'
import { parseToml } from '../../lifecycle/spec/toml.ts'
import {
  type App,
  BuildpackError,
  type Context,
  firstSetting,
  fromEach,
  fromMise,
  fromToolVersions,
  fromVersionFile,
} from '../sdk/index.ts'
import { tableOf } from '../sdk/tables.ts'
import { type Located, textOf, toVersion } from './manifest.ts'
import { type CargoTargets, rustupTargets } from './targets.ts'

/** The requested toolchain, with rustup's name (rust-lang.github.io/rustup, "Toolchains"): `1.85`, `stable`. */
export interface ToolchainRequest extends Located {
  /** Further targets to compile for. */
  readonly targets: readonly string[]
  /** Other places that name a toolchain but do not decide. */
  readonly others: readonly Located[]
}

/** The request of a setting, else of the first of several files; undefined without one. Targets without a toolchain request `stable`. */
export async function requestedToolchain(
  { app, env }: Pick<Context, 'app' | 'env'>,
  cargo: CargoTargets,
): Promise<ToolchainRequest | undefined> {
  const file = await fromToolchainFile(app)
  const named = rustupTargets(cargo)
  const targets = [...new Set([...(file?.targets ?? []), ...named])]
  const names = ['BP_RUST_TOOLCHAIN', 'BP_RUST_VERSION', 'RAILPACK_RUST_VERSION', 'GOOGLE_RUNTIME_VERSION']
  const setting = firstSetting(env, ...names)
  const pins = [
    ...(file?.value === undefined ? [] : [{ value: file.value, where: file.where }]),
    ...(await fromOtherFiles(app)),
  ]
  const [found, ...others] = (setting ? [{ value: setting.value, where: setting.name }] : pins).map(checked)
  if (found) return { ...found, targets, others }
  const where = file?.targets.length ? file.where : named.length > 0 ? cargo.where : undefined
  return where === undefined ? undefined : { value: 'stable', where, targets, others }
}

function checked({ value: text, where }: Located): Located {
  // `latest` is what mise and asdf call the newest stable version.
  const value = text === 'latest' ? 'stable' : text.replace(/^v(?=\d)/, '').replace(/\.[x*]$/, '')
  if (/^(stable|beta|nightly|\d+\.\d+(\.\d+)?)(-\d{4}-\d{2}-\d{2})?$/.test(value)) return { value, where }
  throw new BuildpackError(`${JSON.stringify(text.slice(0, 100))} is not a toolchain of Rust`, {
    where,
    fix: 'write for example "1.85" or "stable"',
  })
}

/** The places that name another toolchain than the chosen one, as texts for warnings with both places. */
export function contradictions(request: ToolchainRequest, version: string): string[] {
  return request.others
    .filter(other => other.value !== request.value && !fulfils(version, { ...other, targets: [] }))
    .map(({ value, where }) => `${request.where} asks for ${request.value}, but ${where} for ${value}`)
}

interface ToolchainFile {
  /** undefined if the file names only targets or components. */
  readonly value: string | undefined
  readonly where: string
  readonly targets: readonly string[]
}

/** rustup's file: `[toolchain] channel = "1.85"`, or in its old form only the channel on a line. */
async function fromToolchainFile(app: App): Promise<ToolchainFile | undefined> {
  const where = await app.firstOf(['rust-toolchain.toml', 'rust-toolchain'])
  if (where === undefined) return undefined
  const text = (await app.read(where)) ?? ''
  if (where === 'rust-toolchain' && !text.includes('[')) {
    const value = text.trim()
    return value === '' ? undefined : { value, where, targets: [] }
  }
  const toolchain = tableOf(parseToml(text, where)['toolchain'])
  if (toolchain['path'] !== undefined) {
    throw new BuildpackError('a toolchain from a path does not exist in the build', {
      where: `${where} toolchain.path`,
      fix: 'use a channel instead: channel = "stable"',
    })
  }
  const targets = Array.isArray(toolchain['targets']) ? toolchain['targets'].filter(t => typeof t === 'string') : []
  const value = textOf(toolchain['channel'])
  return { value, where: `${where} toolchain.${value === undefined ? 'targets' : 'channel'}`, targets }
}

async function fromOtherFiles(app: App): Promise<Located[]> {
  return fromEach([
    fromVersionFile(app, '.rust-version'),
    fromVersionFile(app, 'rust-version.txt'),
    fromToolVersions(app, 'rust'),
    fromMise(app, 'rust'),
  ])
}

/** True if a version satisfies a request: the same line does, as its patches only fix faults. Debian's Rust is a stable one. */
export function fulfils(version: string, { value, targets }: Pick<ToolchainRequest, 'value' | 'targets'>): boolean {
  if (targets.some(target => !target.endsWith('-unknown-linux-gnu'))) return false
  if (value === 'stable') return true
  const wanted = toVersion(value)
  if (wanted === undefined) return false
  return semver.major(version) === semver.major(wanted) && semver.minor(version) === semver.minor(wanted)
}

/** True if a version is at least as new as needed. Cargo reports an invalid version. */
export function isNewEnough(version: string, needed: string | undefined): boolean {
  const minimum = needed === undefined ? undefined : toVersion(needed)
  return minimum === undefined || semver.gte(version, minimum)
}
