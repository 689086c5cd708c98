import { readdir } from 'node:fs/promises'
import { DebianArchive } from '../debian/archive.ts'
import { debianOffers } from '../debian/offers.ts'
import {
  type App,
  type BuildContext,
  type BuildResult,
  BuildpackError,
  defineBuildpack,
  type DetectContext,
  detectLanguage,
  fail,
  firstSetting,
  pass,
  withTempDir,
} from '../sdk/index.ts'
import { parseManifest, readArchive } from './archive.ts'
import { type Artifact, findArtifact } from './artifact.ts'
import { buildWithGradle, requireWrapper } from './gradle.ts'
import { placeArtifact, startExploded } from './image-files.ts'
import { provideJdk, provideJre } from './jdk.ts'
import { buildWithMaven } from './maven.ts'
import { available, chooseVersion } from './version.ts'

/** Java applications, and those in other languages of the JVM that Maven or Gradle builds. */
export const java = defineBuildpack({
  detect,
  build,
  offers: context => debianOffers(context, { Java: available.map(major => `openjdk-${major}-jdk-headless`) }),
})

type Env = Readonly<Record<string, string>>

async function detect({ app, env }: DetectContext) {
  const found = await detectLanguage({ app, env }, 'java')
  if (found.role === 'none') return fail(found.reason)
  if ((await toolOf(app, env)) === undefined && (await archivesIn(app)).length === 0) {
    return fail('there is no pom.xml, no build.gradle, and no archive')
  }
  return pass(found.reason, found.plan)
}

/** The tool that builds the application; undefined for an application that is compiled already. */
async function toolOf(app: App, env: Env): Promise<'maven' | 'gradle' | undefined> {
  if (firstSetting(env, 'BP_MAVEN_POM_FILE')) return 'maven'
  const names = await readdir(app.path)
  // Polyglot Maven has its projects in pom.yaml, pom.groovy and others.
  if (names.some(name => /^pom\.(xml|ya?ml|groovy|kts|scala|clj|atom|rb|json|toml)$/.test(name))) return 'maven'
  return names.some(name => /^(build|settings)\.gradle(\.kts)?$/.test(name)) ? 'gradle' : undefined
}

async function archivesIn(app: App): Promise<string[]> {
  const names = await readdir(app.path)
  return names.filter(name => /\.[jw]ar$/.test(name) || name === 'META-INF')
}

async function build(context: BuildContext): Promise<BuildResult> {
  context.log.heading('Java')
  return withTempDir(temp => buildIn(context, temp))
}

async function buildIn(context: BuildContext, temp: string): Promise<BuildResult> {
  const { app, env, log } = context
  const { major, why, instead } = await chooseVersion(app, env)
  log.info(`Java ${major}: ${why}`)
  if (instead) {
    log.warning(
      `${instead.where} asks for Java ${instead.value}, which Debian 13 does not have: Java ${major} builds and runs the application`,
      `Write ${major} there if the application runs with it.`,
    )
  }
  const tool = await toolOf(app, env)
  if (tool === 'gradle') await requireWrapper(app)
  const ready = tool === undefined ? await findReady(app) : undefined
  const archive = await DebianArchive.open(context, temp)
  const jdk = await provideJdk(context, archive, major)
  if (tool === 'maven') await buildWithMaven(context, archive, { jdk, temp })
  if (tool === 'gradle') await buildWithGradle(context, { jdk, temp })
  const files =
    ready?.kind === 'exploded'
      ? await startExploded(context, ready.manifest)
      : await placeArtifact(context, ready ?? (await findArtifact(app, env)), temp, jdk)
  await provideJre(context, archive, { major, jdk, classes: files.classes })
  log.info(`Starts with: ${files.shown}`)
  return {
    launch: { processes: [{ type: 'web', ...files.process }], slices: files.slices },
    sbom: files.components,
  }
}

type Ready = Artifact | { readonly kind: 'exploded'; readonly manifest: Readonly<Record<string, string>> }

/**
 * An application that is compiled already: an archive, or one that is unpacked.
 * @throws BuildpackError if it cannot be started
 */
async function findReady(app: App): Promise<Ready> {
  const manifest = parseManifest((await app.read('META-INF/MANIFEST.MF')) ?? '')
  if (manifest['Main-Class'] !== undefined) return { kind: 'exploded', manifest }
  const names = (await archivesIn(app)).filter(name => name !== 'META-INF').toSorted()
  const archives = await Promise.all(names.map(name => readArchive(app.at(name))))
  const [first, ...rest] = archives.filter(archive => archive.manifest['Main-Class'] !== undefined)
  if (first !== undefined && rest.length === 0) return { kind: 'archive', archive: first }
  const what =
    first === undefined
      ? 'no archive says which class to start'
      : `several archives can be started: ${names.join(', ')}`
  throw new BuildpackError(what, {
    where: names[0] ?? 'META-INF/MANIFEST.MF',
    fix:
      first === undefined
        ? 'add Main-Class to its manifest'
        : 'leave one of them in the source, or exclude the others in project.toml',
  })
}
