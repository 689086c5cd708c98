import { resolve } from 'node:path'
import { BaleError } from '../../errors.ts'
import type { PlatformFeatures } from '../../spec/api.ts'
import { quote } from '../../spec/read.ts'
import { parseLabels } from '../labels.ts'

/**
 * The value of a flag: one word, several (repeated; separated by commas in its variable), pairs (repeated), a number, or a
 * boolean: `-daemon` or `-daemon=false`.
 */
type Kind = 'text' | 'list' | 'pairs' | 'number' | 'boolean'

interface FlagSpec {
  readonly kind?: Kind
  /** The environment variable with the same meaning. */
  readonly env?: string
  /** `<layers>` is the value of -layers. */
  readonly fallback?: string
}

/**
 * Every flag of every phase binary (platform.md, "Inputs" of each phase; the Go lifecycle's own: stack, no-color; Bale's own:
 * annotation, check-start, label, only-image, secrets).
 */
export const flags = {
  analyzed: { env: 'CNB_ANALYZED_PATH', fallback: '<layers>/analyzed.toml' },
  /** Annotations of the manifest: NAME=VALUE. */
  annotation: { kind: 'pairs' },
  app: { env: 'CNB_APP_DIR', fallback: '/workspace' },
  'build-config': { env: 'CNB_BUILD_CONFIG_DIR', fallback: '/cnb/build-config' },
  'build-image': { env: 'CNB_BUILD_IMAGE' },
  buildpacks: { env: 'CNB_BUILDPACKS_DIR', fallback: '/cnb/buildpacks' },
  'cache-dir': { env: 'CNB_CACHE_DIR' },
  'cache-image': { env: 'CNB_CACHE_IMAGE' },
  /** Makes it an error if a process starts a program that is not in the image. */
  'check-start': { kind: 'boolean', env: 'BALE_CHECK_START' },
  daemon: { kind: 'boolean', env: 'CNB_USE_DAEMON' },
  extended: { env: 'CNB_EXTENDED_DIR', fallback: '<layers>/extended' },
  extensions: { env: 'CNB_EXTENSIONS_DIR', fallback: '/cnb/extensions' },
  force: { kind: 'boolean', env: 'CNB_FORCE_REBASE' },
  generated: { env: 'CNB_GENERATED_DIR', fallback: '<layers>/generated' },
  gid: { kind: 'number', env: 'CNB_GROUP_ID' },
  group: { env: 'CNB_GROUP_PATH', fallback: '<layers>/group.toml' },
  /** The former name of -run-image. */
  image: {},
  'insecure-registry': { kind: 'list', env: 'CNB_INSECURE_REGISTRIES' },
  'kaniko-cache-ttl': { env: 'CNB_KANIKO_CACHE_TTL' },
  kind: { env: 'CNB_EXTEND_KIND', fallback: 'build' },
  'launch-cache': { env: 'CNB_LAUNCH_CACHE_DIR' },
  /** Labels of the image: NAME=VALUE. */
  label: { kind: 'pairs' },
  launcher: { fallback: '/cnb/lifecycle/launcher' },
  'launcher-sbom': { fallback: '/cnb/lifecycle' },
  layers: { env: 'CNB_LAYERS_DIR', fallback: '/layers' },
  layout: { kind: 'boolean', env: 'CNB_USE_LAYOUT' },
  'layout-dir': { env: 'CNB_LAYOUT_DIR' },
  'log-level': { env: 'CNB_LOG_LEVEL', fallback: 'info' },
  'no-color': { kind: 'boolean', env: 'CNB_NO_COLOR' },
  /** Makes extender write the build image as it does the run image, rather than build. */
  'only-image': { kind: 'boolean' },
  /** Its default depends on which file exists. */
  order: { env: 'CNB_ORDER_PATH' },
  /** Accepted and ignored: layers are always sent in parallel. */
  parallel: { kind: 'boolean', env: 'CNB_PARALLEL_EXPORT' },
  plan: { env: 'CNB_PLAN_PATH', fallback: '<layers>/plan.toml' },
  platform: { env: 'CNB_PLATFORM_DIR', fallback: '/platform' },
  'previous-image': { env: 'CNB_PREVIOUS_IMAGE' },
  'process-type': { env: 'CNB_PROCESS_TYPE' },
  'project-metadata': { env: 'CNB_PROJECT_METADATA_PATH', fallback: '<layers>/project-metadata.toml' },
  report: { env: 'CNB_REPORT_PATH', fallback: '<layers>/report.toml' },
  run: { env: 'CNB_RUN_PATH', fallback: '/cnb/run.toml' },
  'run-image': { env: 'CNB_RUN_IMAGE' },
  /** A directory of bindings whose values must not appear in messages or images. */
  secrets: { env: 'BALE_SECRETS_DIR' },
  'skip-layers': { kind: 'boolean', env: 'CNB_SKIP_LAYERS' },
  'skip-restore': { kind: 'boolean', env: 'CNB_SKIP_RESTORE' },
  stack: { env: 'CNB_STACK_PATH', fallback: '/cnb/stack.toml' },
  system: { env: 'CNB_SYSTEM_PATH', fallback: '/cnb/system.toml' },
  tag: { kind: 'list' },
  uid: { kind: 'number', env: 'CNB_USER_ID' },
  version: { kind: 'boolean' },
} as const satisfies Record<string, FlagSpec>

