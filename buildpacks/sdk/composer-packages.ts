import { readdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { App } from './app.ts'
import { readManifest } from './package-manifest.ts'

/** The build plan's name for the packages of a PHP application, for a front end that is built with them. */
export const composerPackages = 'php-packages'

/** Configurations of the tools that build front ends. */
const configs =
  /^(?:(?:vite|tailwind|webpack|postcss|svelte|rollup)\.config\.[cm]?[jt]s|webpack\.mix\.js|[jt]sconfig\.json)$/
const sources = /\.(?:css|scss|sass|less|[cm]?[jt]sx?|vue|svelte)$/
/** Usual folders for a front end's sources: Laravel's and Symfony's. */
const folders = ['resources', 'assets'] as const
/** Maximum number of files to read. In a larger front end, only the configuration is a sign of Composer packages. */
const mostFiles = 2000

/** Composer's names for scripts that run during an installation, and Heroku's and Google's for scripts that run after it. */
const installScripts =
  /^(?:(?:pre|post)-(?:install-cmd|autoload-dump|package-install)|post-root-package-install|compile|gcp-build)$/

/**
 * The place where the front end of a PHP application uses Composer packages or runs PHP, so that they have to be installed before the
 * front end is built: `@import '../../vendor/livewire/flux/dist/flux.css'`. undefined if there is no such place, or if Composer's
 * scripts call Node.js tools, which then come first.
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
    // The front end does not use paths that a compiler excludes.
    const text = (await textOf(app, name)).replaceAll(/"exclude"\s*:\s*\[[^\]]*\]/g, '')
    if (/(?:['"`(}]\/?|\.\/)vendor\//.test(text)) return `${name} uses files from there`
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
        return `${file} uses files from there`
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
    // The PHP buildpack reports the error.
    return false
  }
}

async function list(app: App, dir: string, recursive = false): Promise<string[]> {
  return (await readdir(app.at(dir), { recursive }).catch(() => [])).toSorted()
}

// A directory may have the name of a file. An unreadable file says nothing.
const textOf = async (app: App, name: string): Promise<string> =>
  (await app.has(name).catch(() => false)) ? ((await app.read(name).catch(() => undefined)) ?? '') : ''
