import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { App, BuildContext, RunOptions } from '../../sdk/index.ts'
import type { ScriptOptions } from '../manager.ts'

/** `PROGRAM run SCRIPT`, which all managers have. The user's own variables win over NODE_ENV, the manager's over all. */
export async function runNamedScript(
  { app, env, log, run }: BuildContext,
  managerEnv: RunOptions['env'],
  program: string,
  script: string,
  { cwd, nodeEnv, where }: ScriptOptions,
): Promise<void> {
  const name = `${program} run ${script}`
  // A script may install the packages of another folder and build there: `cd client && npm install && npm run build`.
  const inner = { npm_config_include: 'dev', YARN_PRODUCTION: 'false' }
  const newerYarn = (await hasNewerYarn(app)) ? refusedByNewerYarn : {}
  const options = {
    env: { NODE_ENV: nodeEnv, ...inner, ...env, ...managerEnv, ...newerYarn },
    name,
    ...(cwd !== undefined && { cwd }),
  }
  await log.step(`Running ${name}${where === undefined ? '' : ` in ${where}`}`, () =>
    run([program, 'run', script], options),
  )
}

/** Yarn 2 and newer ends when this is set: it takes every `YARN_…` as a setting of its own, and has none of this name. */
export const refusedByNewerYarn = { YARN_PRODUCTION: undefined }

/** True if a folder whose packages a script may install has a lock file of Yarn 2 or newer. */
async function hasNewerYarn(app: App): Promise<boolean> {
  const entries = await readdir(app.path, { withFileTypes: true })
  const folders = entries.filter(entry => entry.isDirectory() && entry.name !== 'node_modules').map(({ name }) => name)
  for (const folder of folders) {
    const lock = join(folder, 'yarn.lock')
    if ((await app.has(lock)) && (await app.read(lock))?.includes('\n__metadata:')) return true
  }
  return false
}
