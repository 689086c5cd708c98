import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { BaleError, reworded } from '../../errors.ts'
import type { CommandContext, GlobalOptions } from '../context.ts'
import type { ExecutorCall } from '../executor/options.ts'
import { buildCommand } from './build.ts'

/** Where a kaniko job mounts its Docker config.json. */
const dockerConfigDir = '/kaniko/.docker'

/** kaniko's executor: its flags, as options of `bale build`. */
export async function executorCommand(context: CommandContext, call: ExecutorCall): Promise<void> {
  const { settings, env, reporter } = context
  for (const text of call.notes) reporter.event({ type: 'warning', text })
  const ownConfig = join(dockerConfigDir, 'config.json')
  const usesOwn = !env['DOCKER_CONFIG'] && existsSync(ownConfig)
  const registries = { ...settings.registries, ...call.registries }
  const changed = {
    ...settings,
    registries,
    knownHelpers: call.knownHelpers,
    registryAttempts: call.attempts ?? settings.registryAttempts,
    cacheDir: call.cacheDir === undefined ? settings.cacheDir : join(call.cacheDir, 'bale'),
    dockerConfig: usesOwn ? ownConfig : settings.dockerConfig,
  }
  const options: GlobalOptions = call.options
  try {
    await buildCommand({ ...context, settings: changed }, call.image, options)
  } catch (error) {
    throw error instanceof BaleError ? reworded(error, withKanikoNames) : error
  }
}

/** Flags of `bale build` that have another name here. */
const kanikoNames: Readonly<Record<string, string>> = {
  '--path': '--context',
  '--sub-path': '--context-sub-path',
  '--retry': '--push-retry',
  '--tag': '--destination',
}

/** A text with the flags that the user of the executor can change. A name in a path, such as /src/x--path, is not a flag. */
export function withKanikoNames(text: string): string {
  return text.replace(/(?<![\w/.-])--[a-z][a-z-]*(?![\w/-]|\.\w)/g, flag => kanikoNames[flag] ?? flag)
}
