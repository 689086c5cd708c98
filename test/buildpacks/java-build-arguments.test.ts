import { describe, expect, it } from 'vitest'
import { buildWithGradle } from '../../buildpacks/java/gradle.ts'
import { buildWithLeiningen } from '../../buildpacks/java/leiningen.ts'
import { buildWithMaven } from '../../buildpacks/java/maven.ts'
import { buildWithSbt } from '../../buildpacks/java/sbt.ts'
import type { DebianArchive } from '../../buildpacks/debian/archive.ts'
import { type BuildContext, Log } from '../../buildpacks/sdk/index.ts'
import { appOf } from '../helpers/app.ts'
import { failureOf } from '../helpers/failure.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import type { Tree } from '../helpers/tree.ts'

type Env = Record<string, string>

const jdk = { home: '/jdk', version: '21', env: {} }

/** What a build runs, from the first word that the application or its user chooses. */
async function wordsOf(tool: 'maven' | 'gradle' | 'sbt' | 'leiningen', tree: Tree, env: Env): Promise<string[]> {
  const temp = await temporaryDirectory()
  const commands: string[][] = []
  const context = {
    app: await appOf(tree),
    env,
    platformDir: temp,
    log: new Log({ stdout: () => {}, stderr: () => {} }),
    ownCommand: () => Promise.resolve(undefined),
    layer: () => Promise.resolve({ path: temp, state: 'restored' }),
    run: (command: string[]) => {
      commands.push(command)
      return Promise.resolve({ stdout: '', stderr: '', exitCode: 0 })
    },
  } as unknown as BuildContext
  const archive = {
    resolve: () => Promise.resolve([{ name: 'leiningen', version: '2.10' }]),
  } as unknown as DebianArchive
  const tools = { archive, jdk, temp }
  const openMaven = () => Promise.reject(new Error('sbt is there already'))
  if (tool === 'maven') await buildWithMaven(context, tools)
  else if (tool === 'gradle') await buildWithGradle(context, { ...tools, gradle: undefined })
  else if (tool === 'sbt') await buildWithSbt(context, { ...tools, openMaven })
  else await buildWithLeiningen(context, tools)
  return (commands[0] ?? []).map(word => word.replaceAll(temp, '…').replaceAll(context.app.path, '.'))
}

/** The same without what each build has. */
async function commandOf(...args: Parameters<typeof wordsOf>): Promise<string> {
  const fixed =
    /^(-B|-ntp|--global-toolchains|--no-daemon|--console=plain|--init-script|…\S*|-D(maven\.repo\.local|project\.build|sbt\.|user\.home|file\.enc|leiningen\.).*)$/
  return (await wordsOf(...args)).filter(word => !fixed.test(word)).join(' ')
}

