import { parseToml } from '../../lifecycle/spec/toml.ts'
import { type BuildContext, BuildpackError, firstSetting } from '../sdk/index.ts'

/** The one version of Python that each Debian release has. */
const pythonOf: Readonly<Record<string, string>> = { '13': '3.13' }

type VersionContext = Pick<BuildContext, 'app' | 'env' | 'log' | 'target'>

/** A version as somebody asked for it, and where. */
interface Request {
  readonly spec: string
  readonly where: string
}

/**
 * The minor version of the stack's Python, `3.13`, once it is known to be what the application asks for.
 * @throws BuildpackError if it asks for another
 */
export async function choosePython(context: VersionContext): Promise<{ minor: string; why: string }> {
  const release = context.target.distro?.version ?? '13'
  const minor = pythonOf[release]
  if (minor === undefined) {
    throw new BuildpackError(`there is no Python for ${context.target.distro?.name} ${release}`, {
      fix: 'build on a stack of Debian 13',
    })
  }
  const request = await requestedVersion(context)
  if (request === undefined) return { minor, why: 'what the stack has, as nothing asks for another' }
  const verdict = judge(request, minor)
  if (verdict === 'other') {
    throw new BuildpackError(`Python ${request.spec} is asked for, and the stack has ${minor}`, {
      where: request.where,
      fix: `ask for ${minor}, or set BP_CPYTHON_VERSION=${minor} to try the application on it`,
    })
  }
  return { minor, why: `${request.where} asks for ${request.spec}` }
}

/** Settings first, then what names a version, then what the project says it can run on. */
async function requestedVersion({ app, env }: VersionContext): Promise<Request | undefined> {
  const setting = firstSetting(
    env,
    'BP_CPYTHON_VERSION',
    'GOOGLE_PYTHON_VERSION',
    'GOOGLE_RUNTIME_VERSION',
    'RAILPACK_PYTHON_VERSION',
  )
  if (setting) return { spec: setting.value, where: setting.name }
  for (const where of ['.python-version', 'runtime.txt']) {
    const lines = ((await app.read(where)) ?? '').split('\n').map(line => line.replace(/#.*/, '').trim())
    const spec = lines.find(line => line !== '')
    if (spec !== undefined) return { spec, where }
  }
  const pyproject = await app.read('pyproject.toml')
  const { project } = parseToml(pyproject ?? '', 'pyproject.toml')
  const spec: unknown = (project as Record<string, unknown> | undefined)?.['requires-python']
  return typeof spec === 'string' && spec.trim() !== ''
    ? { spec: spec.trim(), where: 'pyproject.toml requires-python' }
    : undefined
}

/** Whether a request can be met by some version of `minor`; Debian decides which. */
function judge({ spec, where }: Request, minor: string): 'met' | 'other' {
  const clauses = spec.split(',').map(clause => clause.trim())
  const met = clauses.map(clause => meets(clause, minor))
  if (met.includes(undefined)) {
    throw new BuildpackError(`${JSON.stringify(spec.slice(0, 100))} is not a version of Python`, {
      where,
      fix: `write ${minor}`,
    })
  }
  return met.every(Boolean) ? 'met' : 'other'
}

/**
 * One clause of PEP 440's version specifiers, or a bare version as pyenv and Heroku write it: `>=3.10`, `3.13.*`,
 * `python-3.13.2`. Debian's patches make the last number meaningless, so only the first two are compared; undefined if
 * it is none.
 */
function meets(clause: string, minor: string): boolean | undefined {
  const parts =
    /^(===?|~=|!=|<=?|>=?|\^)?\s*(?:python-|cpython-)?(\d+)(?:\.(\d+|\*|x))?(?:\.(\d+|\*|x))?[a-z0-9.+-]*$/i.exec(
      clause,
    )
  if (parts === null) return undefined
  const [, operator = '==', major = '', minorText, patch] = parts
  const [ourMajor = 0, ourMinor = 0] = minor.split('.').map(Number)
  const number = Number(minorText)
  const any = minorText === undefined || Number.isNaN(number)
  const order = Math.sign(ourMajor - Number(major)) || (any ? 0 : Math.sign(ourMinor - number))
  // `<3.13` excludes 3.13.0, `<3.13.9` does not exclude all of it.
  const hasPatch = patch !== undefined && /^\d+$/.test(patch)
  switch (operator) {
    case '>=':
      return order >= 0
    case '>':
      return order > 0 || (order === 0 && hasPatch)
    case '<=':
      return order <= 0
    case '<':
      return order < 0 || (order === 0 && hasPatch && patch !== '0')
    case '!=':
      return order !== 0 || hasPatch
    case '~=':
    case '^':
      // `~=3.10` and `^3.10` are any later 3.x; `~=3.10.1` is 3.10.
      return operator === '~=' && hasPatch ? order === 0 : Number(major) === ourMajor && order >= 0
    default:
      return order === 0
  }
}
