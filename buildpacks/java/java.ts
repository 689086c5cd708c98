import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { DebianArchive } from '../debian/archive.ts'
import { debianOffers } from '../debian/offers.ts'
import { olderOffers } from '../debian/releases.ts'
import {
  type App,
  type BuildContext,
  type BuildResult,
  BuildpackError,
  defineBuildpack,
  type DetectContext,
  detectLanguage,
  fail,
  pass,
  withTempDir,
} from '../sdk/index.ts'
import { provideAgents } from './agents.ts'
import { type JavaArchive, parseManifest, readArchive } from './archive.ts'
import { type Artifact, findArtifact, findClassPath } from './artifact.ts'
import { withGuardedDownloads } from './build-files.ts'
import { type BuildTool, buildToolOf } from './build-tool.ts'
import { buildWithGradle } from './gradle.ts'
import { chooseGradle } from './gradle-distribution.ts'
import { buildWithToolsDeps } from './clojure.ts'
import { provideClassData } from './class-data.ts'
import { startsInPlace } from './declared-start.ts'
import { type BuildTools, placeArtifact, startDistribution, startExploded, startWebApplication } from './image-files.ts'
import { startInPlace } from './in-place.ts'
import { provideJre, provideLaunchProgram } from './jdk.ts'
import { launchScript } from './launch-script.ts'
import { buildWithLeiningen } from './leiningen.ts'
import { buildWithMaven, openMaven } from './maven.ts'
import { checkMavenVersion } from './maven-version.ts'
import { buildWithSbt } from './sbt.ts'
import { warnOfUnusedSettings } from './spring-boot.ts'
import type { ImageFiles } from './start.ts'
import { checkTomcatSettings } from './tomcat.ts'
import { chooseJava, installJava, vendorOffers } from './vendor-builds.ts'
import { chooseVersion, dumpsReproducibly, javaReleases, olderRelease } from './version.ts'

/** Applications in Java and other JVM languages, with the build tools of buildToolOf. */
export const java = defineBuildpack({
  detect,
  build,
  ownCommands: 'left',
  async offers(context) {
    const own = javaReleases.filter(({ older }) => older === undefined)
    const jdks = own.map(({ minor }) => `openjdk-${minor}-jdk-headless`)
    const found = await debianOffers(context, { Java: jdks, Maven: ['maven'] })
    const more: Readonly<Record<string, string | undefined>> = {
      Java: olderOffers('Java', javaReleases),
      Maven: "any release that the repositories of Maven's settings have, by BP_MAVEN_VERSION",
    }
    const withMore = found.map(offer => ({ ...offer, ...(more[offer.name] && { more: more[offer.name] }) }))
    return [...withMore, ...(await vendorOffers(context))]
  },
})

async function detect({ app, env }: DetectContext) {
  const roles = await Promise.all(['java', 'scala', 'clojure'].map(id => detectLanguage({ app, env }, id)))
  const found = roles.find(({ role }) => role !== 'none') ?? roles[0]
  if (found === undefined || found.role === 'none') return fail(found?.reason ?? '')
  const isBuilt = (await archivesIn(app)).length > 0 || (await unpackedDistribution(app)) !== undefined
  if ((await buildToolOf(app, env)) === undefined && !isBuilt) {
    return fail('there is no pom.xml, no build.gradle, no build.sbt, no project.clj, no deps.edn, and no archive')
  }
  return pass(found.reason, found.plan)
}

async function archivesIn(app: App): Promise<string[]> {
  const names = await readdir(app.path)
  return names.filter(name => /\.[jw]ar$/.test(name) || ['META-INF', 'WEB-INF'].includes(name))
}

/** An unpacked distribution of Gradle or sbt: `bin/shop` and `lib/*.jar`, or both in a directory. */
async function unpackedDistribution(app: App): Promise<string | undefined> {
  const tops = (await readdir(app.path, { withFileTypes: true })).filter(entry => entry.isDirectory())
  for (const dir of ['.', ...tops.map(({ name }) => name)]) {
    const names = await readdir(app.at(dir, 'lib')).catch(() => [])
    if (names.some(name => name.endsWith('.jar')) && (await app.hasDirectory(join(dir, 'bin')))) return dir
  }
  return undefined
}

async function build(context: BuildContext): Promise<BuildResult> {
  context.log.heading('Java')
  const guarded = await withGuardedDownloads(context)
  return withTempDir(temp => buildIn(guarded, temp))
}

