import { readFile, stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import * as v from 'valibot'
import { BaleError, isErrno } from '../errors.ts'
import { errnoMessage } from '../files/wrap-errno.ts'
import { parseBuildpack } from '../spec/buildpack.ts'
import { checkBuildpackId, checkVersion } from '../spec/ids.ts'
import { parseToml } from '../spec/toml.ts'
import type { BuildpackDescriptor, Order } from '../spec/types.ts'

/** A builder: buildpacks, the order to try them in, and the stack to build and run on. */
export interface Builder {
  /** Absolute path of the builder.toml. */
  readonly file: string
  readonly description: string
  readonly buildpacks: readonly { readonly descriptor: BuildpackDescriptor; readonly dir: string }[]
  readonly order: Order
  /** The folder with the stack.toml. */
  readonly stackDir: string
  /** `[[build.env]]`: the operator's variables for buildpacks (platform.md, "Operator-Defined Variables"). */
  readonly buildConfig: readonly BuildConfigVariable[]
  /** Named instead of the stack's own run image; `mirrors` hold the same image in other registries. */
  readonly runImage?: { readonly image: string; readonly mirrors: readonly string[] }
}

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
const groups = v.array(v.object({ group: v.pipe(v.array(element), v.minLength(1, 'it has no buildpacks')) }))
const document = v.object({
  description: v.optional(v.string(), ''),
  buildpacks: v.array(v.object({ uri: v.string(), id: v.optional(v.string()), version: v.optional(v.string()) })),
  order: v.pipe(groups, v.minLength(1, 'it has no groups')),
  'order-extensions': v.optional(v.array(v.unknown()), []),
  stack: v.object({ uri: v.string() }),
  build: v.optional(v.object({ env: v.optional(v.array(variable), []) }), {}),
  run: v.optional(
    v.object({ images: v.array(v.object({ image: v.string(), mirrors: v.optional(v.array(v.string()), []) })) }),
  ),
})

/** Loads `builder.toml`, or the one in a directory. Paths in it are relative to it. */
export async function loadBuilder(path: string): Promise<Builder> {
  const file = await findFile(resolve(path))
  const content = await readFile(file).catch((cause: unknown) => {
    if (isErrno(cause, 'ENOENT')) throw noBuilder(path)
    throw new BaleError('filesystem', `cannot read the builder: ${errnoMessage(cause)}`, { where: file, cause })
  })
  const parsed = v.safeParse(document, parseToml(content, file))
  if (!parsed.success) {
    const issue = parsed.issues[0]
    throw new BaleError('input', issue.message, { where: `${file} ${v.getDotPath(issue) ?? ''}`.trimEnd() })
  }
  const toml = parsed.output
  if (toml['order-extensions'].length > 0) {
    throw new BaleError('input', 'image extensions are not supported', {
      where: `${file} order-extensions`,
      fix: 'remove them',
    })
  }
  const buildpacks = await Promise.all(toml.buildpacks.map(b => loadBuildpack(dirname(file), b.uri, file)))
  const order: Order = {
    groups: toml.order.map(({ group }, i) =>
      group.map(({ id, version, optional }) => ({
        id,
        version: version ?? onlyVersion(id, buildpacks, `${file} order.${i}`),
        optional,
      })),
    ),
    extensions: [],
  }
  const run = toml.run?.images[0]
  return {
    file,
    description: toml.description,
    buildpacks,
    order,
    stackDir: resolve(dirname(file), toml.stack.uri),
    buildConfig: toml.build.env ?? [],
    runImage: run,
  }
}

function noBuilder(path: string): BaleError {
  return new BaleError('arguments', `there is no builder at ${path}`, {
    fix: 'give --builder a builder.toml, or a directory with one',
  })
}

async function findFile(path: string): Promise<string> {
  const found = await stat(path).catch((cause: unknown) => {
    if (!isErrno(cause, 'ENOENT')) throw new BaleError('filesystem', (cause as Error).message, { where: path, cause })
    throw noBuilder(path)
  })
  return found.isDirectory() ? join(path, 'builder.toml') : path
}

async function loadBuildpack(base: string, uri: string, where: string): Promise<Builder['buildpacks'][number]> {
  const dir = resolve(base, uri.replace(/^file:\/\//, ''))
  const file = join(dir, 'buildpack.toml')
  const content = await readFile(file).catch((cause: unknown) => {
    throw new BaleError('input', `there is no buildpack in ${dir}`, {
      where: `${where} buildpacks`,
      fix: 'correct its uri',
      cause,
    })
  })
  const descriptor = parseBuildpack(content, file)
  checkBuildpackId(descriptor.id, file)
  checkVersion(descriptor.version, file)
  return { descriptor, dir }
}

function onlyVersion(id: string, buildpacks: Builder['buildpacks'], where: string): string {
  const versions = buildpacks.filter(b => b.descriptor.id === id).map(b => b.descriptor.version)
  if (versions.length === 1) return versions[0] as string
  const why = versions.length === 0 ? 'is not in the builder' : `is there in several versions: ${versions.join(', ')}`
  throw new BaleError('input', `the buildpack ${id} ${why}`, {
    where,
    fix: versions.length === 0 ? 'add it to buildpacks' : 'name one',
  })
}
