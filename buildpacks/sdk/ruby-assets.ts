import type { App } from './app.ts'

/** The variable with the directories that a builder made only for the server's build, separated by colons. */
export const buildOnlyPaths = 'BALE_BUILD_ONLY_PATHS'

/** Gems whose tasks call Node.js tools when assets are compiled. */
const gems = [
  'jsbundling-rails',
  'cssbundling-rails',
  'vite_ruby',
  'vite_rails',
  'shakapacker',
  'webpacker',
  'hanami-assets',
]
/** ExecJS and gems that depend on it. They run JavaScript, and need only Node.js itself. */
const runners = ['execjs', 'terser', 'uglifier', 'coffee-rails', 'autoprefixer-rails', 'github-pages']
/** Gems that provide a runtime of their own to ExecJS (its README). */
const runtimes = ['mini_racer', 'duktape']

/** The gem of a Ruby application that needs Node.js to compile assets. */
export interface AssetsTool {
  readonly why: string
  /** The packages serve only the assets: their tools stay until the assets are compiled, and then everything of them is removed. */
  readonly callsTools: boolean
  /** ExecJS looks for Node.js when it is loaded, at each start: the application does not start without Node.js. */
  readonly runsNode: boolean
}

/** The first gem of the lock file, or of the Gemfile without one, that compiles assets with Node.js. */
export async function assetsTool(app: App): Promise<AssetsTool | undefined> {
  for (const file of ['Gemfile.lock', 'gems.locked', 'Gemfile', 'gems.rb']) {
    const text = (await app.has(file)) ? await app.read(file).catch(() => undefined) : undefined
    if (text === undefined) continue
    const has = (name: string) =>
      /lock(?:ed)?$/.test(file)
        ? text.includes(`\n    ${name} (`)
        : new RegExp(`^\\s*gem[\\s(]+["']${name}["']`, 'm').test(text)
    const tool = gems.find(has)
    const runner = runtimes.some(has) ? undefined : runners.find(has)
    const name = tool ?? runner
    if (name === undefined) return undefined
    return { why: `${file} has ${name}`, callsTools: tool !== undefined, runsNode: runner !== undefined }
  }
  return undefined
}
