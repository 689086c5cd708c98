import { posix } from 'node:path'
import type { App } from './app.ts'

/** Documentation whose pages a Python package generates. */
export interface Documentation {
  /** The name for users. */
  readonly name: string
  /** The package, as PyPI normalises its name. */
  readonly package: string
  /** The generator's configuration. */
  readonly config: string
  /** The program and its arguments. */
  readonly command: readonly [string, ...string[]]
}

/** The directory of the pages. It overrides the configuration. */
export const documentationRoot = 'site'

/** The list that has to name the generator: in other manifests the generator may be for developers only. */
const list = 'requirements.txt'

/** Documentation whose generator is among the installed packages; undefined if there is none. */
export async function findDocumentation(app: App): Promise<Documentation | undefined> {
  const requirements = await app.read(list)
  if (requirements === undefined) return undefined
  const mkdocs = await app.firstOf(['mkdocs.yml', 'mkdocs.yaml'])
  // Themes and plugins (mkdocs-material) depend on MkDocs, so a list may name only one of them.
  if (mkdocs !== undefined && /^\s*mkdocs\b/im.test(requirements)) {
    const command = ['mkdocs', 'build', '--config-file', mkdocs, '--site-dir', documentationRoot] as const
    return { name: 'MkDocs', package: 'mkdocs', config: mkdocs, command }
  }
  const sphinx = await app.firstOf(['docs', 'doc', 'docs/source', 'source', '.'].map(dir => posix.join(dir, 'conf.py')))
  if (sphinx === undefined || !/^\s*(sphinx|furo|pydata-sphinx|myst-parser)\b/im.test(requirements)) return undefined
  const command = ['sphinx-build', '-b', 'html', posix.dirname(sphinx), documentationRoot] as const
  return { name: 'Sphinx', package: 'sphinx', config: sphinx, command }
}
