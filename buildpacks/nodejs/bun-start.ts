import { type App, shellQuote } from '../sdk/index.ts'
import type { PackageJson } from './package-json.ts'
import type { Start } from './start.ts'

/** The start files that `bun init` and users write. */
const usualFiles = ['index.ts', 'server.ts', 'app.ts', 'main.ts', 'src/index.ts', 'src/server.ts', 'src/main.ts']
  .concat(['index.js', 'server.js', 'app.js', 'main.js'])
  .concat(['index.tsx', 'src/index.tsx'])

/** The file that Bun starts if Bun installs the packages and no start script says otherwise. */
export async function bunStart(app: App, { main, module }: PackageJson): Promise<Start | undefined> {
  const named = [module, main].filter(name => name !== undefined)
  const file = await app.firstOf([...named, ...usualFiles])
  if (file === undefined) return undefined
  return { command: `bun ${shellQuote(file)}`, why: named.includes(file) ? 'package.json' : `${file} is there` }
}

/** True if Bun itself runs each command's file. Commands of packages and scripts are often written for Node. */
export function needsOnlyBun(commands: readonly string[]): boolean {
  const lines = commands.flatMap(command => command.split('\n')).map(line => line.replace(/^[\w-]+:\s+/, '').trim())
  const filled = lines.filter(line => line !== '' && !line.startsWith('#'))
  const runsFile = /^(\w+=\S+ +|exec +)*bun( +run)?( +-\S+)* +[\w./@-]+\.[cm]?[jt]sx?( +[^;&|]*)?$/
  return filled.length > 0 && filled.every(line => runsFile.test(line))
}
