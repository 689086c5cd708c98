import { readFile, stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import * as v from 'valibot'
import { BaleError, isErrno } from '../errors.ts'
import { errnoMessage } from '../files/wrap-errno.ts'
import type { Platform } from '../image/manifest.ts'
import type { ModuleKind } from '../phases/buildpacks-dir.ts'
import type { RunImageNames } from '../phases/run-image.ts'
import { parseToml } from '../spec/toml.ts'
import { fromUtf16 } from '../spec/text.ts'
import type { Order } from '../spec/types.ts'
import { type BuildpackModule, findModule, nameOf, readModule } from './builders/module.ts'

/** A builder.toml: buildpacks, image extensions, the order to try them in, and what to build and run on. */
export interface Builder {
  /** Absolute path of the builder.toml. */
  readonly file: string
  readonly description: string
  readonly buildpacks: readonly (BuildpackModule & { readonly dir: string })[]
  readonly extensions: readonly (BuildpackModule & { readonly dir: string })[]
  readonly order: Order
  /** The folder with the stack.toml. Absent for a builder on images. */
  readonly stackDir?: string | undefined
  /** The folder of another stack, whose run image is for applications that need neither shell nor C library. */
  readonly staticStackDir?: string | undefined
  /** The image to build in, in place of a stack. */
  readonly buildImage?: string | undefined
  /** `[[build.env]]`: the operator's variables for buildpacks (platform.md, "Operator-Defined Variables"). */
  readonly buildConfig: readonly BuildConfigVariable[]
  /** Named instead of the stack's own run image; `mirrors` hold the same image in other registries. */
  readonly runImage?: RunImageNames
  /** All `[[run.images]]`, of which an image extension may select another one. */
  readonly knownRunImages?: readonly RunImageNames[]
  /** A lifecycle tarball or image for builder images, in place of Bale's. */
  readonly lifecycle?: string | undefined
  /** The platforms that a builder image is made for. */
  readonly targets: readonly Platform[]
}

/** Opens the module that `uri` of `[[buildpacks]]` or `[[extensions]]` names, with its dependencies. */
export type OpenModules = (uri: string, file: string, kind: ModuleKind) => Promise<readonly BuildpackModule[]>

export interface BuildConfigVariable {
  readonly name: string
  readonly value: string
  /** How the value combines with an existing one. `default` if absent. */
  readonly suffix?: 'append' | 'default' | 'override' | 'prepend' | undefined
  readonly delim?: string | undefined
}

const variable = v.object({
  name: v.pipe(v.string(), v.regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'it is not the name of an environment variable')),
  value: v.string(),
  suffix: v.optional(v.picklist(['append', 'default', 'override', 'prepend'])),
  delim: v.optional(v.string()),
})
const element = v.object({ id: v.string(), version: v.optional(v.string()), optional: v.optional(v.boolean(), false) })
const groups = v.array(v.object({ group: v.pipe(v.array(element), v.minLength(1, 'it is empty')) }))
/** Of `[[buildpacks]]` and `[[extensions]]`. */
const module = v.object({
  uri: v.optional(v.string()),
  image: v.optional(v.string()),
  id: v.optional(v.string()),
  version: v.optional(v.string()),
})
const document = v.object({
  description: v.optional(v.string(), ''),
  buildpacks: v.optional(v.array(module), []),
  order: v.pipe(groups, v.minLength(1, 'it has no groups')),
  'order-extensions': v.optional(groups, []),
  extensions: v.optional(v.array(module), []),
  stack: v.optional(
    v.object({
      uri: v.optional(v.string()),
      'static-uri': v.optional(v.string()),
      'build-image': v.optional(v.string()),
      'run-image': v.optional(v.string()),
      'run-image-mirrors': v.optional(v.array(v.string()), []),
    }),
  ),
  build: v.optional(v.object({ env: v.optional(v.array(variable), []), image: v.optional(v.string()) }), {}),
  run: v.optional(
    v.object({ images: v.array(v.object({ image: v.string(), mirrors: v.optional(v.array(v.string()), []) })) }),
  ),
  lifecycle: v.optional(v.object({ uri: v.optional(v.string()), version: v.optional(v.string()) })),
  targets: v.optional(
    v.array(v.object({ os: v.optional(v.string(), 'linux'), arch: v.string(), variant: v.optional(v.string()) })),
    [],
  ),
})
type BuilderDocument = v.InferOutput<typeof document>

/**
 * Loads `builder.toml`, or the one in a directory. Paths in it are relative to it.
 * @param open opens its buildpacks; directories alone by default
 */
