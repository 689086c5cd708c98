import { resolve } from 'node:path'
import { loadBuilder } from '../../platform/builder.ts'
import { findDistribution } from '../../platform/distribution.ts'
import { installStack } from '../../platform/stack.ts'
import { Stores } from '../../stores/open.ts'
import type { CommandContext, GlobalOptions } from '../context.ts'
import { parseBuildPlatform } from '../values.ts'

export async function createStackCommand(
  context: CommandContext,
  dir: string | undefined,
  options: GlobalOptions,
): Promise<void> {
  const { settings, reporter, signal } = context
  const distribution = findDistribution(import.meta.url)
  const stackDir = resolve(dir ?? (await loadBuilder(distribution.builder)).stackDir ?? '')
  const platform = parseBuildPlatform(options.platform, 'a stack is for one platform') ?? settings.platform
  await using stores = new Stores(settings, reporter)
  const stack = await installStack(
    { stackDir, arch: platform.architecture, settings, store: stores.local, reporter },
    signal,
  )
  context.print(`Stack ${stack.id}\n  build  ${stack.buildRoot}\n  run    ${stack.runImage}`)
}
