import { copyFile, mkdir, symlink } from 'node:fs/promises'
import { dirname, join, posix } from 'node:path'
import type { App } from './app.ts'
import type { BuildContext } from './buildpack.ts'
import { declaredStart } from './declared-start.ts'
import { byDefault, type EnvChanges } from './env.ts'
import { digestOf, digestOfFile } from './files.ts'
import type { LaunchProcess } from './launch.ts'
import type { Layer } from './layer.ts'
import type { Component } from './sbom/component.ts'

/** A program that a compiler makes of an application's sources. */
export interface Program {
  /** The name of its file, and of its process. */
  readonly name: string
  /** The folder of its sources, relative to the application: `cmd/web`, or `.`. */
  readonly dir: string
}

/** Folders with programs for the application's authors. */
const forAuthors =
  /(^|\/)_?(examples?|hack|tools?|xtask|scripts?|tests?|testing|testutils?|bench(es|marks?)?|e2e)(\/|$)/

/**
 * The programs of an application: all except those in folders of examples, tools and tests, unless there are no others or a command
 * starts one. The likely web process is the first.
 * @param appName the application's own name
 */
export async function choosePrograms<P extends Program>(
  { app, env, log }: BuildContext,
  all: readonly P[],
  options: { readonly appName: string; readonly setting: string },
): Promise<P[]> {
  const lines = await startLines(app, env)
  const words = lines.flatMap(line => line.split(/[\s;&|]+/).map(word => posix.basename(word)))
  const usual = all.filter(({ dir, name }) => !forAuthors.test(dir) || words.includes(name))
  const chosen = usual.length > 0 ? usual : [...all]
  for (const { dir } of all.filter(program => !chosen.includes(program))) {
    log.info(
      `Not building ${dir}, which is in a folder of examples, tools or tests; ${options.setting} selects what to build`,
    )
  }
  const names = ['web', options.appName, 'server', 'app', 'api']
  const candidates = [names[0], undefined, ...names.slice(1)]
  const first = candidates
    .map(name => chosen.find(program => (name === undefined ? program.dir === '.' : program.name === name)))
    .find(Boolean)
  if (first !== undefined) return [first, ...chosen.filter(program => program !== first)]
  if (chosen.length > 1 && lines.length === 0) {
    log.warning(
      `no setting selects the web process among: ${chosen.map(({ name }) => name).join(', ')}`,
      `Write it first in ${options.setting}, or add a Procfile.`,
    )
  }
  return chosen
}

/**
 * The layer with an application's programs. The previous image's layer is reused if the programs are the same.
 * @param from the directory with their files
 */
export async function provideProgramLayer(
  { layer }: BuildContext,
  programs: readonly Program[],
  from: string,
  options: { readonly env?: EnvChanges; sbom(dir: string): Promise<readonly Component[]> },
): Promise<Layer> {
  const names = programs.map(({ name }) => name)
  const digests = await Promise.all(names.map(name => digestOfFile(join(from, name))))
  return layer('programs', {
    types: { launch: true },
    key: { programs: digestOf(...names, ...digests, JSON.stringify(options.env ?? {})) },
    create: async dir => {
      await mkdir(join(dir, 'bin'))
      for (const name of names) await copyFile(join(from, name), join(dir, 'bin', name))
      return { env: { launch: { PORT: byDefault('8080'), ...options.env } } }
    },
    sbom: dir => options.sbom(dir),
  })
}

/**
 * A process for each program, and `web` for the first. They need no shell.
 * @param args arguments of the first program
 */
export function programProcesses(
  programs: readonly Program[],
  layer: Layer,
  args: readonly string[] = [],
): LaunchProcess[] {
  const process = (type: string, name: string): LaunchProcess => ({ type, command: [join(layer.path, 'bin', name)] })
  const [first] = programs
  if (first === undefined) return []
  const others = programs.filter(({ name }) => name !== 'web').map(({ name }) => process(name, name))
  const given = args.length > 0 ? { args } : {}
  return [{ ...process('web', first.name), ...given, default: true }, ...others]
}

/**
 * Links the programs at the paths where other builders write them and command lines look for them: `bin/web`, `./web`, Railpack's
 * `./out`.
 */
export async function linkPrograms(
  { app, env }: BuildContext,
  programs: readonly Program[],
  layer: Layer,
): Promise<void> {
  const words = (await startLines(app, env))
    .flatMap(line => line.split(/[\s;&|"']+/))
    .filter(word => word.includes('/'))
  for (const word of new Set(words.map(path => posix.join(path, '.')))) {
    if (word.startsWith('/') || word.startsWith('..')) continue
    const name = posix.basename(word)
    const isAlias = ['out', 'main', 'app'].includes(name)
    const program = programs.find(p => p.name === name) ?? (isAlias ? programs[0] : undefined)
    if (program === undefined || (await app.has(word)) || (await app.hasDirectory(word))) continue
    await mkdir(dirname(app.at(word)), { recursive: true })
    await symlink(join(layer.path, 'bin', program.name), app.at(word))
  }
}

/** Whether a Procfile or a setting says what starts. */
export async function isStartDeclared(app: App, env: Readonly<Record<string, string>>): Promise<boolean> {
  return (await startLines(app, env)).length > 0
}

/** Command lines that start the application, from all places that may declare one. */
async function startLines(app: App, env: Readonly<Record<string, string>>): Promise<string[]> {
  const lines = ((await app.read('Procfile')) ?? '').split('\n').map(line => line.replace(/^[\w-]+:/, ''))
  const declared = (await declaredStart(app, env))?.command ?? ''
  return [...lines, declared].map(line => line.trim()).filter(line => line !== '')
}
