import { lstat } from 'node:fs/promises'
import { join } from 'node:path'
import { BaleError } from '../errors.ts'
import { type BuildpackFeatures, requireBuildpackApi } from '../spec/api.ts'
import { parseBuildpack, parseExtension } from '../spec/buildpack.ts'
import { checkBuildpackId, checkVersion, escapeId } from '../spec/ids.ts'
import type { BuildpackDescriptor } from '../spec/types.ts'
import { readTrusted } from '../files/read.ts'

export type ModuleKind = 'buildpack' | 'extension'

/** A buildpack, or an image extension, that is installed and can be run. */
export interface Buildpack {
  readonly kind: ModuleKind
  readonly descriptor: BuildpackDescriptor
  readonly features: BuildpackFeatures
  /** Absolute path of its root directory: CNB_BUILDPACK_DIR, or CNB_EXTENSION_DIR. */
  readonly dir: string
}

/**
 * The buildpacks in `<buildpacks>/<escaped id>/<version>` (platform.md, "Buildpacks Directory Layout"), or the extensions in
 * `<extensions>` ("Image Extensions Directory Layout").
 */
export class BuildpacksDir {
  readonly dir: string
  readonly kind: ModuleKind
  readonly #found = new Map<string, Promise<Buildpack>>()

  constructor(dir: string, kind: ModuleKind = 'buildpack') {
    this.dir = dir
    this.kind = kind
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
    const file = join(dir, `${this.kind}.toml`)
    const content = await readTrusted(file)
    if (content === undefined) {
      throw new BaleError('input', `the order names ${id}@${version}, which is not in ${this.dir}`, {
        where: file,
        fix: `add the ${this.kind} to the builder, or correct its id and version in the order`,
      })
    }
    const descriptor = this.kind === 'buildpack' ? parseBuildpack(content, file) : parseExtension(content, file)
    if (descriptor.id !== id || descriptor.version !== version) {
      throw new BaleError('input', `it describes ${descriptor.id}@${descriptor.version}, not ${id}@${version}`, {
        where: file,
      })
    }
    return { kind: this.kind, descriptor, features: requireBuildpackApi(descriptor.api, id), dir }
  }
}

/** Returns the path of a buildpack's `bin/<name>`. @throws BaleError with the reason if it cannot be run */
export async function executableOf(buildpack: Buildpack, name: 'detect' | 'build'): Promise<string> {
  const file = await optionalExecutableOf(buildpack, name)
  if (file !== undefined) return file
  const { id, version } = buildpack.descriptor
  throw new BaleError('input', `${id}@${version} has no bin/${name}`, { where: join(buildpack.dir, 'bin', name) })
}

/** The same for an optional program: an extension may have its output in a directory instead. */
export async function optionalExecutableOf(
  buildpack: Buildpack,
  name: 'detect' | 'build' | 'generate',
): Promise<string | undefined> {
  const file = join(buildpack.dir, 'bin', name)
  const stat = await lstat(file).catch(() => undefined)
  const { id, version } = buildpack.descriptor
  if (stat === undefined) return undefined
  if (!stat.isSymbolicLink() && (stat.mode & 0o111) === 0) {
    throw new BaleError('input', `bin/${name} of ${id}@${version} is not executable`, {
      where: file,
      fix: `chmod +x ${file}`,
    })
  }
  return file
}
