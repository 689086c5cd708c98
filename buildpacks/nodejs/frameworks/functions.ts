import { type App, chooseFunction, firstSetting, shellQuote } from '../../sdk/index.ts'
import type { PackageJson } from '../package-json.ts'
import type { Start } from '../start.ts'

/**
 * A function of Google's Functions Framework: the one that GOOGLE_FUNCTION_TARGET names, or the only one that the main file registers.
 * The main file alone would end at once. undefined if there is none, or if there are several beside a Procfile or another start
 * command.
 * @throws BuildpackError if there are several, and nothing decides
 */
export async function functionStart(
  app: App,
  env: Readonly<Record<string, string>>,
  { main = 'index.js', dependencies }: PackageJson,
): Promise<Start | undefined> {
  if (dependencies.dependencies['@google-cloud/functions-framework'] === undefined) return undefined
  const file = await app.firstOf([main, `${main}.js`, 'index.js', 'function.js'])
  const source = file === undefined ? '' : ((await app.read(file)) ?? '')
  const registered = source.matchAll(/\b(?:http|cloudEvent)\(\s*['"`]([\w.-]+)['"`]/g)
  const names = Array.from(registered, ([, name = '']) => name)
  const chosen = await chooseFunction(app, env, names, file ?? main)
  if (chosen === undefined) return undefined
  const type = firstSetting(env, 'GOOGLE_FUNCTION_SIGNATURE_TYPE')
  const option = type === undefined ? '' : ` --signature-type=${shellQuote(type.value)}`
  return {
    command: `functions-framework --target=${shellQuote(chosen.name)}${option}`,
    why: chosen.setting ?? `${file} registers the function ${chosen.name}`,
  }
}
