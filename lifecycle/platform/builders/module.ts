import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { BaleError, isErrno } from '../../errors.ts'
import type { ModuleKind } from '../../phases/buildpacks-dir.ts'
import { parseBuildpack, parseExtension } from '../../spec/buildpack.ts'
import type { BuildpackDescriptor } from '../../spec/types.ts'

/** A buildpack, or an image extension, and where it is. */
export interface BuildpackModule {
  /** A buildpack unless set. */
  readonly kind?: ModuleKind
  readonly descriptor: BuildpackDescriptor
  /** Its directory on this machine. Absent if it is in the root file system, in /cnb/buildpacks. */
  readonly dir?: string | undefined
}

/** @throws BaleError 'input' if the directory has no buildpack.toml (or extension.toml), or a malformed one */
export async function readModule(
  dir: string,
  where: string,
  kind: ModuleKind = 'buildpack',
): Promise<BuildpackModule & { readonly dir: string }> {
  const file = join(dir, `${kind}.toml`)
  const content = await readFile(file).catch((cause: unknown) => {
    if (!isErrno(cause, 'ENOENT', 'ENOTDIR')) throw cause
    throw new BaleError('input', `there is no ${describeKind(kind)} in ${dir}`, {
      where,
      fix: 'correct its path',
      cause,
    })
  })
  if (kind === 'buildpack') return { descriptor: parseBuildpack(content, file), dir }
  return { kind, descriptor: parseExtension(content, file), dir }
}

export const describeKind = (kind: ModuleKind): string => (kind === 'buildpack' ? 'buildpack' : 'image extension')

export const nameOf = ({ id, version }: { readonly id: string; readonly version: string }): string => `${id}@${version}`

/**
 * Finds the module with an id, and with a version if one is given.
 * @throws BaleError 'input' if there is none, or several
 */
export function findModule(
  modules: readonly BuildpackModule[],
  id: string,
  version: string,
  where: string,
  kind: ModuleKind = 'buildpack',
): BuildpackModule {
  const found = modules.filter(({ descriptor: d }) => d.id === id && (version === '' || d.version === version))
  const [first] = found
  if (first !== undefined && found.length === 1) return first
  const versions = modules.filter(({ descriptor: d }) => d.id === id).map(({ descriptor: d }) => d.version)
  if (versions.length === 0)
    throw new BaleError('input', `the ${describeKind(kind)} ${id} is not in the builder`, {
      where,
      fix: 'add it, or correct its id',
    })
  const why = version === '' ? 'is in the builder in several versions' : `is not in the builder in version ${version}`
  throw new BaleError('input', `the ${describeKind(kind)} ${id} ${why}: ${versions.join(', ')}`, {
    where,
    fix: 'name one of them',
  })
}
