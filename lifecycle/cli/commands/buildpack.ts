import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { newBuildpack } from '../../platform/builders/new-buildpack.ts'
import { openBuildpack, refuseElsewhere } from '../../platform/builders/open-buildpack.ts'
import { packageModule } from '../../platform/builders/package-buildpack.ts'
import { bundledIn, findDistribution } from '../../platform/distribution.ts'
import { loadBuilder } from '../../platform/builder.ts'
import { buildpackOffers } from '../../platform/buildpack-offers.ts'
import type { ModuleKind } from '../../phases/buildpacks-dir.ts'
import { copyImage } from '../../stores/copy.ts'
import { localName } from '../../stores/local/transport.ts'
import { Stores } from '../../stores/open.ts'
import type { CommandContext, GlobalOptions } from '../context.ts'
import { readUserConfig } from '../config-file.ts'
import { formatValue } from '../formats.ts'
import { noteIn, noteUnused, unusedInInspect, unusedInPackages } from '../unused-options.ts'
import { formatBytes, makeStyle, printable, shortName } from '../text.ts'
import { readVariables } from '../variables.ts'
import { parseLabels } from '../labels.ts'
import { parseBuildpackTargets, parseDepth, parseTargets } from '../values.ts'
import { expand, orderLines } from './builder.ts'
import { BaleError } from '../../errors.ts'
import { sizeOf } from '../../image/image.ts'

export async function newCommand(context: CommandContext, id: string, options: GlobalOptions): Promise<void> {
  const { api = '0.10', version = '1.0.0', path } = options
  const targets = parseBuildpackTargets(options.targets, '--targets') ?? [
    { platform: context.settings.platform, distros: [] },
  ]
  const distribution = findDistribution(import.meta.url)
  const language = options.language === 'typescript' ? 'typescript' : 'shell'
  const nodeStarter = join(bundledIn(distribution), 'procfile', 'bin', 'main')
  const dir = printable(await newBuildpack({ id, api, version, path, targets, language, nodeStarter }))
  const sdk = packageRoot(distribution.root) ?? 'the file that npm pack makes of Bale'
  const next =
    language === 'shell'
      ? `bale buildpack test ${dir}`
      : `cd ${dir} && npm install --save-dev ${printable(sdk)} && npm test`
  context.print(`Made ${dir}; try it: ${next}`)
}

/** Returns the npm package or checkout that this program is part of, if any: it contains `bale/sdk`. */
function packageRoot(distribution: string): string | undefined {
  const root = resolve(distribution, '..', '..')
  return existsSync(join(root, 'package.json')) && existsSync(join(distribution, 'sdk.mjs')) ? root : undefined
}

export async function packageCommand(
  context: CommandContext,
  kind: ModuleKind,
  name: string,
  options: GlobalOptions,
): Promise<void> {
  const { settings, reporter, signal } = context
  const format = options.format === 'file' ? 'file' : 'image'
  const ofImages = options.publish === true ? '--publish' : options.tag === undefined ? undefined : '--tag'
  if (format === 'file' && ofImages !== undefined)
    throw new BaleError('usage', 'a file has no name in a registry', {
      where: ofImages,
      fix: 'leave it out, or --format file',
    })
  noteUnused(options, unusedInPackages, noteIn(context))
  await using stores = new Stores(settings, reporter)
  await packageModule(
    {
      kind,
      name,
      format,
      path: options.path,
      config: options.config,
      publish: options.publish,
      tags: options.tag,
      pullPolicy: options.pullPolicy ?? (await readUserConfig(context.env)).pullPolicy,
      targets: parseTargets(options.target, '--target'),
      labels: parseLabels(options.label),
      withoutNode: options.withoutNode,
      settings,
      stores,
      distribution: findDistribution(import.meta.url),
      reporter,
    },
    signal,
  )
}

