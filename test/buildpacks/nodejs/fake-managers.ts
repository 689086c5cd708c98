import { mkdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type Command, type CommandResult, type Runner, spawnRunner } from '../../../buildpacks/sdk/command.ts'
import { done, failed, FakeNpm } from './fake-npm.ts'

/** A package that Yarn, pnpm or Bun install. */
interface FakePackage {
  readonly name: string
  readonly version?: string
  readonly dev?: boolean
  /** It has something to run when it is installed. */
  readonly script?: string
}

/** Yarn, pnpm and Bun, beside the npm of `FakeNpm`: each lays out `packages`, and notes what it was asked for. */
export class FakeManagers {
  readonly npm = new FakeNpm()
  packages: FakePackage[] = [{ name: 'a' }, { name: 'd', dev: true }]
  /** What a manager writes when it cannot install. */
  installFailure: string | undefined
  /** Happens when a script of a package runs. */
  onScript: (env: Readonly<Record<string, string>>) => Promise<void> = () => Promise.resolve()
  /** What a command line for the shell does. */
  onShell: (cwd: string) => Promise<void> = () => Promise.resolve()
  /** The environment of the last command. */
  env: Readonly<Record<string, string>> = {}

  constructor() {
    Object.assign(this.npm.versions, {
      yarn: ['1.22.19', '1.22.22', '2.4.3'],
      '@yarnpkg/cli-dist': ['2.4.3', '3.8.7', '4.9.4', '4.18.1'],
      pnpm: ['6.35.1', '7.33.7', '8.15.9', '9.15.9', '10.34.9', '11.28.11', '12.21.0'],
      '@pnpm/exe.linux-x64': ['12.21.0'],
      '@oven/bun-linux-x64-baseline': ['1.1.45', '1.4.5'],
    })
  }

  get commands(): string[] {
    return this.npm.commands
  }

  readonly runner: Runner = async (command, onLine) => {
    const [program, first = ''] = command.argv
    if (
      program === 'mv' ||
      (program === 'sh' && command.argv.includes('sh', 2) && command.argv[2]?.includes('mv') === true)
    )
      return spawnRunner(command, onLine)
    if (program === 'bash') {
      this.commands.push(command.argv[2] ?? '')
      await this.onShell(command.cwd)
      return done()
    }
    if (!['yarn', 'pnpm', 'bun', 'turbo', 'nx'].includes(program)) return this.npm.runner(command, onLine)
    this.commands.push(command.argv.join(' ').replace(/ --(reporter|backend|non-interactive|no-progress)\S*/g, ''))
    this.env = command.env
    // Yarn 2 and newer has a global folder.
    if (program === 'yarn' && 'YARN_GLOBAL_FOLDER' in command.env && 'YARN_PRODUCTION' in command.env)
      return failed('Usage Error: Unrecognized or legacy configuration settings found: production')
    if (first === 'run') {
      await this.npm.scripts[command.argv[2] ?? '']?.(command.cwd, command.env)
      return done()
    }
    if (['install', 'workspaces', 'rebuild'].includes(first)) return this.#install(command)
    return done()
  }

  async #install({ argv, cwd, env }: Command): Promise<CommandResult> {
    if (this.installFailure !== undefined) return failed(this.installFailure)
    const ignores = argv.includes('--ignore-scripts') || env['YARN_ENABLE_SCRIPTS'] === '0'
    const production = argv.some(word => /^--prod(uction)?(=true)?$/.test(word))
    if (argv[1] !== 'rebuild') await this.#layOut(cwd, production)
    if (!ignores && this.packages.some(({ script }) => script !== undefined)) await this.onScript(env)
    return done()
  }

  async #layOut(cwd: string, production: boolean): Promise<void> {
    for (const { name, version = '1.0.0', dev = false, script } of this.packages) {
      const dir = join(cwd, 'node_modules', name)
      if (dev && production) await rm(dir, { recursive: true, force: true })
      if (dev && production) continue
      await mkdir(dir, { recursive: true })
      const scripts = script === undefined ? {} : { scripts: { postinstall: script } }
      await writeFile(join(dir, 'package.json'), JSON.stringify({ name, version, license: 'MIT', ...scripts }))
    }
    await mkdir(dirname(join(cwd, 'node_modules/.bin/x')), { recursive: true })
  }
}
