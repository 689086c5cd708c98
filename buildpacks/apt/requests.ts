import { parseToml } from '../../lifecycle/spec/toml.ts'
import { type App, BuildpackError } from '../sdk/index.ts'
import { isTable } from '../sdk/tables.ts'

/** A package that the user names. */
export interface PackageRequest {
  /** The name in apt-get's notation: `libpq5`, `libpq5:amd64`, `libpq5=17.5-1`. */
  readonly name: string
  /** The place that names it: `Aptfile:3`. */
  readonly where: string
  readonly build: boolean
  readonly launch: boolean
  /** Its dependencies are left out. */
  readonly alone: boolean
}

const everywhere = { build: true, launch: true, alone: false }

/** The variables that name packages, and the packages' purpose. */
const variables = {
  BP_APT_PACKAGES: everywhere,
  RAILPACK_BUILD_APT_PACKAGES: { ...everywhere, launch: false },
  RAILPACK_DEPLOY_APT_PACKAGES: { ...everywhere, build: false },
}

/** The files and variables that name packages, for messages. */
export const places = ['Aptfile', 'project.toml', ...Object.keys(variables)]

/**
 * All packages that the Aptfile, project.toml and variables name.
 * @throws BuildpackError for a line that is not a valid package name
 */
export async function readRequests(app: App, env: Readonly<Record<string, string>>): Promise<PackageRequest[]> {
  const fromVariables = Object.entries(variables).flatMap(([where, uses]) =>
    (env[where] ?? '')
      .split(/[\s,]+/)
      // Railpack's `...` stands for the packages of a language, which are always installed.
      .filter(name => name !== '' && name !== '...')
      .map(name => ({ name, where, ...uses })),
  )
  const requests = [
    ...parseAptfile((await app.read('Aptfile')) ?? ''),
    ...parseProject((await app.read('project.toml')) ?? ''),
    ...fromVariables,
  ]
  for (const request of requests) checkName(request)
  return requests
}

function parseAptfile(text: string): PackageRequest[] {
  return text.split('\n').flatMap((line, index) =>
    line
      .replace(/#.*/, '')
      .split(/\s+/)
      .filter(Boolean)
      .map(name => ({ name, where: `Aptfile:${index + 1}`, ...everywhere })),
  )
}

/** `install` in `[com.heroku.buildpacks.deb-packages]`: names, or tables with `name` and `skip_dependencies`. */
function parseProject(text: string): PackageRequest[] {
  const path = ['com', 'heroku', 'buildpacks', 'deb-packages']
  const table = path.reduce<unknown>(
    (node, key) => (isTable(node) ? node[key] : undefined),
    parseToml(text, 'project.toml'),
  )
  if (!isTable(table) || table['install'] === undefined) return []
  const where = `project.toml ${path.join('.')}.install`
  const { install } = table
  if (!Array.isArray(install)) throw new BuildpackError('is not a list', { where, fix: 'write install = ["libpq5"]' })
  return install.map((element: unknown) => {
    if (typeof element === 'string') return { name: element, where, ...everywhere }
    if (isTable(element) && typeof element['name'] === 'string')
      return { name: element['name'], where, ...everywhere, alone: element['skip_dependencies'] === true }
    throw new BuildpackError('has an element that is neither a name nor a table with a name', { where })
  })
}

function checkName({ name, where }: PackageRequest): void {
  if (/^[a-z0-9][a-z0-9+.-]+(:[a-z0-9]+)?(=[A-Za-z0-9.+~:-]+)?$/.test(name)) return
  if (/^https?:|^:repo:/.test(name)) {
    throw new BuildpackError(`${name.split(/[/@]/)[0]}… is not a Debian package in the archive`, {
      where,
      fix: 'name packages that are in the apt sources of the build image; your own builder can have more sources',
    })
  }
  throw new BuildpackError(`${JSON.stringify(name)} is not the name of a Debian package`, {
    where,
    fix: 'write a name such as libpq5, or libpq5=17.5-1 for one version',
  })
}
