import { join } from 'node:path'
import type { DebianArchive } from '../debian/archive.ts'
import { missingPackages } from '../debian/native-libraries.ts'
import { libraryDir, unpackPackages } from '../debian/unpack.ts'
import { type App, type BuildContext, BuildpackError, digestOf, hugoConfig, withTempDir } from '../sdk/index.ts'

/** The directory with the pages that a generator has made, and who says so. */
export interface GeneratedSite {
  readonly root: string
  readonly why: string
}

/** Builds a site that Hugo makes, with Debian's Hugo; undefined if it is none. */
export async function buildWithHugo(context: BuildContext, archive: DebianArchive): Promise<GeneratedSite | undefined> {
  const { app, env, log, run, target } = context
  const config = await hugoConfig(app)
  if (config === undefined) return undefined
  const packages = await missingPackages(run, await archive.resolve(['hugo']))
  const version = packages.find(({ name }) => name === 'hugo')?.version.replace(/-.*/, '') ?? ''
  const wanted = env['HUGO_VERSION']
  if (wanted !== undefined && wanted !== version)
    log.warning(`HUGO_VERSION is ${wanted}, and Debian's archive has ${version}: that one builds the site`)
  const layer = await context.layer('hugo', {
    title: `Hugo ${version}`,
    types: { build: true, cache: true },
    key: { Hugo: version, 'Debian packages': digestOf(JSON.stringify(packages)) },
    create: async dir => unpackPackages(run, await archive.download(packages), dir),
  })
  const paths = [libraryDir(layer.path, target.arch), env['LD_LIBRARY_PATH']].filter(Boolean)
  await withTempDir(cache =>
    log.step('Building with Hugo', () =>
      run([join(layer.path, 'usr/bin/hugo')], {
        name: 'hugo',
        env: { HUGO_ENVIRONMENT: 'production', HUGO_CACHEDIR: cache, ...env, LD_LIBRARY_PATH: paths.join(':') },
        fix: 'a theme that is a Git submodule has to be in the source that is built',
      }),
    ),
  )
  const root = await publishDir(app, config)
  if (await app.hasDirectory(root)) return { root, why: `Hugo built it (${config})` }
  throw new BuildpackError(`Hugo left no directory ${root}/`, { where: config, fix: 'see "publishDir" there' })
}

async function publishDir(app: App, config: string): Promise<string> {
  const text = (await app.read(config)) ?? ''
  return /^\s*"?publishDir"?\s*[:=]\s*["']?(?:\.\/)?([\w./-]+)/im.exec(text)?.[1] ?? 'public'
}
