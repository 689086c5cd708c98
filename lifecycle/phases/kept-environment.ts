import { writeFile } from 'node:fs/promises'

/**
 * Writes the environment of a buildpack for a shell: a script that sets all variables with a name that a shell allows. Only
 * the shell of `bale build --interactive` reads it, in the sandbox.
 */
export async function keepEnvironment(file: string | undefined, env: Readonly<Record<string, string>>): Promise<void> {
  if (file !== undefined) await writeFile(file, shellVariables(env), { mode: 0o600 })
}

/** Returns lines that set variables in sh, with any values. */
export function shellVariables(env: Readonly<Record<string, string>>): string {
  return Object.entries(env)
    .filter(([name]) => /^[A-Za-z_][A-Za-z0-9_]*$/.test(name))
    .map(([name, value]) => `export ${name}='${value.replaceAll("'", `'\\''`)}'\n`)
    .join('')
}
