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
import { nearest } from './version.ts'
import { tableOf } from '../sdk/tables.ts'

/** What installs packages. */
export type Installer = LockTool | 'pip'

/** The names that people know installers by. */
export const installerNames: Readonly<Record<Installer, string>> = {
  pip: 'pip',
  uv: 'uv',
  poetry: 'Poetry',
  pdm: 'PDM',
  pipenv: 'Pipenv',
}

/**
 * The oldest releases that have what is asked of them here: pip's report, `uv sync --no-default-groups`, `poetry install --only`,
 * `pipenv requirements`.
 */
const oldest: Readonly<Record<Installer, string>> = {
  pip: '22.2',
  uv: '0.6.0',
  poetry: '1.2.0',
  pdm: '2.0.0',
  pipenv: '2022.4.8',
}

/** The version that somebody asks for, and who; undefined if nobody does. */
export interface Chosen {
  readonly version: string
  readonly request: VersionRequest
}

/**
 * The version of an installer that a setting, a file of a version manager, or the tool's own requirement in pyproject.toml asks for. One that is
 * written in full is not looked up: with its layer in the cache the build needs no index.
 * @param usual the version that is taken where nothing asks for another
 * @throws BuildpackError for what is no version, or none that can be had
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
  // A range that the usual version meets asks for no other.
  if (bare === undefined && meetsAll(usual, [specifier])) return { version: usual, request }
  const versions = await listVersions(context, pip, tool, python.minor)
  // pip's releases are called 25.1 and 25.1.1: the former is not any of them.
  const found = versions.find(version => version === bare) ?? versions.find(version => meetsAll(version, [specifier]))
  if (found === undefined) throw notToBeHad(tool, request, versions, python)
  return { version: found, request }
}

/** The error for a version that the index does not have for this Python, or that is too old for what is asked of it. */
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
      : `the package index has none from ${oldest[tool]} on: check its address`,
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

/** What tools check themselves when they run. */
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
