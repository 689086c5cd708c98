import { labelOf } from '../../image/config.ts'
import { createBuilder } from '../../platform/builders/create-builder.ts'
import { listedBuildpacks } from '../../platform/builders/builder-image.ts'
import { pullBuilder } from '../../platform/builders/pull-builder.ts'
import { findDistribution } from '../../platform/distribution.ts'
import { builderLabels, parseOrderLabel } from '../../spec/builder-labels.ts'
import { labels } from '../../spec/labels.ts'
import type { OrderElement } from '../../spec/types.ts'
import { Stores } from '../../stores/open.ts'
import { type UserConfig, readUserConfig } from '../config-file.ts'
import type { CommandContext, GlobalOptions } from '../context.ts'
import { formatValue } from '../formats.ts'
import { noteIn, noteUnused, unusedInPackages } from '../unused-options.ts'
import { makeStyle, printable } from '../text.ts'
import { parseLabels } from '../labels.ts'
import { parseDepth, parseTargets } from '../values.ts'
import { BaleError } from '../../errors.ts'

export async function createCommand(context: CommandContext, image: string, options: GlobalOptions): Promise<void> {
  noteUnused(options, unusedInPackages, noteIn(context))
  const { settings, reporter, signal } = context
  const { pullPolicy } = { ...(await readUserConfig(context.env)), ...options }
  await using stores = new Stores(settings, reporter)
  const distribution = findDistribution(import.meta.url)
  await createBuilder(
    {
      image,
      config: options.config ?? '',
      tags: options.tag,
      publish: options.publish,
      pullPolicy,
      runImage: options.runImage,
      targets: parseTargets(options.target, '--target'),
      labels: parseLabels(options.label),
      settings,
      stores,
      distribution,
      reporter,
    },
    signal,
  )
}

interface Inspected {
  readonly name: string
  readonly description: string
  readonly createdBy?: { readonly name: string; readonly version: string } | undefined
  readonly stack?: string | undefined
  readonly platform: string
  readonly user: string
  readonly lifecycle: {
    readonly version: string
    readonly platformApis: readonly string[]
    readonly buildpackApis: readonly string[]
  }
  readonly runImages: readonly { readonly image: string; readonly mirrors: readonly string[] }[]
  readonly buildpacks: readonly {
    readonly id: string
    readonly version: string
    readonly homepage?: string | undefined
  }[]
  readonly extensions: readonly { readonly id: string; readonly version: string }[]
  readonly order: readonly Group[]
  readonly orderExtensions: readonly Group[]
}

interface Group {
  readonly group: readonly Element[]
}
interface Element {
  readonly id: string
  readonly version?: string | undefined
  readonly optional?: boolean | undefined
  /** The order of a composite. */
  readonly order?: readonly Group[] | undefined
}

export async function inspectCommand(
  context: CommandContext,
  named: string | undefined,
  options: GlobalOptions,
): Promise<void> {
  const { settings, reporter, signal } = context
  const depth = parseDepth(options.depth)
  const name = named ?? defaultBuilder(await readUserConfig(context.env))
  await using stores = new Stores(settings, reporter)
  const { platform } = settings
  const { image, metadata, user } = await pullBuilder(name, { stores, platform }, signal)
  const listed = listedBuildpacks(image, name)
  const orderIn = (label: string): readonly Group[] => {
    const json = labelOf(image.config, label)
    return json === undefined ? [] : expand(parseOrderLabel(json, `${name} ${label}`), listed, depth)
  }
  const inspected: Inspected = {
    name,
    description: metadata.description,
    createdBy: metadata.createdBy,
    stack: labelOf(image.config, labels.stackId),
    platform: `${image.config.os}/${image.config.architecture}`,
    user: `${user.uid}:${user.gid}`,
    lifecycle: metadata.lifecycle,
    runImages: unique(metadata.runImages),
    buildpacks: listed.map(({ id, version, homepage }) => ({ id, version, homepage })),
    extensions: metadata.extensions.map(({ id, version }) => ({ id, version })),
    order: orderIn(builderLabels.order),
    orderExtensions: orderIn(builderLabels.orderExtensions),
  }
  const { output = 'human' } = options
  context.print(output === 'human' ? describe(inspected, context.color) : await formatValue(inspected, output))
}

function defaultBuilder(config: UserConfig): string {
  if (config.defaultBuilder !== undefined) return config.defaultBuilder
  throw new BaleError('arguments', 'no builder is given, and there is no default builder', {
    fix: 'give one, or set the default: bale config default-builder NAME',
  })
}

const unique = <T extends { readonly image: string }>(images: readonly T[]): T[] => [
  ...new Map(images.map(image => [image.image, image])).values(),
]

/** The maximum of buildpacks in an expanded order: a few composites can multiply to billions. */
const maxElements = 10_000

