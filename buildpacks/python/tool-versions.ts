import { compare } from '@renovatebot/pep440'
import { parseToml } from '../../lifecycle/spec/toml.ts'
import {
  type App,
  type BuildContext,
  BuildpackError,
  type Context,
  firstSetting,
  fromToolFiles,
  type VersionRequest,
} from '../sdk/index.ts'
import type { LockTool } from './project.ts'
import { type Pip, type Python, reproducibleEnv } from './runtime.ts'
import { meetsAll, toSpecifier } from './specifier.ts'
import { nearest } from '../sdk/version-order.ts'
import { tableOf } from '../sdk/tables.ts'

/** The program that installs packages. */
export type Installer = LockTool | 'pip'

/** The names of installers for users. */
export const installerNames: Readonly<Record<Installer, string>> = {
  pip: 'pip',
  uv: 'uv',
  poetry: 'Poetry',
  pdm: 'PDM',
  pipenv: 'Pipenv',
}

/**
 * The oldest releases with the features that the buildpack uses: pip's report, `uv sync --no-default-groups`, `poetry install --only`,
 * `pipenv requirements`.
 */
const oldest: Readonly<Record<Installer, string>> = {
  pip: '22.2',
  uv: '0.6.0',
  poetry: '1.2.0',
  pdm: '2.0.0',
  pipenv: '2022.4.8',
}

/** The requested version, and the place of the request; undefined without one. */
export interface Chosen {
  readonly version: string
  readonly request: VersionRequest
}

/**
 * The requested version of an installer, from a setting, a file of a version manager, or the tool's own requirement in pyproject.toml.
 * A full version is not looked up: with its layer in the cache the build needs no index.
 * @param usual the default version
 * @throws BuildpackError for an invalid or unavailable version
 */
export async function chosenVersion(
  context: BuildContext,
  { python, pip }: { readonly python: Python; readonly pip: Pip },
  tool: Installer,
  usual: string,
): Promise<Chosen | undefined> {
  const request = await requestOf(context, tool)
  if (request === undefined || /^(?:latest|\*)$/.test(request.value)) return undefined
  const name = installerNames[tool]
  const bare = /^(?:==)?v?(\d+(?:\.\d+)*)$/.exec(request.value)?.[1]
  const isWhole = bare !== undefined && bare.split('.').length > 2
  const specifier = isWhole ? `==${bare}` : toSpecifier(request.value)
  if (specifier === undefined) {
    throw new BuildpackError(`${JSON.stringify(request.value.slice(0, 100))} is not a version of ${name}`, {
      where: request.where,
      fix: `write a version such as ${usual}`,
    })
  }
  if (isWhole && compare(bare, oldest[tool]) >= 0) return { version: bare, request }
  // A range that includes the default version does not request another.
  if (bare === undefined && meetsAll(usual, [specifier])) return { version: usual, request }
  const versions = await listVersions(context, pip, tool, python.minor)
  // pip has releases such as 25.1 and 25.1.1: a request for 25.1 means only the first.
  const found = versions.find(version => version === bare) ?? versions.find(version => meetsAll(version, [specifier]))
  if (found === undefined) throw notToBeHad(tool, request, versions, python)
  return { version: found, request }
}

/** The error for a version that the index does not have for this Python, or that is too old for this buildpack. */
export function notToBeHad(
  tool: Installer,
  { value, where }: VersionRequest,
  versions: readonly string[],
  { minor }: Pick<Python, 'minor'>,
): BuildpackError {
  const name = installerNames[tool]
  const isThere = versions.length > 0
  return new BuildpackError(`no ${name} for Python ${minor} is ${value}`, {
    where,
    fix: isThere
      ? `the nearest is ${nearest(versions, value)}; the package index has ${versions.at(-1)} to ${versions[0]}`
      : `the package index has no version from ${oldest[tool]} on: check its address`,
  })
}

/** The releases of an installer that the package index has for a Python, the newest first, without those that are too old. */
export async function listVersions(context: BuildContext, pip: Pip, tool: Installer, minor: string): Promise<string[]> {
  const args = ['versions', tool, '--json', '--python-version', minor, '--no-input']
  const { stdout } = await context.run(['python3', '-m', 'pip', 'index', ...args], {
    env: { ...reproducibleEnv, PYTHONPATH: pip.modules, PIP_DISABLE_PIP_VERSION_CHECK: '1' },
    quiet: true,
    name: `pip index versions ${tool}`,
    fix: 'check the network, and the package index: PIP_INDEX_URL',
  })
  const { versions } = JSON.parse(stdout) as { versions: readonly string[] }
  return versions
    .filter(version => /^\d+(?:\.\d+)*$/.test(version) && compare(version, oldest[tool]) >= 0)
    .toSorted((a, b) => compare(b, a))
}

async function requestOf(
  { app, env }: Pick<Context, 'app' | 'env'>,
  tool: Installer,
): Promise<VersionRequest | undefined> {
  const name = tool.toUpperCase()
  const setting = firstSetting(env, `BP_${name}_VERSION`, `RAILPACK_${name}_VERSION`)
  if (setting) return { value: setting.value, where: setting.name }
  return (await fromToolFiles(app, tool)) ?? (await ownRequirement(app, tool))
}

/** A requirement that the tool itself checks when it runs. */
async function ownRequirement(app: App, tool: Installer): Promise<VersionRequest | undefined> {
  const places: Partial<
    Record<Installer, readonly (readonly [file: string, section: string | undefined, key: string])[]>
  > = {
    uv: [
      ['uv.toml', undefined, 'required-version'],
      ['pyproject.toml', 'uv', 'required-version'],
    ],
    poetry: [['pyproject.toml', 'poetry', 'requires-poetry']],
  }
  for (const [file, section, key] of places[tool] ?? []) {
    const document = parseToml((await app.read(file)) ?? '', file)
    const value = (section === undefined ? document : tableOf(tableOf(document['tool'])[section]))[key]
    if (typeof value === 'string' && value.trim() !== '') return { value: value.trim(), where: `${file} ${key}` }
  }
  return undefined
}