export type FlagName = keyof typeof flags

/** The flags of a binary: at every API, or from the API that added a feature, or until the API that removed it. */
export interface FlagTable {
  readonly always: readonly FlagName[]
  readonly since?: Readonly<Partial<Record<keyof PlatformFeatures, readonly FlagName[]>>>
  readonly until?: Readonly<Partial<Record<keyof PlatformFeatures, readonly FlagName[]>>>
}

const ofEveryBinary: readonly FlagName[] = ['log-level', 'no-color', 'version']

/** Returns the names of a binary's flags at an API, sorted. */
export function flagsAt(table: FlagTable, features: PlatformFeatures): FlagName[] {
  const chosen = (rows: FlagTable['since'] = {}, wanted: boolean): FlagName[] =>
    Object.entries(rows).flatMap(([feature, names]) =>
      Boolean(features[feature as keyof PlatformFeatures]) === wanted ? names : [],
    )
  return [...ofEveryBinary, ...table.always, ...chosen(table.since, true), ...chosen(table.until, false)].sort()
}

/**
 * The inputs of a platform. A flag takes precedence over its variable, the variable over the default. An empty value counts
 * as unset, since Tekton passes those. Variables apply at every API and to every binary that reads them, as in the Go
 * lifecycle.
 */
export interface Inputs {
  text(name: FlagName): string | undefined
  /** Returns a path that has a default, as an absolute path. */
  path(name: FlagName): string
  list(name: FlagName): readonly string[]
  /** Undefined if none is given. */
  pairs(name: 'annotation' | 'label'): Readonly<Record<string, string>> | undefined
  flag(name: FlagName): boolean
  number(name: FlagName): number | undefined
  /** Returns whether the flag is on the command line itself. */
  given(name: FlagName): boolean
  readonly positional: readonly string[]
  /** Set by `-h` or `-help`, where parsing stops: Go's flag package prints the usage and exits with success. */
  readonly help: boolean
}

/**
 * Parses flags like Go's flag package: `-app X`, `-app=X`, `--app X`; a boolean's value needs the `=`. Flags end at the first
 * argument that is not a flag, or at `--`.
 * @throws BaleError 'usage' for a malformed flag; malformed variables throw 'arguments' when they are read
 */
