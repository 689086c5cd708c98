import { join } from 'node:path'
import type { DebianArchive } from '../debian/archive.ts'
import { debianOffers } from '../debian/offers.ts'
import { olderOffers, openRelease, warnOfOlder } from '../debian/releases.ts'
import {
  type BuildContext,
  type BuildResult,
  BuildpackError,
  defineBuildpack,
  type DetectContext,
  detectLanguage,
  fail,
  firstSetting,
  type LaunchProcess,
  pass,
  shellProcess,
  withTempDir,
} from '../sdk/index.ts'
import { provideComposer } from './composer.ts'
import { type ExtensionRequest, packagesOfExtensions, requiredExtensions } from './extensions.ts'
import { findFramework, type Framework, provideVariables } from './frameworks.ts'
import { provideHerokuPrograms, wantsServer } from './heroku.ts'
import { namedExtensions, readOwnSettings } from './ini.ts'
import { componentsOf, installOptions, installPackages, makeLock } from './install.ts'
import { checkOtherServers } from './other-servers.ts'
import { type Lock, type Manifest, readLock, readManifest } from './project.ts'
import {
  type Offer,
  offeredPhp,
  type Php,
  phpReleases,
  provideExtensions,
  provideOwnSettings,
  providePhp,
} from './runtime.ts'
import { usedExtensions } from './scan.ts'
import { chosenServer, provideServer } from './server.ts'
import { findSessions } from './sessions.ts'
import { checkVersion, wantedPhp } from './version.ts'
import { findWeb, type Web } from './web.ts'
import { openDirectories, placeWritten } from './written.ts'

/** PHP applications, with Composer, PHP-FPM and nginx. */
export const php = defineBuildpack({
  ownCommands: 'after',
  detect,
  build,
  async offers(context) {
    const versions = phpReleases(context)
    const offers = await debianOffers(context, { PHP: [`php${versions[0].minor}-cli`] })
    return offers.map(offer => ({ ...offer, more: olderOffers('PHP', versions) }))
  },
})

async function detect(context: DetectContext) {
  const found = await detectLanguage(context, 'php')
  return found.role === 'none' ? fail(found.reason) : pass(found.reason, found.plan)
}

async function build(context: BuildContext): Promise<BuildResult> {
  const { app, env, log } = context
  log.heading('PHP')
  const manifest = await readManifest(app, env)
  const lock = manifest && (await readLock(app, manifest))
  // Nothing is downloaded before all requests are valid.
  const wanted = await wantedPhp(context, manifest, lock)
  const options = installOptions(env)
  const server = await chosenServer(context)
  await checkOtherServers(context, manifest)
  const serves = await wantsServer(app, env)
  const sessions = serves ? await findSessions(context) : undefined
  const web = serves ? await findWeb(app, env) : undefined
  if (serves && web === undefined && !(await app.has('Procfile'))) throw noStart()
  return withTempDir(async temp => {
    const versions = phpReleases(context)
    const { archive, offer, releases } = await openRelease(context, temp, wanted, versions, offeredPhp)
    const warnings = checkVersion(wanted, releases)
    const [first] = wanted.musts
    log.info(
      `PHP ${offer.release}: ${first ? `${first.where} asks for ${first.value}` : 'the version of the stack, as nothing requests another'}`,
    )
    warnOfOlder(log, 'PHP', offer, versions[0])
    for (const text of warnings) log.warning(text, 'Change it if the application works with that version.')
    // An unavailable extension is an error before PHP is downloaded.
    const findExtensions = async (of: Lock | undefined) => [
      ...(sessions ? [sessions.extension] : []),
      ...(await extensionsOf(context, manifest, of, options.ignores)),
    ]
    const early = await findExtensions(lock)
    packagesOfExtensions(early, offer.minor)
    const base = await providePhp(context, archive, offer)
    const input = { php: base, offer, temp, manifest, lock, web, early, findExtensions }
    const project = await preparePackages(context, archive, input)
    // Composer's scripts also write to these directories.
    if (project.framework) await openDirectories(app, project.framework)
    if (project.composer && manifest) {
      await installPackages(context, project.composer, manifest, options, project.framework?.build ?? {})
    }
    if (project.framework) await finishFramework(context, project.framework, project.php)
    if (web !== undefined) {
      await provideServer(context, archive, server, {
        php: project.php,
        web,
        framework: project.framework,
        sessions,
        memoryLimit: project.memoryLimit,
        vendorDir: manifest?.vendorDir,
      })
      await provideHerokuPrograms(context)
    }
    return {
      launch: { processes: await processesOf(context, web, project.framework), slices: slicesOf(manifest) },
      sbom: componentsOf(project.lock),
    }
  })
}

