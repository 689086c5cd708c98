import { dirname, join, posix } from 'node:path'
import { withoutCommentsAndTemplates } from '../../sdk/index.ts'
import type { Project } from '../project.ts'
import { resolveFile, startedFile } from '../started-file.ts'

/**
 * Imports that a file always executes: `import x from 'y'`, and `require('y')` at the beginning of a line without indentation. An
 * import inside a function may be only for development, such as Vite in servers that render.
 */
const imports = [
  /(?:^|[;}\n])[ \t]*import\b(?!\s*type\b)(?:([\w\s{},*$]*?)\bfrom\b)?\s*['"]([^'"\n]+)['"]/g,
  /(?:^|[;}\n])[ \t]*export\b\s*([{*][\w\s{},*$]*?)\bfrom\b\s*['"]([^'"\n]+)['"]/g,
  /^(?:const|let|var)\b()[^\n;]*?\brequire\(\s*['"]([^'"\n]+)['"]\s*\)/gm,
]
/** Maximum number of files to read. A server's first imports are near its start. */
const mostFiles = 100

/**
 * The first package of devDependencies that the application imports at its start, and the file. Such an application worked on its
 * developer's machine. Builds of some frameworks also keep imports of packages that only devDependencies name.
 */
export async function developmentImport(
  { app, json: { devPackageNames } }: Project,
  commands: readonly string[],
): Promise<{ readonly file: string; readonly name: string } | undefined> {
  const started = await Promise.all(commands.map(command => startedFile(app, command)))
  const keepsTypes = commands.some(keepsImportsOfTypes)
  const files = new Set(started.filter(file => file !== undefined))
  for (const file of files) {
    for (const specifier of specifiersIn((await app.read(file)) ?? '', keepsTypes)) {
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

  /** Whether a folder of the application, but not the application itself, has a package: a self-contained server has its own copy. */
  async function hasOwn(name: string, dir: string): Promise<boolean> {
    if (dir === '.') return false
    return (await app.hasDirectory(join(dir, 'node_modules', name))) || hasOwn(name, dirname(dir))
  }
}

/** In `import { type A } from 'y'`, Node removes only the types and still loads `y`; other tools remove the whole line. */
const keepsImportsOfTypes = (command: string): boolean =>
  /(?:^|\s)node\s/.test(command) && !/\b(?:tsx|ts-node|swc|esbuild)\b/.test(command)

function specifiersIn(source: string, keepsTypes: boolean): string[] {
  const code = withoutCommentsAndTemplates(source)
  return imports
    .flatMap(pattern => [...code.matchAll(pattern)])
    .filter(([, names = '']) => keepsTypes || !areTypes(names))
    .map(([, , specifier = '']) => specifier)
}

/** Matches names that are all types: `{ type A, type B as C }`. */
function areTypes(names: string): boolean {
  const inner = /^\s*\{([^}]*)\}\s*$/.exec(names)?.[1]?.trim() ?? ''
  return inner !== '' && inner.split(',').every(name => /^\s*(?:type\s+(?!as\b)|$)/.test(name))
}
