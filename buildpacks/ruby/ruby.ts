import type { DebianArchive } from '../debian/archive.ts'
import { noNativePackages, provideNativePackages } from '../debian/native-libraries.ts'
import { debianOffers } from '../debian/offers.ts'
import { olderOffers, openRelease, warnOfOlder } from '../debian/releases.ts'
import { provideLibraries } from '../debian/shared-libraries.ts'
import {
  type BuildContext,
  type BuildResult,
  declaredStart,
  defineBuildpack,
  type DetectContext,
  detectLanguage,
  fail,
  findRubySite,
  pass,
  shellProcess,
  withTempDir,
} from '../sdk/index.ts'
import { type Bundle, readBundle, type Tools } from './bundle.ts'
import type { Facts } from './facts.ts'
import { provideGems } from './gems.ts'
import { useAskedBundler } from './bundler-version.ts'
import { provideAllocator } from './jemalloc.ts'
import { findGemfile, type Gemfile, type Lock, readLock } from './lock-file.ts'
import { buildPackages, mayCompile, runPackages } from './native.ts'
import { compileAssets, mayHaveAssets, openDirectories, provideRailsVariables, removeTools } from './rails.ts'
import { buildSite } from './site.ts'
import { type Offer, offeredRuby, provideHeaders, provideRuby, type Ruby, rubyReleases } from './runtime.ts'
import { readSettings } from './settings.ts'
import { readCredentials } from './credentials.ts'
import { findStart, isRails, mayServe, noStart, otherProcesses, programs } from './start.ts'
import { isMet, type Wanted } from '../debian/offered-version.ts'
import { findPrecompiled, precompiledOffers } from './precompiled.ts'
import { checkVersion, wantedRuby } from './version.ts'

/** Ruby applications, with Bundler. */
export const ruby = defineBuildpack({
  ownCommands: 'after',
  detect,
  build,
  async offers(context) {
    const versions = rubyReleases(context)
    const offers = await debianOffers(context, { Ruby: [`ruby${versions[0].minor}`] })
    const more = olderOffers('Ruby', versions)
    return [...offers.map(offer => ({ ...offer, ...(more && { more }) })), ...(await precompiledOffers(context))]
  },
})

async function detect({ app, env }: DetectContext) {
  const found = await detectLanguage({ app, env }, 'ruby')
  if (found.role === 'none') return fail(found.reason)
  const starts = (await app.firstOf(['config.ru', ...programs])) !== undefined
  if (!starts && (await findGemfile(app, env)) === undefined && (await declaredStart(app, env)) === undefined) {
    return fail(`no Gemfile, no config.ru, and none of ${programs.join(', ')}`)
  }
  return pass(found.reason, found.plan)
}

async function build(context: BuildContext): Promise<BuildResult> {
  const { app, env, log } = context
  log.heading('Ruby')
  const gemfile = await findGemfile(app, env)
  const lock = gemfile && (await readLock(app, gemfile))
  // Nothing is downloaded before the requested version is valid.
  const wanted = await wantedRuby(context, gemfile?.file, lock)
  // If Ruby generates the pages of a site, the image contains nothing of Ruby.
  const launch = context.plan.length === 0 || context.plan.some(({ metadata }) => metadata['launch'] !== false)
  const gems = await withTempDir(temp => install(context, { gemfile, lock, wanted, temp, launch }))
  if (!launch) return {}
  const facts: Facts = { app, gems, hasGemfile: gemfile !== undefined, env }
  const processes = await otherProcesses(facts)
  if ((await declaredStart(app, env)) !== undefined) return { launch: { processes } }
  // A Procfile without a web process has other processes, such as release or worker, beside a server; or a program that serves nothing.
  const hasProcfile = await app.has('Procfile')
  if (hasProcfile && !(await mayServe(facts))) return { launch: { processes } }
  const start = await findStart(facts)
  if (start === undefined) throw noStart()
  log.info(`Starts with: ${start.command} (${start.why})`)
  return { launch: { processes: [shellProcess('web', start.command, { default: true }), ...processes] } }
}

