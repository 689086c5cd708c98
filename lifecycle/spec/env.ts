import { BaleError } from '../errors.ts'
import { quote } from './read.ts'

/** The environment of a buildpack's detect and build (buildpack.md, "Environment"; platform.md, "Buildpack Environment"). */

/**
 * A file that sets or changes a variable. In layers and in the operator's directory a suffix of the name selects the
 * operation; in `<platform>/env` the full name is the variable's.
 */
export interface EnvFile {
  readonly name: string
  /** The exact content of the file, including a final newline. */
  readonly value: string
  /** For errors: the file's path. */
  readonly where: string
}

/** The changes that a build layer makes to the environment of later buildpacks. */
export interface LayerEnv {
  /**
   * Separates the layers of different buildpacks: paths of later buildpacks come first, those of one buildpack in ascending
   * order.
   */
  readonly buildpackId: string
  /** Maps a path variable to an existing directory in the layer: `PATH` to `/layers/x/y/bin`. */
  readonly paths: Readonly<Record<string, string>>
  readonly env: readonly EnvFile[]
  readonly envBuild: readonly EnvFile[]
}

/** Path variables at build time, with the folder of each build layer that they list (buildpack.md, "Layer Paths"). */
export const buildLayerPathVariables: Readonly<Record<string, string>> = {
  PATH: 'bin',
  LD_LIBRARY_PATH: 'lib',
  LIBRARY_PATH: 'lib',
  CPATH: 'include',
  PKG_CONFIG_PATH: 'pkgconfig',
}

/** Linux's limit for one `NAME=value` with its NUL (MAX_ARG_STRLEN). */
const maxVariable = 128 << 10
/** Linux's limit for the environment: a quarter of the usual 8 MiB stack, less the space for arguments (execve(2)). */
const maxEnvironment = (2 << 20) - maxVariable

type Env = Record<string, string>

const encoder = new TextEncoder()
const bytesOf = (text: string): number => encoder.encode(text).length

/** A map that can hold any name, including `__proto__`. */
function copy(env: Readonly<Env>): Env {
  const out = Object.create(null) as Env
  for (const name of Object.keys(env)) out[name] = env[name] as string
  return out
}

function fail(name: string, problem: string, where: string, fix?: string): never {
  throw new BaleError('input', `the variable ${quote(name)} ${problem}`, { where, fix })
}

function failUnnamed(where: string): never {
  throw new BaleError('input', 'the file name has no variable', { where, fix: 'name the file after the variable' })
}

/** The part before the first period is the variable; the rest is the operation. */
function splitName(fileName: string): [string, string | undefined] {
  const dot = fileName.indexOf('.')
  return dot < 0 ? [fileName, undefined] : [fileName.slice(0, dot), fileName.slice(dot + 1)]
}

/**
 * Parses a file of an env directory. Buildpacks get names such as LD_PRELOAD, NODE_OPTIONS or BASH_ENV like any other, so
 * no process of Bale may inherit them.
 * @throws BaleError 'input' for a variable that no environment can have: a NUL, invalid UTF-8, over 128 KiB, a name with `=`
 */
export function parseEnvFile(fileName: string, content: Uint8Array, where: string): EnvFile {
  if (fileName === '') failUnnamed(where)
  // For messages. Whether the rest is a suffix depends on the directory.
  const variable = splitName(fileName)[0] || fileName
  if (/[=\x00-\x1f\x7f]/.test(fileName)) fail(fileName, 'has a character that is not allowed in a name', where)
  if (content.includes(0)) fail(variable, 'has a NUL byte in its value', where)
  if (bytesOf(fileName) + content.length + 2 > maxVariable)
    fail(variable, `is longer than ${maxVariable >> 10} KiB`, where)
  try {
    const value = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(content)
    return { name: fileName, value, where }
  } catch {
    return fail(variable, 'has a value that is not UTF-8', where)
  }
}

function set(env: Env, name: string, value: string, where: string): void {
  if (name === '') failUnnamed(where)
  if (name.startsWith('CNB_')) fail(name, 'is reserved', where, 'use a name that does not begin with CNB_')
  // A quick upper bound first: at most three bytes for each UTF-16 unit.
  if ((name.length + value.length) * 3 + 2 > maxVariable && bytesOf(name) + bytesOf(value) + 2 > maxVariable)
    fail(name, `grows beyond ${maxVariable >> 10} KiB`, where)
  env[name] = value
}

const byName = (a: EnvFile, b: EnvFile): number => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0)

function delimitersOf(files: readonly EnvFile[]): ReadonlyMap<string, string> {
  const delimiters = new Map<string, string>()
  for (const file of files) {
    const [name, suffix] = splitName(file.name)
    if (suffix === 'delim') delimiters.set(name, file.value)
  }
  return delimiters
}

/**
 * Changes an environment with the files of one directory (buildpack.md, "Environment Variable Modification Rules").
 * @param unsuffixed the operation of a file without a suffix: `override` in layers, `default` in the operator's directory
 */
export function applyEnvFiles(env: Readonly<Env>, files: readonly EnvFile[], unsuffixed: 'override' | 'default'): Env {
  const out = copy(env)
  applyFiles(out, files, unsuffixed, [delimitersOf(files)])
  return out
}

