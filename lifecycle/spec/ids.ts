import { BaleError } from '../errors.ts'
import { quote } from './read.ts'

/**
 * Names that become directories. They come from buildpacks, images and platforms, so each is checked before any path is
 * made of it, in the phase that read it.
 */

/** Bytes that a file name may have on Linux. */
const maxName = 255
/** buildpack.md, "buildpack.toml": names of our own beside the buildpacks' directories. */
const reservedIds = ['app', 'config', 'generated', 'sbom']
/** buildpack.md, "Build": `<layers>/build.toml`, `launch.toml` and `store.toml` are no layers; `sbom` is ours. */
const reservedLayers = ['build', 'launch', 'store', 'sbom']

const control = /[\x00-\x1f\x7f-\x9f]/

const bytesOf = (name: string): number => new TextEncoder().encode(name).length

/** A buildpack's directory: `paketo-buildpacks/go` is `paketo-buildpacks_go` (buildpack.md, "Buildpacks Directory Layout"). */
export function escapeId(id: string): string {
  return id.replaceAll('/', '_')
}

/**
 * A buildpack id that a phase may make a directory of. More lenient than the spec's character set, as ids such as
 * `hello_world` are about; `checkPublishableId` is strict.
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
    return 'it is no plain name'
  if (reservedIds.includes(id.toLowerCase())) return `${id.toLowerCase()} is reserved`
  return undefined
}

/** The spec's own rule, for what we package and publish (buildpack.md, "buildpack.toml"). */
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
 * No two buildpacks may share a directory: neither `a/b` and `a_b`, nor `A` and `a` on a disk that folds case
 * (buildpack.md: ids must differ in a case-insensitive comparison). The same id twice is no collision.
 */
export function checkGroupIds(elements: readonly { readonly id: string }[], where = 'group'): void {
  const seen = new Map<string, string>()
  for (const { id } of elements) {
    const directory = escapeId(id).toLowerCase()
    const other = seen.get(directory) ?? id
    if (other !== id)
      throw new BaleError('input', `the ids ${quote(other)} and ${quote(id)} mean the same directory`, {
        where,
        fix: 'take one of the two buildpacks out of the group',
      })
    seen.set(directory, id)
  }
}

/** A version that may be a directory: one plain name. `checkPublishableVersion` is strict. */
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
 * A layer's name, as `<layer>.toml` gives it: the file `...toml` would name the layer `..`.
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

/** A process type, which becomes a link in /cnb/process (buildpack.md, "launch.toml"). */
export function checkProcessType(type: string, where: string): void {
  const allowed = /^[A-Za-z0-9._-]+$/.test(type) ? undefined : 'it may have letters, digits, ".", "_" and "-"'
  const problem = nameProblem(type) ?? allowed
  if (problem === undefined) return
  throw new BaleError('input', `${quote(type)} cannot be a process type: ${problem}`, {
    where,
    fix: 'use a plain name, such as "web"',
  })
}

/** What keeps a name from being one component of a path. */
function nameProblem(name: string): string | undefined {
  if (name === '') return 'it is empty'
  // `__proto__`: nobody needs it, and no map of ours can lose it then.
  if (name === '.' || name === '..' || name === '__proto__') return 'it is no plain name'
  if (name.includes('/') || name.includes('\\')) return 'it has a path separator'
  if (control.test(name)) return 'it has a control character'
  if (bytesOf(name) > maxName) return `it is longer than ${maxName} bytes`
  return undefined
}
