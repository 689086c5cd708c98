import { posix } from 'node:path'
import { parseToml } from '../../lifecycle/spec/toml.ts'
import type { DebianArchive } from '../debian/archive.ts'
import { type App, bookConfig, type BuildContext, BuildpackError, siteRoots } from '../sdk/index.ts'
import { namedRoot } from '../sdk/site-roots.ts'
import { type GeneratedSite, provideGenerator } from './generator.ts'

/** Builds a book with Debian's mdBook; undefined if there is none, or if there already are pages. */
export async function buildWithMdbook(
  context: BuildContext,
  archive: DebianArchive,
): Promise<GeneratedSite | undefined> {
  const { app, env, log, run } = context
  const config = await bookConfig(app)
  const pages = siteRoots.map(root => posix.join(root, 'index.html'))
  if (config === undefined || (await namedRoot(app, env)) !== undefined || (await app.firstOf(pages))) return undefined
  const mdbook = await provideGenerator(context, archive, 'mdBook')
  const dir = await buildDir(app, config)
  await log.step('Building with mdBook', () =>
    run([mdbook.program, 'build'], {
      name: 'mdbook',
      env: { ...env, ...mdbook.env },
      fix: `Debian has mdBook ${mdbook.version} without preprocessors: if the book needs some, run "mdbook build" first, and build with --env BP_WEB_SERVER_ROOT=${dir}`,
    }),
  )
  // If there is a second output, each has a directory of its own.
  for (const root of [dir, posix.join(dir, 'html')]) {
    if (await app.has(posix.join(root, 'index.html'))) return { root, why: `mdBook built it (${config})` }
  }
  throw new BuildpackError(`mdBook made no page in ${dir}/`, { where: config, fix: 'see "build-dir" there' })
}

/** rust-lang.github.io/mdBook, "General configuration": `build-dir`. */
async function buildDir(app: App, config: string): Promise<string> {
  const { build } = parseToml((await app.read(config)) ?? '', config)
  const dir: unknown = typeof build === 'object' && build !== null ? { ...build }['build-dir' as never] : undefined
  return typeof dir === 'string' ? posix.normalize(dir) : 'book'
}
