import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Context } from './buildpack.ts'
import { textOf } from '../../lifecycle/spec/text.ts'

/**
 * What an operator passes to a build or an application: a directory with a file for each key (servicebinding.io, "Workload
 * Projection").
 */
export interface Binding {
  readonly name: string
  readonly dir: string
  /** The names of the binding's files, without `type` and `provider`. */
  readonly keys: readonly string[]
  /** The path of a key's file. */
  pathOf(key: string): string
  /** The text of a key without white space at its ends; undefined if the key does not exist. */
  read(key: string): Promise<string | undefined>
}

/**
 * The bindings of a type, sorted by name: those in `SERVICE_BINDING_ROOT`, or in `<platform>/bindings`. Types are compared without
 * regard to case, as other implementations do.
 */
export async function bindingsOf(
  { env, platformDir }: Pick<Context, 'env' | 'platformDir'>,
  type: string,
): Promise<Binding[]> {
  const root = env['SERVICE_BINDING_ROOT'] || env['CNB_BINDINGS'] || join(platformDir, 'bindings')
  const found: Binding[] = []
  // Kubernetes keeps the files themselves in directories that begin with two dots.
  for (const name of (await list(root)).filter(name => !name.startsWith('..'))) {
    const dir = join(root, name)
    const binding = await open(name, dir)
    const own = (await binding.read('type')) ?? ''
    if (own.toLowerCase() === type.toLowerCase()) found.push(binding)
  }
  return found
}

/** The first file with one of these names in a binding of a type. Warns of files in other bindings of the type, which have no effect. */
export async function boundFile(
  context: Pick<Context, 'env' | 'platformDir' | 'log'>,
  type: string,
  ...names: readonly string[]
): Promise<{ readonly binding: Binding; readonly path: string } | undefined> {
  let found: { binding: Binding; path: string } | undefined
  for (const binding of await bindingsOf(context, type)) {
    const name = names.find(name => binding.keys.includes(name))
    const unused = `The binding ${binding.name} of the type ${type} has no effect`
    if (name === undefined) {
      context.log.warning(`${unused}: it has no ${names.join(' or ')}`, `Name the key ${names[0]}.`)
    } else if (found !== undefined) {
      warnOfSecond(context, type, found.binding, binding)
    } else found = { binding, path: binding.pathOf(name) }
  }
  return found
}

/**
 * The files with these names in bindings of a type, each from the first binding that has it. Warns of files in later bindings and of
 * files with other names, which have no effect.
 */
export async function boundFiles(
  context: Pick<Context, 'env' | 'platformDir' | 'log'>,
  type: string,
  ...names: readonly string[]
): Promise<{ readonly binding: Binding; readonly name: string; readonly path: string }[]> {
  const found: { binding: Binding; name: string; path: string }[] = []
  for (const binding of await bindingsOf(context, type)) {
    const own = names.filter(name => binding.keys.includes(name))
    if (own.length === 0) {
      const unused = `The binding ${binding.name} of the type ${type} has no effect`
      context.log.warning(`${unused}: it has no ${names.join(' or ')}`, `Name the key ${names[0]}.`)
    }
    for (const name of own) {
      const first = found.find(other => other.name === name)?.binding
      if (first === undefined) found.push({ binding, name, path: binding.pathOf(name) })
      else warnOfSecond(context, type, first, binding, name)
    }
  }
  return found
}

/** The first binding of a type of which only one can have an effect. Warns of further bindings. */
export async function firstBinding(
  context: Pick<Context, 'env' | 'platformDir' | 'log'>,
  type: string,
): Promise<Binding | undefined> {
  const [first, ...others] = await bindingsOf(context, type)
  for (const other of others) if (first !== undefined) warnOfSecond(context, type, first, other)
  return first
}

/** @param key the key that both bindings have; undefined for the whole binding */
export function warnOfSecond(
  { log }: Pick<Context, 'log'>,
  type: string,
  first: Pick<Binding, 'name'>,
  second: Pick<Binding, 'name'>,
  key?: string,
): void {
  const unused = `${key === undefined ? 'The' : `${key} of the`} binding ${second.name} of the type ${type} has no effect`
  log.warning(`${unused}: the binding ${first.name} comes first`, 'Put all keys into one of the bindings.')
}

async function open(name: string, dir: string): Promise<Binding> {
  const keys = (await list(dir)).filter(key => !key.startsWith('..') && !['type', 'provider'].includes(key))
  const pathOf = (key: string) => join(dir, key)
  return { name, dir, keys, pathOf, read: key => readText(pathOf(key)) }
}

async function list(dir: string): Promise<string[]> {
  return (await readdir(dir).catch(() => [])).toSorted()
}

/** The text of a regular file, or of a link to one: a fifo would never end. */
async function readText(path: string): Promise<string | undefined> {
  const found = await stat(path).catch(() => undefined)
  if (!found?.isFile() || found.size > 1 << 20) return undefined
  return textOf(await readFile(path)).trim()
}
