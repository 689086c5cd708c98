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
  type VersionRequest,
} from '../sdk/index.ts'
import { meetsAll, toSpecifier } from './specifier.ts'
import { nearest } from '../sdk/version-order.ts'
import { tableOf } from '../sdk/tables.ts'

/** The combination of all requests for a version of Python. */
export interface Wanted {
  /** The text of the request, for messages; undefined without a request. */
  readonly request: VersionRequest | undefined
  /** PEP 440 specifiers that always apply: the setting's, else the first pin's, else all ranges. */
  readonly specifiers: readonly string[]
  /** Requests of other places. They apply if a version satisfies all; else the chosen version breaks them, with a warning. */
  readonly wishes: readonly Wish[]
}

interface Wish extends VersionRequest {
  readonly specifier: string
}

/**
 * A setting wins over pins; then the first pin wins. The project's own version ranges apply as well.
 * @throws BuildpackError for an invalid version
 */
export async function wantedPython({ app, env }: Pick<Context, 'app' | 'env'>): Promise<Wanted> {
  const setting = firstSetting(
    env,
    'BP_CPYTHON_VERSION',
    'GOOGLE_PYTHON_VERSION',
    'GOOGLE_RUNTIME_VERSION',
    'RAILPACK_PYTHON_VERSION',
  )
  const ranges = (await rangesOf(app)).map(toWish)
  if (setting) {
    const request = { value: setting.value, where: setting.name }
    return { specifiers: [toWish(request).specifier], request, wishes: ranges }
  }
  const [pin, ...others] = (await pinsOf(app)).map(toWish)
  if (pin) return { specifiers: [pin.specifier], request: pin, wishes: [...others, ...ranges] }
  const value = ranges.map(range => range.value).join(' and ')
  const where = ranges.map(range => range.where).join(' and ')
  const request = ranges.length > 0 ? { value, where } : undefined
  return { specifiers: ranges.map(range => range.specifier), request, wishes: [] }
}

/**
 * Debian's version if it satisfies all requests; else the newest other version that does; else one that satisfies the specifiers that
 * always apply.
 * @param downloads lists the other versions, the newest first
 * @throws BuildpackError if there is none, with the nearest
 */
export async function chooseVersion(
  { request, specifiers, wishes }: Wanted,
  debian: string,
  downloads: () => Promise<readonly string[]>,
): Promise<string> {
  const all = [...specifiers, ...wishes.map(({ specifier }) => specifier)]
  if (meetsAll(debian, all)) return debian
  const others = await downloads()
  const found = others.find(version => meetsAll(version, all))
  if (found !== undefined) return found
  const fallback = [debian, ...others].find(version => meetsAll(version, specifiers))
  if (fallback !== undefined) return fallback
  const minors = [...new Set(others.map(minorOf))]
  throw new BuildpackError(`no CPython is ${request?.value}`, {
    where: request?.where,
    fix: `the nearest is ${nearest([debian, ...others], request?.value ?? '')}: request that version, or ${minorOf(debian)}, which is Debian's; available are ${minors.join(', ')}`,
  })
}

/** The requests that the chosen version breaks: both places for the warning. */
export function contradictions({ request, wishes }: Wanted, version: string): string[] {
  return wishes
    .filter(({ specifier }) => !meetsAll(version, [specifier]))
    .map(({ value, where }) => `${request?.where} asks for ${request?.value}, but ${where} for ${value}`)
}

/** `3.13` of `3.13.5`. */
export function minorOf(version: string): string {
  return version.split('.').slice(0, 2).join('.')
}

function toWish({ value, where }: VersionRequest): Wish {
  const specifier = toSpecifier(value)
  if (specifier !== undefined) return { value, where, specifier }
  const pypy = /pypy/i.test(value) ? 'PyPy is not supported; ' : ''
  throw new BuildpackError(`${JSON.stringify(value.slice(0, 100))} is not a version of CPython`, {
    where,
    fix: `${pypy}write a version such as 3.13`,
  })
}

/** The versions that files pin, by precedence. */
async function pinsOf(app: App): Promise<VersionRequest[]> {
  return fromEach([
    fromVersionFile(app, '.python-version'),
    fromVersionFile(app, 'runtime.txt'),
    fromPipfile(app),
    fromToolVersions(app, 'python'),
    fromMise(app, 'python'),
  ])
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
  const config = /^python_requires\s*=\s*(.+)$/m.exec((await app.read('setup.cfg')) ?? '')?.[1]
  const setup = /\bpython_requires\s*=\s*["']([^"']+)["']/.exec((await app.read('setup.py')) ?? '')?.[1]
  const found: [unknown, string][] = [
    [tableOf(project)['requires-python'], 'pyproject.toml requires-python'],
    [poetry, 'pyproject.toml tool.poetry.dependencies.python'],
    [config, 'setup.cfg python_requires'],
    [setup, 'setup.py python_requires'],
  ]
  return found.flatMap(([value, where]) =>
    typeof value === 'string' && value.trim() !== '' ? [{ value: value.trim(), where }] : [],
  )
}
