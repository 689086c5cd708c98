import type { BuildContext } from '../../sdk/index.ts'
import type { ScriptOptions } from '../manager.ts'
import type { Env } from './settings.ts'

/** `PROGRAM run SCRIPT`, which all managers have. The user's own variables win over NODE_ENV, the manager's over all. */
export async function runNamedScript(
  { env, log, run }: BuildContext,
  managerEnv: Env,
  program: string,
  script: string,
  { cwd, nodeEnv, where }: ScriptOptions,
): Promise<void> {
  const name = `${program} run ${script}`
  // A script may install the packages of another folder and build there: `cd client && npm install && npm run build`.
  const inner = { npm_config_include: 'dev', YARN_PRODUCTION: 'false' }
  const options = {
    env: { NODE_ENV: nodeEnv, ...inner, ...env, ...managerEnv },
    name,
    ...(cwd !== undefined && { cwd }),
  }
  await log.step(`Running ${name}${where === undefined ? '' : ` in ${where}`}`, () =>
    run([program, 'run', script], options),
  )
}
