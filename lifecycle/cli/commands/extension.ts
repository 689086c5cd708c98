import { resolve } from 'node:path'
import { newExtension } from '../../platform/builders/new-buildpack.ts'
import { openBuildpack } from '../../platform/builders/open-buildpack.ts'
import { bundledIn, findDistribution } from '../../platform/distribution.ts'
import { Stores } from '../../stores/open.ts'
import type { CommandContext, GlobalOptions } from '../context.ts'
import { formatValue } from '../formats.ts'
import { makeStyle, printable } from '../text.ts'

export async function newCommand(context: CommandContext, id: string, options: GlobalOptions): Promise<void> {
  const { api = '0.10', version = '1.0.0', path } = options
  const dir = printable(await newExtension({ id, api, version, path }))
  context.print(`Made ${dir}; to use it, add it to [[extensions]] and [[order-extensions]] of a builder.toml`)
}

export async function inspectCommand(context: CommandContext, uri: string, options: GlobalOptions): Promise<void> {
  const { settings, reporter, signal } = context
  await using stores = new Stores(settings, reporter)
  const bundled = bundledIn(findDistribution(import.meta.url))
  const input = { settings, stores, reporter, bundled, builder: [], base: resolve('.'), kind: 'extension' } as const
  const [{ descriptor }] = await openBuildpack(uri, 'the image extension', input, signal)
  const { id, version, name, homepage, description, api, targets } = descriptor
  const { output = 'human' } = options
  if (output !== 'human')
    return context.print(await formatValue({ id, version, name, homepage, description, api, targets }, output))
  const platforms = targets.map(({ os, arch }) => [os, arch].filter(Boolean).join('/'))
  const lines = [
    makeStyle(context.color).bold(printable(`${id} ${version}`)),
    ...[name, description, homepage].flatMap(text => (text === undefined ? [] : [`  ${printable(text)}`])),
    `  Buildpack API ${printable(api)}`,
    ...(platforms.length === 0 ? [] : [`  For ${printable(platforms.join(', '))}`]),
  ]
  context.print(lines.join('\n'))
}
