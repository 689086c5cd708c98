import type { DebianArchive } from '../debian/archive.ts'
import { type App, type BuildContext, BuildpackError, hugoConfig, withTempDir } from '../sdk/index.ts'
import { type GeneratedSite, provideGenerator } from './generator.ts'

/** Builds a Hugo site with Debian's Hugo; undefined if the source is not a Hugo site. */
export async function buildWithHugo(context: BuildContext, archive: DebianArchive): Promise<GeneratedSite | undefined> {
  const { app, env, log, run } = context
  const config = await hugoConfig(app)
  if (config === undefined) return undefined
  const hugo = await provideGenerator(context, archive, 'Hugo')
  const wanted = env['HUGO_VERSION']
  if (wanted !== undefined && wanted !== hugo.version)
    log.warning(`HUGO_VERSION is ${wanted}, but Debian's archive has ${hugo.version}, which builds the site`)
  await withTempDir(cache =>
    log.step('Building with Hugo', () =>
      run([hugo.program], {
        name: 'hugo',
        env: { HUGO_ENVIRONMENT: 'production', HUGO_CACHEDIR: cache, ...env, ...hugo.env },
        fix: 'a theme that is a Git submodule must be in the source',
      }),
    ),
  )
  const root = await publishDir(app, config)
  if (await app.hasDirectory(root)) return { root, why: `Hugo built it (${config})` }
  throw new BuildpackError(`Hugo did not make the directory ${root}/`, { where: config, fix: 'see "publishDir" there' })
}

async function publishDir(app: App, config: string): Promise<string> {
  const text = (await app.read(config)) ?? ''
  return /^\s*"?publishDir"?\s*[:=]\s*["']?(?:\.\/)?([\w./-]+)/im.exec(text)?.[1] ?? 'public'
}
