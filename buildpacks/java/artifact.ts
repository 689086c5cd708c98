import { readdir } from 'node:fs/promises'
import { basename, dirname, join, matchesGlob, relative } from 'node:path'
import { type App, BuildpackError, firstSetting } from '../sdk/index.ts'
import { type JavaArchive, readArchive } from './archive.ts'

/** What a build made: an archive that Java can start, or an archive of a distribution with scripts. */
export type Artifact =
  { readonly kind: 'archive'; readonly archive: JavaArchive } | { readonly kind: 'distribution'; readonly path: string }

const isArchive = (name: string): boolean => /\.[ejw]ar$/.test(name)
/** What builds leave beside the application. */
const isHelper = (name: string): boolean => /^original-|-(sources|javadoc|tests|test-fixtures|plain)\.jar$/.test(name)

/**
 * The artifact that starts the application: the one that a setting names; else the only one in the directories of built archives that
 * says which class to start; else the only distribution.
 * @throws BuildpackError if there is none, or more than one
 */
export async function findArtifact(app: App, env: Readonly<Record<string, string>>): Promise<Artifact> {
  const setting = firstSetting(env, 'BP_MAVEN_BUILT_ARTIFACT', 'BP_GRADLE_BUILT_ARTIFACT')
  const module = firstSetting(env, 'BP_MAVEN_BUILT_MODULE', 'BP_GRADLE_BUILT_MODULE', 'GOOGLE_BUILDABLE')
  const all = await builtFiles(app.path, module?.value.replace(/\/$/, '') ?? '')
  const named =
    setting && all.filter(path => setting.value.split(/\s+/).some(glob => matchesGlob(relative(app.path, path), glob)))
  const candidates = named ?? all.filter(path => isArchive(path) && !isHelper(basename(path)))
  const archives = await Promise.all(candidates.filter(isArchive).map(readArchive))
  const executable = preferred(archives.filter(({ manifest }) => manifest['Main-Class'] !== undefined))
  if (executable.length === 1) return { kind: 'archive', archive: executable[0] as JavaArchive }
  const shown = (paths: readonly string[]) => paths.map(path => relative(app.path, path)).join(', ')
  if (executable.length > 1) {
    throw new BuildpackError(`several archives can be started: ${shown(executable.map(({ path }) => path))}`, {
      where: setting?.name ?? 'the build',
      fix: 'set BP_MAVEN_BUILT_MODULE or BP_GRADLE_BUILT_MODULE to the module that starts, or BP_MAVEN_BUILT_ARTIFACT to the archive',
    })
  }
  const distributions = (named ?? all).filter(path => path.endsWith('.zip') && dirname(path).endsWith('distributions'))
  // The plugin of Spring Boot makes a second one.
  const [distribution, ...rest] = distributions.filter(
    path => !basename(path).includes('-boot-') || distributions.length === 1,
  )
  if (distribution !== undefined && rest.length === 0) return { kind: 'distribution', path: distribution }
  const [first] = archives
  if (first === undefined) {
    throw new BuildpackError('the build made no archive in target/ or build/libs/', {
      where: setting?.name ?? module?.name ?? 'the build',
      fix: 'set BP_MAVEN_BUILT_MODULE, BP_GRADLE_BUILT_MODULE or BP_MAVEN_BUILT_ARTIFACT to what the build makes',
    })
  }
  throw new BuildpackError(
    `none of the archives says which class to start: ${shown(archives.map(({ path }) => path))}`,
    {
      where: `${relative(app.path, first.path)} META-INF/MANIFEST.MF`,
      fix: first.path.endsWith('.war')
        ? 'make an executable archive, for example with Spring Boot: Bale has no servlet container yet'
        : 'make an executable archive: the plugins of Spring Boot and Quarkus, the Shade plugin, or mainClass of the JAR plugin and a copy of the libraries',
    },
  )
}

/** Quarkus makes a directory with its own starter beside the plain archive. */
function preferred(archives: readonly JavaArchive[]): readonly JavaArchive[] {
  const quarkus = archives.filter(({ path }) => basename(path) === 'quarkus-run.jar')
  if (quarkus.length > 0) return quarkus
  // A module that others depend on may be executable without being the application: Spring Boot's own archive is one.
  const boot = archives.filter(({ manifest }) => manifest['Spring-Boot-Version'] !== undefined)
  return boot.length === 1 ? boot : archives
}

/** The files in the directories where Maven and Gradle put archives, of the project and of its modules. */
async function builtFiles(root: string, module: string): Promise<string[]> {
  const found: string[] = []
  const visit = async (dir: string, depth: number): Promise<void> => {
    for (const entry of await list(dir)) {
      if (!entry.isDirectory() || entry.name.startsWith('.')) continue
      const path = join(dir, entry.name)
      if (entry.name === 'target') found.push(...(await filesOf(path)), ...(await filesOf(join(path, 'quarkus-app'))))
      else if (entry.name === 'build') {
        for (const name of ['libs', 'quarkus-app', 'distributions']) found.push(...(await filesOf(join(path, name))))
      } else if (depth > 0 && !['node_modules', 'src'].includes(entry.name)) await visit(path, depth - 1)
    }
  }
  await visit(join(root, module), 2)
  return found.toSorted()
}

async function filesOf(dir: string): Promise<string[]> {
  const wanted = (await list(dir)).filter(entry => entry.isFile() && /\.([ejw]ar|zip)$/.test(entry.name))
  return wanted.map(({ name }) => join(dir, name))
}

const list = (dir: string) => readdir(dir, { withFileTypes: true }).catch(() => [])
