import { describe, expect, it } from 'vitest'
import { digestOfBuildFiles, withOwnDownloads } from '../../buildpacks/java/build-files.ts'
import { type BuildContext, keep, type LayerDefinition, type LayerKey, Log } from '../../buildpacks/sdk/index.ts'
import { appOf } from '../helpers/app.ts'
import type { Tree } from '../helpers/tree.ts'

const digest = async (tree: Tree, env: Record<string, string> = {}) => digestOfBuildFiles(await appOf(tree), env)

describe('downloads of a build whose plugins can write to them (X40)', () => {
  const tree = { 'pom.xml': '<project/>', 'src/main/java/A.java': 'class A {}', 'target/classes/pom.xml': '' }

  it.each<[string, Tree, Record<string, string>]>([
    ['pom.xml', { 'pom.xml': '<project>2</project>' }, {}],
    ['pom.xml of a module', { 'core/pom.xml': '' }, {}],
    ['pom.yaml', { 'pom.yaml': '' }, {}],
    ['extensions of Maven', { '.mvn/extensions.xml': '' }, {}],
    ['build.gradle.kts', { 'app/build.gradle.kts': '' }, {}],
    ['gradle.properties', { 'gradle.properties': 'version=2' }, {}],
    ['a version catalog', { 'gradle/libs.versions.toml': '' }, {}],
    ['code of buildSrc', { 'buildSrc/src/main/java/Plugin.java': '' }, {}],
    ['plugins of sbt', { 'project/plugins.sbt': '' }, {}],
    ['code of an sbt build', { 'project/Build.scala': '' }, {}],
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
    [{ 'README.md': '' }, {}],
    [{ 'target/classes/pom.xml': 'other' }, {}],
    [{ 'web/node_modules/x/build.gradle': '' }, {}],
    [{}, { BPL_DEBUG_ENABLED: 'true' }],
  ])('stay for %j and %j', async (change, env) => {
    expect(await digest({ ...tree, ...change }, env)).toBe(await digest(tree))
  })

  it('are kept only for the same plugins, layer by layer', async () => {
    let text = ''
    const existing: LayerKey = {}
    const verdicts = async (pom: string) => {
      const definitions: Record<string, LayerDefinition> = {}
      const context = await withOwnDownloads({
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
      return { state, keys: Object.values(definitions).map(({ key }) => Object.keys(key)) }
    }
    const keys = [['repository', 'build files'], ['Tomcat', 'build files'], ['Java']]
    expect(await verdicts('1')).toEqual({ state: 'created', keys })
    expect(await verdicts('1')).toMatchObject({ state: 'restored' })
    text = ''
    expect(await verdicts('2')).toMatchObject({ state: 'created' })
    expect(text).toContain('have changed')
  })
})
