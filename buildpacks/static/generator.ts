import { join } from 'node:path'
import type { DebianArchive } from '../debian/archive.ts'
import { missingPackages } from '../debian/native-libraries.ts'
import { libraryDir, unpackPackages } from '../debian/unpack.ts'
import { type BuildContext, digestOf } from '../sdk/index.ts'

/** The directory with the pages that a generator has made, and who says so. */
export interface GeneratedSite {
  readonly root: string
  readonly why: string
}

/** A program that makes a site, of Debian's archive. */
export interface Generator {
  readonly version: string
  readonly program: string
  /** What it is linked with. */
  readonly env: { readonly LD_LIBRARY_PATH: string }
}

/**
 * Brings a generator for the build alone.
 * @param name as people write it: `Hugo`; its package and its program are called `hugo`
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