async function buildIn(context: BuildContext, temp: string): Promise<BuildResult> {
  const { app, env, log } = context
  const start = new Date()
  const chosen = await chooseVersion(app, env)
  const tool = await buildToolOf(app, env)
  const gradle = tool === 'gradle' && !(await app.has('gradlew')) ? await chooseGradle(app, env) : undefined
  if (tool === 'maven') await checkMavenVersion(app, env)
  const ready = tool === undefined ? await findReady(app) : undefined
  checkTomcatSettings(env)
  const archive = await DebianArchive.open(context, temp, { older: olderRelease(chosen.major) })
  const { major, jdk, jre: source } = await installJava(context, await chooseJava(context, archive, chosen, temp))
  const tools = { archive, jdk, temp }
  const built = tool === 'maven' ? await buildWithMaven(context, tools) : undefined
  if (tool === 'gradle') await buildWithGradle(context, { jdk, temp, gradle })
  if (tool === 'leiningen') await buildWithLeiningen(context, tools)
  const image = { jdk, temp, start, openMaven: async () => built ?? openMaven(context, tools) }
  const classPath = tool === 'sbt' ? await buildWithSbt(context, image) : undefined
  const compiled = tool === 'tools.deps' ? await buildWithToolsDeps(context, image) : undefined
  const made = classPath === undefined ? compiled : await findClassPath(app, env, classPath)
  const files = await chooseFiles(context, made ?? ready, image, tool)
  warnOfUnusedSettings(context, files)
  if (files.training !== undefined && !dumpsReproducibly(major))
    log.warning(
      `Java ${major} writes different class data each time, so builds without the previous image differ in that layer`,
      'Use Java 21 or newer, or leave BP_JVM_CDS_ENABLED out.',
    )
  const jre = await provideJre(context, source, { major, jdk, isRun: files.training !== undefined })
  const switches = [...(files.switches ?? [])]
  if (jre !== undefined && files.training !== undefined)
    switches.push(await provideClassData(context, jre, files.training, switches))
  const agents = await provideAgents(context, image)
  const classes = files.classes + agents.classes
  await provideLaunchProgram(context, launchScript(classes, files.options, switches, agents.lines))
  log.info(`Starts with: ${files.shown}`)
  return {
    launch: { processes: files.processes, slices: files.slices },
    sbom: files.components,
  }
}

async function chooseFiles(
  context: BuildContext,
  ready: Ready | undefined,
  tools: BuildTools,
  tool: BuildTool | undefined,
): Promise<ImageFiles> {
  const { app, env } = context
  if (ready?.kind === 'exploded') return startExploded(context, ready.manifest)
  if (ready?.kind === 'unpacked distribution') return startDistribution(context)
  if (ready?.kind === 'web application') return startWebApplication(context, tools)
  const inPlace = ready === undefined ? await startsInPlace(app, env) : undefined
  if (inPlace !== undefined) return startInPlace(context, inPlace, tools, tool)
  return placeArtifact(context, ready ?? (await findArtifact(context, tool)), tools)
}

type Ready =
  | Artifact
  | { readonly kind: 'exploded'; readonly manifest: Readonly<Record<string, string>> }
  | { readonly kind: 'web application' }
  | { readonly kind: 'unpacked distribution' }

/**
 * An application that is already compiled: an archive, or an unpacked one.
 * @throws BuildpackError if it cannot be started
 */
async function findReady(app: App): Promise<Ready> {
  const manifest = parseManifest((await app.read('META-INF/MANIFEST.MF')) ?? '')
  if (manifest['Main-Class'] !== undefined) return { kind: 'exploded', manifest }
  if (await app.hasDirectory('WEB-INF')) return { kind: 'web application' }
  const names = (await archivesIn(app)).filter(name => /\.[jw]ar$/.test(name)).toSorted()
  const archives = await Promise.all(names.map(name => readArchive(app.at(name))))
  if (names.length === 0 && (await unpackedDistribution(app)) !== undefined) return { kind: 'unpacked distribution' }
  const [first, ...rest] = archives.filter(archive => archive.manifest['Main-Class'] !== undefined)
  if (first !== undefined && rest.length === 0) return { kind: 'archive', archive: first }
  const wars = archives.filter(({ path }) => path.endsWith('.war'))
  if (first === undefined && wars.length === 1) return { kind: 'war', archive: wars[0] as JavaArchive }
  const what =
    first === undefined ? 'no archive names a class to start' : `several archives can be started: ${names.join(', ')}`
  throw new BuildpackError(what, {
    where: names[0] ?? 'META-INF/MANIFEST.MF',
    fix:
      first === undefined
        ? 'add Main-Class to its manifest'
        : 'leave one of them in the source, or exclude the others in project.toml',
  })
}