describe('what Maven runs', () => {
  const maven = (env: Env, tree: Tree = {}) => commandOf('maven', { mvnw: '', 'pom.xml': '', ...tree }, env)

  it.each<[Env, string]>([
    [{}, '-Dmaven.test.skip=true package'],
    [{ BP_MAVEN_BUILD_ARGUMENTS: '-DskipTests "verify"' }, '-DskipTests verify'],
    [{ GOOGLE_MAVEN_BUILD_ARGS: 'clean package' }, 'clean package'],
    [{ BP_MAVEN_BUILD_ARGUMENTS: 'install', GOOGLE_MAVEN_BUILD_ARGS: 'package' }, 'install'],
    [{ BP_MAVEN_ADDITIONAL_BUILD_ARGUMENTS: '-Dx="a b" -o' }, '-Dmaven.test.skip=true package -Dx=a b -o'],
    [{ MAVEN_CUSTOM_GOALS: 'clean package' }, '-DskipTests clean package'],
    [{ MAVEN_CUSTOM_GOALS: 'package', MAVEN_CUSTOM_OPTS: '-Dtest=no' }, 'package -Dtest=no'],
    [{ GOOGLE_BUILD_ARGS: '-Dq=1' }, '-Dmaven.test.skip=true package -Dq=1'],
    [{ BP_MAVEN_ACTIVE_PROFILES: 'prod,!dev' }, '-Dmaven.test.skip=true package -P prod,!dev'],
    [{ BP_MAVEN_BUILT_MODULE: 'web' }, '-Dmaven.test.skip=true package -pl web -am'],
    [{ GOOGLE_BUILDABLE: 'services/web' }, '-Dmaven.test.skip=true package -pl services/web -am'],
  ])('for %j is %s', async (env, command) => {
    expect(await maven(env)).toBe(`sh ./mvnw ${command}`)
  })

  it.each<[string | undefined, boolean]>([
    [undefined, true],
    ['apache-maven-3.3.1', true],
    ['apache-maven-3.9.11', true],
    ['apache-maven-4.0.0-rc-5', true],
    ['apache-maven-3.2.5', false],
  ])('has a list of JDKs, if the Maven of the wrapper, %s, can read one: %s', async (name, isKnown) => {
    const url = name === undefined ? '' : `distributionUrl=https\\://example.com/maven/${name}-bin.zip\n`
    const tree = { mvnw: '', 'pom.xml': '', '.mvn/wrapper/maven-wrapper.properties': url }
    const words = await wordsOf('maven', tree, {})
    expect(words.join(' ').includes(' --global-toolchains …/toolchains.xml ')).toBe(isKnown)
  })

  it('uses the project file of a setting, and the wrapper beside it', async () => {
    const tree = { 'shop/other.xml': '', 'shop/mvnw': '' }
    const command = await maven({ BP_MAVEN_POM_FILE: 'shop/other.xml' }, tree)
    expect(command).toBe('sh ./shop/mvnw -f shop/other.xml -Dmaven.test.skip=true package')
  })

  it('includes settings of the source, which have to exist', async () => {
    const env = { MAVEN_SETTINGS_PATH: 'ci/settings.xml' }
    expect(await maven(env, { 'ci/settings.xml': '' })).toMatch(/^sh \.\/mvnw -s \.\/ci\/settings\.xml /)
    expect(await failureOf(maven(env))).toMatchObject({ where: 'MAVEN_SETTINGS_PATH' })
  })
})

describe('what Gradle runs', () => {
  it.each<[Env, string]>([
    [{}, 'assemble -x test'],
    [{ BP_GRADLE_BUILD_ARGUMENTS: 'bootJar --info' }, 'bootJar --info'],
    [{ GOOGLE_GRADLE_BUILD_ARGS: 'clean assemble' }, 'clean assemble'],
    [{ GRADLE_TASK: 'stage' }, 'stage'],
    [{ BP_GRADLE_ADDITIONAL_BUILD_ARGUMENTS: '-Pa="b c"', GOOGLE_BUILD_ARGS: '-q' }, 'assemble -x test -Pa=b c -q'],
    [{ BP_GRADLE_BUILT_MODULE: 'services/web' }, ':services:web:assemble -x test'],
    [{ GOOGLE_BUILDABLE: 'web' }, ':web:assemble -x test'],
  ])('for %j is %s', async (env, command) => {
    expect(await commandOf('gradle', { gradlew: '' }, env)).toBe(`sh ./gradlew ${command}`)
  })
})

describe('the JDK that runs Gradle', () => {
  it('is that of the build, also if a file names another', async () => {
    const file = 'gradle/gradle-daemon-jvm.properties'
    const temp = await temporaryDirectory()
    const app = await appOf({ gradlew: '', [file]: 'toolchainVersion=17\n' })
    let said = ''
    const note = (text: string) => void (said += text)
    const seen: boolean[] = []
    const context = {
      app,
      env: {},
      platformDir: temp,
      log: new Log({ stdout: note, stderr: note }),
      layer: () => Promise.resolve({ path: temp }),
      run: async () => void seen.push(await app.has(file)),
    } as unknown as BuildContext
    await buildWithGradle(context, { jdk, temp, gradle: undefined })
    expect(seen).toEqual([false])
    expect(await app.has(file)).toBe(true)
    expect(said).toContain(`Gradle runs on the JDK of the build, Java 21: ${file} has no effect`)
  })
})

