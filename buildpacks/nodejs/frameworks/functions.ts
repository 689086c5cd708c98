import { type App, BuildpackError, declaredStart, firstSetting, shellQuote } from '../../sdk/index.ts'
import type { PackageJson } from '../package-json.ts'
import { otherStart, type Start } from '../start.ts'

/**
 * A function of Google's Functions Framework: the one that GOOGLE_FUNCTION_TARGET names, or the only one that the main file registers.
 * That file alone would end at once. undefined if there is none, or if there are several beside a Procfile or another start command.
 * @throws BuildpackError if several are there, and nothing says which
 */
export async function functionStart(
  app: App,
  env: Readonly<Record<string, string>>,
  { main = 'index.js', dependencies }: PackageJson,
): Promise<Start | undefined> {
  if (dependencies.dependencies['@google-cloud/functions-framework'] === undefined) return undefined
  const setting = firstSetting(env, 'GOOGLE_FUNCTION_TARGET')
  const file = await app.firstOf([main, `${main}.js`, 'index.js', 'function.js'])
  const source = file === undefined ? '' : ((await app.read(file)) ?? '')
  const registered = source.matchAll(/\b(?:http|cloudEvent)\(\s*['"`]([\w.-]+)['"`]/g)
  const names = setting === undefined ? Array.from(registered, ([, name = '']) => name) : [setting.value]
  const [only, ...others] = names
  if (only === undefined) return undefined
  if (others.length > 0) {
    if ((await otherStart(app, env)) !== undefined || (await declaredStart(app, env)) !== undefined) return undefined
    throw new BuildpackError(`${file} has several functions: ${names.join(', ')}`, {
      where: 'package.json',
      fix: `set GOOGLE_FUNCTION_TARGET to the one to serve: GOOGLE_FUNCTION_TARGET=${only}`,
    })
  }
  const type = firstSetting(env, 'GOOGLE_FUNCTION_SIGNATURE_TYPE')
  const option = type === undefined ? '' : ` --signature-type=${shellQuote(type.value)}`
  return {
    command: `functions-framework --target=${shellQuote(only)}${option}`,
    why: setting === undefined ? `${file} registers the function ${only}` : setting.name,
  }
}
