import { readdir, readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { type App, type BuildContext, digestOf, digestOfFile, drop, keep, type LayerDefinition } from '../sdk/index.ts'
import { pluginsUseVersion, projectOf, removerOfVersion, withoutVersionArguments } from './own-version.ts'

/** Files that say which plugins and dependencies a build loads, of all build tools, in any module. */
const names =
  /^(?:pom\.[^.]+|.+\.gradle(?:\.kts)?|gradle\.(?:properties|lockfile)|.+\.versions\.toml|.+\.sbt|project\.clj|profiles\.clj|deps\.edn|build\.clj|mvnw|gradlew|\.jvmopts|\.sbtopts)$/
/** Directories of the build's own settings and code: wrappers, Maven's extensions, Gradle's buildSrc. */
const directories = new Set(['.mvn', 'gradle', 'buildSrc'])
/** Where sources begin: a package in them may have the name of such a directory. */
const sources = /(?:^|\/)src\/[^/]+\/(?:java|kotlin|scala|groovy|clojure|resources)\//
/** Results of earlier builds, and what is no part of this one. */
const passedOver = new Set(['.git', 'node_modules', 'target'])
/** Variables that select what the tools run. A mirror has the same files under another address. */
const settings =
  /^(?!BP_DEPENDENCY_MIRROR).*(?:MAVEN|GRADLE|SBT|LEIN|CLJ)|^GOOGLE_BUILD|^RAILPACK_(?:BUILD|INSTALL)_CMD$|^JAVA_TOOL_OPTIONS$/

/**
 * Layers whose files come from Debian, from mise or from Gradle's own distribution, or are made of those. Plugins can write to all others,
 * such as Maven's repository, or the files of those come out of it.
 */
const ofOtherSources = /^(?:apt|jdk|jre|jvm-options|class-data|maven-program|leiningen|gradle-distribution|mise)(?:-|$)/

const key = 'build files'
const changed = 'the commands of the build have changed'

/**
 * A context for which downloads of earlier builds exist only while the files and settings that choose plugins are unchanged. Plugins of
 * Maven, Gradle, sbt, Leiningen and tools.build run beside the downloads, and can replace them together with their checksums. A file that
 * a plugin replaced must not outlast that plugin (X40).
 */
export async function withGuardedDownloads(context: BuildContext): Promise<BuildContext> {
  const digest = await digestOfBuildFiles(context.app, context.env)
  return {
    ...context,
    layer: async (name, definition) => {
      if (ofOtherSources.test(name)) return context.layer(name, definition)
      const made = await context.layer(name, guarded(definition, digest))
      if (made.state === 'created' && made.reason === changed)
        context.log.info(
          'Downloading dependencies of the build again: the files or settings that select its plugins have changed',
        )
      return made
    },
  }
}

function guarded(definition: LayerDefinition, digest: string): LayerDefinition {
  const own = { ...definition, key: { ...definition.key, [key]: digest } }
  // Without a verdict of its own, all parts of the key count.
  if (definition.restore === undefined) return own
  return {
    ...own,
    restore: existing => (existing[key] === digest ? (definition.restore?.(existing) ?? keep) : drop(changed)),
  }
}

/** A digest of the files and variables that choose which programs of others a build runs. The application's own version chooses none. */
export async function digestOfBuildFiles(app: App, env: BuildContext['env']): Promise<string> {
  const pom = env['BP_MAVEN_POM_FILE']
  const all = await filesBelow(app, '')
  // sbt's directory of plugins is only at the top, and only sbt's beside these.
  const isSbt = all.includes('build.sbt') || all.includes('project/build.properties')
  const files = all.filter(path => isBuildFile(path) || path === pom || (isSbt && path.startsWith('project/')))
  const modules = new Set<string>()
  let isFree = true
  for (const path of files.filter(path => path === pom || basename(path) === 'pom.xml')) {
    const text = await readFile(app.at(path), 'latin1')
    if (pluginsUseVersion(text)) isFree = false
    const project = projectOf(text)
    if (project !== undefined) modules.add(project)
  }
  const digests = await Promise.all(
    files.toSorted().map(async path => [path, await digestOfBuildFile(app, path, modules)]),
  )
  const variables = Object.entries(env).filter(([name]) => settings.test(name) && name !== 'ORG_GRADLE_PROJECT_version')
  const values = variables.map(([name, value]) => [name, isFree ? withoutVersionArguments(value) : value] as const)
  return digestOf(JSON.stringify([digests, values.toSorted(([a], [b]) => (a < b ? -1 : 1))]))
}

async function digestOfBuildFile(app: App, path: string, modules: ReadonlySet<string>): Promise<string> {
  const remove = removerOfVersion(path, modules)
  return remove === undefined ? digestOfFile(app.at(path)) : digestOf(remove(await readFile(app.at(path), 'latin1')))
}

function isBuildFile(path: string): boolean {
  const parts = path.split('/')
  const start = sources.exec(path)?.index ?? path.length
  const outside = path.slice(0, start).split('/')
  return names.test(parts.at(-1) ?? '') || outside.some(part => directories.has(part))
}

/** All files, and what links lead to. */
async function filesBelow(app: App, dir: string): Promise<string[]> {
  const found: string[] = []
  for (const entry of await readdir(app.at(dir), { withFileTypes: true })) {
    const path = join(dir, entry.name)
    if (entry.isDirectory()) {
      if (!passedOver.has(entry.name)) found.push(...(await filesBelow(app, path)))
    } else if (entry.isFile() || (await app.has(path).catch(() => false))) found.push(path)
  }
  return found
}
