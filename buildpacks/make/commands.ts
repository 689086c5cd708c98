import { type BuildContext, firstSetting } from '../sdk/index.ts'
import { filesIn, fromSource } from './makefile.ts'
import type { Built } from './output.ts'

type Env = Readonly<Record<string, string>>

const settings = ['RAILPACK_INSTALL_CMD', 'RAILPACK_BUILD_CMD'] as const

export function usesCommands(env: Env): boolean {
  return firstSetting(env, 'RAILPACK_BUILD_CMD') !== undefined
}

/** Runs the user's own commands instead of the build that the project's files declare. */
export async function runCommands(context: BuildContext): Promise<Built> {
  const { app, env, log, run } = context
  const before = new Set(await filesIn(app.path))
  for (const name of settings) {
    const setting = firstSetting(env, name)
    if (setting === undefined) continue
    const title = `Running ${setting.name}: ${setting.value}`
    await log.step(title, () => run(['bash', '-c', setting.value], { name: setting.name }))
  }
  return fromSource(context, before)
}