export async function loadBuilder(path: string, open: OpenModules = openDirectory): Promise<Builder> {
  const file = await findFile(resolve(path))
  const content = await readFile(file).catch((cause: unknown) => {
    if (isErrno(cause, 'ENOENT')) throw noBuilder(path)
    throw new BaleError('filesystem', `cannot read the builder: ${errnoMessage(cause)}`, { where: file, cause })
  })
  const parsed = v.safeParse(document, parseToml(fromUtf16(content), file))
  if (!parsed.success) {
    const issue = parsed.issues[0]
    throw new BaleError('input', issue.message, { where: `${file} ${v.getDotPath(issue) ?? ''}`.trimEnd() })
  }
  const toml = parsed.output
  const buildpacks = await openModules(toml.buildpacks, 'buildpack', file, open)
  const extensions = await openModules(toml.extensions, 'extension', file, open)
  const order: Order = {
    groups: toml.order.map(({ group }, i) =>
      group.map(({ id, version = '', optional }) => {
        const found = findModule(buildpacks, id, version, `${file} order.${i}`)
        return { id, version: found.descriptor.version, optional }
      }),
    ),
    extensions: toml['order-extensions'].map(({ group }, i) =>
      group.map(({ id, version = '' }) => {
        const found = findModule(extensions, id, version, `${file} order-extensions.${i}`, 'extension')
        // An extension whose detection fails is skipped (platform.md, "order.toml").
        return { id, version: found.descriptor.version, optional: true }
      }),
    ),
  }
  return {
    file,
    description: toml.description,
    buildpacks,
    extensions,
    order,
    ...baseOf(toml, file),
    ...(toml.run && { knownRunImages: toml.run.images }),
    buildConfig: toml.build.env ?? [],
    lifecycle: lifecycleOf(toml, file),
    targets: toml.targets.map(({ os, arch, variant }) => ({ os, architecture: arch, variant })),
  }
}

/** Returns the build and run images: of a Bale stack, or named in one of pack's two forms. */
function baseOf(
  { stack, build, run }: BuilderDocument,
  file: string,
): Pick<Builder, 'stackDir' | 'staticStackDir' | 'buildImage' | 'runImage'> {
  const buildImage = build.image ?? stack?.['build-image']
  const ofStack = stack?.['run-image']
  const runImage =
    run?.images[0] ??
    (ofStack === undefined ? undefined : { image: ofStack, mirrors: stack?.['run-image-mirrors'] ?? [] })
  const uri = stack?.uri
  const where = `${file} stack`
  if (uri !== undefined && buildImage !== undefined)
    throw new BaleError('input', 'it has both a stack and a build image', { where, fix: 'keep one of them' })
  if (uri !== undefined) {
    const staticUri = stack?.['static-uri']
    const staticStackDir = staticUri === undefined ? undefined : resolve(dirname(file), staticUri)
    return { stackDir: resolve(dirname(file), uri), staticStackDir, ...(runImage && { runImage }) }
  }
  if (buildImage === undefined)
    throw new BaleError('input', 'it has no stack and no build image', {
      where,
      fix: 'add [stack] with a uri, or [build] with an image and [[run.images]]',
    })
  if (runImage !== undefined) return { buildImage, runImage }
  throw new BaleError('input', 'it has a build image but no run image', { where, fix: 'add [[run.images]]' })
}

function lifecycleOf({ lifecycle }: BuilderDocument, file: string): string | undefined {
  if (lifecycle?.version !== undefined && lifecycle.uri === undefined)
    throw new BaleError('input', `it requests the lifecycle ${lifecycle.version}, but Bale downloads no lifecycles`, {
      where: `${file} lifecycle.version`,
      fix: "write uri with the path of a lifecycle tarball, or leave [lifecycle] out for Bale's own",
    })
  return lifecycle?.uri === undefined ? undefined : resolve(dirname(file), lifecycle.uri.replace(/^file:\/\//, ''))
}

async function openModules(
  named: readonly v.InferOutput<typeof module>[],
  kind: ModuleKind,
  file: string,
  open: OpenModules,
) {
  const modules = new Map<string, BuildpackModule & { readonly dir: string }>()
  for (const [i, { uri, image, id, version }] of named.entries()) {
    const where = `${file} ${kind}s.${i}`
    const reference = uri ?? image
    if (reference === undefined) throw new BaleError('input', 'it has no uri', { where, fix: 'add uri = "…"' })
    const opened = await open(reference, file, kind)
    const [{ descriptor } = { descriptor: undefined }] = opened
    if ((id ?? descriptor?.id) !== descriptor?.id || (version ?? descriptor?.version) !== descriptor?.version)
      throw new BaleError(
        'input',
        `${reference} is ${descriptor?.id}@${descriptor?.version}, not ${id}@${version ?? ''}`,
        {
          where,
          fix: 'correct id and version, or leave them out',
        },
      )
    for (const module of opened)
      if (module.dir !== undefined) modules.set(nameOf(module.descriptor), { ...module, dir: module.dir })
  }
  return [...modules.values()]
}

function noBuilder(path: string): BaleError {
  return new BaleError('arguments', `there is no builder at ${path}`, {
    fix: 'name a builder.toml, or a directory with one',
  })
}

async function findFile(path: string): Promise<string> {
  const found = await stat(path).catch((cause: unknown) => {
    if (!isErrno(cause, 'ENOENT')) throw new BaleError('filesystem', (cause as Error).message, { where: path, cause })
    throw noBuilder(path)
  })
  return found.isDirectory() ? join(path, 'builder.toml') : path
}

/** A directory, relative to the builder.toml. */
async function openDirectory(uri: string, file: string, kind: ModuleKind): Promise<readonly BuildpackModule[]> {
  return [await readModule(resolve(dirname(file), uri.replace(/^file:\/\//, '')), `${file} ${kind}s`, kind)]
}

/** Returns the files for the operator's variables (platform.md, "Operator-Defined Variables"), by name. */
export function buildConfigFiles(variables: readonly BuildConfigVariable[]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    variables.flatMap(({ name, value, suffix, delim }): [string, string][] => [
      [suffix === undefined ? name : `${name}.${suffix}`, value],
      ...(delim === undefined ? [] : [[`${name}.delim`, delim] as [string, string]]),
    ]),
  )
}
