import { BaleError } from '../errors.ts'

/** A flag of a phase binary (platform.md, "Inputs" of each phase): its environment twin and its default. */
export interface FlagSpec {
  readonly env?: string
  readonly fallback?: string
  /** Takes no value of its own: `-daemon`, `-daemon=false`. */
  readonly boolean?: boolean
}

export interface Flags<Name extends string> {
  /** The flag's value, else its variable's, else its default; an empty value counts as none, since Tekton passes those. */
  readonly get: (name: Name) => string | undefined
  readonly positional: readonly string[]
}

/**
 * Flags as Go's flag package takes them: `-app X`, `-app=X`, `--app X`; a boolean's value needs the `=`. They end at the
 * first argument that is not one, or at `--`.
 * @throws BaleError 'usage'
 */
export function parseFlags<Name extends string>(
  specs: Readonly<Record<Name, FlagSpec>>,
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Flags<Name> {
  const given = new Map<string, string>()
  let i = 0
  for (; i < argv.length; i++) {
    const argument = argv[i] as string
    if (argument === '--') {
      i++
      break
    }
    const match = /^--?([^=-][^=]*)(?:=([\s\S]*))?$/.exec(argument)
    if (match === null) break
    const [, name, attached] = match as unknown as [string, string, string | undefined]
    const spec = (specs as Record<string, FlagSpec>)[name]
    if (spec === undefined || !Object.hasOwn(specs, name)) {
      throw new BaleError('usage', `flag provided but not defined: -${name}`, {
        fix: `the flags are: ${Object.keys(specs)
          .map(f => `-${f}`)
          .join(' ')}`,
      })
    }
    if (attached !== undefined) given.set(name, attached)
    else if (spec.boolean === true) given.set(name, 'true')
    else if (i + 1 < argv.length) given.set(name, argv[++i] as string)
    else throw new BaleError('usage', `flag needs an argument: -${name}`)
  }
  return {
    get: name => {
      const spec: FlagSpec = specs[name]
      return given.get(name) || (spec.env === undefined ? undefined : env[spec.env]) || spec.fallback
    },
    positional: argv.slice(i),
  }
}
