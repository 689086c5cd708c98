import { constants } from 'node:fs'
import { access, stat } from 'node:fs/promises'
import { join } from 'node:path'

/**
 * The file of a program; undefined if there is none that this user can execute.
 * @param name the name of a file in one of the directories or, with a slash, a path, as for execvp(3)
 * @param path directories, separated by colons
 */
export async function findProgram(name: string, path: string): Promise<string | undefined> {
  const dirs = path.split(':').filter(Boolean)
  for (const program of name.includes('/') ? [name] : dirs.map(dir => join(dir, name))) {
    if (await isExecutable(program)) return program
  }
  return undefined
}

async function isExecutable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK)
    return (await stat(path)).isFile()
  } catch {
    return false
  }
}
