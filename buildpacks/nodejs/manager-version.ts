import semver from 'semver'
import { type App, BuildpackError, firstSetting, fromEach, fromToolFiles, fromVersionFile } from '../sdk/index.ts'
import type { ManagerChoice, ManagerKind, ManagerRequest } from './manager.ts'
import type { PackageJson } from './package-json.ts'
import type { Project } from './project.ts'

type Env = Readonly<Record<string, string>>

/** The request for a version of a package manager, and the places that contradict it. */
export interface ManagerVersion {
  readonly request: ManagerRequest | undefined
  /** Texts for warnings, each with both places; also of requests that the lock file contradicts. */
  readonly contradictions: readonly string[]
}

/**
 * The first request of a setting, package.json or a version manager's pin. That pin often is of the developer's machine, so it has no
 * effect if it names a version that cannot install from the lock file.
 * @throws BuildpackError if it is not a version range
 */
export async function requestedManager(
  env: Env,
  kind: ManagerKind,
  { root, rootJson }: Pick<Project, 'root' | 'rootJson'>,
  { lockFile, lock }: Pick<ManagerChoice, 'lockFile' | 'lock'>,
): Promise<ManagerVersion> {
  const [program = ''] = kind.commands
  const pins = await pinsOf(root, rootJson, kind)
  const readers = lock === undefined ? '*' : kind.readers(lock.format)
  const canRead = ({ range }: ManagerRequest): boolean => semver.intersects(range, readers)
  const unable = pins
    .filter(request => !canRead(request))
    .map(
      ({ range, where }) =>
        `${where} asks for ${program} ${range}, which has no effect: it cannot install from this ${lockFile}`,
    )
  const [request, ...others] = [...fromPackageJson(env, program, rootJson), ...pins.filter(canRead)]
  if (request === undefined) return { request, contradictions: unable }
  if (semver.validRange(request.range) === null) {
    throw new BuildpackError(
      `${JSON.stringify(request.range.slice(0, 100))} is not a version of ${kind.name} or a range of versions`,
      { where: request.where, fix: 'write for example "11.x"' },
    )
  }
  const contradictions = others
    .filter(({ range }) => semver.validRange(range) !== null && !semver.intersects(range, request.range))
    .map(({ range, where }) => `${request.where} asks for ${request.range}, but ${where} for ${range}`)
  return { request, contradictions: [...unable, ...contradictions] }
}

function fromPackageJson(env: Env, program: string, json: PackageJson): ManagerRequest[] {
  const setting = firstSetting(env, `BP_${program.toUpperCase()}_VERSION`, `RAILPACK_${program.toUpperCase()}_VERSION`)
  const [, declared, hash] = new RegExp(`^${program}@([^+]+)(?:\\+(.+))?`).exec(json.packageManager ?? '') ?? []
  const places = [
    { range: setting?.value, where: setting?.name ?? '' },
    { range: declared, where: 'package.json packageManager', ...(hash !== undefined && { hash }) },
    { range: json.devManagers[program], where: 'package.json devEngines.packageManager' },
    { range: json.engines[program], where: `package.json engines.${program}` },
  ]
  return places.flatMap(({ range, ...rest }) => (range === undefined || range === '' ? [] : [{ range, ...rest }]))
}

/** `latest` leaves the choice to the lock file. Both lines of Yarn have the same name. */
async function pinsOf(
  root: App,
  { volta }: PackageJson,
  { id, commands: [program = ''] }: ManagerKind,
): Promise<ManagerRequest[]> {
  const pin = volta[program]
  const ofVolta = pin === undefined ? undefined : { value: pin, where: `package.json volta.${program}` }
  const files = [fromVersionFile(root, `.${program}-version`), fromToolFiles(root, program)]
  const found = await fromEach([Promise.resolve(ofVolta), ...files])
  return found.flatMap(({ value, where }) => {
    const lowest = semver.validRange(value) === null ? undefined : semver.minVersion(value)?.major
    if (lowest === undefined || (program === 'yarn' && lowest >= 2 !== (id === 'berry'))) return []
    return [{ range: value, where }]
  })
}
