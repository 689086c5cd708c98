import type { BuildContext } from '../sdk/index.ts'

/** The context in which all that runs has these variables, where the user does not set them. */
export function withVariables(context: BuildContext, variables: Readonly<Record<string, string>>): BuildContext {
  const own = Object.fromEntries(Object.entries(variables).filter(([name]) => context.env[name] === undefined))
  return {
    ...context,
    env: { ...context.env, ...own },
    run: (argv, options) => context.run(argv, { ...options, env: { ...own, ...options?.env } }),
  }
}
