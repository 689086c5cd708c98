import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { BuildpackError } from './errors.ts'

/** What a layer does to one variable (buildpack.md, "Environment Variable Modification Rules"). */
export type EnvChange =
  | { readonly kind: 'override' | 'default'; readonly value: string }
  | { readonly kind: 'append' | 'prepend'; readonly value: string; readonly delimiter: string }

export type EnvChanges = Readonly<Record<string, EnvChange>>

/** Variables that a layer sets, grouped by where they apply. */
export interface LayerEnv {
  /** In later buildpacks and in the application. */
  readonly all?: EnvChanges
  /** In later buildpacks' builds, if it is a build layer. */
  readonly build?: EnvChanges
  /** In the application, if it is a launch layer. */
  readonly launch?: EnvChanges
  /** In processes of one type. */
  readonly processes?: Readonly<Record<string, EnvChanges>>
}

export const override = (value: string): EnvChange => ({ kind: 'override', value })
/** Applies unless the variable has a value. */
export const byDefault = (value: string): EnvChange => ({ kind: 'default', value })
export const append = (value: string, delimiter: string): EnvChange => ({ kind: 'append', value, delimiter })
export const prepend = (value: string, delimiter: string): EnvChange => ({ kind: 'prepend', value, delimiter })

/** Writes the files of `env/`, `env.build/` and `env.launch/` into a layer. */
export async function writeLayerEnv(layer: string, env: LayerEnv): Promise<void> {
  await writeChanges(join(layer, 'env'), env.all)
  await writeChanges(join(layer, 'env.build'), env.build)
  await writeChanges(join(layer, 'env.launch'), env.launch)
  for (const [type, changes] of Object.entries(env.processes ?? {})) {
    await writeChanges(join(layer, 'env.launch', type), changes)
  }
}

async function writeChanges(dir: string, changes: EnvChanges = {}): Promise<void> {
  const entries = Object.entries(changes)
  if (entries.length === 0) return
  await mkdir(dir, { recursive: true })
  for (const [name, change] of entries) {
    // The name ends at the first dot of the file's name.
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) {
      throw new BuildpackError(`${JSON.stringify(name)} is not the name of a variable`)
    }
    await writeFile(join(dir, `${name}.${change.kind}`), change.value)
    if ('delimiter' in change) await writeFile(join(dir, `${name}.delim`), change.delimiter)
  }
}
