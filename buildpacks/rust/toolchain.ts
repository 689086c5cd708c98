import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { DebianArchive } from '../debian/archive.ts'
import { missingPackages } from '../debian/native-libraries.ts'
import { libraryDir, unpackPackages } from '../debian/unpack.ts'
import {
  type BuildContext,
  BuildpackError,
  digestOf,
  drop,
  keep,
  mirrorOf,
  type Verdict,
  withTempDir,
} from '../sdk/index.ts'

/** Cargo and rustc in their layer. */
export interface Toolchain {
  /** `1.85.1`. */
  readonly version: string
  /** The directory of the programs. */
  readonly bin: string
  readonly env: Readonly<Record<string, string>>
}

/** Rust's names for architectures. */
const triples: Readonly<Record<string, string>> = {
  amd64: 'x86_64-unknown-linux-gnu',
  arm64: 'aarch64-unknown-linux-gnu',
}

export function tripleOf(arch: string): string {
  return triples[arch] ?? `${arch}-unknown-linux-gnu`
}

/** Debian's Rust: the version in the archive for the stack's release. */
export interface DebianRust {
  readonly version: string
  provide(): Promise<Toolchain>
}

export async function debianRust(context: BuildContext, archive: DebianArchive): Promise<DebianRust> {
  const packages = await missingPackages(context.run, await archive.resolve(['rustc', 'cargo']))
  const debianVersion = packages.find(({ name }) => name === 'rustc')?.version ?? ''
  const version = /^\d+\.\d+\.\d+/.exec(debianVersion)?.[0]
  if (version === undefined) throw new BuildpackError('the apt sources of the build image have no Rust')
  return {
    version,
    async provide() {
      const layer = await context.layer('rust', {
        title: `Rust ${version}`,
        types: { build: true, cache: true },
        key: {
          Rust: debianVersion,
          architecture: context.target.arch,
          'Debian packages': digestOf(JSON.stringify(packages)),
        },
        create: async dir => unpackPackages(context.run, await archive.download(packages), dir),
      })
      const libraries = libraryDir(layer.path, context.target.arch)
      return { version, bin: join(layer.path, 'usr/bin'), env: { LD_LIBRARY_PATH: libraries } }
    },
  }
}

/**
 * A toolchain from rustup, which Debian packages. rustup knows all channels, verifies its downloads by the channel's digests, and
 * honours RUSTUP_DIST_SERVER. Each build asks it whether a moving channel, such as `nightly` or `1.90`, has a newer release.
 */
export async function rustupToolchain(
  context: BuildContext,
  archive: DebianArchive,
  request: {
    readonly channel: string
    readonly targets: readonly string[]
    readonly where: string
    /** The alternative, for messages. */
    readonly debian: string
  },
): Promise<Toolchain> {
  const { channel, targets } = request
  const layer = await context.layer('rust', {
    title: `Rust ${channel} from rustup`,
    types: { build: true, cache: true },
    key: { Rust: channel, architecture: context.target.arch, targets: targets.join(' '), from: 'rustup' },
    isCurrent: ({ dir }) => isCurrent(context, archive, channel, dir),
    create: dir => withTempDir(temp => install(context, archive, { ...request, dir, temp })),
  })
  const toolchains = join(layer.path, 'toolchains')
  const [name = ''] = (await readdir(toolchains)).filter(entry => entry.startsWith(channel))
  const bin = join(toolchains, name, 'bin')
  const { stdout } = await context.run([join(bin, 'rustc'), '--version'], { quiet: true })
  return { version: /\d+\.\d+\.\d+/.exec(stdout)?.[0] ?? channel, bin, env: {} }
}

/** A release and a dated channel never change. For others, `rustup check` says whether a newer one is available. */
async function isCurrent(
  context: BuildContext,
  archive: DebianArchive,
  channel: string,
  home: string,
): Promise<Verdict> {
  if (/^\d+\.\d+\.\d+$|-\d{4}-\d{2}-\d{2}$/.test(channel)) return keep
  const { exitCode, stdout } = await withTempDir(async temp => {
    const env = { ...(await rustupEnv(context, temp)), RUSTUP_HOME: home }
    const options = { env, quiet: true, allowFailure: true }
    return context.run([await unpackRustup(context, archive, temp), 'check'], options)
  })
  const lines = stdout.split('\n').filter(line => line.startsWith(`${channel}-`))
  if (exitCode === 0 && lines.length > 0 && lines.every(line => line.includes('Up to date'))) return keep
  const newer = /Update available *: *(.+)$/m.exec(stdout)?.[1]
  return drop(newer === undefined ? `rustup cannot check for a newer ${channel}` : newer)
}

/** rustup's own variable for a mirror overrides the one of all buildpacks. */
async function rustupEnv(context: BuildContext, temp: string): Promise<Record<string, string | undefined>> {
  const own = { CARGO_HOME: join(temp, 'cargo'), RUSTUP_TOOLCHAIN: undefined }
  if (context.env['RUSTUP_DIST_SERVER']) return own
  const mirror = await mirrorOf(context, 'https://static.rust-lang.org')
  if (mirror === undefined) return own
  context.log.info(`rustup asks the mirror of ${mirror.where}`)
  return { ...own, RUSTUP_DIST_SERVER: mirror.url }
}

/** rustup from Debian's archive. Returns the path of its program. */
async function unpackRustup({ run }: BuildContext, archive: DebianArchive, temp: string): Promise<string> {
  const packages = await missingPackages(run, await archive.resolve(['rustup']))
  const unpacked = join(temp, 'rustup')
  await mkdir(unpacked)
  await unpackPackages(run, await archive.download(packages), unpacked)
  return join(unpacked, 'usr/bin/rustup')
}

async function install(
  context: BuildContext,
  archive: DebianArchive,
  job: Parameters<typeof rustupToolchain>[2] & { readonly dir: string; readonly temp: string },
): Promise<void> {
  const rustup = await unpackRustup(context, archive, job.temp)
  const args = ['toolchain', 'install', job.channel, '--profile', 'minimal', '--no-self-update']
  const { exitCode, stderr } = await context.run(
    [rustup, ...args, ...job.targets.flatMap(target => ['--target', target])],
    {
      env: { ...(await rustupEnv(context, job.temp)), RUSTUP_HOME: job.dir },
      quiet: true,
      allowFailure: true,
    },
  )
  if (exitCode === 0) return
  throw new BuildpackError(`rustup cannot install Rust ${job.channel}:\n${stderr.trim()}`, {
    where: job.where,
    fix: `check the version, the network and RUSTUP_DIST_SERVER or BP_DEPENDENCY_MIRROR; Debian has Rust ${job.debian}, which works without them`,
  })
}
