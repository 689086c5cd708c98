import semver from 'semver'
import { parseToml } from '../../lifecycle/spec/toml.ts'
import { type App, BuildpackError, type Context, firstSetting } from '../sdk/index.ts'
import { type Located, tableOf, textOf, toVersion } from './manifest.ts'

/** The toolchain that somebody asks for, as rustup names it (rust-lang.github.io/rustup, "Toolchains"): `1.85`, `stable`. */
export interface ToolchainRequest extends Located {
  /** Machines to compile for, beside this one. */
  readonly targets: readonly string[]
}

/** A setting, else what the first of several files names; undefined if nobody asks. */
export async function requestedToolchain({
  app,
  env,
}: Pick<Context, 'app' | 'env'>): Promise<ToolchainRequest | undefined> {
  const file = await fromToolchainFile(app)
  const names = ['BP_RUST_TOOLCHAIN', 'BP_RUST_VERSION', 'RAILPACK_RUST_VERSION', 'GOOGLE_RUNTIME_VERSION']
  const setting = firstSetting(env, ...names)
  const found = setting
    ? { value: setting.value, where: setting.name, targets: file?.targets ?? [] }
    : (file ?? (await fromOtherFiles(app)))
  if (found === undefined) return undefined
  const value = found.value.replace(/^v(?=\d)/, '').replace(/\.[x*]$/, '')
  if (!/^(stable|beta|nightly|\d+\.\d+(\.\d+)?)(-\d{4}-\d{2}-\d{2})?$/.test(value)) {
    throw new BuildpackError(`${JSON.stringify(found.value.slice(0, 100))} is not a toolchain of Rust`, {
      where: found.where,
      fix: 'write for example "1.85" or "stable"',
    })
  }
  return { ...found, value }
}

/** rustup's file: `[toolchain] channel = "1.85"`, or the channel alone on a line, as it was once written. */
async function fromToolchainFile(app: App): Promise<ToolchainRequest | undefined> {
  const where = await app.firstOf(['rust-toolchain.toml', 'rust-toolchain'])
  if (where === undefined) return undefined
  const text = (await app.read(where)) ?? ''
  if (where === 'rust-toolchain' && !text.includes('[')) {
    const value = text.trim()
    return value === '' ? undefined : { value, where, targets: [] }
  }
  const toolchain = tableOf(parseToml(text, where)['toolchain'])
  if (toolchain['path'] !== undefined) {
    throw new BuildpackError('a toolchain from a path is not there when an image is built', {
      where: `${where} toolchain.path`,
      fix: 'name a channel instead: channel = "stable"',
    })
  }
  const targets = Array.isArray(toolchain['targets']) ? toolchain['targets'].filter(t => typeof t === 'string') : []
  const value = textOf(toolchain['channel'])
  return value === undefined ? undefined : { value, where: `${where} toolchain.channel`, targets }
}

async function fromOtherFiles(app: App): Promise<ToolchainRequest | undefined> {
  for (const where of ['.rust-version', 'rust-version.txt']) {
    const value = (await app.read(where))?.trim()
    if (value) return { value, where, targets: [] }
  }
  const tool = /^[ \t]*rust[ \t]+([^\s#]+)/m.exec((await app.read('.tool-versions')) ?? '')?.[1]
  if (tool !== undefined) return { value: tool, where: '.tool-versions', targets: [] }
  const where = await app.firstOf(['mise.toml', '.mise.toml'])
  if (where === undefined) return undefined
  const rust = tableOf(parseToml((await app.read(where)) ?? '', where)['tools'])['rust']
  const value = textOf(rust) ?? textOf(tableOf(rust)['version'])
  return value === undefined ? undefined : { value, where, targets: [] }
}

/** True if a version will do for a request: the same line, as its patches only mend faults. Debian's is a stable one. */
export function fulfils(version: string, { value, targets }: ToolchainRequest): boolean {
  if (targets.some(target => !target.endsWith('-unknown-linux-gnu'))) return false
  if (value === 'stable') return true
  const wanted = toVersion(value)
  if (wanted === undefined) return false
  return semver.major(version) === semver.major(wanted) && semver.minor(version) === semver.minor(wanted)
}

/** True if a version is as new as somebody needs. What is no version is Cargo's to complain about. */
export function isNewEnough(version: string, needed: string | undefined): boolean {
  const minimum = needed === undefined ? undefined : toVersion(needed)
  return minimum === undefined || semver.gte(version, minimum)
}
