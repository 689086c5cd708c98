import { type App, type Context, firstSetting, fromEach, fromToolFiles, fromVersionFile } from '../sdk/index.ts'
import { BuildpackError, type VersionRequest } from '../sdk/index.ts'
import { type Wanted, wantedOf, type Wish } from '../debian/offered-version.ts'

/** The requests for versions of Elixir and Erlang. */
export interface WantedVersions {
  readonly elixir: Wanted
  readonly erlang: Wanted
}

/**
 * The versions that the application requests. mix.exs contains a requirement, and Mix refuses any other Elixir. A release in a setting
 * or a file of a version manager accepts every patch, since Debian has only one of them and patches only fix faults.
 * @throws BuildpackError for an invalid version
 */
export async function wantedVersions({ app, env }: Pick<Context, 'app' | 'env'>): Promise<WantedVersions> {
  const elixirSetting = firstSetting(env, 'BP_ELIXIR_VERSION', 'GOOGLE_RUNTIME_VERSION', 'RAILPACK_ELIXIR_VERSION')
  const erlangSetting = firstSetting(env, 'BP_ERLANG_VERSION', 'RAILPACK_ERLANG_VERSION')
  const elixirFiles = [
    fromBuildpackConfig(app, 'elixir_version'),
    fromVersionFile(app, '.elixir-version'),
    fromVersionFile(app, '.exenv-version'),
    fromToolFiles(app, 'elixir'),
  ]
  const erlangFiles = [
    fromBuildpackConfig(app, 'erlang_version'),
    fromVersionFile(app, '.erlang-version'),
    fromToolFiles(app, 'erlang'),
  ]
  const setting = (found: typeof elixirSetting) => found && { value: found.value, where: found.name }
  const elixir = (request: VersionRequest | undefined) => request && elixirWish(request)
  const erlang = (request: VersionRequest | undefined) => request && erlangWish(request)
  const required = await fromMixFile(app)
  return {
    elixir: wantedOf(
      [elixir(setting(elixirSetting)), required && requirementWish(required)],
      (await fromEach(elixirFiles)).map(elixir),
    ),
    erlang: wantedOf([erlang(setting(erlangSetting))], (await fromEach(erlangFiles)).map(erlang)),
  }
}

/** `1.18.3`, `1.18`, `v1.18.3-otp-27`, `1.18.x`. */
function elixirWish({ value, where }: VersionRequest): Wish {
  const text = value.trim()
  if (/^(latest|\*)$/.test(text)) return { value, where, meets: () => true }
  const [, number, candidate] = /^v?(\d+(?:\.\d+){0,2})(?:\.[x*])*(-(?:rc|dev)[.\d]*)?(?:-otp-\d+)?$/.exec(text) ?? []
  if (number !== undefined && candidate === undefined) {
    const minor = number.split('.').slice(0, 2).join('.')
    return { value, where, meets: release => isBelow(release, minor) }
  }
  if (number !== undefined) return { value, where, meets: () => false }
  return requirementWish({ value, where })
}

/** `27.3.4`, `27`, `OTP-27.3`: as for Elixir, later and earlier patches of an OTP release are accepted. */
function erlangWish({ value, where }: VersionRequest): Wish {
  const text = value.trim()
  if (/^(latest|\*)$/.test(text)) return { value, where, meets: () => true }
  const major = /^(?:OTP-|v)?(\d+)(?:\.(?:\d+|x|\*))*$/i.exec(text)?.[1]
  if (major !== undefined) return { value, where, meets: release => isBelow(release, major) }
  throw new BuildpackError(`${JSON.stringify(text.slice(0, 100))} is not a version of Erlang`, {
    where,
    fix: 'write a release of OTP, such as 27',
  })
}

/** Whether a release is the version, or a patch of it: 1.18.3 for 1.18. */
const isBelow = (release: string, version: string) => release === version || release.startsWith(`${version}.`)

/** hexdocs.pm/elixir, "Version": requirements are joined by `and`, which binds more tightly, and `or`. */
function requirementWish({ value, where }: VersionRequest): Wish {
  const alternatives = value.split(/\s+or\s+/).map(part => part.split(/\s+and\s+/).map(parseClause))
  if (alternatives.flat().includes(undefined)) {
    throw new BuildpackError(`${JSON.stringify(value.slice(0, 100))} is not a version of Elixir`, {
      where,
      fix: 'write a release or a requirement, such as 1.18 or ~> 1.14',
    })
  }
  const meets = (release: string) => {
    const own = release.split('.').map(Number)
    return alternatives.some(clauses => clauses.every(clause => clause?.(own) ?? false))
  }
  return { value, where, meets }
}

type Clause = (release: readonly number[]) => boolean

function parseClause(text: string): Clause | undefined {
  const [, operator = '', digits] =
    /^(~>|>=|<=|==|!=|!|>|<)?\s*v?(\d+(?:\.\d+){0,2})(?:-[\w.]+)?$/.exec(text.trim()) ?? []
  if (digits === undefined) return undefined
  const version = digits.split('.').map(Number)
  const order = (release: readonly number[]) => compare(release, version)
  switch (operator) {
    case '~>': {
      // `~> 2.1.2` means below 2.2, and `~> 2.1` below 3.
      const fixed = version.slice(0, Math.max(1, version.length - 1))
      return release => order(release) >= 0 && fixed.every((number, index) => release[index] === number)
    }
    case '>=':
      return release => order(release) >= 0
    case '<=':
      return release => order(release) <= 0
    case '>':
      return release => order(release) > 0
    case '<':
      return release => order(release) < 0
    case '!=':
    case '!':
      return release => order(release) !== 0
    default:
      return release => order(release) === 0
  }
}

function compare(a: readonly number[], b: readonly number[]): number {
  for (let index = 0; index < 3; index++) {
    const difference = (a[index] ?? 0) - (b[index] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}

/** The requirement of the project in mix.exs, if it is a literal; only Mix can evaluate a computed one. */
async function fromMixFile(app: App): Promise<VersionRequest | undefined> {
  const lines = ((await app.read('mix.exs')) ?? '').split('\n')
  for (const [index, line] of lines.entries()) {
    const value = /^(?:[^#]*?[\s,[(])?elixir:\s*"([^"#]+)"/.exec(line)?.[1]
    if (value !== undefined) return { value, where: `mix.exs:${index + 1}` }
  }
  return undefined
}

/** elixir_buildpack.config is a shell file: `elixir_version=1.18.3`. */
async function fromBuildpackConfig(app: App, name: string): Promise<VersionRequest | undefined> {
  const where = 'elixir_buildpack.config'
  const text = (await app.read(where)) ?? ''
  const value = new RegExp(`^\\s*${name}=\\(?["']?([^\\s"')#]+)`, 'm').exec(text)?.[1]
  return value === undefined ? undefined : { value, where }
}
