import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { App, BuildContext, RunOptions } from '../../sdk/index.ts'
import type { ScriptOptions } from '../manager.ts'

/** Runs `PROGRAM run SCRIPT`, which all managers have. The user's own variables override NODE_ENV; the manager's override all. */
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
  const newerYarn = (await knownNewerYarn(app)) ? refusedByNewerYarn : {}
  const options = {
    env: { NODE_ENV: nodeEnv, ...inner, ...env, ...managerEnv, ...newerYarn },
    name,
    ...(cwd !== undefined && { cwd }),
  }
  await log.step(`Running ${name}${where === undefined ? '' : ` in ${where}`}`, () =>
    run([program, 'run', script], options),
  )
}

/** Yarn 2 and newer fails if this is set: it takes every `YARN_…` for a setting of its own, and does not know this one. */
export const refusedByNewerYarn = { YARN_PRODUCTION: undefined }

const known = new WeakMap<App, Promise<boolean>>()

/**
 * The first result of `hasNewerYarn`, from before any script. Scripts do not create a folder with a lock file from which they then
 * install.
 */
function knownNewerYarn(app: App): Promise<boolean> {
  const found = known.get(app) ?? hasNewerYarn(app)
  known.set(app, found)
  return found
}

/** Folders like `client` and `apps/client`. */
const levels = 2

/**
 * True if a folder whose packages a script may install has a lock file of Yarn 2 or newer. A folder of Yarn 1 beside it then does not
 * get the variable either: its devDependencies may be missing, but the newer Yarn would certainly fail.
 */
async function hasNewerYarn(app: App): Promise<boolean> {
  let folders = ['']
  for (let level = 0; level < levels; level++) {
    folders = (await Promise.all(folders.map(folder => foldersIn(app, folder)))).flat()
    for (const folder of folders) {
      // An unreadable file may belong to an example or a test, from which nothing installs.
      const lock = await app.read(join(folder, 'yarn.lock')).catch(() => undefined)
      if (lock?.includes('\n__metadata:')) return true
    }
  }
  return false
}

async function foldersIn(app: App, folder: string): Promise<string[]> {
  const entries = await readdir(app.at(folder), { withFileTypes: true }).catch(() => [])
  return entries
    .filter(entry => entry.isDirectory() && entry.name !== 'node_modules' && !entry.name.startsWith('.'))
    .map(({ name }) => join(folder, name))
}
