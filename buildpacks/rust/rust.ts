import { basename, join, posix } from 'node:path'
import semver from 'semver'
import { DebianArchive } from '../debian/archive.ts'
import { provideNativePackages } from '../debian/native-libraries.ts'
import { debianOffers } from '../debian/offers.ts'
import { provideSharedLibraries } from '../debian/shared-libraries.ts'
import {
  type BuildContext,
  type BuildResult,
  BuildpackError,
  defineBuildpack,
  type DetectContext,
  detectLanguage,
  fail,
  isStartDeclared,
  linkPrograms,
  noSubcommand,
  pass,
  programProcesses,
  provideProgramLayer,
  removeSources,
  subcommandArguments,
  warnOfListening,
  withTempDir,
} from '../sdk/index.ts'
import { refuseBrowserPrograms } from './browser.ts'
import { type Cargo, cargoWith, provideHome, tidyHome } from './cargo.ts'
import { cargoArguments, compile, findPrograms } from './compile.ts'
import { provideRocketAddress, rustListening } from './listening.ts'
import { type Located, type Manifest, readLock, readManifest, toVersion } from './manifest.ts'
import { type Crate, crateComponents, readMetadata } from './metadata.ts'
import { nativePackages } from './native.ts'
import { clapSubcommand } from './subcommand.ts'
import { type DebianRust, debianRust, rustupToolchain, type Toolchain, tripleOf } from './toolchain.ts'
import { contradictions, fulfils, isNewEnough, requestedToolchain, type ToolchainRequest } from './version.ts'

const rustSources = [
  /\.rs$/,
  /(^|\/)(Cargo\.(toml|lock)|clippy\.toml|rustfmt\.toml|deny\.toml|Cross\.toml|rust-toolchain(\.toml)?|rust-version\.txt)$/,
  /^(target|vendor|benches|tests|examples)\//,
]

/** Rust applications, with Cargo. */
export const rust = defineBuildpack({
  detect,
  build,
  ownCommands: 'left',
  async offers(context) {
    const found = await debianOffers(context, { Rust: ['rustc'] })
    const more = 'any release, beta and nightly by rustup, from RUSTUP_DIST_SERVER if it is set'
    return found.map(offer => ({ ...offer, more }))
  },
})

async function detect({ app, env }: DetectContext) {
  const found = await detectLanguage({ app, env }, 'rust')
  if (found.role === 'none') return fail(found.reason)
  return (await app.has('Cargo.toml')) ? pass(found.reason, found.plan) : fail('no Cargo.toml')
}

async function build(context: BuildContext): Promise<BuildResult> {
  context.log.heading('Rust')
  return withTempDir(temp => buildIn(context, temp))
}

async function buildIn(context: BuildContext, temp: string): Promise<BuildResult> {
  const { app, env, log } = context
  const manifest = await readManifest(app)
  const args = await cargoArguments(context)
  const request = await requestedToolchain(context, args.targets)
  const lock = await readLock(app)
  if (lock === undefined) {
    log.warning(
      'there is no Cargo.lock, so each build may take other versions',
      'Run "cargo generate-lockfile" and commit Cargo.lock.',
    )
  }
  const home = await provideHome(context, lock ?? { text: '', crates: [] })
  const archive = await DebianArchive.open(context, temp)
  // For crates without a locked version, Cargo chooses those that this Rust can build.
  const resolver = { CARGO_RESOLVER_INCOMPATIBLE_RUST_VERSIONS: 'fallback' }
  const listCrates = async (cargo: Cargo): Promise<Crate[]> => {
    const flags = [...(lock ? ['--locked'] : []), '--filter-platform', tripleOf(context.target.arch), ...args.features]
    return readMetadata(
      await cargo.run(['metadata', '--format-version', '1', ...flags], { quiet: true, env: resolver }),
      app.path,
    )
  }
  const { toolchain, cargo, crates } = await chooseToolchain(context, { manifest, request, archive, home, listCrates })
  if (request)
    for (const text of contradictions(request, toolchain.version)) log.warning(text, 'Change one of the two.')
  await refuseBrowserPrograms(context, crates)
  const programs = await findPrograms(context, manifest, crates)
  log.info(`Programs: ${programs.map(({ name, dir }) => `${name} (${dir})`).join(', ')}`)
  const native = await provideNativePackages(context, archive, nativePackages(crates))
  const out = join(temp, 'programs')
  // Without a lock file, Cargo has just created one.
  const lockText = lock?.text ?? (await app.read('Cargo.lock')) ?? ''
  const job = {
    cargo,
    rust: toolchain.version,
    lockText,
    crates,
    programs,
    args,
    env: withLibraries(native.env, toolchain),
  }
  const built = await compile(context, job, out)
  await tidyHome(home)
  await provideSharedLibraries(
    context,
    built.map(({ name }) => join(out, name)),
    native,
    archive,
  )
  const sbom = () => Promise.resolve(crateComponents(crates))
  const layer = await provideProgramLayer(context, built, out, { sbom })
  const started = posix.join(built[0]?.dir ?? '.', 'src/')
  await warnOfListening(app, log, rustListening, file => file.startsWith(started))
  await provideRocketAddress(context, crates)
  const isOnly = built.length === 1
  const subcommand = isOnly ? await clapSubcommand(app, started) : noSubcommand
  const startArgs = subcommandArguments(log, subcommand, built[0]?.name ?? '', await isStartDeclared(app, env))
  await removeSources(context, { sources: rustSources })
  await linkPrograms(context, built, layer)
  const processes = programProcesses(built, layer, startArgs)
  log.info(`Starts with: ${[basename(processes[0]?.command[0] ?? ''), ...startArgs].join(' ')}`)
  return { launch: { processes } }
}

