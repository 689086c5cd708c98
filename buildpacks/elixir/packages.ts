import { join } from 'node:path'
import { App, type BuildContext, readManifest } from '../sdk/index.ts'

type Command = readonly [string, ...string[]]

/** The command that installs the packages of a folder from its lock file, including devDependencies. */
export async function installCommand(app: App, folder: string): Promise<Command> {
  const has = (name: string) => app.has(join(folder, name))
  if (await has('yarn.lock')) {
    const isBerry = /^__metadata:/m.test((await app.read(join(folder, 'yarn.lock'))) ?? '')
    return isBerry ? ['yarn', 'install', '--immutable'] : ['yarn', 'install', '--frozen-lockfile', '--production=false']
  }
  if (await has('pnpm-lock.yaml')) return ['pnpm', 'install', '--frozen-lockfile', '--prod=false']
  if ((await has('bun.lock')) || (await has('bun.lockb'))) return ['bun', 'install', '--frozen-lockfile']
  return (await has('package-lock.json')) ? ['npm', 'ci', '--include=dev'] : ['npm', 'install', '--include=dev']
}

/** Installs the packages after Mix has fetched the dependencies, some of which contain packages for Node.js. */
export async function installNodePackages({ app, log, run }: BuildContext, folder: string): Promise<void> {
  const command = await installCommand(app, folder)
  if (command[0] === 'npm' && command[1] === 'install')
    log.warning(`there is no ${folder}/package-lock.json, so each build may install other versions`, 'Commit it.')
  await log.step(`Installing packages of ${folder} with ${command.slice(0, 2).join(' ')}`, () =>
    run(command, {
      name: command.join(' '),
      cwd: app.at(folder),
      fix: `correct the fault that it reports, in ${folder}/package.json`,
    }),
  )
}

/** Programs that build assets, and programs that clear and copy files around that. */
const builders =
  /^(?:(?:npx|yarn|pnpm|bunx?|cross-env|env)\s+|[A-Z_]+=\S*\s+)*(?:webpack|esbuild|vite|rollup|parcel|brunch|rspack|gulp|grunt|tailwindcss|postcss|sass|node\s+\S+\.[cm]?[jt]s|rm|rimraf|mkdir|cp)(?:\s|$)/

/** Whether a script only builds assets: another one may deploy the application to a server. */
function buildsAssets(scripts: Readonly<Record<string, unknown>>, name: string, depth = 0): boolean {
  const script = scripts[name]
  if (typeof script !== 'string' || script.trim() === '' || depth > 5) return false
  return script.split(/&&|\|\||[;|\n]/).every(part => {
    const called = /^(?:npm|yarn|pnpm|bun)(?: run)? ([\w:.-]+)$/.exec(part.trim())?.[1]
    if (called !== undefined && Object.hasOwn(scripts, called)) return buildsAssets(scripts, called, depth + 1)
    return builders.test(part.trim())
  })
}

/** Runs the script with which Phoenix built its assets before `mix assets.deploy`, if it exists. */
export async function runDeployScript({ app, log, run }: BuildContext, folder: string): Promise<void> {
  const { scripts } = await readManifest(new App(app.at(folder)))
  if (scripts['deploy'] === undefined) return
  const where = `${folder}/package.json scripts.deploy`
  if (!buildsAssets(scripts, 'deploy')) {
    log.warning(
      `${where} is not run: it does more than build assets`,
      'Give mix.exs an alias assets.deploy that builds them.',
    )
    return
  }
  const [program] = await installCommand(app, folder)
  await log.step(`Running the script deploy of ${folder}`, () =>
    run([program, 'run', 'deploy'], {
      name: `${program} run deploy`,
      cwd: app.at(folder),
      env: { NODE_ENV: 'production' },
    }),
  )
}
