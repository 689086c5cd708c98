import { readdir } from 'node:fs/promises'
import { basename, dirname, join, matchesGlob, relative } from 'node:path'
import { type App, type BuildContext, BuildpackError, firstSetting } from '../sdk/index.ts'
import { type JavaArchive, readArchive } from './archive.ts'
import type { BuildTool } from './build-tool.ts'
import { type FunctionArtifact, functionIn } from './functions.ts'
import { mainClassesIn, missingClass } from './main-class.ts'
import { readPom } from './pom.ts'

/**
 * The result of a build: an archive that Java can start; an archive with a main class that its manifest does not name, and with
 * libraries elsewhere; a web application for a servlet container; or a distribution with scripts, as an archive or a directory.
 */
export type Artifact =
  | { readonly kind: 'archive'; readonly archive: JavaArchive }
  | Classes
  | { readonly kind: 'war'; readonly archive: JavaArchive }
  | FunctionArtifact
  | { readonly kind: 'class path'; readonly paths: readonly string[]; readonly main: string }
  | { readonly kind: 'distribution'; readonly path: string }

interface Classes {
  readonly kind: 'classes'
  readonly archive: JavaArchive
  readonly main: string
}

const artifactSettings = [
  'BP_MAVEN_BUILT_ARTIFACT',
  'BP_GRADLE_BUILT_ARTIFACT',
  'BP_SBT_BUILT_ARTIFACT',
  'BP_LEIN_BUILT_ARTIFACT',
  'BP_CLJ_TOOLS_BUILT_ARTIFACT',
] as const
const moduleSettings = [
  'BP_MAVEN_BUILT_MODULE',
  'BP_GRADLE_BUILT_MODULE',
  'BP_SBT_BUILT_MODULE',
  'BP_LEIN_BUILT_MODULE',
  'BP_CLJ_TOOLS_BUILT_MODULE',
  'GOOGLE_BUILDABLE',
] as const

const isArchive = (name: string): boolean => /\.[ejw]ar$/.test(name)
/** Archives of distributions, which builds write beside the application. */
const isDistribution = (path: string): boolean =>
  (path.endsWith('.zip') && /^(distributions|universal)$/.test(basename(dirname(path)))) || isStage(path)
/** The output of sbt-native-packager and sbt-pack: a distribution as a directory. */
const isStage = (path: string): boolean => /\/(universal\/stage|pack)$/.test(path)
const isHelper = (name: string): boolean => /^original-|-(sources|javadoc|tests|test-fixtures|plain)\.jar$/.test(name)

/**
 * The artifact that starts the application: the one that a setting names; else the only archive in the output directories that names
 * its main class; else the only distribution, the only war, or the only archive with a class that can start.
 * @throws BuildpackError if there is none, or more than one
 */
export async function findArtifact(
  context: Pick<BuildContext, 'app' | 'env' | 'log'>,
  tool: BuildTool | undefined,
): Promise<Artifact> {
  const { app, env } = context
  const setting = firstSetting(env, ...artifactSettings)
  const module = firstSetting(env, ...moduleSettings)
  const all = await builtFiles(app.path, module?.value.replace(/\/$/, '') ?? '')
  const named =
    setting && all.filter(path => setting.value.split(/\s+/).some(glob => matchesGlob(relative(app.path, path), glob)))
  // sbt also names the main class in archives without libraries.
  const staged = named === undefined ? all.filter(isStage) : []
  if (staged.length === 1) return { kind: 'distribution', path: staged[0] ?? '' }
  const candidates = named ?? all.filter(path => isArchive(path) && !isHelper(basename(path)))
  const archives = await Promise.all(candidates.filter(isArchive).map(readArchive))
  const executable = preferred(
    withoutParts(
      context,
      archives.filter(({ manifest }) => manifest['Main-Class'] !== undefined),
    ),
  )
  const served = functionIn(env, archives, { tool, executable: executable.length > 0 })
  if (served !== undefined) return served
  const [only] = executable
  if (only !== undefined && executable.length === 1)
    return (await withoutLibraries(context, only, tool)) ?? archiveOf(only)
  const shown = (paths: readonly string[]) => paths.map(path => relative(app.path, path)).join(', ')
  if (executable.length > 1) {
    throw new BuildpackError(`several archives can be started: ${shown(executable.map(({ path }) => path))}`, {
      where: setting?.name ?? 'the build',
      fix: 'set BP_MAVEN_BUILT_MODULE or BP_GRADLE_BUILT_MODULE to the module that starts, or BP_MAVEN_BUILT_ARTIFACT to the archive',
    })
  }
  const distributions = (named ?? all).filter(isDistribution)
  // Spring Boot's plugin builds a second distribution.
  const [distribution, ...rest] = distributions.filter(
    path => !basename(path).includes('-boot-') || distributions.length === 1,
  )
  if (distribution !== undefined && rest.length === 0) return { kind: 'distribution', path: distribution }
  if (archives.length === 0) {
    throw new BuildpackError('the build made no archive in target/ or build/libs/', {
      where: setting?.name ?? module?.name ?? 'the build',
      fix: 'set BP_MAVEN_BUILT_MODULE, BP_GRADLE_BUILT_MODULE or BP_MAVEN_BUILT_ARTIFACT to the archive that the build makes',
    })
  }
  const wars = archives.filter(({ path }) => path.endsWith('.war'))
  if (wars.length === 1) return { kind: 'war', archive: wars[0] as JavaArchive }
  if (wars.length > 1) {
    throw new BuildpackError(`several web applications can be started: ${shown(wars.map(({ path }) => path))}`, {
      where: setting?.name ?? 'the build',
      fix: 'set BP_MAVEN_BUILT_MODULE or BP_GRADLE_BUILT_MODULE to the module that starts',
    })
  }
  const found = await findClasses(app, env, archives)
  // If an archive does not name its libraries, only Maven knows them.
  if (tool === 'maven' && isOfMaven(found.archive)) return found
  throw new BuildpackError('does not name a class to start, or the libraries that it needs', {
    where: relative(app.path, found.archive.path),
    fix: fixes[tool ?? 'maven'],
  })
}

