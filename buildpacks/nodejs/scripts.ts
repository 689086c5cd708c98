import { firstSetting } from '../sdk/index.ts'
import type { PackageJson } from './package-json.ts'

type Env = Readonly<Record<string, string>>

/** The commands that build the application, in order. */
export interface BuildScripts {
  /** Scripts that run before the packages are installed. */
  readonly before: readonly string[]
  /** Scripts, or a command line, that run with all packages installed. */
  readonly scripts: readonly string[]
  readonly command: string | undefined
  /** The command runs at the root of the repository, not in the application's folder. */
  readonly atTop?: true
  /** The place that declares the build. */
  readonly where: string
  /** The value of NODE_ENV during the build, unless the user sets it. */
  readonly nodeEnv: 'development' | 'production'
}

/** Scripts of the application itself that npm runs during an installation. No lock file records what they read. */
const installScripts = ['preinstall', 'install', 'postinstall', 'prepublish', 'preprepare', 'prepare', 'postprepare']

export function hasInstallScripts({ scripts }: PackageJson): boolean {
  return installScripts.some(name => isFilled(scripts, name))
}

/**
 * The application's build: the user's list, Google's names, else Heroku's names or plain `build`. A script with an empty text says that
 * there is nothing to build.
 * @param byDefault the command that builds if package.json has no script for it: a framework's
 */
export function buildScripts(
  env: Env,
  { scripts }: PackageJson,
  byDefault?: Pick<BuildScripts, 'command' | 'where' | 'atTop'>,
): BuildScripts {
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
  if (own === undefined && byDefault && !isFilled(scripts, 'heroku-postbuild')) return { ...none, ...byDefault }
  const wanted = [own, 'heroku-postbuild'].filter(name => name !== undefined && isFilled(scripts, name))
  return { ...none, scripts: wanted as string[], where: 'package.json scripts' }
}

/** Names of compile scripts in applications that have no script `build`: Feathers has `compile`. */
const compilers = ['compile', 'transpile', 'tsc', 'build:prod', 'build:production', 'build:server']

/** If one of these scripts is empty, or absent from the user's list, there is nothing to build. */
const builders = ['build', 'heroku-build', 'gcp-build', 'apphosting:build']

/** Adds a compile script if nothing else builds and the start file is not in the source. */
export function withCompiler(build: BuildScripts, { scripts }: PackageJson): BuildScripts {
  const isSaid = build.where !== 'package.json scripts' || builders.some(name => Object.hasOwn(scripts, name))
  const name = isSaid || !buildsNothing(build) ? undefined : compilers.find(each => isFilled(scripts, each))
  return name === undefined ? build : { ...build, scripts: [name] }
}

/** True if the start files are files of the source. */
export function buildsNothing({ scripts, command }: BuildScripts): boolean {
  return scripts.length === 0 && command === undefined
}

function isFilled(scripts: PackageJson['scripts'], name: string): boolean {
  return Object.hasOwn(scripts, name) && scripts[name]?.trim() !== ''
}

/** Commands, the scripts that they call, and the scripts that those call in turn: `npm run compile && node dist`. */
export function withCalled(commands: readonly string[], ...all: readonly PackageJson['scripts'][]): string[] {
  const found = new Set(commands)
  for (const command of found) {
    for (const [, name = ''] of command.matchAll(
      /\b(?:npm|yarn|pnpm|bun)(?:\s+run)?(?:\s+-{1,2}[\w-]+)*\s+([\w:.-]+)/g,
    )) {
      for (const scripts of all)
        for (const each of [`pre${name}`, name]) if (isFilled(scripts, each)) found.add(scripts[each] ?? '')
    }
  }
  return [...found]
}

/** Programs of start commands that call no package manager. Any other program may: `run-p web worker`, `turbo start`, `./start.sh`. */
const standalone = new Set([
  ...['node', 'next', 'nuxt', 'nuxi', 'astro', 'vite', 'gatsby', 'nest', 'ng', 'remix-serve', 'react-router-serve'],
  ...['serve', 'http-server', 'tsx', 'ts-node', 'json-server', 'strapi', 'medusa', 'keystone', 'prisma', 'knex'],
  ...['cd', 'echo', 'export', 'exit', 'mkdir', 'cp', 'ln', 'rm', 'cat', 'sleep', 'set', 'test', '[', 'true', ':'],
])
const prefixes = ['exec', 'env', 'time', 'nohup', 'cross-env']

/**
 * True if a command line may call one of a package manager's commands: it names one, or it starts a program that may call one, such as
 * a runner that calls it for each script.
 */
export function mayCallManager(commandLine: string, programs: readonly string[]): boolean {
  return namesProgram(commandLine, programs) || programsOf(commandLine).some(program => !standalone.has(program))
}

/** The programs that a command line or a Procfile's line starts, without their directories. */
function programsOf(commandLine: string): string[] {
  return commandLine.split(/&&|\|\||[;|&\n]/).flatMap(part => {
    const words = part
      .trim()
      .replace(/^[\w-]+:\s+/, '')
      .split(/\s+/)
    const program = words.find(word => !/^[A-Za-z_]\w*=/.test(word) && !prefixes.includes(word))
    return program ? [program.slice(program.lastIndexOf('/') + 1)] : []
  })
}

/** True if a command line contains one of the programs. */
export function namesProgram(commandLine: string, programs: readonly string[]): boolean {
  return new RegExp(`(^|[\\s;&|("'\`:])(\\S*/)?(${programs.join('|')})(\\s|$)`, 'm').test(commandLine)
}
