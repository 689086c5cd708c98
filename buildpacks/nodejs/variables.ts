import type { BuildContext } from '../sdk/index.ts'

/** The context in which all programs get these variables, unless the user sets them. */
export function withVariables(context: BuildContext, variables: Readonly<Record<string, string>>): BuildContext {
  const own = Object.fromEntries(Object.entries(variables).filter(([name]) => context.env[name] === undefined))
  return {
    ...context,
    env: { ...context.env, ...own },
    run: (argv, options) => context.run(argv, { ...options, env: { ...own, ...options?.env } }),
  }
}
