import { lstat, readFile, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { BaleError, isErrno } from '../../errors.ts'
import type { Reporter } from '../../events.ts'
import { labelOf } from '../../image/config.ts'
import { platformOf } from '../../image/image-index.ts'
import { platformName } from '../../image/validate.ts'
import type { Image } from '../../image/image.ts'
import { builderLabels, parseBuildpackLayers } from '../../spec/builder-labels.ts'
import { escapeId } from '../../spec/ids.ts'
import * as read from '../../spec/read.ts'
import type { ModuleKind } from '../../phases/buildpacks-dir.ts'
import type { Stores } from '../../stores/open.ts'
import { type PullPolicy, placesOf } from '../../stores/pull-policy.ts'
import type { Settings } from '../settings.ts'
import { LayeredFiles } from './layered-files.ts'
import { type BuildpackModule, describeKind, findModule, readModule } from './module.ts'
import { unpackArchive } from './archive.ts'
import { unpackedLayers } from './unpacked-layers.ts'

export interface OpenBuildpackInput {
  readonly settings: Settings
  readonly stores: Stores
  readonly reporter: Reporter
  /** The directory of the complete buildpacks in Bale's own distribution. */
  readonly bundled: string
  /** The buildpacks that `urn:cnb:builder:` and `id@version` refer to. */
  readonly builder: readonly BuildpackModule[]
  /** Relative paths are relative to it. */
  readonly base: string
  /** Where images with plain names are read: on this machine first, by default. */
  readonly pullPolicy?: PullPolicy | undefined
  /** The kind of modules to open: buildpacks by default. */
  readonly kind?: ModuleKind
}

/** A buildpack and its dependencies. The first is the requested buildpack. */
export type OpenedBuildpack = readonly [BuildpackModule, ...BuildpackModule[]]

/**
 * Opens a buildpack in pack's notation: `urn:cnb:builder:ID[@VERSION]` or ID[@VERSION] for one in the builder, a directory, a
 * .cnb file or .tgz archive, `docker://IMAGE` or an image in any transport.
 * @param where for messages: the option or the file that names it
 * @throws BaleError 'arguments' or 'input'
 */
export async function openBuildpack(
  uri: string,
  where: string,
  input: OpenBuildpackInput,
  signal: AbortSignal,
): Promise<OpenedBuildpack> {
  const ofBuilder = /^(?:urn:cnb:builder:|from=builder:)(.+)$/.exec(uri)?.[1]
  if (ofBuilder !== undefined) return [namedInBuilder(ofBuilder, where, input)]
  refuseElsewhere(uri, where)
  const path = uri.startsWith('file://') ? fileURLToPath(uri) : resolve(input.base, uri)
  const found = await stat(path).catch((error: unknown) => {
    if (isErrno(error, 'ENOENT', 'ENOTDIR', 'ENAMETOOLONG')) return undefined
    throw error
  })
  if (found?.isDirectory()) return fromDirectory(path, where, input, signal)
  if (found?.isFile()) return fromFile(path, where, input, signal)
  if (/^(\.{0,2}\/|file:)/.test(uri) || /\.(cnb|tgz|tar\.gz|tar)$/.test(uri))
    throw new BaleError('arguments', `there is no ${describeKind(input.kind ?? 'buildpack')} at ${path}`, {
      where,
      fix: 'correct its path',
    })
  const [id = '', version = ''] = uri.split('@')
  if (
    input.builder.some(({ descriptor }) => descriptor.id === id && (version === '' || descriptor.version === version))
  )
    return [findModule(input.builder, id, version, where, input.kind)]
  return fromImage(uri, where, input, signal)
}

/** @throws BaleError for a name in an index of buildpacks, which Bale does not read, and for a file of a web server */
export function refuseElsewhere(uri: string, where: string): void {
  if (/^urn:cnb:registry(:|$)/.test(uri))
    throw new BaleError(
      'arguments',
      `${JSON.stringify(uri)} is a name in an index of buildpacks, and Bale reads none`,
      {
        where,
        fix: 'name its image: the index lists it as addr',
      },
    )
  if (/^https?:/.test(uri))
    throw new BaleError('arguments', `${JSON.stringify(uri)} is a file of a web server`, {
      where,
      fix: 'download the .cnb file and name that, or name an image without https://',
    })
}

function namedInBuilder(text: string, where: string, { builder, kind }: OpenBuildpackInput): BuildpackModule {
  const [id = '', version = ''] = text.split('@')
  return findModule(builder, id, version, where, kind)
}

/** Opens a directory. For a composite buildpack, package.toml names the dependencies. */
async function fromDirectory(
  dir: string,
  where: string,
  input: OpenBuildpackInput,
  signal: AbortSignal,
): Promise<OpenedBuildpack> {
  if (input.kind === 'extension') return [await readModule(dir, where, 'extension')]
  const module = await complete(await readModule(dir, where), input)
  if (module.descriptor.order === undefined) return [module]
  const file = join(dir, 'package.toml')
  const toml = await readFile(file).catch((error: unknown) => {
    if (isErrno(error, 'ENOENT')) return ''
    throw error
  })
  const dependencies: BuildpackModule[] = []
  for (const uri of parsePackage(toml, file).dependencies)
    dependencies.push(...(await openBuildpack(uri, file, { ...input, base: dir }, signal)))
  return [module, ...dependencies]
}

/** package.toml (extensions/buildpackage.md): the parts of a package. */
export function parsePackage(content: Uint8Array | string, where: string) {
  const document = read.readToml(content, where)
  const platform = read.table(document, 'platform')
  const uriOf = (kind: ModuleKind): string | undefined => {
    const node = read.table(document, kind)
    return node && read.text(node, 'uri')
  }
  return {
    buildpack: uriOf('buildpack'),
    extension: uriOf('extension'),
    dependencies: read.tables(document, 'dependencies').map(dependency => {
      const uri = read.text(dependency, 'uri') ?? read.text(dependency, 'image')
      if (uri === undefined) throw read.missing(dependency, 'uri')
      return uri
    }),
    os: platform && read.text(platform, 'os'),
    targets: read.tables(document, 'targets').map(target => ({
      os: read.text(target, 'os') ?? 'linux',
      architecture: read.requiredText(target, 'arch'),
      ...read.optionalText(target, 'variant', 'variant'),
    })),
  }
}

/**
 * Returns the complete form of a buildpack. A buildpack written with Bale's SDK runs from a bundle, `main.cjs`. Source directories
 * have none, so Bale's own buildpacks are taken from the distribution, which has the bundles.
 * @throws BaleError 'input' for other buildpacks
 */
export async function complete(
  module: BuildpackModule & { readonly dir: string },
  { bundled }: Pick<OpenBuildpackInput, 'bundled'>,
): Promise<BuildpackModule & { readonly dir: string }> {
  const { dir, descriptor } = module
  const has = async (name: string): Promise<boolean> =>
    (await lstat(join(dir, name)).catch(() => undefined)) !== undefined
  if (!(await has('main.ts')) || (await has('main.cjs'))) return module
  // A checkout has its bundles in dist/bale; they are rebuilt if a source is newer.
  const own = join(bundled, dir.split('/').at(-1) ?? '')
  if (dir === resolve(bundled, '../../../buildpacks', own.slice(bundled.length + 1))) {
    const made = await readModule(own, dir)
    if (made.descriptor.id === descriptor.id && made.descriptor.version === descriptor.version) return made
  }
  throw new BaleError('input', `the buildpack ${descriptor.id} is not complete: main.ts is not bundled into main.cjs`, {
    where: dir,
    fix: 'bundle it first: npx esbuild main.ts --bundle --platform=node --format=cjs --outfile=main.cjs',
  })
}

/** Opens a .cnb file, which is an OCI archive of a package, or another archive, which has a buildpack's directory. */
async function fromFile(
  path: string,
  where: string,
  input: OpenBuildpackInput,
  signal: AbortSignal,
): Promise<OpenedBuildpack> {
  if (path.endsWith('.cnb')) return fromImage(`oci-archive:${path}`, where, input, signal)
  const dir = await unpackArchive(path, input.settings.cacheDir, signal)
  return fromDirectory(dir, where, input, signal)
}

async function fromImage(
  reference: string,
  where: string,
  input: OpenBuildpackInput,
  signal: AbortSignal,
): Promise<OpenedBuildpack> {
  const only = placesOf(input.pullPolicy)
  const { image } = await input.stores.find(reference, signal, { only }).catch((error: unknown) => {
    if (!(error instanceof BaleError)) throw error
    const { code, message, fix } = error
    throw new BaleError(code, message, { where: error.where ?? where, fix, cause: error })
  })
  return readPackage(image, reference, input, signal)
}

/**
 * The buildpacks of a package image (extensions/buildpackage.md).
 * @throws BaleError 'input' for an image that is not a package, or is for another platform
 */
async function readPackage(
  image: Image,
  name: string,
  { settings, reporter, kind = 'buildpack' }: OpenBuildpackInput,
  signal: AbortSignal,
): Promise<OpenedBuildpack> {
  const main = mainOf(image, name, kind)
  const { architecture } = settings.platform
  if (image.config.architecture !== '' && image.config.architecture !== architecture)
    throw new BaleError('input', `the package is for ${platformName(platformOf(image))}`, {
      where: name,
      fix: `use one for linux/${architecture}`,
    })
  const label = kind === 'buildpack' ? builderLabels.layers : builderLabels.extensionLayers
  const listed = parseBuildpackLayers(labelOf(image.config, label) ?? '{}', `${name} ${label}`)
  const layers = await unpackedLayers(image.layers, { cacheDir: settings.cacheDir, reporter }, signal)
  const files = new LayeredFiles(layers)
  const modules: BuildpackModule[] = []
  for (const { id, version } of listed) {
    const dir = await files.findDirectory(`cnb/${kind}s/${escapeId(id)}/${version}`)
    if (dir === undefined)
      throw new BaleError('input', `the package lists ${id}@${version}, but no layer contains it`, { where: name })
    modules.push(await readModule(dir, name, kind))
  }
  const isMain = ({ descriptor: d }: BuildpackModule): boolean => d.id === main.id && d.version === main.version
  const first = modules.find(isMain)
  if (first === undefined)
    throw new BaleError('input', `the package lacks its own ${describeKind(kind)} ${main.id}@${main.version}`, {
      where: name,
      fix: kind === 'buildpack' ? 'it may be an image extension' : 'it may be a buildpack',
    })
  return [first, ...modules.filter(module => module !== first)]
}

function mainOf({ config }: Image, name: string, kind: ModuleKind): { readonly id: string; readonly version: string } {
  const label = labelOf(config, builderLabels.package)
  if (label === undefined)
    throw new BaleError(
      'input',
      `the image is not a package of a ${describeKind(kind)}: it has no label ${builderLabels.package}`,
      {
        where: name,
        fix: `give a package that \`bale ${kind} package\` or \`pack ${kind} package\` made`,
      },
    )
  const document = read.readJson(label, `${name} ${builderLabels.package}`)
  return { id: read.requiredText(document, 'id'), version: read.requiredText(document, 'version') }
}
