import type { App } from './app.ts'

/** A site whose pages a gem generates. */
export interface RubySite {
  /** The name for users. */
  readonly name: string
  /** The directory of the pages. It overrides the configuration. */
  readonly root: string
  readonly config: string
  /** The arguments of `bundle exec`. */
  readonly command: readonly string[]
  /** Variables that make the gem generate the pages for production. */
  readonly env: Readonly<Record<string, string>>
}

/** The site that a gem of the Gemfile generates; undefined if there is none. */
export async function findRubySite(app: App): Promise<RubySite | undefined> {
  const file = await app.firstOf(['gems.rb', 'Gemfile'])
  const text = file === undefined ? '' : ((await app.read(file)) ?? '')
  // The gem of GitHub Pages depends on Jekyll.
  if (/^\s*gem[\s(]+["'](?:jekyll|github-pages)["']/m.test(text)) {
    const config = await app.firstOf(['_config.yml', '_config.yaml', '_config.toml'])
    const command = ['jekyll', 'build', '--destination', '_site']
    if (config !== undefined)
      return { name: 'Jekyll', root: '_site', config, command, env: { JEKYLL_ENV: 'production' } }
  }
  if (/^\s*gem[\s(]+["']middleman["']/m.test(text) && (await app.has('config.rb'))) {
    const command = ['middleman', 'build', '--build-dir', 'build']
    return { name: 'Middleman', root: 'build', config: 'config.rb', command, env: { RACK_ENV: 'production' } }
  }
  return undefined
}
