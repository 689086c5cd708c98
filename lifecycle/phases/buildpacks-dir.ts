import { lstat } from 'node:fs/promises'
import { join } from 'node:path'
import { BaleError } from '../errors.ts'
import { type BuildpackFeatures, requireBuildpackApi } from '../spec/api.ts'
import { parseBuildpack } from '../spec/buildpack.ts'
import { checkBuildpackId, checkVersion, escapeId } from '../spec/ids.ts'
import type { BuildpackDescriptor } from '../spec/types.ts'
import { readTrusted } from '../files/read.ts'

/** A buildpack that is installed and can be run. */
export interface Buildpack {
  readonly descriptor: BuildpackDescriptor
  readonly features: BuildpackFeatures
  /** Absolute path of its root directory: CNB_BUILDPACK_DIR. */
  readonly dir: string
}

/** The buildpacks in `<buildpacks>/<escaped id>/<version>` (platform.md, "Buildpacks Directory Layout"). */
export class BuildpacksDir {
  readonly dir: string
  readonly #found = new Map<string, Promise<Buildpack>>()

  constructor(dir: string) {
    this.dir = dir
  }

  /**
   * @throws BaleError 'input' if it does not exist or its descriptor is invalid, 'buildpack-api' if its API is not supported
   */
  find(id: string, version: string): Promise<Buildpack> {
    const key = `${id}@${version}`
    const found = this.#found.get(key) ?? this.#read(id, version)
    this.#found.set(key, found)
    return found
  }

  async #read(id: string, version: string): Promise<Buildpack> {
    checkBuildpackId(id, 'order')
    checkVersion(version, `order: ${id}`)
    const dir = join(this.dir, escapeId(id), version)
    const file = join(dir, 'buildpack.toml')
    const content = await readTrusted(file)
    if (content === undefined) {
      throw new BaleError('input', `the order names ${id}@${version}, which is not in ${this.dir}`, {
        where: file,
        fix: 'add the buildpack to the builder, or correct its id and version in the order',
      })
    }
    const descriptor = parseBuildpack(content, file)
    if (descriptor.id !== id || descriptor.version !== version) {
      throw new BaleError('input', `it describes ${descriptor.id}@${descriptor.version}, not ${id}@${version}`, {
        where: file,
      })
    }
    return { descriptor, features: requireBuildpackApi(descriptor.api, id), dir }
  }
}

/** Returns the path of a buildpack's `bin/<name>`. @throws BaleError that says why it cannot be run */
export async function executableOf(buildpack: Buildpack, name: 'detect' | 'build'): Promise<string> {
  const file = join(buildpack.dir, 'bin', name)
  const stat = await lstat(file).catch(() => undefined)
  const { id, version } = buildpack.descriptor
  if (stat === undefined) throw new BaleError('input', `${id}@${version} has no bin/${name}`, { where: file })
  if (!stat.isSymbolicLink() && (stat.mode & 0o111) === 0) {
    throw new BaleError('input', `bin/${name} of ${id}@${version} is not executable`, {
      where: file,
      fix: `chmod +x ${file}`,
    })
  }
  return file
}
