import { mkdir, open, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import {
  type App,
  type BuildContext,
  BuildpackError,
  declaredStart,
  firstSetting,
  removeSources,
} from '../sdk/index.ts'
import type { Dependency } from './dependencies.ts'
import type { Mix } from './mix.ts'
import type { Toolchain } from './runtime.ts'

/** The release that `mix release` has assembled and that has become the application's directory. */
export interface Release {
  /** The name of its start script: `bin/shop`. */
  readonly name: string
  /** Folders of the virtual machine and of Elixir's and Erlang's libraries, and folders of dependencies. */
  readonly runtime: readonly string[]
  readonly dependencies: readonly string[]
  /** Names of the Erlang and Elixir applications in it. */
  readonly applications: readonly string[]
  /** Scripts that overlays of the application add to `bin`: `migrate`, `server`. */
  readonly scripts: readonly string[]
  /** Absolute paths of modules and programs in C, except those whose libraries every run image has. */
  readonly binaries: readonly string[]
}

/** The file in which each start creates a cookie; see `cookieScript`. */
export const cookieFile = '/tmp/release-cookie'
const noCookie = 'made-at-start'

export interface Assembly {
  readonly mix: Mix
  readonly toolchain: Toolchain
  readonly dependencies: readonly Dependency[]
  readonly temp: string
}

/** Assembles a release, and replaces the sources with it. */
export async function makeRelease(
  context: BuildContext,
  { mix, toolchain, dependencies, temp }: Assembly,
): Promise<Release> {
  const { app, env, log, run } = context
  const dir = join(temp, 'release')
  const name = firstSetting(env, 'BP_MIX_RELEASE')?.value
  const cookie = join(dir, 'releases/COOKIE')
  await mkdir(join(dir, 'releases'), { recursive: true })
  // Mix would write a random one, which everybody who has the image could read.
  await writeFile(cookie, noCookie)
  const words = ['release', ...(name === undefined ? [] : [name])]
  await log.step(`Running mix ${words.join(' ')}`, () => mix.run([...words, '--overwrite', '--quiet', '--path', dir]))
  if ((await readFile(cookie, 'utf8')) === noCookie) {
    await rm(cookie)
    await symlink(cookieFile, cookie)
  } else
    log.warning(
      'mix.exs has a cookie, which everybody with the image can read',
      'Set RELEASE_COOKIE when you run the image.',
    )
  for (const folder of ['deps', '_build']) await rm(app.at(folder), { recursive: true, force: true })
  await removeSources(context, { sources: [/./] })
  await run(['cp', '-aT', dir, app.path], { quiet: true })
  const release = await describe(app, toolchain, dependencies)
  await linkUsualPlace(context, mix, release)
  return release
}

/** Links the place where `mix release` writes a release, since command lines for other builders use it. */
async function linkUsualPlace({ app, env }: BuildContext, { mixEnv }: Mix, { name }: Release): Promise<void> {
  const place = `_build/${mixEnv}/rel/${name}`
  const lines = [await app.read('Procfile'), (await declaredStart(app, env))?.command]
  if (!lines.some(text => text?.includes(`${place}/`))) return
  await mkdir(dirname(app.at(place)), { recursive: true })
  await symlink('../../..', app.at(place))
}

async function describe(app: App, toolchain: Toolchain, dependencies: readonly Dependency[]): Promise<Release> {
  const [, version = ''] = ((await app.read('releases/start_erl.data')) ?? '').trim().split(' ')
  const name = (await list(app.at('releases', version))).find(file => file.endsWith('.rel'))?.slice(0, -'.rel'.length)
  if (name === undefined || !(await app.has(`bin/${name}`))) {
    throw new BuildpackError('mix release made no start script', {
      where: 'mix.exs',
      fix: 'keep the step :assemble of the release',
    })
  }
  const roots = (await list(app.path)).filter(each => each.startsWith('erts-'))
  const libraries = (await list(app.at('lib'))).map(folder => ({ path: `lib/${folder}`, of: nameOf(folder) }))
  const own = new Set((await Promise.all(toolchain.applications.map(list))).flat().map(nameOf))
  const fetched = new Set(dependencies.map(each => each.name))
  const runtime = libraries.filter(({ of }) => own.has(of) && !fetched.has(of))
  const others = libraries.filter(each => !runtime.includes(each))
  const scripts = (await list(app.at('bin'))).filter(each => each !== name && !each.endsWith('.bat'))
  return {
    name,
    runtime: [...roots, ...runtime.map(({ path }) => path)],
    dependencies: libraries.filter(({ of }) => fetched.has(of)).map(({ path }) => path),
    applications: runtime.map(({ of }) => of),
    scripts,
    binaries: await binariesIn(app, [...others, ...runtime.filter(({ of }) => of === 'odbc')]),
  }
}

/** `crypto` of `crypto-5.5.3`. */
const nameOf = (folder: string) => folder.replace(/-[^-]*$/, '')

/** Modules in C of NIFs and ports, which are in `priv`. */
async function binariesIn(app: App, libraries: readonly { readonly path: string }[]): Promise<string[]> {
  const found: string[] = []
  for (const { path } of libraries) {
    const dir = app.at(path, 'priv')
    const entries = await readdir(dir, { recursive: true, withFileTypes: true }).catch(() => [])
    for (const entry of entries) {
      const file = join(entry.parentPath, entry.name)
      if (entry.isFile() && (await isElf(file))) found.push(file)
    }
  }
  return found.toSorted()
}

async function isElf(path: string): Promise<boolean> {
  const file = await open(path)
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(4), 0, 4, 0)
    return bytesRead === 4 && buffer.equals(Buffer.from([0x7f, 0x45, 0x4c, 0x46]))
  } finally {
    await file.close()
  }
}

async function list(dir: string): Promise<string[]> {
  return (await readdir(dir).catch(() => [])).toSorted()
}
