import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { DebianArchive, DebianPackage } from '../debian/archive.ts'
import { librariesIn, type NativePackages } from '../debian/native-libraries.ts'
import { libraryDir, unpackPackages } from '../debian/unpack.ts'
import { type BuildContext, BuildpackError, digestOf } from '../sdk/index.ts'

/** Elixir, Erlang, Hex and Rebar in a build layer. */
export interface Toolchain {
  /** Debian's versions of Elixir and Erlang, which affect all compiled code. */
  readonly version: string
  readonly packages: readonly DebianPackage[]
  readonly bin: string
  /** Folders with Erlang's and Elixir's applications. */
  readonly applications: readonly string[]
  readonly rebar: string
  /** Libraries that Erlang's modules are linked with. */
  readonly native: NativePackages
}

/** The versions in the Debian release. */
export interface Offer {
  /** `1.18.3`. */
  readonly elixir: string
  /** `27.3.4.1`. */
  readonly erlang: string
  readonly packages: readonly DebianPackage[]
}

/** Erlang without packages for windows, and with headers for modules in C; Hex as a Mix archive. */
const wanted = ['elixir', 'erlang-hex', 'erlang-nox', 'erlang-dev', 'rebar3']
/** The useful part of the packages' dependencies: the language itself, and libraries of Erlang's modules in C. */
const used = /^(?:elixir|rebar3|erlang-.*|libodbc\d.*|libltdl\d.*)$/
/** Rebar depends on applications with windows, for tools that no build starts. */
const windows = /^erlang-(?:wx|debugger|observer|reltool|dialyzer|et|x11)$/

/** @throws BuildpackError if the stack is not based on Debian 13 */
export async function offeredToolchain({ target }: BuildContext, archive: DebianArchive): Promise<Offer> {
  const { name = 'debian', version = '13' } = target.distro ?? {}
  if (version !== '13') {
    throw new BuildpackError(`there is no Elixir for ${name} ${version}`, { fix: 'build on a stack of Debian 13' })
  }
  const packages = (await archive.resolve(wanted)).filter(each => used.test(each.name) && !windows.test(each.name))
  const release = (of: string) =>
    (packages.find(each => each.name === of)?.version ?? '').replace(/^\d+:/, '').replace(/[-+~].*|\.dfsg.*/, '')
  return { elixir: release('elixir'), erlang: release('erlang-base'), packages }
}

/** Puts Debian's Elixir and Erlang into a build layer. */
export async function provideToolchain(
  context: BuildContext,
  archive: DebianArchive,
  { elixir, erlang, packages }: Offer,
): Promise<Toolchain> {
  const { env, run, target } = context
  const digest = digestOf(JSON.stringify(packages))
  const layer = await context.layer('elixir', {
    title: `Elixir ${elixir} and Erlang ${erlang}`,
    types: { cache: true },
    key: { Elixir: elixir, Erlang: erlang, architecture: target.arch, 'Debian packages': digest },
    create: async dir => {
      const debs = await archive.download(packages)
      await unpackPackages(run, debs, dir)
      await relocate(dir)
      return { notes: await librariesIn(run, debs, packages) }
    },
  })
  // Programs of dependencies run later.
  context.seal(layer)
  const libraries = [libraryDir(layer.path, target.arch), env['LD_LIBRARY_PATH']].filter(Boolean).join(':')
  return {
    version: digest,
    packages,
    bin: join(layer.path, 'usr/bin'),
    applications: ['erlang', 'elixir'].map(name => join(layer.path, 'usr/lib', name, 'lib')),
    rebar: join(layer.path, 'usr/bin/rebar3'),
    native: { env: { LD_LIBRARY_PATH: libraries }, libraries: layer.notes, digest },
  }
}

/** Debian's start scripts of Erlang contain the path of an installation below /usr, which this replaces. */
async function relocate(dir: string): Promise<void> {
  const root = join(dir, 'usr/lib/erlang')
  const erts = (await readdir(root)).filter(name => name.startsWith('erts-'))
  for (const bin of ['bin', ...erts.map(name => `${name}/bin`)]) {
    for (const name of ['erl', 'start', 'start_erl']) {
      const path = join(root, bin, name)
      const text = await readFile(path, 'utf8')
      await writeFile(path, text.replaceAll(/^(\s*ROOTDIR=)\/usr\/lib\/erlang$/gm, `$1${root}`))
    }
  }
}
