import { describe, expect, it } from 'vitest'
import { digestOfBuildFiles, withGuardedDownloads } from '../../buildpacks/java/build-files.ts'
import { type BuildContext, keep, type LayerDefinition, type LayerKey, Log } from '../../buildpacks/sdk/index.ts'
import { appOf } from '../helpers/app.ts'
import type { Tree } from '../helpers/tree.ts'

const digest = async (tree: Tree, env: Record<string, string> = {}) => digestOfBuildFiles(await appOf(tree), env)

/** A pom of Maven. */
const own = (version: string, more = '') =>
  `<?xml version="1.0"?>\n<!-- <version> --><project a="b"><parent><version>3</version></parent><groupId>com.acme</groupId><artifactId>shop</artifactId><empty/><version>${version}</version>${more}</project>`

const moduleOf = (version: string, parent = 'shop') =>
  `<project><parent><groupId>com.acme</groupId><artifactId>${parent}</artifactId><version>${version}</version></parent><artifactId>core</artifactId></project>`

describe('downloads of a build whose plugins can write to them (X40)', () => {
  const tree = { 'pom.xml': '<project/>', 'src/main/java/A.java': 'class A {}', 'target/classes/pom.xml': '' }

  it.each<[string, Tree, Record<string, string>]>([
    ['pom.xml', { 'pom.xml': '<project>2</project>' }, {}],
    ['pom.xml of a module', { 'core/pom.xml': '' }, {}],
    ['pom.yaml', { 'pom.yaml': '' }, {}],
    ['extensions of Maven', { '.mvn/extensions.xml': '' }, {}],
    ['build.gradle.kts', { 'app/build.gradle.kts': '' }, {}],
    ['gradle.properties', { 'gradle.properties': 'kotlinVersion=2' }, {}],
    ['a version catalog', { 'gradle/libs.versions.toml': '' }, {}],
    ['code of buildSrc', { 'buildSrc/src/main/java/Plugin.java': '' }, {}],
    ['plugins of sbt', { 'project/plugins.sbt': '' }, {}],
    ['code of an sbt build', { 'project/build.properties': '', 'project/Build.scala': '' }, {}],
    ['code of a build below src', { 'src/backend/buildSrc/src/main/java/Plugin.java': '' }, {}],
    ['build.sbt', { 'build.sbt': '' }, {}],
    ['project.clj', { 'project.clj': '' }, {}],
    ['deps.edn', { 'deps.edn': '' }, {}],
    ['build.clj', { 'build.clj': '' }, {}],
    ['goals', {}, { MAVEN_CUSTOM_GOALS: 'evil:run' }],
    ['profiles', {}, { BP_MAVEN_ACTIVE_PROFILES: 'a' }],
    ['the file that is the pom', { 'other.xml': '' }, { BP_MAVEN_POM_FILE: 'other.xml' }],
  ])('are other ones after a change of %s', async (_, change, env) => {
    expect(await digest({ ...tree, ...change }, env)).not.toBe(await digest(tree))
  })

  it.each<[Tree, Record<string, string>]>([
    [{ 'src/main/java/A.java': 'class A { int b; }' }, {}],
    [{ 'src/main/java/org/gradle/A.java': '' }, {}],
    [{ 'core/src/test/kotlin/shop/buildSrc/A.kt': '' }, {}],
    [{ 'project/Shop.java': '' }, {}],
    [{ 'README.md': '' }, {}],
    [{ 'target/classes/pom.xml': 'other' }, {}],
    [{ 'web/node_modules/x/build.gradle': '' }, {}],
    [{}, { BPL_DEBUG_ENABLED: 'true' }],
    [{}, { BP_DEPENDENCY_MIRROR_SERVICES_GRADLE_ORG: 'https://mirror.example' }],
  ])('stay for %j and %j', async (change, env) => {
    expect(await digest({ ...tree, ...change }, env)).toBe(await digest(tree))
  })

  it.each<[string, (version: string) => [Tree, Record<string, string>]]>([
    [
      'pom.xml',
      version => [
        { 'pom.xml': own(version, '<plugin><configuration>${project.version}</configuration></plugin>') },
        {},
      ],
    ],
    [
      'modules of Maven',
      version => [
        { 'pom.xml': own(version), 'core/pom.xml': moduleOf(version), 'core/api/pom.xml': moduleOf(version, 'core') },
        {},
      ],
    ],
    ['another pom', version => [{ 'other.xml': own(version) }, { BP_MAVEN_POM_FILE: 'other.xml' }]],
    ['arguments of Maven', version => [{}, { BP_MAVEN_ADDITIONAL_BUILD_ARGUMENTS: `-B -Drevision=${version}` }]],
    ['arguments of Gradle', version => [{}, { BP_GRADLE_BUILD_ARGUMENTS: `-Pversion=v${version}-rc.1 assemble` }]],
    ['Gradle’s variable', version => [{}, { ORG_GRADLE_PROJECT_version: version }]],
    ['gradle.properties', version => [{ 'gradle.properties': `a=1\nversion = ${version}\n` }, {}]],
    ['build.gradle', version => [{ 'build.gradle': `plugins {}\nversion '${version}'\n` }, {}]],
    ['version.sbt', version => [{ 'version.sbt': `ThisBuild / version := "${version}"\n` }, {}]],
    ['project.clj', version => [{ 'project.clj': `(defproject shop "${version}"\n  :main shop.core)\n` }, {}]],
  ])('stay for another version of the application in %s', async (_, change) => {
    expect(await digest(...change('1.0.1'))).toBe(await digest(...change('1.0.2')))
  })

  it.each<[string, (version: string) => Tree]>([
    [
      'pom.xml',
      version => ({
        'pom.xml': `<project><parent><version>${version}</version></parent><version>1</version></project>`,
      }),
    ],
    ['pom.xml', version => ({ 'pom.xml': own('1', `<plugin><version>${version}</version></plugin>`) })],
    ['pom.xml that is damaged', version => ({ 'pom.xml': `<project><a></b><version>${version}</version></project>` })],
    [
      'a plugin with the same version',
      version => ({ 'pom.xml': own(version, '<plugin><version>${project.version}</version></plugin>') }),
    ],
    [
      'a property with the version',
      version => ({ 'pom.xml': own(version, '<properties><a>${project.version}</a></properties>') }),
    ],
    ['a parent elsewhere', version => ({ 'pom.xml': own('1'), 'core/pom.xml': moduleOf(version) })],
    ['build.gradle', version => ({ 'build.gradle': `node {\n  version = '${version}'\n}\n` })],
    ['project.clj', version => ({ 'project.clj': `(defproject shop "1" :plugins [[lein-ring "${version}"]])` })],
  ])('are other ones for another version of something else in %s', async (_, change) => {
    expect(await digest(change('1.0.1'))).not.toBe(await digest(change('1.0.2')))
  })

  it('are other ones for another version in arguments that a plugin has as well, or with a command after it', async () => {
    const pom = own('${revision}', '<plugin><version>${revision}</version></plugin>')
    const argument = (version: string) => digest({ 'pom.xml': pom }, { MAVEN_CUSTOM_OPTS: `-Drevision=${version}` })
    expect(await argument('1')).not.toBe(await argument('2'))
    const command = (more: string) => digest({}, { RAILPACK_BUILD_CMD: `mvn -Drevision=1${more}` })
    expect(await command('')).not.toBe(await command(';evil'))
  })

  it('are kept only for the same plugins, layer by layer', async () => {
    let text = ''
    const existing: LayerKey = {}
    const verdicts = async (pom: string) => {
      const definitions: Record<string, LayerDefinition> = {}
      const context = await withGuardedDownloads({
        app: await appOf({ 'pom.xml': pom }),
        env: {},
        log: new Log({ stdout: more => void (text += more), stderr: () => {} }),
        layer: (name: string, definition: LayerDefinition) => {
          definitions[name] = definition
          const verdict = definition.restore?.(existing) ?? keep
          Object.assign(existing, definition.key)
          const state = verdict.keep ? { state: 'restored' } : { state: 'created', reason: verdict.reason }
          return Promise.resolve({ name, path: '', notes: {}, ...state })
        },
      } as unknown as BuildContext)
      const create = async () => {}
      const cache = { types: { cache: true }, key: { repository: 'maven' }, restore: () => keep, create }
      const { state } = await context.layer('maven', cache)
      await context.layer('tomcat', { types: { launch: true }, key: { Tomcat: '10' }, create })
      await context.layer('jdk', { types: { build: true }, key: { Java: '21' }, create })
      await context.layer('a-new-tool', { types: { cache: true }, key: { Tool: '1' }, create })
      return { state, keys: Object.values(definitions).map(({ key }) => Object.keys(key)) }
    }
    const keys = [['repository', 'build files'], ['Tomcat', 'build files'], ['Java'], ['Tool', 'build files']]
    expect(await verdicts('1')).toEqual({ state: 'created', keys })
    expect(await verdicts('1')).toMatchObject({ state: 'restored' })
    text = ''
    expect(await verdicts('2')).toMatchObject({ state: 'created' })
    expect(text).toContain('have changed')
  })
})
