import { readlink } from 'node:fs/promises'
import { posix } from 'node:path'
import type { App } from '../../sdk/index.ts'
import type { PackageJson } from '../package-json.ts'

/**
 * The first program of a start command that only a devDependency brings, and its package: without devDependencies the application would not
 * start.
 */
export async function developmentProgram(
  app: App,
  { devPackageNames }: PackageJson,
  commands: readonly string[],
): Promise<{ readonly program: string; readonly name: string } | undefined> {
  const words = new Set(commands.flatMap(command => command.split(/[\s;&|()'"`]+/)))
  for (const word of words) {
    const program = word.replace(/^(\.\/)?node_modules\/\.bin\//, '')
    if (!/^[\w.-]+$/.test(program)) continue
    const target = await readlink(app.at('node_modules/.bin', program)).catch(() => undefined)
    if (target === undefined) continue
    const inside = posix.relative('node_modules', posix.join('node_modules/.bin', target))
    const name = inside
      .split('/')
      .slice(0, inside.startsWith('@') ? 2 : 1)
      .join('/')
    if (devPackageNames.has(name)) return { program, name }
  }
  return undefined
}