export async function inspectCommand(context: CommandContext, uri: string, options: GlobalOptions): Promise<void> {
  noteUnused(options, unusedInInspect, noteIn(context))
  if (options.versions === true) return versionsCommand(context, uri, options)
  if (options.env !== undefined || options.envFile !== undefined)
    throw new BaleError('usage', 'the variables are for package clients, and only --versions runs them', {
      where: options.env === undefined ? '--env-file' : '--env',
      fix: 'add --versions, or leave it out',
    })
  const { settings, reporter, signal } = context
  const depth = parseDepth(options.depth)
  await using stores = new Stores(settings, reporter)
  const distribution = findDistribution(import.meta.url)
  const { buildpacks: builder } = await loadBuilder(distribution.builder)
  const input = { settings, stores, reporter, bundled: bundledIn(distribution), builder, base: resolve('.') }
  const modules = await openBuildpack(uri, 'the buildpack', input, signal)
  const descriptors = modules.map(({ descriptor }) => descriptor)
  const [main] = descriptors as [(typeof descriptors)[0], ...typeof descriptors]
  const listed = descriptors.map(d => ({ ...d, diffId: '' }))
  const order = main.order === undefined ? [] : expand(main.order, listed, depth)
  const inspected = {
    id: main.id,
    version: main.version,
    name: main.name,
    homepage: main.homepage,
    description: main.description,
    api: main.api,
    targets: main.targets,
    stacks: main.stacks,
    buildpacks: descriptors.map(({ id, version, api, homepage }) => ({ id, version, api, homepage })),
    order,
  }
  const { output = 'human' } = options
  if (output !== 'human') return context.print(await formatValue(inspected, output))
  const style = makeStyle(context.color)
  const targets = main.targets.map(({ os, arch }) => [os, arch].filter(Boolean).join('/'))
  const about = [main.name, main.description, main.homepage].filter(text => text !== undefined)
  const lines = [
    style.bold(printable(`${main.id} ${main.version}`)),
    ...about.map(text => `  ${printable(text)}`),
    `  Buildpack API ${printable(main.api)}`,
    ...(targets.length === 0 ? [] : [`  For ${printable(targets.join(', '))}`]),
    '',
    'Buildpacks:',
    ...descriptors.map(({ id, version }) => `  ${printable(`${id} ${version}`)}`),
    ...(order.length === 0 ? [] : ['', 'Order:', ...orderLines(order)]),
  ]
  context.print(lines.join('\n'))
}

async function versionsCommand(context: CommandContext, uri: string, options: GlobalOptions): Promise<void> {
  const { settings, reporter, signal } = context
  const env = await readVariables(options.env ?? [], options.envFile ?? [], context.env)
  const offers = await buildpackOffers(uri, { settings, env, reporter, signal, network: options.network })
  const { output = 'human' } = options
  if (output !== 'human') return context.print(await formatValue({ buildpack: uri, offers }, output))
  const style = makeStyle(context.color)
  const lines = offers.flatMap(({ name, from, versions, more }) => [
    `${style.bold(printable(name))}, from ${printable(from)}`,
    ...releaseLines(versions).map(line => `  ${printable(line)}`),
    ...(more === undefined ? [] : [`  and ${printable(more)}`]),
  ])
  context.print(lines.join('\n'))
}

/** How many release lines the text output shows. Output for programs has all. */
const shownLines = 12

/** `24.21.0, and 30 older 24.x`: a language has hundreds of versions, so only the newest of each release line is shown. */
export function releaseLines(versions: readonly string[]): string[] {
  const startWith = (pattern: RegExp) => (version: string) => pattern.exec(version)?.[0] ?? version
  const major = startWith(/^\d+/)
  const line = new Set(versions.map(major)).size < 3 ? startWith(/^\d+\.\d+/) : major
  const groups = [...Map.groupBy(versions, line)]
  const shown = groups.slice(0, shownLines).map(([name, [newest = '', ...older]]) => {
    return older.length === 0 ? newest : `${newest}, and ${older.length} older ${name}.x`
  })
  const left = groups.slice(shownLines).map(([name]) => name)
  return left.length === 0 ? shown : [...shown, `and older: ${left.at(-1)}.x to ${left[0]}.x`]
}

export async function pullCommand(context: CommandContext, name: string, options: GlobalOptions): Promise<void> {
  noteUnused(options, unusedInPackages, noteIn(context))
  refuseElsewhere(name, 'the buildpack')
  const { settings, reporter, signal } = context
  await using stores = new Stores(settings, reporter)
  const { source, name: there } = await stores.source(name)
  const image = await source.pull(there, settings.platform, signal)
  if (image === undefined)
    throw new BaleError('arguments', `there is no image ${name} in ${source.description}`, { fix: 'correct its name' })
  const { digest } = await copyImage(image, stores.local, [localName(name)], signal)
  context.print(`${shortName(localName(name))}@${digest ?? image.imageId}  ${formatBytes(sizeOf(image))}`)
}
