import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import { join } from 'node:path'

/**
 * The file of a program; undefined if there is none that this user can execute.
 * @param name of a file in one of the directories, or with a slash: the file itself, as for execvp(3)
 * @param path directories, separated by colons
 */
export async function findProgram(name: string, path: string): Promise<string | undefined> {
  const dirs = path.split(':').filter(Boolean)
  for (const program of name.includes('/') ? [name] : dirs.map(dir => join(dir, name))) {
    const found = await access(program, constants.X_OK).then(
      () => true,
      () => false,
    )
    if (found) return program
  }
  return undefined
}
