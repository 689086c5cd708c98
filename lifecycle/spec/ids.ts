import { BaleError } from '../errors.ts'
import { quote } from './read.ts'

/**
 * Names that become directories. They come from buildpacks, images and platforms, so the phase that reads one checks it
 * before it makes a path of it.
 */

/** The most bytes of a file name on Linux (NAME_MAX). */
const maxName = 255
/** Names that are reserved beside the buildpacks' directories (buildpack.md, "buildpack.toml"). */
const reservedIds = ['app', 'config', 'generated', 'sbom']
/**
 * Names that no layer may have: `<layers>/build.toml`, `launch.toml` and `store.toml` are other documents (buildpack.md,
 * "Build"), and `sbom` is Bale's.
 */
const reservedLayers = ['build', 'launch', 'store', 'sbom']

const control = /[\x00-\x1f\x7f-\x9f]/

const bytesOf = (name: string): number => new TextEncoder().encode(name).length

/**
 * Returns the name of a buildpack's directory: `paketo-buildpacks_go` for `paketo-buildpacks/go` (buildpack.md, "Buildpacks
 * Directory Layout").
 */
export function escapeId(id: string): string {
  return id.replaceAll('/', '_')
}

/**
 * Checks that a buildpack id is safe as a directory name. More lenient than the specification's character set, since ids
 * such as `hello_world` exist; `checkPublishableId` is strict.
 * @throws BaleError 'input' at `where`
 */
export function checkBuildpackId(id: string, where: string): void {
  const problem = idProblem(id)
  if (problem === undefined) return
  throw new BaleError('input', `${quote(id)} cannot be a buildpack's id: ${problem}`, {
    where,
    fix: 'use letters, digits, ".", "-" and "/", such as "example/ruby"',
  })
}

function idProblem(id: string): string | undefined {
  if (id === '') return 'it is empty'
  if (bytesOf(id) > maxName) return `it is longer than ${maxName} bytes`
  if (control.test(id)) return 'it has a control character'
  if (id.split('/').some(part => part === '' || part === '.' || part === '..') || id === '__proto__')
    return 'it is not a plain name'
  if (reservedIds.includes(id.toLowerCase())) return `${id.toLowerCase()} is reserved`
  return undefined
}

/** Checks the specification's rule, for buildpacks to package or publish (buildpack.md, "buildpack.toml"). */
export function checkPublishableId(id: string, where: string): void {
  checkBuildpackId(id, where)
  if (/^[A-Za-z0-9./-]+$/.test(id)) return
  throw new BaleError(
    'input',
    `${quote(id)} cannot be a buildpack's id: it may have letters, digits, ".", "/" and "-"`,
    {
      where,
      fix: `write ${quote(id.replaceAll(/[^A-Za-z0-9./-]/g, '-'))}`,
    },
  )
}

/**
 * Refuses two buildpacks that share a directory: neither `a/b` and `a_b`, nor `A` and `a` on a disk that folds case
 * (buildpack.md: ids must differ in a case-insensitive comparison). The same id twice is no collision.
 */
export function checkGroupIds(elements: readonly { readonly id: string }[], where = 'group'): void {
  const seen = new Map<string, string>()
  for (const { id } of elements) {
    const directory = escapeId(id).toLowerCase()
    const other = seen.get(directory) ?? id
    if (other !== id)
      throw new BaleError('input', `the ids ${quote(other)} and ${quote(id)} have the same directory`, {
        where,
        fix: 'remove one of the two buildpacks from the group',
      })
    seen.set(directory, id)
  }
}

/** Checks that a version is safe as a directory name. `checkPublishableVersion` is strict. */
export function checkVersion(version: string, where: string): void {
  const problem = nameProblem(version)
  if (problem === undefined) return
  throw new BaleError('input', `${quote(version)} cannot be a version: ${problem}`, {
    where,
    fix: 'write X.Y.Z, such as "1.2.0"',
  })
}

/** `X.Y.Z` without leading zeros (buildpack.md, "buildpack.toml"). */
export function checkPublishableVersion(version: string, where: string): void {
  if (/^(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)$/.test(version)) return
  throw new BaleError('input', `${quote(version)} is not X.Y.Z`, {
    where,
    fix: `write ${quote(closestVersion(version))}`,
  })
}

function closestVersion(version: string): string {
  const numbers = [...version.matchAll(/\d+/g)].slice(0, 3).map(m => m[0].replace(/^0+(?=\d)/, ''))
  return [...numbers, '0', '0', '0'].slice(0, 3).join('.')
}

/**
 * Checks a layer's name, taken from `<layer>.toml`: the file `...toml` would name the layer `..`.
 * @throws BaleError 'input' at `where`
 */
export function checkLayerName(name: string, where: string): void {
  const problem = nameProblem(name) ?? (reservedLayers.includes(name) ? `${name} is reserved` : undefined)
  if (problem === undefined) return
  throw new BaleError('input', `${quote(name)} cannot be a layer's name: ${problem}`, {
    where,
    fix: 'the buildpack must give its layer another name',
  })
}

/** Checks a process type, which becomes a link in /cnb/process (buildpack.md, "launch.toml"). */
export function checkProcessType(type: string, where: string): void {
  const allowed = /^[A-Za-z0-9._-]+$/.test(type) ? undefined : 'it may have letters, digits, ".", "_" and "-"'
  const problem = nameProblem(type) ?? allowed
  if (problem === undefined) return
  throw new BaleError('input', `${quote(type)} cannot be a process type: ${problem}`, {
    where,
    fix: 'use a plain name, such as "web"',
  })
}

/** Returns why a name cannot be one component of a path. */
function nameProblem(name: string): string | undefined {
  if (name === '') return 'it is empty'
  // Refuses `__proto__`: no buildpack needs it, and so no JavaScript object can lose it.
  if (name === '.' || name === '..' || name === '__proto__') return 'it is not a plain name'
  if (name.includes('/') || name.includes('\\')) return 'it has a path separator'
  if (control.test(name)) return 'it has a control character'
  if (bytesOf(name) > maxName) return `it is longer than ${maxName} bytes`
  return undefined
}
