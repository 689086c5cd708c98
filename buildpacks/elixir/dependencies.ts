import { mkdir, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type App, type BuildContext, type Component, digestOf, drop, packageUrl } from '../sdk/index.ts'
import type { Mix } from './mix.ts'
import type { Toolchain } from './runtime.ts'

/** A dependency that mix.lock fixes. */
export interface Dependency {
  /** The name of its application, and of its folder below `deps`. */
  readonly name: string
  /** The version of a Hex package; undefined for a dependency from git. */
  readonly version?: string
  /** The name of the Hex package, which may differ from the application's. */
  readonly package?: string
  readonly repository?: string
  /** The git repository, without a user name, and the commit. */
  readonly url?: string
  readonly commit?: string
}

/**
 * Parses the lines of mix.lock, in which Mix writes one for each dependency: `"jason": {:hex, :jason, "1.4.4", "…", [:mix], [],
 * "hexpm", "…"},` and `"x": {:git, "https://…", "…", [tag: "v1"]},`.
 */
export function parseLock(text: string): Dependency[] {
  return text.split('\n').flatMap(line => {
    const [, name, rest = ''] = /^\s*"([^"]+)":\s*\{(.*)\},?\s*$/.exec(line) ?? []
    if (name === undefined) return []
    const [, own, version] = /^:hex,\s*:"?([\w.-]+)"?,\s*"([^"]+)"/.exec(rest) ?? []
    if (own !== undefined && version !== undefined) {
      const repository = /\],\s*"([^"]+)"(?:,\s*"[0-9a-f]+")?$/.exec(rest)?.[1] ?? 'hexpm'
      return { name, package: own, version, repository }
    }
    const [, url, commit] = /^:git,\s*"([^"]+)",\s*"([0-9a-f]+)"/.exec(rest) ?? []
    return url === undefined || commit === undefined ? [] : { name, url: withoutUser(url), commit }
  })
}

const withoutUser = (url: string) => url.replace(/^(\w+:\/\/)[^/@]+@/, '$1')

export function componentOf({ name, version, package: own, repository, url, commit }: Dependency): Component {
  if (version === undefined || own === undefined) {
    return {
      name,
      version: commit ?? '',
      purl: packageUrl('generic', name, commit ?? '', { vcs_url: `git+${url}@${commit}` }),
    }
  }
  // purl-spec, "hex": the organization of a package is its namespace.
  const namespace = repository?.startsWith('hexpm:') === true ? `${repository.slice('hexpm:'.length)}/` : ''
  return { name, version, purl: packageUrl('hex', `${namespace}${own}`, version) }
}

/** Mix's folders for dependencies and for compiled code, in the application's directory. */
const folders = ['deps', '_build'] as const

/**
 * Fetches and compiles the dependencies, and keeps both for the next build. Parts of the application (umbrella projects, paths) are
 * compiled with it in every build, since Mix compares the times of their files.
 */
export async function provideDependencies(
  context: BuildContext,
  mix: Mix,
  toolchain: Toolchain,
): Promise<readonly Dependency[]> {
  const { app, log, run, seal } = context
  // These come from the developer's machine.
  for (const folder of folders) await rm(app.at(folder), { recursive: true, force: true })
  const lock = await app.read('mix.lock')
  const layer = await context.layer('dependencies', {
    title: 'the dependencies',
    types: { cache: true },
    step: 'install',
    key: {
      toolchain: toolchain.version,
      'mix.lock': digestOf(lock ?? ''),
      'mix.exs and config': await digestOfSettings(app),
      environment: mix.mixEnv,
      architecture: context.target.arch,
    },
    ...(lock === undefined && { restore: () => drop('there is no mix.lock') }),
    create: async dir => {
      const get = ['deps.get', '--only', mix.mixEnv, ...(lock === undefined ? [] : ['--check-locked'])]
      await mix.run(['do', ...get, '+', 'deps.compile', '--skip-local-deps'], { step: 'install' })
      const names = new Set(parseLock((await app.read('mix.lock')) ?? '').map(({ name }) => name))
      const libraries = app.at('_build', mix.mixEnv, 'lib')
      for (const name of await list(libraries)) {
        if (!names.has(name)) await rm(join(libraries, name), { recursive: true, force: true })
      }
      for (const folder of folders) {
        await mkdir(app.at(folder), { recursive: true })
        await run(['mv', '-T', app.at(folder), join(dir, folder)], { quiet: true })
      }
    },
  })
  seal(layer)
  const dependencies = parseLock((await app.read('mix.lock')) ?? '')
  if (lock === undefined && dependencies.length > 0) {
    log.warning('there is no mix.lock: the newest versions are installed, so builds may differ', 'Commit it.')
  }
  for (const folder of folders) await run(['cp', '-aT', join(layer.path, folder), app.at(folder)], { quiet: true })
  const fetched = new Set(await list(app.at('deps')))
  return dependencies.filter(({ name }) => fetched.has(name))
}

/**
 * A digest of the settings that affect how dependencies are compiled: the project, those of an umbrella, and all files that the build's
 * configuration may import.
 */
export async function digestOfSettings(app: App): Promise<string> {
  const paths = ['mix.exs', ...(await scriptsOf(app, 'config'))]
  for (const name of await list(app.at('apps'))) {
    paths.push(`apps/${name}/mix.exs`, ...(await scriptsOf(app, `apps/${name}/config`)))
  }
  const texts = await Promise.all(paths.map(path => readFile(app.at(path), 'utf8').catch(() => '')))
  return digestOf(...paths, ...texts)
}

/** The scripts of a folder and its subfolders, except runtime.exs, which is evaluated at run time. */
async function scriptsOf(app: App, folder: string): Promise<string[]> {
  const names = await readdir(app.at(folder), { recursive: true }).catch(() => [])
  return names
    .filter(name => name.endsWith('.exs') && name !== 'runtime.exs')
    .toSorted()
    .map(name => `${folder}/${name}`)
}

async function list(dir: string): Promise<string[]> {
  return (await readdir(dir).catch(() => [])).toSorted()
}
