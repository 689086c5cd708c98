import type { Language } from './language.ts'

// Generators of static sites that no package list provides: the user runs them first.

function builtBefore(
  generator: Pick<Language, 'id' | 'name' | 'sources'>,
  command: string,
  output: string,
  other = '',
): Language {
  const [program = ''] = command.replace('bundle exec ', '').split(' ')
  const instead = `${other}run "${command}" first, and build with --env BP_WEB_SERVER_ROOT=${output}, which serves what it makes; .dockerignore must not exclude ${output}`
  return { ...generator, manifests: [], programs: [program], instead, makesSite: true }
}

/** Comes before static sites: its index.html is a source and not yet a page. */
export const jekyll = builtBefore(
  { id: 'jekyll', name: 'Jekyll', sources: ['_config.yml'] },
  'bundle exec jekyll build',
  '_site',
  'add a Gemfile with gem "jekyll" and its theme, and Bale builds it; or ',
)

/** They come after static sites, and count as sources only: many applications in another language contain a book. */
export const generators: readonly Language[] = [
  builtBefore({ id: 'zola', name: 'Zola', sources: ['zola.toml', 'config.toml'] }, 'zola build', 'public'),
  builtBefore(
    { id: 'mkdocs', name: 'MkDocs', sources: ['mkdocs.yml', 'mkdocs.yaml'] },
    'mkdocs build',
    'site',
    'add a requirements.txt with mkdocs and its theme, and Bale builds it; or ',
  ),
  builtBefore(
    { id: 'sphinx', name: 'Sphinx', sources: ['docs/conf.py', 'doc/conf.py', 'docs/source/conf.py'] },
    'sphinx-build docs public',
    'public',
    'add a requirements.txt with sphinx and its theme, and Bale builds it; or ',
  ),
]