/**
 * Expands the composite buildpacks of an order, down to a number of levels.
 * @throws BaleError 'input' for an order that becomes too large
 */
export function expand(
  groups: readonly (readonly OrderElement[])[],
  listed: ReturnType<typeof listedBuildpacks>,
  depth: number,
  path: readonly string[] = [],
  shown = { count: 0 },
): readonly Group[] {
  return groups.map(group => ({
    group: group.map(({ id, version, optional }): Element => {
      if (++shown.count > maxElements && path.length > 0)
        throw new BaleError('input', `with all composites the order has more than ${maxElements} buildpacks`, {
          fix: 'show fewer levels: --depth 1',
        })
      const found = listed.find(b => b.id === id && (version === '' || b.version === version))
      const name = `${id}@${found?.version ?? version}`
      const isOpen = found?.order !== undefined && depth > 1 && !path.includes(name)
      return {
        id,
        version: (found?.version ?? version) || undefined,
        optional: optional || undefined,
        order: isOpen ? expand(found.order ?? [], listed, depth - 1, [...path, name], shown) : undefined,
      }
    }),
  }))
}

function describe(inspected: Inspected, color: boolean): string {
  const style = makeStyle(color)
  const { createdBy, lifecycle, stack } = inspected
  const field = (name: string, value: string): string => `  ${name.padEnd(10)}${printable(value)}`
  const list = (names: readonly string[]): string[] => names.map(name => `  ${printable(name)}`)
  const range = (all: readonly string[]): string => (all.length === 0 ? 'unknown' : all.join(', '))
  return [
    style.bold(printable(inspected.name)),
    ...(inspected.description === '' ? [] : [field('', inspected.description).replace(/^ {12}/, '  ')]),
    field('Platform', inspected.platform),
    field('User', inspected.user),
    ...(stack === undefined ? [] : [field('Stack', stack)]),
    ...(createdBy === undefined ? [] : [field('Made by', `${createdBy.name} ${createdBy.version}`)]),
    field('Lifecycle', lifecycle.version || 'unknown'),
    field('', `Platform API ${range(lifecycle.platformApis)}`),
    field('', `Buildpack API ${range(lifecycle.buildpackApis)}`),
    '',
    'Run images:',
    ...list(
      inspected.runImages.flatMap(({ image, mirrors }) => [image, ...mirrors.map(mirror => `${mirror} (mirror)`)]),
    ),
    '',
    'Buildpacks:',
    ...list(inspected.buildpacks.map(({ id, version, homepage = '' }) => `${id} ${version}  ${homepage}`.trimEnd())),
    ...(inspected.extensions.length === 0 ? [] : ['', 'Extensions:']),
    ...list(inspected.extensions.map(({ id, version }) => `${id} ${version}`)),
    '',
    'Order:',
    ...orderLines(inspected.order),
  ].join('\n')
}

/** One line for each buildpack, indented by its level. */
export function orderLines(groups: readonly Group[], indent = '  '): string[] {
  return groups.flatMap(({ group }, n) => [
    `${indent}Group #${n + 1}:`,
    ...group.flatMap(({ id, version, optional, order }) => [
      `${indent}  ${printable(version === undefined ? id : `${id}@${version}`)}${optional ? ' (optional)' : ''}`,
      ...(order === undefined ? [] : orderLines(order, `${indent}    `)),
    ]),
  ])
}

/** Published and maintained builders, with who makes them. pack suggests the same. */
const suggestions = [
  ['gcr.io/buildpacks/builder:google-22', 'Google', 'Ubuntu 22.04: Go, Node.js, Java, Python, Ruby, PHP, .NET'],
  ['heroku/builder:24', 'Heroku', 'Ubuntu 24.04: Go, Node.js, Java, Python, Ruby, PHP, Scala, .NET'],
  ['paketobuildpacks/builder-jammy-base', 'Paketo', 'Ubuntu 22.04: Java, Node.js, Go, Python, Ruby, .NET'],
  ['paketobuildpacks/builder-jammy-full', 'Paketo', 'Ubuntu 22.04, all of the above and PHP, Apache, nginx'],
  ['paketobuildpacks/builder-jammy-tiny', 'Paketo', 'Ubuntu 22.04 without a shell: Java native images, Go'],
] as const

export function suggestCommand(context: CommandContext): Promise<void> {
  context.print('Without --builder, Bale builds with its own buildpacks on Debian 13. Builders of other makers:')
  for (const [name, maker, text] of suggestions) context.print(`  ${name.padEnd(40)}${maker.padEnd(9)}${text}`)
  context.print(
    'To use one: bale build NAME --builder BUILDER; to make it the default: bale config default-builder BUILDER',
  )
  return Promise.resolve()
}