const archiveOf = (archive: JavaArchive): Artifact => ({ kind: 'archive', archive })

/** An executable archive of Maven that needs libraries and names none: `mvn exec:java` starts it, and `java -jar` does not. */
async function withoutLibraries(
  { app, log }: Pick<BuildContext, 'app' | 'log'>,
  archive: JavaArchive,
  tool: BuildTool | undefined,
): Promise<Classes | undefined> {
  const { 'Main-Class': main, 'Class-Path': libraries } = archive.manifest
  if (tool !== 'maven' || main === undefined || libraries !== undefined || !isOfMaven(archive)) return undefined
  const missing = await missingClass(archive, main)
  if (missing === undefined) return undefined
  const path = relative(app.path, archive.path)
  log.info(`${path} starts with the libraries that Maven says it needs: it uses ${missing}, which is not in it`)
  return { kind: 'classes', archive, main }
}

const isOfMaven = ({ path }: JavaArchive): boolean => basename(dirname(path)) === 'target'

const fixes: Readonly<Record<BuildTool, string>> = {
  maven: 'set Main-Class and Class-Path in its manifest, or have it made in target/',
  gradle: 'apply the plugin application in build.gradle and set application.mainClass: it makes a distribution',
  sbt: 'have sbt make one with its libraries: SBT_TASKS=stage with sbt-native-packager, or assembly with sbt-assembly',
  leiningen: 'set :main in project.clj, and have Leiningen make an archive with its libraries: lein uberjar',
  'tools.deps': 'have the function uber of build.clj make an archive with its libraries, and give it :main',
}

/** Settings of plugins that start or pack an application. They name the main class of a project with several. */
const mainProperty = /<(exec\.mainClass|main\.class|mainClass|start-class)>\s*([\w.$]+)\s*</

/**
 * The main class of an application, from the archives of its class path that this build made.
 * @throws BuildpackError if there is none, or more than one
 */
export async function findClassPath(
  app: App,
  env: Readonly<Record<string, string>>,
  paths: readonly string[],
): Promise<Artifact> {
  const own = await Promise.all(paths.filter(path => path.startsWith(`${app.path}/`)).map(readArchive))
  if (own.length === 0) {
    throw new BuildpackError('the build names no archives of the application', {
      where: 'the build',
      fix: 'add sbt-native-packager to project/plugins.sbt, and enablePlugins(JavaAppPackaging) to build.sbt',
    })
  }
  return { kind: 'class path', paths, main: (await findClasses(app, env, own)).main }
}

async function findClasses(
  app: App,
  env: Readonly<Record<string, string>>,
  archives: readonly JavaArchive[],
): Promise<Classes> {
  const named = mainProperty.exec((await readPom(app, env)).text)?.[2]
  const all: { archive: JavaArchive; main: string }[] = []
  for (const archive of archives) {
    for (const main of await mainClassesIn(archive.path)) all.push({ archive, main })
  }
  const found = named === undefined ? all : all.filter(({ main }) => main === named)
  const [only, ...rest] = found
  const [archive] = archives
  // The server of a framework may be a library's class: io.ktor.server.netty.EngineMain.
  if (named !== undefined && archive !== undefined && archives.length === 1)
    return { kind: 'classes', archive, main: named }
  if (only !== undefined && rest.length === 0) return { kind: 'classes', ...only }
  const paths = archives.map(({ path }) => relative(app.path, path)).join(', ')
  const fix =
    'set mainClass of the JAR plugin, or exec.mainClass in the properties of pom.xml, or name the command in a Procfile'
  if (all.length === 0) {
    throw new BuildpackError(`no class in ${paths} has a main method`, {
      where: 'the build',
      fix: 'set BP_MAVEN_BUILT_MODULE or BP_GRADLE_BUILT_MODULE to the module that starts, or add a class with a main method',
    })
  }
  throw new BuildpackError(
    `no archive has a Main-Class, and several classes can start: ${paths} has ${all.map(({ main }) => main).join(', ')}`,
    { where: `${relative(app.path, all[0]?.archive.path ?? '')} META-INF/MANIFEST.MF`, fix },
  )
}

