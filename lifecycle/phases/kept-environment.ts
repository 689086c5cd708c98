import { writeFile } from 'node:fs/promises'

/**
 * Writes the environment of a buildpack for a shell that is to have it: a script that sets all that a shell can name. Only
 * what asked for the phase reads it (`bale build --interactive`), in the sandbox.
 */
export async function keepEnvironment(file: string | undefined, env: Readonly<Record<string, string>>): Promise<void> {
  if (file !== undefined) await writeFile(file, shellVariables(env), { mode: 0o600 })
}

/** Lines that set variables in sh, whatever is in their values. */
export function shellVariables(env: Readonly<Record<string, string>>): string {
  return Object.entries(env)
    .filter(([name]) => /^[A-Za-z_][A-Za-z0-9_]*$/.test(name))
    .map(([name, value]) => `export ${name}='${value.replaceAll("'", `'\\''`)}'\n`)
    .join('')
}
