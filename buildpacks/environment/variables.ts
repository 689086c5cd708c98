import { append, BuildpackError, byDefault, type EnvChange, type EnvChanges, override, prepend } from '../sdk/index.ts'

type Env = Readonly<Record<string, string>>

const kinds = ['APPEND', 'PREPEND', 'DEFAULT', 'OVERRIDE'] as const

/**
 * The changes to the application's environment: `BPE_X` and `BPE_OVERRIDE_X` set X; `BPE_DEFAULT_X` sets it unless it has a value;
 * `BPE_APPEND_X` and `BPE_PREPEND_X` append and prepend text to its value, with `BPE_DELIM_X` as the delimiter.
 * @throws BuildpackError for two different changes of one variable, and for a delimiter without a text
 */
export function readVariables(env: Env): EnvChanges {
  const changes: Record<string, EnvChange> = Object.create(null) as Record<string, EnvChange>
  const delimited = new Set<string>()
  for (const [name, value] of Object.entries(env)) {
    if (!name.startsWith('BPE_') || name === 'BPE_') continue
    const rest = name.slice('BPE_'.length)
    const kind = kinds.find(kind => rest.startsWith(`${kind}_`) && rest.length > kind.length + 1)
    if (rest.startsWith('DELIM_')) {
      delimited.add(rest.slice('DELIM_'.length))
      continue
    }
    const variable = kind === undefined ? rest : rest.slice(kind.length + 1)
    checkName(variable, name)
    if (variable in changes) {
      throw new BuildpackError(`${variable} is changed twice`, {
        where: name,
        fix: `keep one of the BPE_ variables for ${variable}`,
      })
    }
    changes[variable] = changeOf(kind, value, env[`BPE_DELIM_${variable}`] ?? '')
  }
  for (const variable of delimited) {
    const kind = changes[variable]?.kind
    if (kind === 'append' || kind === 'prepend') continue
    throw new BuildpackError('there is nothing to delimit', {
      where: `BPE_DELIM_${variable}`,
      fix: `set BPE_APPEND_${variable} or BPE_PREPEND_${variable}`,
    })
  }
  return Object.fromEntries(Object.entries(changes).toSorted(([a], [b]) => (a < b ? -1 : 1)))
}

function changeOf(kind: (typeof kinds)[number] | undefined, value: string, delimiter: string): EnvChange {
  switch (kind) {
    case 'APPEND':
      return append(value, delimiter)
    case 'PREPEND':
      return prepend(value, delimiter)
    case 'DEFAULT':
      return byDefault(value)
    default:
      return override(value)
  }
}

function checkName(variable: string, where: string): void {
  if (/^[A-Za-z_][A-Za-z0-9_]*$/.test(variable)) return
  throw new BuildpackError(`${JSON.stringify(variable)} is not the name of a variable`, { where })
}
