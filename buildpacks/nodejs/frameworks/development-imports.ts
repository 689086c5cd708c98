import { dirname, join, posix } from 'node:path'
import type { Project } from '../project.ts'
import { resolveFile, startedFile } from '../started-file.ts'

/**
 * What a file imports whatever it does: `import x from 'y'`, and `require('y')` at the beginning of a line that is not indented. What is
 * imported inside a function may be for development alone, as Vite is in servers that render.
 */
const imports = [
  /(?:^|[;}\n])\s*(?:import|export)\b(?!\s*type\b)[\w\s{},*$]*?['"]([^'"\n]+)['"]/g,
  /^(?:const|let|var)\b[^\n;]*?\brequire\(\s*['"]([^'"\n]+)['"]\s*\)/gm,
]
/** More are not looked at: what a server needs first is near its start. */
const mostFiles = 100

/**
 * The first package of devDependencies that the application imports as it starts, and the file: such an application ran on its developer's
 * machine, and builds of some frameworks leave imports of packages that only package.json's devDependencies name.
 */
export async function developmentImport(
  { app, json: { devPackageNames } }: Project,
  commands: readonly string[],
): Promise<{ readonly file: string; readonly name: string } | undefined> {
  const started = await Promise.all(commands.map(command => startedFile(app, command)))
  const files = new Set(started.filter(file => file !== undefined))
  for (const file of files) {
    const source = (await app.read(file)) ?? ''
    for (const specifier of imports.flatMap(pattern => Array.from(source.matchAll(pattern), ([, name = '']) => name))) {
      if (specifier.startsWith('.')) {
        const next = posix.join(dirname(file), specifier)
        const found = next.startsWith('..') || files.size >= mostFiles ? undefined : await resolveFile(app, next)
        if (found !== undefined) files.add(found)
        continue
      }
      const name = /^(?:@[^/]+\/)?[^/]+/.exec(specifier)?.[0] ?? ''
      if (devPackageNames.has(name) && !(await hasOwn(name, dirname(file)))) return { file, name }
    }
  }
  return undefined

  /** Whether a folder of the application, but not the application itself, has a package: a server that is complete brings its own. */
  async function hasOwn(name: string, dir: string): Promise<boolean> {
    if (dir === '.') return false
    return (await app.hasDirectory(join(dir, 'node_modules', name))) || hasOwn(name, dirname(dir))
  }
}