/**
 * Without the archives of which another one in the same directory has all classes, and more, and starts the same class: Maven's assembly
 * and shade plugins and Gradle's Shadow write an archive with libraries beside the one without.
 */
function withoutParts(
  { app, log }: Pick<BuildContext, 'app' | 'log'>,
  archives: readonly JavaArchive[],
): readonly JavaArchive[] {
  const classesOf = ({ entries }: JavaArchive) => entries.filter(name => name.endsWith('.class'))
  const mainOf = ({ manifest }: JavaArchive) => manifest['Main-Class']
  return archives.filter(part => {
    const classes = classesOf(part)
    const found = archives.find(whole => {
      if (whole === part || classes.length === 0 || dirname(whole.path) !== dirname(part.path)) return false
      const all = new Set(classesOf(whole))
      return mainOf(whole) === mainOf(part) && all.size > classes.length && classes.every(name => all.has(name))
    })
    if (found === undefined) return true
    log.info(
      `${relative(app.path, part.path)} is left out: ${basename(found.path)} has all of its classes, and libraries`,
    )
    return false
  })
}

/** Quarkus creates a directory with its own starter beside the plain archive. */
function preferred(archives: readonly JavaArchive[]): readonly JavaArchive[] {
  const quarkus = archives.filter(({ path }) => basename(path) === 'quarkus-run.jar')
  if (quarkus.length > 0) return quarkus
  // Leiningen leaves the archive without libraries beside it.
  const standalone = archives.filter(({ path }) => path.endsWith('-standalone.jar'))
  if (standalone.length > 0) return standalone
  // A module that others depend on may be executable without being the application. Spring Boot's archive is the application.
  const boot = archives.filter(({ manifest }) => manifest['Spring-Boot-Version'] !== undefined)
  return boot.length === 1 ? boot : archives
}

/** The files in the directories where Maven and Gradle write archives, of the project and of its modules. */
async function builtFiles(root: string, module: string): Promise<string[]> {
  const found: string[] = []
  const visit = async (dir: string, depth: number): Promise<void> => {
    for (const entry of await list(dir)) {
      if (!entry.isDirectory() || entry.name.startsWith('.')) continue
      const path = join(dir, entry.name)
      if (entry.name === 'target') found.push(...(await builtInTarget(path)))
      else if (entry.name === 'build') {
        for (const name of ['libs', 'quarkus-app', 'distributions']) found.push(...(await filesOf(join(path, name))))
      } else if (depth > 0 && !['node_modules', 'src'].includes(entry.name)) await visit(path, depth - 1)
    }
  }
  await visit(join(root, module), 2)
  return found.toSorted()
}

/**
 * The output of Maven in `target`, and of sbt below it: version 1 in `scala-2.13` and `universal`, version 2 in
 * `out/jvm/scala-3.3.6/shop`.
 */
async function builtInTarget(target: string): Promise<string[]> {
  const below = async (dir: string, pattern: RegExp) =>
    (await list(dir))
      .filter(entry => entry.isDirectory() && pattern.test(entry.name))
      .map(({ name }) => join(dir, name))
  const versions = [...(await below(target, /^scala-/)), ...(await below(join(target, 'out/jvm'), /^scala-/))]
  const projects = (await Promise.all(versions.map(dir => below(dir, /./)))).flat()
  const found: string[] = []
  // Leiningen's template has a directory for each profile.
  const profiles = ['uberjar', 'default+uberjar'].map(name => join(target, name))
  for (const dir of [target, join(target, 'quarkus-app'), ...profiles, ...versions, ...projects]) {
    found.push(...(await filesOf(dir)), ...(await filesOf(join(dir, 'universal'))))
    for (const name of ['universal/stage', 'pack'])
      if ((await list(join(dir, name, 'bin'))).length > 0) found.push(join(dir, name))
  }
  return found
}

async function filesOf(dir: string): Promise<string[]> {
  const wanted = (await list(dir)).filter(entry => entry.isFile() && /\.([ejw]ar|zip)$/.test(entry.name))
  return wanted.map(({ name }) => join(dir, name))
}

const list = (dir: string) => readdir(dir, { withFileTypes: true }).catch(() => [])
