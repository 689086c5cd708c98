import { readdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { App } from './app.ts'
import { readManifest } from './package-manifest.ts'

/** What a build plan calls the packages of an application in PHP, for a front end that is built with them. */
export const composerPackages = 'php-packages'

/** Configurations of the tools that build front ends. */
const configs =
  /^(?:(?:vite|tailwind|webpack|postcss|svelte|rollup)\.config\.[cm]?[jt]s|webpack\.mix\.js|[jt]sconfig\.json)$/
const sources = /\.(?:css|scss|sass|less|[cm]?[jt]sx?|vue|svelte)$/
/** Where people keep a front end's sources: Laravel's and Symfony's folders. */
const folders = ['resources', 'assets'] as const
/** Files that are read at most: a front end that takes more is found by its configuration or not at all. */
const mostFiles = 2000

/** Composer's own words for what it runs as it installs, and those of Heroku and Google for what comes after. */
const installScripts =
  /^(?:(?:pre|post)-(?:install-cmd|autoload-dump|package-install)|post-root-package-install|compile|gcp-build)$/

/**
 * Where the front end of an application in PHP takes something from Composer's packages or runs PHP, so that they have to be there
 * before it is built: `@import '../../vendor/livewire/flux/dist/flux.css'`. undefined if nowhere; or if Composer's scripts call the tools
 * of Node.js, which then come first.
 */
export async function usesComposerPackages(app: App): Promise<string | undefined> {
  const composer = (await app.has('composer.json')) ? await app.read('composer.json').catch(() => undefined) : undefined
  if (composer === undefined || callsNode(composer)) return undefined
  const { dependencies, devDependencies, scripts } = await readManifest(app)
  const all = { ...dependencies, ...devDependencies }
  const local = Object.entries(all).find(
    ([, spec]) => typeof spec === 'string' && /^(?:file|link|portal):(?:\.\/)?vendor\//.test(spec),
  )
  if (local !== undefined) return `package.json has ${local[0]} from there`
  if (all['@laravel/vite-plugin-wayfinder'] !== undefined) return '@laravel/vite-plugin-wayfinder runs PHP'
  const build = scripts['build']
  if (typeof build === 'string' && /(?:^|[\s;&|])php\s/.test(build)) return 'the script "build" runs PHP'
  for (const name of (await list(app, '')).filter(each => configs.test(each))) {
    // What a compiler leaves out is nothing that it takes.
    const text = (await textOf(app, name)).replaceAll(/"exclude"\s*:\s*\[[^\]]*\]/g, '')
    if (/(?:['"`(}]\/?|\.\/)vendor\//.test(text)) return `${name} takes something from there`
  }
  return inFolders(app)
}

async function inFolders(app: App): Promise<string | undefined> {
  let count = 0
  for (const folder of folders) {
    for (const name of await list(app, folder, true)) {
      if (!sources.test(name) || /(?:^|\/)node_modules\//.test(name) || ++count > mostFiles) continue
      const file = join(folder, name)
      // A folder of that name may be the front end's own: resources/vendor.
      const paths = (await textOf(app, file)).matchAll(/((?:\.\.\/)+vendor)\//g)
      if (Array.from(paths, ([, path = '']) => join(dirname(file), path)).includes('vendor'))
        return `${file} takes something from there`
    }
  }
  return undefined
}

function callsNode(composer: string): boolean {
  try {
    const { scripts } = JSON.parse(composer) as { scripts?: unknown }
    const own = Object.entries(scripts ?? {}).filter(([name]) => installScripts.test(name))
    return /(?:^|["\s;&|])(?:npm|npx|yarn|pnpm|bun|node)\s/.test(JSON.stringify(own))
  } catch {
    // The PHP buildpack says what is wrong with it.
    return false
  }
}

async function list(app: App, dir: string, recursive = false): Promise<string[]> {
  return (await readdir(app.at(dir), { recursive }).catch(() => [])).toSorted()
}

// A folder may have the name of a file, and what cannot be read says nothing.
const textOf = async (app: App, name: string): Promise<string> =>
  (await app.has(name).catch(() => false)) ? ((await app.read(name).catch(() => undefined)) ?? '') : ''
