import { readdir } from 'node:fs/promises'
import { type App, firstSetting } from '../sdk/index.ts'

export type BuildTool = 'maven' | 'gradle' | 'sbt' | 'leiningen' | 'tools.deps'

/** The tool that builds the application; undefined for an application that is already compiled. */
export async function buildToolOf(app: App, env: Readonly<Record<string, string>>): Promise<BuildTool | undefined> {
  if (firstSetting(env, 'BP_MAVEN_POM_FILE')) return 'maven'
  const names = await readdir(app.path)
  // Polyglot Maven has its projects in pom.yaml, pom.groovy and other files.
  if (names.some(name => /^pom\.(xml|ya?ml|groovy|kts|scala|clj|atom|rb|json|toml)$/.test(name))) return 'maven'
  if (names.some(name => /^(build|settings)\.gradle(\.kts)?$/.test(name))) return 'gradle'
  if (names.includes('build.sbt')) return 'sbt'
  if (names.includes('project.clj')) return 'leiningen'
  return names.includes('deps.edn') ? 'tools.deps' : undefined
}
