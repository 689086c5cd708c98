import type { App } from './app.ts'
import { declaredStart } from './declared-start.ts'
import { BuildpackError } from './errors.ts'
import { firstSetting } from './platform.ts'

/** A function of Google's Functions Framework. */
export interface ChosenFunction {
  readonly name: string
  /** The setting that names it; undefined if it is the only one. */
  readonly setting: string | undefined
}

/**
 * The function that is served: the one that GOOGLE_FUNCTION_TARGET names, else the only one that the application registers. undefined
 * if there is none, or if there are several and a Procfile or another start command decides.
 * @param where the file that registers the functions
 * @throws BuildpackError if there are several and nothing decides
 */
export async function chooseFunction(
  app: App,
  env: Readonly<Record<string, string>>,
  registered: readonly string[],
  where: string,
): Promise<ChosenFunction | undefined> {
  const setting = firstSetting(env, 'GOOGLE_FUNCTION_TARGET')
  if (setting) return { name: setting.value, setting: setting.name }
  const [only, ...others] = registered
  if (only === undefined) return undefined
  if (others.length === 0) return { name: only, setting: undefined }
  if ((await app.has('Procfile')) || (await declaredStart(app, env)) !== undefined) return undefined
  throw new BuildpackError(`there are several functions: ${registered.join(', ')}`, {
    where,
    fix: `set GOOGLE_FUNCTION_TARGET to the one to serve: GOOGLE_FUNCTION_TARGET=${only}`,
  })
}
