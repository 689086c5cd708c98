import { firstSetting } from '../sdk/index.ts'
import type { PackageJson } from './package-json.ts'

type Env = Readonly<Record<string, string>>

/** What is run to build the application, in order. */
export interface BuildScripts {
  /** Before the packages are installed. */
  readonly before: readonly string[]
  /** With all packages installed: names of scripts, or a command line. */
  readonly scripts: readonly string[]
  readonly command: string | undefined
  /** Who says so. */
  readonly where: string
  /** What NODE_ENV is meanwhile, unless the user sets it. */
  readonly nodeEnv: 'development' | 'production'
}

/** Scripts of the application itself that npm runs while it installs: what they read is in no lock file. */
const installScripts = ['preinstall', 'install', 'postinstall', 'prepublish', 'preprepare', 'prepare', 'postprepare']

export function hasInstallScripts({ scripts }: PackageJson): boolean {
  return installScripts.some(name => isFilled(scripts, name))
}

/**
 * The build that the application wants: the user's list, Google's names, else Heroku's or plain `build`. A script that is
 * the empty text says that there is nothing to build.
 */
export function buildScripts(env: Env, { scripts }: PackageJson): BuildScripts {
  const before = isFilled(scripts, 'heroku-prebuild') ? ['heroku-prebuild'] : []
  const none = { before, scripts: [], command: undefined, where: '', nodeEnv: 'production' } as const
  const command = firstSetting(env, 'RAILPACK_BUILD_CMD')
  if (command) return { ...none, command: command.value, where: command.name }
  for (const name of ['BP_NODE_RUN_SCRIPTS', 'GOOGLE_NODE_RUN_SCRIPTS']) {
    const list = env[name]
    if (list === undefined) continue
    const names = list.split(',').map(script => script.trim())
    return { ...none, scripts: names.filter(script => script !== ''), where: name }
  }
  for (const name of ['apphosting:build', 'gcp-build']) {
    if (!Object.hasOwn(scripts, name)) continue
    return {
      ...none,
      scripts: isFilled(scripts, name) ? [name] : [],
      where: 'package.json scripts',
      nodeEnv: 'development',
    }
  }
  const own = ['heroku-build', 'build'].find(name => Object.hasOwn(scripts, name))
  const wanted = [own, 'heroku-postbuild'].filter(name => name !== undefined && isFilled(scripts, name))
  return { ...none, scripts: wanted as string[], where: 'package.json scripts' }
}

function isFilled(scripts: PackageJson['scripts'], name: string): boolean {
  return Object.hasOwn(scripts, name) && scripts[name]?.trim() !== ''
}

/** Runners that call a package manager for each script that they are given. */
const runners = ['run-p', 'run-s', 'npm-run-all2?', 'concurrently', 'conc']

/** True if a command line calls one of a package manager's commands, or a runner that does. */
export function callsManager(command: string, programs: readonly string[]): boolean {
  return new RegExp(`(^|[\\s;&|("'\`])(\\S*/)?(${[...programs, ...runners].join('|')})(\\s|$)`, 'm').test(command)
}
