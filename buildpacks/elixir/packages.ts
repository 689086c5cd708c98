import { join } from 'node:path'
import type { App, BuildContext } from '../sdk/index.ts'

type Command = readonly [string, ...string[]]

/** What installs the packages of a folder as its lock file has them, with the tools for development. */
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

/** Installs them once Mix has fetched the dependencies, of which some have packages for Node.js. */
export async function installNodePackages({ app, log, run }: BuildContext, folder: string): Promise<void> {
  const command = await installCommand(app, folder)
  if (command[0] === 'npm' && command[1] === 'install')
    log.warning(`there is no ${folder}/package-lock.json, so each build may install other versions`, 'Commit it.')
  await log.step(`Installing packages of ${folder} with ${command.slice(0, 2).join(' ')}`, () =>
    run(command, {
      name: command.join(' '),
      cwd: app.at(folder),
      fix: `correct what it says, in ${folder}/package.json`,
    }),
  )
}

/** The script by which Phoenix built its assets before `mix assets.deploy`, if there is one. */
export async function runDeployScript({ app, log, run }: BuildContext, folder: string): Promise<void> {
  const text = (await app.read(join(folder, 'package.json'))) ?? ''
  if (!/"deploy"\s*:/.test(text)) return
  const [program] = await installCommand(app, folder)
  await log.step(`Running the script deploy of ${folder}`, () =>
    run([program, 'run', 'deploy'], {
      name: `${program} run deploy`,
      cwd: app.at(folder),
      env: { NODE_ENV: 'production' },
    }),
  )
}