interface Input {
  readonly gemfile: Gemfile | undefined
  readonly lock: Lock | undefined
  readonly wanted: Wanted
  readonly temp: string
  readonly launch: boolean
}

/** @returns the names of the gems */
async function install(context: BuildContext, input: Input): Promise<ReadonlySet<string>> {
  const { gemfile, lock, wanted, temp, launch } = input
  const { log, app, env } = context
  const versions = rubyReleases(context)
  const { archive, offer, releases } = await openRelease(context, temp, wanted, versions, offeredRuby)
  const other = isMet(wanted, offer.release) ? undefined : await findPrecompiled(context, wanted, temp, releases)
  const warnings = checkVersion(wanted, other === undefined ? releases : [...releases, other.release])
  const [first] = wanted.musts
  const why = first ? `${first.where} asks for ${first.value}` : 'the version of the stack, as nothing requests another'
  log.info(`Ruby ${other?.release ?? offer.release}: ${why}`)
  if (other === undefined) warnOfOlder(log, 'Ruby', offer, versions[0])
  for (const text of warnings) log.warning(text, 'Change one of the two.')
  const runtime = await (other?.provide(launch) ?? provideRuby(context, archive, offer, launch))
  if (launch) await provideAllocator(context, archive)
  if (gemfile === undefined) return new Set()
  const credentials = await readCredentials(context)
  for (const name of Object.keys(credentials)) log.info(`Bundler uses the credential of ${name} of a binding`)
  const tools: Tools = { ruby: runtime, gemfile, settings: await readSettings(app, env), credentials, temp }
  const selected = await readBundle(context, tools, await useAskedBundler(context, runtime.bundler, gemfile, lock))
  await installGems(context, archive, {
    tools,
    selected,
    // A precompiled Ruby has its headers.
    headers: other === undefined ? offer : undefined,
    ruby: runtime,
    launch,
  })
  return new Set(selected.gems.map(({ name }) => name))
}

interface Installation {
  readonly tools: Tools
  readonly selected: Bundle
  /** Debian's Ruby, whose headers are packages of their own. */
  readonly headers: Offer | undefined
  readonly ruby: Ruby
  readonly launch: boolean
}

async function installGems(
  context: BuildContext,
  archive: DebianArchive,
  { tools, selected, headers: offer, ruby, launch }: Installation,
): Promise<void> {
  const { app, env } = context
  const { gems } = selected
  const compiles = mayCompile(gems)
  const native = compiles ? await provideNativePackages(context, archive, buildPackages(gems)) : noNativePackages
  const headers = compiles && offer !== undefined ? await provideHeaders(context, archive, offer, ruby) : {}
  const facts: Facts = { app, gems: new Set(gems.map(({ name }) => name)), hasGemfile: true, env }
  const rails = await isRails(facts)
  const site = launch ? undefined : await findRubySite(app)
  const hasAssets = await mayHaveAssets(facts)
  const restored = site !== undefined || hasAssets || (await context.ownCommand('build')) !== undefined
  const withCompilers = { ...tools, ruby: { ...ruby, env: joined(ruby.env, native.env, headers) } }
  const { layer, linked } = await provideGems(context, withCompilers, selected, { native, restored, launch })
  const names = [...new Set([...linked, ...runPackages(gems)])].toSorted()
  const libraries = names.length > 0 ? [await provideLibraries(context, archive, names, { restored, launch })] : []
  if (site !== undefined) {
    await buildSite(context, tools, site, { gems: layer.path, libraries })
    return removeTools(context)
  }
  if (rails) {
    await provideRailsVariables(context)
    await openDirectories(app)
  }
  if (hasAssets) await compileAssets(context, tools, selected, { gems: layer.path, libraries, rails })
  await removeTools(context)
}

/** Combines lists of directories from several sources, in their order. */
function joined(...all: readonly Readonly<Record<string, string>>[]): Record<string, string> {
  const names = new Set(all.flatMap(Object.keys))
  return Object.fromEntries(Array.from(names, name => [name, all.flatMap(each => each[name] || []).join(':')]))
}
