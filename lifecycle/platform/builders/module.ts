import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { BaleError, isErrno } from '../../errors.ts'
import { parseBuildpack } from '../../spec/buildpack.ts'
import type { BuildpackDescriptor } from '../../spec/types.ts'

/** A buildpack and where it is. */
export interface BuildpackModule {
  readonly descriptor: BuildpackDescriptor
  /** Its directory on this machine. Absent if it is in the root file system, in /cnb/buildpacks. */
  readonly dir?: string | undefined
}

/** @throws BaleError 'input' if the directory has no buildpack.toml, or a malformed one */
export async function readModule(dir: string, where: string): Promise<BuildpackModule & { readonly dir: string }> {
  const file = join(dir, 'buildpack.toml')
  const content = await readFile(file).catch((cause: unknown) => {
    if (!isErrno(cause, 'ENOENT', 'ENOTDIR')) throw cause
    throw new BaleError('input', `there is no buildpack in ${dir}`, { where, fix: 'correct its path', cause })
  })
  return { descriptor: parseBuildpack(content, file), dir }
}

export const nameOf = ({ id, version }: { readonly id: string; readonly version: string }): string => `${id}@${version}`

/**
 * The buildpack of an id, and of a version if one is named.
 * @throws BaleError 'input' if there is none, or several
 */
export function findModule(
  modules: readonly BuildpackModule[],
  id: string,
  version: string,
  where: string,
): BuildpackModule {
  const found = modules.filter(({ descriptor: d }) => d.id === id && (version === '' || d.version === version))
  const [first] = found
  if (first !== undefined && found.length === 1) return first
  const versions = modules.filter(({ descriptor: d }) => d.id === id).map(({ descriptor: d }) => d.version)
  if (versions.length === 0)
    throw new BaleError('input', `the buildpack ${id} is not in the builder`, {
      where,
      fix: 'add it, or correct its id',
    })
  const why = version === '' ? 'is there in several versions' : `is not there in version ${version}`
  throw new BaleError('input', `the buildpack ${id} ${why}: ${versions.join(', ')}`, { where, fix: 'name one of them' })
}