describe('what sbt runs', () => {
  const tree = {
    'build.sbt': '',
    'project/plugins.sbt': 'addSbtPlugin("com.github.sbt" % "sbt-native-packager" % "1")',
  }

  it.each<[Env, string]>([
    [{}, 'stage'],
    [{ SBT_CLEAN: 'true', SBT_PRE_TASKS: 'compile' }, 'clean compile stage'],
    [{ SBT_PROJECT: 'web' }, 'web/stage'],
    [{ BP_SBT_BUILT_MODULE: 'web' }, 'web/stage'],
    [{ SBT_TASKS: '"set x := 1" dist' }, 'set x := 1 dist'],
    [{ BP_SBT_BUILD_ARGUMENTS: 'universal:packageBin' }, 'universal:packageBin'],
  ])('for %j is %s', async (env, tasks) => {
    expect(await commandOf('sbt', tree, env)).toMatch(new RegExp(`^/jdk/bin/java -jar (?:…\\S* )?${tasks}$`))
  })

  it('gets options for its JVM', async () => {
    const command = await commandOf('sbt', { ...tree, '.jvmopts': '# memory\n-Xmx1g\n' }, { SBT_OPTS: '-Xss4m -Da=b' })
    expect(command).toMatch(/^\/jdk\/bin\/java -Xmx1g -Xss4m -Da=b -jar /)
  })
})

describe('what Leiningen runs', () => {
  it.each<[Env, string]>([
    [{}, 'uberjar'],
    [{ BP_LEIN_BUILD_ARGUMENTS: 'with-profile prod uberjar' }, 'with-profile prod uberjar'],
    [{ LEIN_BUILD_TASK: 'ring uberjar' }, 'ring uberjar'],
  ])('for %j is %s', async (env, tasks) => {
    const command = await commandOf('leiningen', { 'project.clj': '' }, env)
    expect(command).toBe(`/jdk/bin/java -cp clojure.main -m leiningen.core.main ${tasks}`)
  })

  it.each<[string, string]>([
    ['(defproject shop "1" :plugins [[lein-ring "0.12.6"]] :ring {:handler shop.core/app})', 'ring uberjar'],
    ['(defproject shop "1" :plugins [[lein-ring "0.12.6"]] :main shop.main)', 'uberjar'],
    [
      '(defproject shop "1" :plugins [[lein-ring "1"]] :main ^:skip-aot shop.main :ring {:handler shop/app})',
      'uberjar',
    ],
    ['(defproject shop "1" :plugins [[lein-ring "1"]] :main nil :ring {:handler shop/app})', 'ring uberjar'],
    [
      '(defproject shop "1" :plugins [[lein-ring "1"]] :ring {:handler shop/app} :profiles {:dev {:main user}})',
      'ring uberjar',
    ],
    ['(defproject shop "1" :main shop.main)\n; lein-ring: :ring {:handler shop.core/app}\n', 'uberjar'],
  ])('for %s is %s, unless a setting names another task', async (project, tasks) => {
    const tree = { 'project.clj': project }
    expect(await commandOf('leiningen', tree, {})).toMatch(new RegExp(` leiningen\\.core\\.main ${tasks}$`))
    expect(await commandOf('leiningen', tree, { LEIN_BUILD_TASK: 'jar' })).toMatch(/ leiningen\.core\.main jar$/)
  })

  it('gets options for its JVM', async () => {
    expect(await commandOf('leiningen', {}, { LEIN_JVM_OPTS: '-Xmx1g' })).toMatch(/^\/jdk\/bin\/java -Xmx1g -cp /)
  })
})