/** Programs have to find both the compiler's libraries and the linked ones. */
function withLibraries(env: Readonly<Record<string, string>>, toolchain: Toolchain): Record<string, string> {
  const { LD_LIBRARY_PATH, PATH, ...others } = env
  const libraries = [toolchain.env['LD_LIBRARY_PATH'], LD_LIBRARY_PATH].filter(Boolean).join(':')
  return {
    ...others,
    ...(libraries !== '' && { LD_LIBRARY_PATH: libraries }),
    ...(PATH !== undefined && { PATH: `${toolchain.bin}:${PATH}` }),
  }
}

interface Choice {
  readonly manifest: Manifest
  readonly request: ToolchainRequest | undefined
  readonly archive: DebianArchive
  readonly home: string
  readonly listCrates: (cargo: Cargo) => Promise<Crate[]>
}

/**
 * Debian's Rust, if it satisfies the request and is as new as the application and every crate of it need; else rustup's.
 * @throws BuildpackError if the requested version is older than a crate needs
 */
async function chooseToolchain(context: BuildContext, choice: Choice) {
  const { manifest, request, archive, home, listCrates } = choice
  const debian = await debianRust(context, archive)
  const needed = unfitness(debian, choice)
  if (needed === undefined) {
    const why = request
      ? `${request.where} asks for ${request.value}`
      : 'the version of the stack, as nothing requests another'
    context.log.info(`Rust ${debian.version}: ${why}`)
    const toolchain = await debian.provide()
    const cargo = cargoWith(context, toolchain, home)
    const crates = await listCrates(cargo)
    const demanding = mostDemanding(crates, debian.version)
    if (demanding === undefined) return { toolchain, cargo, crates }
    if (request !== undefined && request.value !== 'stable') throw tooOld(demanding, request)
    context.log.info(`${demanding.where} needs Rust ${demanding.value}, so it is rustup's`)
    return fromRustup({ channel: 'stable', targets: request?.targets ?? [], where: demanding.where })
  }
  return fromRustup(needed)

  async function fromRustup(wanted: { channel: string; targets: readonly string[]; where: string }) {
    const toolchain = await rustupToolchain(context, archive, { ...wanted, debian: debian.version })
    context.log.info(`Rust ${toolchain.version}: ${wanted.where} asks for ${wanted.channel}`)
    const minimum = manifest.rustVersion
    if (!isNewEnough(toolchain.version, minimum?.value)) throw tooOld(minimum as Located, request)
    const cargo = cargoWith(context, toolchain, home)
    return { toolchain, cargo, crates: await listCrates(cargo) }
  }
}

/** The version that has to come from rustup instead of Debian; undefined if Debian's is sufficient. */
function unfitness({ version }: DebianRust, { manifest, request }: Choice) {
  if (request !== undefined && !fulfils(version, request)) {
    return { channel: request.value, targets: request.targets, where: request.where }
  }
  const minimum = manifest.rustVersion
  if (minimum === undefined || isNewEnough(version, minimum.value)) return undefined
  if (request !== undefined && request.value !== 'stable') throw tooOld(minimum, request)
  return { channel: 'stable', targets: request?.targets ?? [], where: `${minimum.where} ${minimum.value}` }
}

/** The crate that needs the newest Rust, among those that need a newer one than `version`. */
function mostDemanding(crates: readonly Crate[], version: string): Located | undefined {
  const versionOf = ({ rustVersion = '0' }: Crate) => toVersion(rustVersion) ?? '0.0.0'
  const found = crates.filter(({ rustVersion }) => !isNewEnough(version, rustVersion))
  const [newest] = found.toSorted((a, b) => semver.rcompare(versionOf(a), versionOf(b)))
  return newest && { value: newest.rustVersion ?? '', where: `the crate ${newest.name} ${newest.version}` }
}

function tooOld(needed: Located, request: ToolchainRequest | undefined): BuildpackError {
  return new BuildpackError(
    `${needed.where} needs Rust ${needed.value}, and ${request?.value ?? 'stable'} is asked for`,
    {
      where: request?.where ?? needed.where,
      fix: `ask for Rust ${needed.value} or newer`,
    },
  )
}
