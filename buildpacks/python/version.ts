import { parseToml } from '../../lifecycle/spec/toml.ts'
import {
  type App,
  BuildpackError,
  type Context,
  firstSetting,
  fromToolFiles,
  fromVersionFile,
  type VersionRequest,
} from '../sdk/index.ts'
import { meetsAll, toSpecifier } from './specifier.ts'

/** What all the places that ask for a version of Python come to. */
export interface Wanted {
  /** Specifiers of PEP 440, all of which hold. */
  readonly specifiers: readonly string[]
  /** As somebody wrote it, for messages; undefined if nothing asks. */
  readonly request: VersionRequest | undefined
  /** Places whose wish does not hold, because a setting or a pin wins. */
  readonly ranges: readonly Range[]
}

interface Range extends VersionRequest {
  readonly specifier: string
}

/**
 * A setting wins alone; then a pin, and the ranges that the project says it runs on; then these ranges alone.
 * @throws BuildpackError for what is no version
 */
export async function wantedPython({ app, env }: Pick<Context, 'app' | 'env'>): Promise<Wanted> {
  const setting = firstSetting(
    env,
    'BP_CPYTHON_VERSION',
    'GOOGLE_PYTHON_VERSION',
    'GOOGLE_RUNTIME_VERSION',
    'RAILPACK_PYTHON_VERSION',
  )
  if (setting) {
    const request = { value: setting.value, where: setting.name }
    return { specifiers: [specifierOf(request)], request, ranges: [] }
  }
  const pin = await pinned(app)
  const ranges = (await rangesOf(app)).map(range => ({ ...range, specifier: specifierOf(range) }))
  if (pin) return { specifiers: [specifierOf(pin)], request: pin, ranges }
  const value = ranges.map(range => range.value).join(' and ')
  const where = ranges.map(range => range.where).join(' and ')
  const request = ranges.length > 0 ? { value, where } : undefined
  return { specifiers: ranges.map(range => range.specifier), request, ranges: [] }
}

/** What the chosen version breaks though it was pinned: both places for the warning. */
export function contradictions({ request, ranges }: Wanted, version: string): string[] {
  return ranges
    .filter(({ specifier }) => !meetsAll(version, [specifier]))
    .map(({ value, where }) => `${request?.where} asks for ${request?.value}, but ${where} for ${value}`)
}

function specifierOf({ value, where }: VersionRequest): string {
  const specifier = toSpecifier(value)
  if (specifier !== undefined) return specifier
  const pypy = /pypy/i.test(value) ? 'PyPy is not supported; ' : ''
  throw new BuildpackError(`${JSON.stringify(value.slice(0, 100))} is not a version of CPython`, {
    where,
    fix: `${pypy}write a version such as 3.13`,
  })
}

async function pinned(app: App): Promise<VersionRequest | undefined> {
  return (
    (await fromVersionFile(app, '.python-version')) ??
    (await fromVersionFile(app, 'runtime.txt')) ??
    (await fromPipfile(app)) ??
    (await fromToolFiles(app, 'python'))
  )
}

async function fromPipfile(app: App): Promise<VersionRequest | undefined> {
  const { requires } = parseToml((await app.read('Pipfile')) ?? '', 'Pipfile')
  const table = tableOf(requires)
  const value = table['python_full_version'] ?? table['python_version']
  return typeof value === 'string' ? { value, where: 'Pipfile requires' } : undefined
}

async function rangesOf(app: App): Promise<VersionRequest[]> {
  const { project, tool } = parseToml((await app.read('pyproject.toml')) ?? '', 'pyproject.toml')
  const poetry = tableOf(tableOf(tableOf(tool)['poetry'])['dependencies'])['python']
  const found: [unknown, string][] = [
    [tableOf(project)['requires-python'], 'pyproject.toml requires-python'],
    [poetry, 'pyproject.toml tool.poetry.dependencies.python'],
  ]
  return found.flatMap(([value, where]) =>
    typeof value === 'string' && value.trim() !== '' ? [{ value: value.trim(), where }] : [],
  )
}

function tableOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}
