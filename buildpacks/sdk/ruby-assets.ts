import type { App } from './app.ts'

/** The variable that has the directories which a builder made for the server's build alone, with colons between. */
export const buildOnlyPaths = 'BALE_BUILD_ONLY_PATHS'

/** Gems whose tasks call tools of Node.js when assets are compiled. */
const gems = [
  'jsbundling-rails',
  'cssbundling-rails',
  'vite_ruby',
  'vite_rails',
  'shakapacker',
  'webpacker',
  'hanami-assets',
]
/** ExecJS and gems that depend on it: they run JavaScript, and need Node.js alone. */
const runners = ['execjs', 'terser', 'uglifier', 'coffee-rails', 'autoprefixer-rails', 'github-pages']
/** Gems that bring ExecJS a runtime of their own (its README). */
const runtimes = ['mini_racer', 'duktape']

/** What of an application in Ruby needs Node.js to compile its assets. */
export interface AssetsTool {
  readonly why: string
  /** Packages are for that alone: its tools stay until then, and nothing of them after that. */
  readonly callsTools: boolean
  /** ExecJS looks for Node.js as soon as it is loaded, which is in each start: it does not start without. */
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