function applyFiles(
  env: Env,
  files: readonly EnvFile[],
  unsuffixed: 'override' | 'default',
  delimiters: readonly ReadonlyMap<string, string>[],
): void {
  for (const file of [...files].sort(byName)) {
    const [name, suffix = unsuffixed] = splitName(file.name)
    const before = env[name] ?? ''
    const delimiter = before === '' ? '' : (delimiters.find(d => d.has(name))?.get(name) ?? '')
    if (suffix === 'override' || (suffix === 'default' && before === '')) set(env, name, file.value, file.where)
    else if (suffix === 'append') set(env, name, before + delimiter + file.value, file.where)
    else if (suffix === 'prepend') set(env, name, file.value + delimiter + before, file.where)
    // `delim` was read above. Other suffixes have no meaning.
  }
}

/** The variables of the lifecycle's environment that buildpacks inherit, if set. They inherit no others. */
const inherited = [
  'CNB_STACK_ID',
  'HOSTNAME',
  'HOME',
  ...['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY'].flatMap(name => [name, name.toLowerCase()]),
  ...Object.keys(buildLayerPathVariables),
]

/**
 * Selects the variables that a buildpack inherits from the lifecycle's environment (platform.md, "Base Image-Provided Variables" and
 * "POSIX Path Variables").
 */
export function inheritedEnv(processEnv: Readonly<Record<string, string | undefined>>): Env {
  const env = Object.create(null) as Env
  for (const name of inherited) {
    const value = processEnv[name]
    if (value !== undefined) env[name] = value
  }
  return env
}

export interface BuildpackEnvInput {
  /** The result of `inheritedEnv`. */
  readonly inherited: Readonly<Env>
  /** The build layers of earlier buildpacks: in the group's order, and by ascending name for each buildpack. */
  readonly layers: readonly LayerEnv[]
  /** `<platform>/env`. */
  readonly user: readonly EnvFile[]
  /** `<build-config>/env`. */
  readonly operator: readonly EnvFile[]
  /** Whether the buildpack takes no variables of the user. It still gets the operator's variables. */
  readonly clearEnv: boolean
  /** The CNB_* inputs of the phase. Nothing overrides them. */
  readonly provided: Readonly<Env>
}

/**
 * Makes the environment of a bin/detect or bin/build: the inherited variables, changed by earlier layers, by the user and by
 * the operator, and then the inputs.
 * @throws BaleError 'input' for a reserved name, and for an environment larger than a process can have
 */
export function buildpackEnv(input: BuildpackEnvInput): Env {
  const env = copy(input.inherited)
  for (const layers of groupByBuildpack(input.layers)) applyLayers(env, layers)
  if (!input.clearEnv) for (const file of input.user) applyUser(env, file)
  applyFiles(env, input.operator, 'default', [delimitersOf(input.operator)])
  for (const [name, value] of Object.entries(input.provided)) env[name] = value
  checkTotal(env)
  return env
}

function groupByBuildpack(layers: readonly LayerEnv[]): LayerEnv[][] {
  const groups: LayerEnv[][] = []
  for (const layer of layers) {
    const group = groups.at(-1)
    if (group?.[0]?.buildpackId === layer.buildpackId) group.push(layer)
    else groups.push([layer])
  }
  return groups
}

/** Prepends from the last layer to the first, so that they are in ascending order before those of earlier buildpacks. */
function applyLayers(env: Env, layers: readonly LayerEnv[]): void {
  for (const layer of layers.toReversed())
    for (const [name, directory] of Object.entries(layer.paths)) prependPath(env, name, directory, directory)
  for (const { env: general, envBuild } of layers) {
    // A delimiter applies within its layer. A directory's own delimiter takes precedence.
    const [ofGeneral, ofBuild] = [delimitersOf(general), delimitersOf(envBuild)]
    applyFiles(env, general, 'override', [ofGeneral, ofBuild])
    applyFiles(env, envBuild, 'override', [ofBuild, ofGeneral])
  }
}

function applyUser(env: Env, file: EnvFile): void {
  if (Object.hasOwn(buildLayerPathVariables, file.name)) prependPath(env, file.name, file.value, file.where)
  else set(env, file.name, file.value, file.where)
}

/** Drops empty elements, which mean the current directory: the app's, with hostile source in it. */
function prependPath(env: Env, name: string, value: string, where: string): void {
  const parts = [value, env[name] ?? ''].filter(part => part !== '')
  set(env, name, parts.join(':'), where)
}

function checkTotal(env: Readonly<Env>): void {
  const sizes = Object.entries(env).map(([name, value]) => ({ name, size: bytesOf(name) + bytesOf(value) + 2 + 8 }))
  const total = sizes.reduce((sum, v) => sum + v.size, 0)
  if (total <= maxEnvironment) return
  const largest = sizes.sort((a, b) => b.size - a.size).slice(0, 3)
  throw new BaleError(
    'input',
    `${sizes.length} environment variables take ${total} bytes, more than a process can have`,
    {
      where: `the largest: ${largest.map(v => quote(v.name)).join(', ')}`,
      fix: 'set fewer or shorter variables',
    },
  )
}
