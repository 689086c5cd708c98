import { readFile, readlink } from 'node:fs/promises'
import { join, posix } from 'node:path'
import type { Project } from '../project.ts'

/** Common programs of start commands whose names differ from their packages' names. */
const packagesOfPrograms: Readonly<Record<string, string>> = {
  tsc: 'typescript',
  tsnd: 'ts-node-dev',
  'babel-node': '@babel/node',
  'run-p': 'npm-run-all',
  'run-s': 'npm-run-all',
  dotenv: 'dotenv-cli',
  nest: '@nestjs/cli',
  'swc-node': '@swc-node/register',
}

/** Whether start commands call a program of a package in devDependencies, judged by names: `nodemon server.js`. */
export function namesDevelopmentTool(commands: readonly string[], devPackages: ReadonlySet<string>): boolean {
  const words = commands.flatMap(command => command.split(/[\s;&|()'"`]+/))
  return words
    .map(word => word.replace(/^(\.\/)?node_modules\/\.bin\//, ''))
    .some(word => devPackages.has(word) || devPackages.has(packagesOfPrograms[word] ?? ''))
}

/**
 * The first program of a start command that only a devDependency provides, and its package. Without devDependencies the application
 * would not start.
 */
export async function developmentProgram(
  { app, json, root, rootJson }: Project,
  commands: readonly string[],
): Promise<{ readonly program: string; readonly name: string } | undefined> {
  const words = new Set(commands.flatMap(command => command.split(/[\s;&|()'"`]+/)))
  for (const word of words) {
    const program = word.replace(/^(\.\/)?node_modules\/\.bin\//, '')
    if (!/^[\w.-]+$/.test(program)) continue
    for (const { folder, names } of [
      { folder: app, names: json.devPackageNames },
      { folder: root, names: rootJson.devPackageNames },
    ]) {
      const name = await packageOf(folder.at('node_modules/.bin'), program)
      if (name !== undefined && names.has(name)) return { program, name }
      if (name !== undefined) break
    }
  }
  return undefined
}

/** The package of a command: most managers link to it, pnpm writes scripts. */
async function packageOf(bin: string, program: string): Promise<string | undefined> {
  const path = join(bin, program)
  const target = await readlink(path).catch(() => undefined)
  const script = target === undefined ? await readFile(path, 'utf8').catch(() => '') : ''
  const relative = target ?? /"\$basedir\/(\.\.\/[^"]+)"/.exec(script)?.[1]
  if (relative === undefined) return undefined
  const inside = posix.relative('node_modules', posix.join('node_modules/.bin', relative))
  return inside
    .split('/')
    .slice(0, inside.startsWith('@') ? 2 : 1)
    .join('/')
}
