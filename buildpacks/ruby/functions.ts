import { type App, chooseFunction, firstSetting, shellQuote } from '../sdk/index.ts'
import type { Facts, Start } from './facts.ts'

/** The file in which the framework's program looks for functions. */
const source = 'app.rb'

/**
 * A function of Google's Functions Framework (functions_framework, "Running a Functions Server"): the one that GOOGLE_FUNCTION_TARGET
 * names, or the only one that app.rb defines. That file alone would end at once. undefined if there is none.
 * @throws BuildpackError if there are several, and nothing decides
 */
export async function functionStart({ app, gems, env }: Facts): Promise<Start | undefined> {
  if (!gems.has('functions_framework')) return undefined
  const chosen = await chooseFunction(app, env, await definedIn(app), source)
  if (chosen === undefined) return undefined
  const type = firstSetting(env, 'GOOGLE_FUNCTION_SIGNATURE_TYPE')
  const option = type === undefined ? '' : ` --signature-type ${shellQuote(type.value)}`
  return {
    // It listens on $PORT, or on 8080.
    command: `bundle exec functions-framework-ruby --target ${shellQuote(chosen.name)}${option} --bind 0.0.0.0`,
    why: chosen.setting ?? `${source} defines the function ${chosen.name}`,
  }
}

/** The names in `FunctionsFramework.http "hello" do |request|` and similar calls; the default is `function`. */
async function definedIn(app: App): Promise<string[]> {
  const code = ((await app.read(source)) ?? '').replaceAll(/^\s*#.*/gm, '')
  const calls = code.matchAll(
    /\bFunctionsFramework\.(?:http|cloud_event|typed|event)\b\s*\(?\s*(?:(["'])([\w.-]+)\1)?/g,
  )
  return Array.from(calls, ([, , name = 'function']) => name)
}
