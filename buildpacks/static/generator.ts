import { join } from 'node:path'
import type { DebianArchive } from '../debian/archive.ts'
import { missingPackages } from '../debian/native-libraries.ts'
import { libraryDir, unpackPackages } from '../debian/unpack.ts'
import { type BuildContext, digestOf } from '../sdk/index.ts'

/** The directory with the generated pages, and the reason. */
export interface GeneratedSite {
  readonly root: string
  readonly why: string
}

/** A site generator from Debian's archive. */
export interface Generator {
  readonly version: string
  readonly program: string
  /** The path of the libraries that it is linked with. */
  readonly env: { readonly LD_LIBRARY_PATH: string }
}

/**
 * Provides a generator, only for the build.
 * @param name its name for users: `Hugo`; its package and its program are called `hugo`
 */
export async function provideGenerator(
  context: BuildContext,
  archive: DebianArchive,
  name: string,
): Promise<Generator> {
  const { env, run, target } = context
  const id = name.toLowerCase()
  const packages = await missingPackages(run, await archive.resolve([id]))
  const version = packages.find(each => each.name === id)?.version.replace(/[+-].*/, '') ?? ''
  const layer = await context.layer(id, {
    title: `${name} ${version}`,
    types: { build: true, cache: true },
    key: { [name]: version, 'Debian packages': digestOf(JSON.stringify(packages)) },
    create: async dir => unpackPackages(run, await archive.download(packages), dir),
  })
  const paths = [libraryDir(layer.path, target.arch), env['LD_LIBRARY_PATH']].filter(Boolean)
  return { version, program: join(layer.path, 'usr/bin', id), env: { LD_LIBRARY_PATH: paths.join(':') } }
}
