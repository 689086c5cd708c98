import { loadAll, YAMLException } from 'js-yaml'
import { type App, BuildpackError } from '../sdk/index.ts'
import { type Table, tableOf } from '../sdk/tables.ts'

/** A YAML file's table; undefined if there is no such file. */
export async function readYaml(app: App, name: string): Promise<Table | undefined> {
  const text = await app.read(name)
  return text === undefined ? undefined : parseYaml(text, name)
}

/**
 * The table of a YAML document. JSON with trailing commas, as Bun writes it, is also valid YAML.
 * @throws BuildpackError with the line of an error
 */
export function parseYaml(text: string, where: string): Table {
  let value: unknown
  try {
    // pnpm writes its own data as a separate document before the others.
    value = loadAll(text).at(-1)
  } catch (error) {
    if (!(error instanceof YAMLException)) throw error
    const line = (error as { mark?: { line?: number } }).mark?.line
    throw new BuildpackError(`not YAML: ${error.reason}`, {
      where: line === undefined ? where : `${where}:${line + 1}`,
    })
  }
  return tableOf(value)
}

export function textsOf(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((item): item is string => typeof item === 'string') : []
}

/** A text, or a number as text: users write versions as both. */
export function scalarOf(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : ''
}