interface Input {
  readonly php: Php
  readonly offer: Offer
  readonly temp: string
  readonly manifest: Manifest | undefined
  readonly lock: Lock | undefined
  readonly web: Web | undefined
  /** The requests that are known before a missing lock file is created. */
  readonly early: readonly ExtensionRequest[]
  readonly findExtensions: (lock: Lock | undefined) => Promise<readonly ExtensionRequest[]>
}

/** Chooses packages if there is no lock file, and installs the extensions that they need. */
async function preparePackages(context: BuildContext, archive: DebianArchive, input: Input) {
  const { manifest, offer, temp } = input
  const { minor } = offer
  const composing = manifest && (await provideComposer(context, archive, { php: input.php, minor, temp }))
  const lock = input.lock ?? (composing && manifest && (await makeLock(context, composing, manifest)))
  const own = await readOwnSettings(context.app)
  const requests = lock === input.lock ? input.early : await input.findExtensions(lock)
  const names = packagesOfExtensions(requests, minor)
  const extended = await provideExtensions(context, archive, { php: input.php, minor }, names)
  const php = await provideOwnSettings(context, extended, own)
  const composer = composing && { ...composing, php: mergedFor(composing.php, php) }
  const found = await findFramework(context.app, manifest, lock)
  const framework = found && (await placeWritten(context.app, found, input.web?.dir))
  return { php, lock, composer, framework, memoryLimit: own.memoryLimit }
}

/** Composer's own PHP with the application's extensions: Composer checks that they exist, and runs the application's scripts. */
function mergedFor(own: Php, php: Php): Php {
  // Loading an extension twice causes a warning.
  const isThere = own.packages.every(name => !/^php[\d.]+-/.test(name) || php.packages.includes(name))
  const more = isThere ? [] : own.settings.filter(dir => !php.settings.includes(dir))
  const settings = [...php.settings, ...more]
  const libraries = [...php.libraries, ...own.libraries.filter(dir => !php.libraries.includes(dir))]
  return {
    ...php,
    settings,
    env: { ...php.env, PHP_INI_SCAN_DIR: settings.join(':'), LD_LIBRARY_PATH: libraries.join(':') },
  }
}

/** All requested extensions, and the usual ones of a framework. */
async function extensionsOf(
  { app, env, log }: BuildContext,
  manifest: Manifest | undefined,
  lock: Lock | undefined,
  ignores: (name: string) => boolean,
): Promise<ExtensionRequest[]> {
  const framework = await findFramework(app, manifest, lock)
  return [
    ...namedExtensions(firstSetting(env, 'BP_PHP_EXTENSIONS', 'RAILPACK_PHP_EXTENSIONS')),
    ...requiredExtensions(manifest, lock, ignores),
    ...(await readOwnSettings(app)).extensions.filter(({ name }) => !ignores(`ext-${name}`)),
    ...(framework?.extensions ?? []).map(name => ({ name, where: framework?.name ?? '' })),
    ...(manifest === undefined && framework === undefined ? await usedExtensions(app, log) : []),
  ]
}

async function finishFramework(context: BuildContext, framework: Framework, php: Php): Promise<void> {
  await provideVariables(context, framework)
  await framework.finish?.(context, php)
  // The build's user owns these files; the application runs as another user.
  await openDirectories(context.app, framework)
}

async function processesOf(
  { app, env }: BuildContext,
  web: Web | undefined,
  framework: Framework | undefined,
): Promise<LaunchProcess[]> {
  const others = [...(framework?.processes ?? [])]
  if (!others.some(({ type }) => type === 'console')) others.push(shellProcess('console', 'exec php "${@:--a}"'))
  if (web === undefined || !(await wantsServer(app, env))) return others
  return [{ type: 'web', command: ['serve-php'], default: true }, ...others]
}

/** Packages are a slice of the image of their own, which stays the same while the application's code changes. */
function slicesOf(manifest: Manifest | undefined) {
  return manifest === undefined ? [] : [{ paths: [join(manifest.vendorDir)] }]
}

function noStart(): BuildpackError {
  return new BuildpackError(
    'no start command found: there is no index.php in public, web, htdocs or at the top of the source, and no other PHP file at its top',
    {
      fix: [
        'Give the start command in one of three ways:',
        '- BP_PHP_WEB_DIR, the directory that is served',
        '- a Procfile with a line "web: COMMAND", such as "web: php bin/server.php"',
        '- GOOGLE_ENTRYPOINT, a command',
      ].join('\n'),
    },
  )
}
