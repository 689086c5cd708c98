import type { App } from './app.ts'

/** A site whose pages a gem makes. */
export interface RubySite {
  /** As people write it. */
  readonly name: string
  /** Where the pages are, whatever the configuration says. */
  readonly root: string
  readonly config: string
  /** For `bundle exec`. */
  readonly command: readonly string[]
  /** Variables with which it makes them for visitors. */
  readonly env: Readonly<Record<string, string>>
}

/** The site that a gem of the Gemfile makes; undefined if there is none. */
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
