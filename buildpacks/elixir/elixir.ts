import { DebianArchive } from '../debian/archive.ts'
import { debianOffers } from '../debian/offers.ts'
import { checkOffered, type Wanted } from '../debian/offered-version.ts'
import { provideSharedLibraries } from '../debian/shared-libraries.ts'
import { debianComponents } from '../debian/unpack.ts'
import {
  type BuildContext,
  type BuildResult,
  type Component,
  defineBuildpack,
  type DetectContext,
  detectLanguage,
  fail,
  pass,
  withTempDir,
} from '../sdk/index.ts'
import { compileAssets } from './assets.ts'
import { componentOf, type Dependency, provideDependencies } from './dependencies.ts'
import { mixWith } from './mix.ts'
import { makeRelease, type Release } from './release.ts'
import { type Offer, offeredToolchain, provideToolchain } from './runtime.ts'
import { checkDeclaredStart, needsSecret, ownProcesses, provideVariables } from './start.ts'
import { wantedVersions } from './version.ts'

/** Elixir applications: Mix makes a release, so the image needs neither Elixir nor Erlang. */
export const elixir = defineBuildpack({
  ownCommands: 'left',
  detect,
  build,
  offers: context => debianOffers(context, { Elixir: ['elixir'], Erlang: ['erlang-base'] }),
})

async function detect({ app, env }: DetectContext) {
  const found = await detectLanguage({ app, env }, 'elixir')
  if (found.role === 'none') return fail(found.reason)
  return (await app.has('mix.exs')) ? pass(found.reason, found.plan) : fail('no mix.exs')
}

async function build(context: BuildContext): Promise<BuildResult> {
  context.log.heading('Elixir')
  return withTempDir(temp => buildIn(context, temp))
}

async function buildIn(context: BuildContext, temp: string): Promise<BuildResult> {
  const { app, env, log } = context
  const wanted = await wantedVersions(context)
  await checkDeclaredStart(app, env, log)
  const archive = await DebianArchive.open(context, temp)
  const offer = await offeredToolchain(context, archive)
  choose(context, 'Elixir', wanted.elixir, offer.elixir)
  choose(context, 'Erlang', wanted.erlang, offer.erlang)
  const toolchain = await provideToolchain(context, archive, offer)
  const mix = await mixWith(context, toolchain, temp)
  const dependencies = await provideDependencies(context, mix, toolchain)
  await log.step('Running mix compile', () => mix.run(['compile'], { step: 'build' }))
  await compileAssets(context, mix, dependencies)
  const secret = await needsSecret(app)
  const release = await makeRelease(context, { mix, toolchain, dependencies, temp })
  await provideSharedLibraries(context, release.binaries, toolchain.native, archive)
  await provideVariables(context)
  const processes = await ownProcesses(app, env, release, secret)
  if (processes.some(({ type }) => type === 'web'))
    log.info(`Starts with: bin/${release.name} start (the release that mix.exs describes)`)
  return {
    launch: {
      processes,
      // In slices of their own, they are not uploaded again with each change of the source.
      slices: [{ paths: release.runtime }, { paths: release.dependencies }].filter(({ paths }) => paths.length > 0),
    },
    sbom: [...ofRuntime(context, offer, release), ...ofDependencies(dependencies, release)],
  }
}

/** Prints the version and the reason, before anything is downloaded. */
function choose({ log }: BuildContext, name: string, wanted: Wanted, release: string): void {
  const warnings = checkOffered(wanted, name, [release], ({ where }, minor) => {
    if (name === 'Erlang') return minor.replace(/\..*/, '')
    return where.startsWith('mix.exs') ? `elixir: "~> ${minor}"` : minor
  })
  const [first] = wanted.musts
  const why = first ? `${first.where} asks for ${first.value}` : 'the version of the stack, as nothing requests another'
  log.info(`${name} ${release}: ${why}`)
  for (const text of warnings) log.warning(text, 'Change one of the two.')
}

/** Debian's packages that are in the release: Erlang applications have packages of their own, or are in the base package. */
function ofRuntime({ target }: BuildContext, { packages }: Offer, { applications }: Release): Component[] {
  const names = new Set(applications.map(name => `erlang-${name.replaceAll('_', '-')}`))
  const used = packages.filter(({ name }) => name === 'elixir' || name === 'erlang-base' || names.has(name))
  return debianComponents(used, `${target.distro?.name ?? 'debian'}-${target.distro?.version ?? '13'}`)
}

function ofDependencies(dependencies: readonly Dependency[], release: Release): Component[] {
  const names = new Set(release.dependencies.map(path => path.replace(/^lib\/|-[^-]*$/g, '')))
  return dependencies.filter(({ name }) => names.has(name)).map(componentOf)
}
