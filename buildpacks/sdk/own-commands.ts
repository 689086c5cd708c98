import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { App } from './app.ts'
import type { Run, Step } from './command.ts'
import { detectLanguage } from './detection.ts'
import { digestOf } from './files.ts'
import { drop, type LayerDefinition, type LayerKey } from './layer.ts'
import type { Log } from './log.ts'
import { firstSetting } from './platform.ts'

type Env = Readonly<Record<string, string>>

// The names are composed at run time, since every buildpack contains this file: a buildpack reads only the settings that its README
// names (scripts/bundle.mjs).
const settings: Readonly<Record<Step, string>> = { install: railpack('INSTALL'), build: railpack('BUILD') }

function railpack(part: string): string {
  return `RAILPACK_${part}_CMD`
}

/** The user's own command for a step, and the setting that defines it. */
export interface OwnCommand {
  readonly name: string
  readonly value: string
}

const ownCommand = (env: Env, step: Step): OwnCommand | undefined => firstSetting(env, settings[step])

/**
 * The user's commands that replace those of a language. A command replaces each program that a buildpack starts with its `step`, and
 * gets that program's variables. In a language whose build continues from any existing files, commands that replaced nothing run
 * afterwards.
 */
export class OwnCommands {
  readonly #env: Env
  readonly #app: App
  readonly #log: Log
  readonly #ran = new Set<Step>()

  /** @param isServer whether the buildpack's language starts the application, to which the commands apply */
  constructor({ env, app, log }: { readonly env: Env; readonly app: App; readonly log: Log }, isServer: boolean) {
    this.#env = isServer ? env : {}
    this.#app = app
    this.#log = log
  }

  /** The command for a step, which replaces programs of this buildpack. */
  async find(step: Step): Promise<OwnCommand | undefined> {
    const command = ownCommand(this.#env, step)
    return command === undefined || (await this.#areOfNode()) ? undefined : command
  }

  /** A layer that a command fills never comes from an earlier build, and its contents do not stay when the command is gone. */
  async layerOf<K extends LayerKey>(definition: LayerDefinition<K>): Promise<LayerDefinition> {
    const { key, step } = definition
    const command = step === undefined ? undefined : await this.find(step)
    if (command === undefined) return definition
    const { name, value } = command
    const restore = () => drop(`${name} reads files that may have changed`)
    return { ...definition, key: { ...key, [name]: digestOf(value) }, restore }
  }

  /** Replaces programs that have a step. */
  watch(run: Run): Run {
    return async (argv, options = {}) => {
      const { step } = options
      if (step === undefined || (await this.#areOfNode())) return run(argv, options)
      const nothing = { exitCode: 0, stdout: '', stderr: '' }
      // An install command has to run first, even if the language has no such step.
      if (step === 'build') await this.#start(run, 'install', options.env)
      if (ownCommand(this.#env, step) === undefined) return run(argv, options)
      return (await this.#start(run, step, options.env, options.name ?? argv.join(' '))) ?? nothing
    }
  }

  /**
   * Runs the commands that replaced nothing, with the variables of the created layers. Prints a warning if that is not possible.
   * @param afterwards whether the application's files are as a command expects them
   */
  async finish(run: Run, layersDir: string, afterwards: boolean): Promise<void> {
    const left = (['install', 'build'] as const).filter(step => ownCommand(this.#env, step) && !this.#ran.has(step))
    if (left.length === 0 || (await this.#areOfNode())) return
    const names = left.map(step => settings[step]).join(' and ')
    if (!afterwards) {
      this.#log.warning(
        `${names}: not run, as this build has no equivalent`,
        'Use a setting from the README of the buildpack, or move the work to a script that the build runs.',
      )
      return
    }
    const env = await variablesOf(layersDir, this.#env)
    for (const step of left) await this.#start(run, step, env)
  }

  async #start(run: Run, step: Step, env: Readonly<Record<string, string | undefined>> = {}, instead?: string) {
    const command = ownCommand(this.#env, step)
    if (command === undefined || this.#ran.has(step)) return undefined
    this.#ran.add(step)
    const why = instead === undefined ? '' : `, instead of ${instead}`
    const title = `Running ${command.name}: ${command.value}${why}`
    return this.#log.step(title, () => run(['bash', '-c', command.value], { name: command.name, env, fix: explain }))
  }

  /** If Node.js builds a front end, the commands belong to it: see buildpacks/nodejs. */
  async #areOfNode(): Promise<boolean> {
    if (!(['install', 'build'] as const).some(step => ownCommand(this.#env, step))) return false
    return (await detectLanguage({ app: this.#app, env: this.#env }, 'nodejs')).role !== 'none'
  }
}

function explain(stderr: string): string | undefined {
  const missing = /bash: line \d+: (\S+): command not found/.exec(stderr)?.[1]
  return missing === undefined
    ? undefined
    : `${missing} is not available when this language is built: use another command`
}

/** The variables that the layers of this build set, over the given ones (buildpack.md, "Environment Variable Modification Rules"). */
async function variablesOf(layersDir: string, env: Env): Promise<Record<string, string>> {
  const all = { ...env }
  for (const name of (await readdir(layersDir)).toSorted()) {
    const layer = join(layersDir, name)
    if (!(await stat(layer)).isDirectory()) continue
    for (const [dir, variable] of Object.entries({ bin: 'PATH', lib: 'LD_LIBRARY_PATH' })) {
      const isThere = await stat(join(layer, dir)).catch(() => undefined)
      if (isThere?.isDirectory()) all[variable] = [join(layer, dir), all[variable]].filter(Boolean).join(':')
    }
    for (const dir of ['env', 'env.build', 'env.launch']) await addVariables(join(layer, dir), all)
  }
  return all
}

async function addVariables(dir: string, all: Record<string, string>): Promise<void> {
  const files = await readdir(dir, { withFileTypes: true }).catch(() => [])
  for (const { name: file } of files.filter(entry => entry.isFile())) {
    const [name = '', kind] = file.split('.')
    const value = await readFile(join(dir, file), 'utf8')
    const delimiter = await readFile(join(dir, `${name}.delim`), 'utf8').catch(() => '')
    const before = all[name]
    if (kind === 'override') all[name] = value
    else if (kind === 'default') all[name] ??= value
    else if (kind === 'prepend') all[name] = before === undefined ? value : `${value}${delimiter}${before}`
    else if (kind === 'append') all[name] = before === undefined ? value : `${before}${delimiter}${value}`
  }
}