export function parseFlags(
  names: readonly FlagName[],
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Inputs {
  const given = new Map<FlagName, string[]>()
  let at = 0
  for (; at < argv.length; at++) {
    const argument = argv[at] as string
    if (argument === '--') {
      at++
      break
    }
    if (!argument.startsWith('-') || argument === '-') break
    const [, typed = '', attached] = /^--?([^=-][^=]*)(?:=([\s\S]*))?$/.exec(argument) ?? []
    if (typed === '') throw new BaleError('usage', `bad flag syntax: ${quote(argument)}`)
    const name = names.find(n => n === typed)
    if (name === undefined) {
      if (typed === 'h' || typed === 'help') return { ...inputs(given, env, []), help: true }
      throw new BaleError('usage', `flag provided but not defined: -${quote(typed).slice(1, -1)}`, {
        fix: `the flags are: ${names.map(n => `-${n}`).join(' ')}`,
      })
    }
    const kind = kindOf(name)
    const value = attached ?? (kind === 'boolean' ? 'true' : argv[++at])
    if (value === undefined) throw new BaleError('usage', `flag needs an argument: -${name}`)
    if (value !== '' && !wellFormed(kind, value))
      throw new BaleError('usage', `invalid value ${quote(value)} for flag -${name}: ${wanted[kind]}`)
    given.set(name, [...(given.get(name) ?? []), value])
  }
  return inputs(given, env, argv.slice(at))
}

function inputs(
  given: ReadonlyMap<FlagName, readonly string[]>,
  env: Readonly<Record<string, string | undefined>>,
  positional: readonly string[],
): Inputs {
  const text = (name: FlagName): string | undefined => {
    const { env: twin, fallback }: FlagSpec = flags[name]
    const value = given.get(name)?.at(-1) || (twin === undefined ? undefined : checkedTwin(name, twin, env[twin]))
    return value || fallback?.replace(/^<layers>/, () => text('layers') as string)
  }
  return {
    text,
    path: name => resolve(text(name) as string),
    list(name) {
      const { env: twin }: FlagSpec = flags[name]
      const own = given.get(name)?.filter(v => v !== '') ?? []
      if (twin === undefined) return own
      // Tekton's task passes a flag the comma-separated list of the variable.
      return (own.join(',') || env[twin] || '').split(',').flatMap(v => v.trim() || [])
    },
    pairs: name => parseLabels(given.get(name), `-${name}`),
    flag: name => isTrue(text(name)),
    number(name) {
      const value = text(name)
      return value === undefined ? undefined : Number(value)
    },
    given: name => given.get(name)?.some(v => v !== '') === true,
    positional: positional.filter(p => p !== ''),
    help: false,
  }
}

function checkedTwin(name: FlagName, twin: string, value: string | undefined): string | undefined {
  const kind = kindOf(name)
  if (!value || wellFormed(kind, value)) return value
  throw new BaleError('arguments', `${quote(value)} is not a value for it: ${wanted[kind]}`, { where: twin })
}

const kindOf = (name: FlagName): Kind => {
  const { kind }: FlagSpec = flags[name]
  return kind ?? 'text'
}

// The values that Go's strconv.ParseBool accepts.
const trueWords = ['1', 't', 'T', 'true', 'TRUE', 'True']
export const isTrue = (value = ''): boolean => trueWords.includes(value)
const falseWords = ['0', 'f', 'F', 'false', 'FALSE', 'False']

function wellFormed(kind: Kind, value: string): boolean {
  if (kind === 'boolean') return trueWords.includes(value) || falseWords.includes(value)
  if (kind === 'number') return /^\d{1,10}$/.test(value) && Number(value) < 2 ** 32 - 1
  return !value.includes('\0')
}

const wanted: Record<Kind, string> = {
  text: 'it has a NUL byte',
  list: 'it has a NUL byte',
  pairs: 'it has a NUL byte',
  boolean: 'write true or false',
  number: 'write the number of a user or group',
}

/** Returns the values of the flags that have one. */
export function presentOf(inputs: Inputs, ...names: readonly FlagName[]): string[] {
  return names.flatMap(name => inputs.text(name) ?? [])
}
