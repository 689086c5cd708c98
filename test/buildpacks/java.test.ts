import { spawnSync } from 'node:child_process'
import { chmod, mkdir, readdir, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { describe, expect, it } from 'vitest'
import { countClasses, parseManifest, readArchive } from '../../buildpacks/java/archive.ts'
import { findArtifact } from '../../buildpacks/java/artifact.ts'
import type { BuildTool } from '../../buildpacks/java/build-tool.ts'
import { startsInPlace } from '../../buildpacks/java/declared-start.ts'
import { chooseGradle, provideGradle } from '../../buildpacks/java/gradle-distribution.ts'
import { placeArtifact } from '../../buildpacks/java/image-files.ts'
import { java } from '../../buildpacks/java/java.ts'
import { type Jdk, linkArguments } from '../../buildpacks/java/jdk.ts'
import { launchScript, type Switch } from '../../buildpacks/java/launch-script.ts'
import { mainClassesIn, requireClass } from '../../buildpacks/java/main-class.ts'
import { proxiesOf } from '../../buildpacks/java/proxies.ts'
import { parseLayersIndex } from '../../buildpacks/java/spring-boot.ts'
import { chooseVersion, majorOf } from '../../buildpacks/java/version.ts'
import { App, type BuildContext, BuildpackError, type LayerDefinition, Log } from '../../buildpacks/sdk/index.ts'
import { TestProject } from '../../buildpacks/sdk/testing.ts'
import { classFile } from '../helpers/class-file.ts'
import { failureOf } from '../helpers/failure.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { type Tree, writeTree } from '../helpers/tree.ts'
import { zip, zipOf } from '../helpers/zip.ts'

const buildpackDir = join(import.meta.dirname, '../../buildpacks/java')
/** A log, and what was written to it. */
const noted = () => {
  const lines: string[] = []
  const note = (text: string) => void lines.push(text)
  return { log: new Log({ stdout: note, stderr: note }), said: () => lines.join('') }
}
const compilerPlugin = (configuration: string) =>
  `<plugin><artifactId>maven-compiler-plugin</artifactId><configuration>${configuration}</configuration></plugin>`
const otherPlugin = (configuration: string) =>
  `<plugin><artifactId>maven-javadoc-plugin</artifactId><configuration>${configuration}</configuration></plugin>`

describe('the version of Java', () => {
  const choose = async (tree: Tree, env: Record<string, string> = {}) => {
    const dir = await temporaryDirectory()
    await writeTree(dir, tree)
    return chooseVersion(new App(dir), env)
  }

  it.each([
    ['21', '21'],
    ['1.8', '8'],
    ['21.0.4+7', '21'],
    ['21.0.4-tem', '21'],
    ['temurin-25.0.1', '25'],
    ['25.*', '25'],
    ['latest', undefined],
  ])('of %s is %s', (text, major) => {
    expect(majorOf(text)).toBe(major)
  })

  it('is the default if nothing asks for another', async () => {
    expect(await choose({})).toEqual({ major: '21', why: 'the default, as nothing requests another' })
  })

  it('comes from a setting, else from a file', async () => {
    const tree = { 'system.properties': 'java.runtime.version=21' }
    expect(await choose(tree, { BP_JVM_VERSION: '25' })).toEqual({ major: '25', why: 'BP_JVM_VERSION is 25' })
    expect(await choose(tree, { RAILPACK_JDK_VERSION: '25' })).toMatchObject({ major: '25' })
    expect(await choose(tree)).toMatchObject({ major: '21', why: 'system.properties asks for 21' })
  })

  it.each([
    ['.sdkmanrc', 'java=25.0.1-tem\n', '25'],
    ['.java-version', '25\n', '25'],
    ['.java-version', 'openjdk64-17.0.1\n', '17'],
    ['.java-version', 'temurin64-21\n', '21'],
    ['.tool-versions', 'java temurin-25.0.1\n', '25'],
    ['pom.xml', '<maven.compiler.release>22</maven.compiler.release>', '25'],
    ['pom.xml', '<java.version>1.8</java.version>', '21'],
    ['build.gradle', 'java { toolchain { languageVersion = JavaLanguageVersion.of(25) } }', '25'],
    ['build.gradle.kts', 'kotlin { jvmToolchain(17) }', '17'],
    ['pom.xml', '<toolchains><jdk><version>17</version></jdk></toolchains>', '17'],
    ['pom.xml', '<toolchains> <jdk> <vendor>debian</vendor> <version>[17,18)</version> </jdk> </toolchains>', '17'],
    ['pom.xml', compilerPlugin('<jdkToolchain><version> 25 </version></jdkToolchain>'), '25'],
    ['pom.xml', otherPlugin('<jdkToolchain><version>17</version></jdkToolchain>') + compilerPlugin(''), '21'],
    ['pom.xml', `<profile>${compilerPlugin('<jdkToolchain><version>17</version></jdkToolchain>')}</profile>`, '21'],
    ['pom.xml', `<!-- ${compilerPlugin('<jdkToolchain><version>17</version></jdkToolchain>')} -->`, '21'],
    ['pom.xml', '<profile><toolchains><jdk><version>17</version></jdk></toolchains></profile>', '21'],
    [
      'pom.xml',
      '<profile><activation><activeByDefault>true</activeByDefault></activation><java.version>25</java.version></profile>',
      '25',
    ],
    [
      'pom.xml',
      '<java.version>17</java.version><toolchains><jdk><version>${java.version}</version></jdk></toolchains>',
      '17',
    ],
    ['pom.xml', '<v>25</v><jdks>[${v},)</jdks><toolchains><jdk><version>${jdks}</version></jdk></toolchains>', '25'],
    ['pom.xml', '<toolchains><jdk><version>${in.the.parent}</version></jdk></toolchains>', '21'],
    ['pom.xml', '<toolchains><jdk><version>(,17]</version></jdk></toolchains>', '17'],
    ['pom.xml', '<toolchains><jdk><version>(,17)</version></jdk></toolchains>', '11'],
    ['pom.xml', '<toolchains><jdk><version>(, 22]</version></jdk></toolchains>', '21'],
    ['pom.xml', '<toolchains><jdk><version>[11,)</version></jdk></toolchains>', '21'],
    ['pom.xml', '<toolchains><jdk><version>[22,)</version></jdk></toolchains>', '25'],
    ['pom.xml', '<jdk>25</jdk> <maven.compiler.release>${jdk}</maven.compiler.release>', '25'],
    ['pom.xml', '<jdk.version>25</jdk.version> <release.version>2024.1</release.version>', '25'],
    ['pom.xml', '<my-java>25</my-java> <configuration><release>${my-java}</release></configuration>', '25'],
    ['pom.xml', '<release>${release}</release>', '21'],
    ['gradle/gradle-daemon-jvm.properties', '#generated\ntoolchainVersion=25\n', '25'],
    ['gradle/gradle-daemon-jvm.properties', 'toolchainVersion=17\n', '21'],
    ['build.gradle', 'tasks.withType(JavaCompile) { options.release = 25 }', '25'],
    ['build.gradle.kts', 'tasks.compileJava { options.release.set(25) }', '25'],
    ['build.gradle', "sourceCompatibility = JavaVersion.toVersion('25')", '25'],
    ['META-INF/MANIFEST.MF', 'Build-Jdk-Spec: 25\n', '25'],
    ['META-INF/MANIFEST.MF', 'Build-Jdk-Spec: 17\n', '21'],
    ['system.properties', 'java.runtime.version=11\n', '11'],
    ['build.gradle', "sourceCompatibility = '1.8'", '21'],
  ])('comes from %s with %j: Java %s', async (file, content, major) => {
    const { instead, ...chosen } = await choose({ [file]: content })
    expect(chosen.major).toBe(major)
    expect(instead).toBeUndefined()
  })

  it('is that of the active profile', async () => {
    const profile = (id: string, version: string) =>
      `<profile><id>${id}</id><toolchains><jdk><version>${version}</version></jdk></toolchains></profile>`
    const tree = { 'pom.xml': `<profiles>${profile('old', '11')}${profile('new', '25')}</profiles>` }
    expect(await choose(tree)).toMatchObject({ major: '21' })
    expect(await choose(tree, { BP_MAVEN_ACTIVE_PROFILES: 'ci, new' })).toMatchObject({ major: '25' })
  })

  it('comes from the compiler before the JDK that runs Gradle, and from that with its vendor', async () => {
    const daemon = { 'gradle/gradle-daemon-jvm.properties': 'toolchainVendor=AMAZON\ntoolchainVersion=25\n' }
    const build = { 'build.gradle': "sourceCompatibility = '17'" }
    expect(await choose({ ...daemon, ...build })).toEqual({ major: '21', why: 'build.gradle needs 17 or newer' })
    expect(await choose(daemon)).toMatchObject({
      major: '25',
      why: 'gradle/gradle-daemon-jvm.properties needs corretto-25 or newer',
      wish: { vendor: 'corretto', version: '25', isRequired: false },
    })
  })

  it('comes from the project file that a setting names', async () => {
    const tree = { 'pom.xml': '', 'shop/pom.xml': '<java.version>25</java.version>' }
    expect(await choose(tree, { BP_MAVEN_POM_FILE: 'shop/pom.xml' })).toMatchObject({
      major: '25',
      why: 'shop/pom.xml java.version needs 25 or newer',
    })
  })

  it('that is not available is replaced by a newer one with a warning for a file, and is an error for a setting', async () => {
    expect(await choose({ '.java-version': '19' })).toMatchObject({ major: '21', instead: { value: '19' } })
    expect(await failureOf(choose({}, { BP_JVM_VERSION: '1.8' }))).toMatchObject({
      message: 'Java 1.8 is not available',
      where: 'BP_JVM_VERSION',
      fix: 'the nearest is 11: write 11, 17, 21 or 25, which Debian has',
    })
    expect(await failureOf(choose({ '.java-version': 'newest' }))).toMatchObject({ where: '.java-version' })
  })

  it.each<[string, string, string | undefined]>([
    ['8.4-all', '', '17'],
    ['7.6.3-bin', "sourceCompatibility = '17'", '17'],
    ['7.2-bin', "sourceCompatibility = '1.8'", '11'],
    ['7.2-bin', "sourceCompatibility = '17'", '21'],
    ['8.14.1-bin', '', '21'],
    ['9.1.0-rc-1-bin', "sourceCompatibility = '25'", '25'],
    ['4.10.3-bin', '', '21'],
  ])('is one that the wrapper’s Gradle %s runs on, with %s', async (gradle, build, major) => {
    const properties = `distributionUrl=https\\://gradle.example/gradle-${gradle}.zip\n`
    const tree = { 'build.gradle': build, 'gradle/wrapper/gradle-wrapper.properties': properties }
    expect(await choose(tree)).toMatchObject({ major })
    expect(await choose({ ...tree, '.java-version': '21' })).toMatchObject({ major: '21' })
    expect(await choose({ ...tree, 'build.gradle': '', 'pom.xml': '<project/>' })).toMatchObject({ major: '21' })
  })
})

describe('detection', () => {
  const detect = async (app: Record<string, string>, env: Record<string, string> = {}) => {
    await using project = await TestProject.create({ buildpack: java, dir: buildpackDir, app, env })
    return await project.detect()
  }

  it.each([
    'pom.xml',
    'pom.yaml',
    'build.gradle.kts',
    'settings.gradle',
    'build.sbt',
    'project.clj',
    'shop.jar',
    'META-INF/MANIFEST.MF',
    'WEB-INF/web.xml',
  ])('takes part with %s', async file => {
    expect(await detect({ [file]: '' })).toMatchObject({ exitCode: 0, plan: { provides: [{ name: 'jre' }] } })
  })

  it('takes part with an unpacked distribution', async () => {
    const script = '#!/bin/sh\nexec "$JAVACMD" "$@"\n'
    expect(await detect({ 'shop/bin/shop': script, 'shop/lib/shop.jar': '' })).toMatchObject({ exitCode: 0 })
    expect(await detect({ 'bin/shop': script, 'lib/shop.jar': '' })).toMatchObject({ exitCode: 0 })
    expect(await detect({ 'lib/shop.jar': '' })).toMatchObject({ exitCode: 100 })
    expect(await detect({ 'bin/shop': '', 'lib/shop.jar': '' })).toMatchObject({ exitCode: 100 })
  })

  it('does not take part with source files alone', async () => {
    const { exitCode, output } = await detect({ 'Main.java': '' })
    expect(exitCode).toBe(100)
    expect(output).toContain(
      'there is no pom.xml, no build.gradle, no build.sbt, no project.clj, no deps.edn, and no archive',
    )
  })

  it.each<[Tree, Record<string, string>, string, string]>([
    [{}, {}, '21.0.9+10-1~deb13u1', '8.14.3'],
    [{}, {}, '25.0.1+8.0.LTS', '9.2.1'],
    [{}, { BP_GRADLE_VERSION: '8.10.2' }, '21.0.9+10', '8.10.2'],
    [{}, { RAILPACK_GRADLE_VERSION: '7' }, '17.0.9+9', '7.6.4'],
    [{ '.sdkmanrc': 'java=21-tem\ngradle=8.5\n' }, {}, '21.0.9+10', '8.5'],
    [{ '.tool-versions': 'gradle 9.x\n' }, {}, '21.0.9+10', '9.2.1'],
  ])(
    'chooses Gradle for a project without a wrapper, with %j, %j and the JDK %s: %s',
    async (tree, env, java, version) => {
      const root = await temporaryDirectory()
      await writeTree(root, tree)
      let said = ''
      const note = (text: string) => void (said += text)
      const keys: unknown[] = []
      const layer = (_: string, { key }: LayerDefinition) => Promise.resolve({ path: root, key: keys.push(key) })
      const log = new Log({ stdout: note, stderr: note })
      const context = { env, log, layer, seal: () => {} } as unknown as BuildContext
      const jdk = { home: root, version: java, env: {} }
      await provideGradle(context, await chooseGradle(new App(root), env), { jdk, temp: root })
      expect(keys).toEqual([{ Gradle: version }])
      expect(said.includes('Another version of Bale may choose another Gradle')).toBe(
        Object.keys({ ...tree, ...env }).length === 0,
      )
    },
  )

  it('refuses an invalid version of Gradle before anything is installed', async () => {
    await using project = await TestProject.create({
      buildpack: java,
      dir: buildpackDir,
      app: { 'build.gradle': '' },
      env: { BP_GRADLE_VERSION: 'newest' },
      runner: () => Promise.reject(new Error('nothing is to run')),
    })
    const { exitCode, output } = await project.build()
    expect(exitCode).toBe(1)
    expect(output).toContain('BP_GRADLE_VERSION: "newest" is not a version of Gradle')
  })

  it('says that an archive cannot be started before anything is installed', async () => {
    await using project = await TestProject.create({
      buildpack: java,
      dir: buildpackDir,
      app: { 'shop.jar': 'no zip' },
      runner: () => Promise.reject(new Error('nothing is to run')),
    })
    expect((await project.build()).output).toContain('shop.jar: is not an archive')
  })
})

describe('the metadata of an archive', () => {
  it('joins the lines of a manifest that continue', () => {
    const manifest =
      'Manifest-Version: 1.0\r\nMain-Class: org.example.Very\r\n LongName\r\n\r\nName: x\r\nMain-Class: other\r\n'
    expect(parseManifest(manifest)).toEqual({ 'Manifest-Version': '1.0', 'Main-Class': 'org.example.VeryLongName' })
  })

  it("names Spring Boot's layers, of which the application itself is not a slice", () => {
    const index =
      '- "dependencies":\n  - "BOOT-INF/lib/"\n- "spring-boot-loader":\n  - "org/"\n- "snapshot-dependencies":\n- "application":\n  - "BOOT-INF/classes/"\n  - "META-INF/"\n'
    expect(parseLayersIndex(index)).toEqual([['BOOT-INF/lib'], ['org']])
  })
})

describe('the artifact that starts', () => {
  const jar = (files: Record<string, string> = {}, manifest = 'Main-Class: shop.Main\n') =>
    zip({ 'META-INF/MANIFEST.MF': manifest, 'shop/Main.class': '', ...files })
  const find = async (tree: Tree, env: Record<string, string> = {}, tool: BuildTool = 'maven') => {
    const dir = await temporaryDirectory()
    await writeTree(dir, tree)
    const artifact = await findArtifact({ app: new App(dir), env, log: noted().log }, tool)
    if ('path' in artifact) return relative(dir, artifact.path)
    if ('archive' in artifact) return relative(dir, artifact.archive.path)
    throw new Error(`the artifact is a ${artifact.kind}`)
  }

  it.each<[string, Tree, string]>([
    [
      'Maven',
      { 'target/shop-1.jar': jar(), 'target/shop-1-sources.jar': jar(), 'target/original-shop.jar': jar() },
      'target/shop-1.jar',
    ],
    [
      "Maven's assembly plugin",
      { 'target/shop-1.jar': jar(), 'target/shop-1-jar-with-dependencies.jar': jar({ 'lib/A.class': '' }) },
      'target/shop-1-jar-with-dependencies.jar',
    ],
    [
      "Gradle's Shadow",
      { 'build/libs/shop.jar': jar(), 'build/libs/shop-all.jar': jar({ 'lib/A.class': '' }) },
      'build/libs/shop-all.jar',
    ],
    ['Gradle', { 'build/libs/shop.jar': jar(), 'build/libs/shop-plain.jar': jar() }, 'build/libs/shop.jar'],
    ['a module', { 'api/target/api.jar': jar({}, ''), 'web/target/web.jar': jar() }, 'web/target/web.jar'],
    [
      'Quarkus',
      { 'target/shop.jar': jar(), 'target/quarkus-app/quarkus-run.jar': jar() },
      'target/quarkus-app/quarkus-run.jar',
    ],
    ['sbt-assembly', { 'target/scala-2.13/shop-assembly-1.jar': jar() }, 'target/scala-2.13/shop-assembly-1.jar'],
    [
      'sbt-native-packager, whatever else sbt makes',
      { 'target/scala-3.3.6/shop.jar': jar(), 'target/universal/stage/bin/shop': '' },
      'target/universal/stage',
    ],
    [
      'Leiningen',
      { 'target/uberjar/shop.jar': jar(), 'target/uberjar/shop-standalone.jar': jar() },
      'target/uberjar/shop-standalone.jar',
    ],
    ['sbt 2', { 'target/out/jvm/scala-3.3.6/shop/shop.jar': jar() }, 'target/out/jvm/scala-3.3.6/shop/shop.jar'],
    ['a web application', { 'target/shop.war': jar({}, ''), 'target/classes.jar': jar({}, '') }, 'target/shop.war'],
    [
      'the distribution of Gradle',
      { 'build/libs/shop.jar': jar({}, ''), 'build/distributions/shop.zip': zip({}) },
      'build/distributions/shop.zip',
    ],
  ])('is that of %s', async (_, tree, path) => {
    expect(await find(tree)).toBe(path)
  })

  it('is the archive with the class of a function that GOOGLE_FUNCTION_TARGET names', async () => {
    const tree = { 'a/target/a.jar': jar({ 'shop/Greet.class': '' }, ''), 'b/target/b.jar': jar({}, '') }
    expect(await find(tree, { GOOGLE_FUNCTION_TARGET: 'shop.Greet' })).toBe('a/target/a.jar')
    expect(await failureOf(find(tree, { GOOGLE_FUNCTION_TARGET: 'Greet' }))).toMatchObject({
      where: 'GOOGLE_FUNCTION_TARGET',
      message: 'no archive that the build made has the class Greet',
    })
    // Other tools do not say which libraries it needs, and an executable archive may read the setting itself.
    const other = { 'build/libs/a.jar': jar({ 'shop/Greet.class': '' }) }
    expect(await find(other, { GOOGLE_FUNCTION_TARGET: 'shop.Greet' }, 'gradle')).toBe('build/libs/a.jar')
    expect(await find({ 'target/a.jar': jar() }, { GOOGLE_FUNCTION_TARGET: 'Gcf' })).toBe('target/a.jar')
  })

  it('is the one with libraries of two that start the same class, and the log names the other', async () => {
    const dir = await temporaryDirectory()
    await writeTree(dir, { 'target/shop.jar': jar(), 'target/shop-all.jar': jar({ 'lib/A.class': '' }) })
    const { log, said } = noted()
    await findArtifact({ app: new App(dir), env: {}, log }, 'maven')
    expect(said()).toContain('target/shop.jar is left out: shop-all.jar has all of its classes, and libraries')
  })

  it('is the one that a setting names', async () => {
    const tree = { 'a/target/a.jar': jar(), 'b/target/b.jar': jar() }
    expect(await find(tree, { BP_MAVEN_BUILT_MODULE: 'b' })).toBe('b/target/b.jar')
    expect(await find(tree, { BP_MAVEN_BUILT_ARTIFACT: 'a/target/*.jar' })).toBe('a/target/a.jar')
  })

  it.each<[string, Tree]>([
    [
      'several archives can be started: a/target/a.jar, b/target/b.jar',
      { 'a/target/a.jar': jar(), 'b/target/b.jar': jar() },
    ],
    [
      'several archives can be started: target/all.jar, target/shop.jar, target/tool.jar',
      {
        'target/all.jar': jar({ 'lib/A.class': '' }),
        'target/shop.jar': jar({ 'shop/Own.class': '' }),
        'target/tool.jar': jar({ 'tool/Own.class': '' }),
      },
    ],
    [
      'several archives can be started: target/shop-migrate.jar, target/shop.jar',
      {
        'target/shop.jar': jar(),
        'target/shop-migrate.jar': jar({ 'shop/Migrate.class': '' }, 'Main-Class: shop.Migrate\n'),
      },
    ],
    ['no class in target/a.jar has a main method', { 'target/a.jar': jar({}, '') }],
    [
      'several web applications can be started: a/target/a.war, b/target/b.war',
      { 'a/target/a.war': jar({}, ''), 'b/target/b.war': jar({}, '') },
    ],
    ['the build made no archive in target/ or build/libs/', { 'target/classes/Main.class': '' }],
  ])('is an error if %s', async (message, tree) => {
    expect(await failureOf(find(tree))).toMatchObject({ message })
  })

  it('has the coordinates that Maven recorded in it, and a number of classes', async () => {
    const dir = await temporaryDirectory()
    const properties = 'groupId=com.acme\nartifactId=shop\nversion=1.2\n'
    await writeTree(dir, {
      'a.jar': jar({ 'META-INF/maven/com.acme/shop/pom.properties': properties, 'shop/Other.class': '' }),
      'guava-33.0.jar': jar(),
    })
    const archive = await readArchive(join(dir, 'a.jar'))
    expect(archive.component).toEqual({ name: 'shop', version: '1.2', purl: 'pkg:maven/com.acme/shop@1.2' })
    expect(countClasses(archive)).toBe(2)
    expect((await readArchive(join(dir, 'guava-33.0.jar'))).component.purl).toBe('pkg:generic/guava@33.0')
  })
})

describe('the main class', () => {
  /** Classes with a main method, and in between one with another method of that name. */
  const classes = zipOf(
    ...['shop/Main', 'shop/Other', 'shop/Main$1'].map(name => ({ name: `${name}.class`, content: classFile(name) })),
    { name: 'shop/Instance.class', content: classFile('shop/Instance', { flags: 0x1 }) },
    { name: 'shop/Argument.class', content: classFile('shop/Argument', { descriptor: '(I)V' }) },
    { name: 'shop/Damaged.class', content: classFile('shop/Damaged').subarray(0, 40) },
  )
  const find = async (tree: Tree, tool: BuildTool = 'maven', { log } = noted()) => {
    const dir = await temporaryDirectory()
    await writeTree(dir, tree)
    return findArtifact({ app: new App(dir), env: {}, log }, tool)
  }
  const main = zipOf({ name: 'shop/Main.class', content: classFile('shop/Main') })

  it('is found by its main method', async () => {
    const dir = await temporaryDirectory()
    await writeTree(dir, { 'shop.jar': classes })
    expect(await mainClassesIn(join(dir, 'shop.jar'))).toEqual(['shop.Main', 'shop.Other'])
    expect(await find({ 'target/shop.jar': main })).toMatchObject({ kind: 'classes', main: 'shop.Main' })
  })

  it.each<[string, Parameters<typeof classFile>[1], boolean]>([
    ['an instance method without parameters', { flags: 0, descriptor: '()V' }, true],
    ['a static method without parameters', { flags: 0x8, descriptor: '()V' }, true],
    ['an instance method with parameters', { flags: 0x1 }, true],
    ['a static method of an abstract class', { flags: 0x8, access: 0x421 }, true],
    ['an instance method of an abstract class', { flags: 0, access: 0x421 }, false],
    ['an instance method of a class that nothing can make', { flags: 0, initializer: 0x2 }, false],
    ['a private method', { flags: 0xa }, false],
  ])('is from Java 25 on one with %s if Java starts that', async (_, options, isStarted) => {
    const dir = await temporaryDirectory()
    for (const [version, expected] of [
      [69, isStarted],
      [68, false],
    ] as const) {
      await writeTree(dir, {
        'a.jar': zipOf({ name: 'Main.class', content: classFile('Main', { ...options, version }) }),
      })
      expect(await mainClassesIn(join(dir, 'a.jar'))).toEqual(expected ? ['Main'] : [])
    }
  })

  it.each<[string, BuildTool, 'archive' | 'classes', Record<string, string>]>([
    ['a library that is not in it', 'maven', 'classes', {}],
    ['a library that is in it', 'maven', 'archive', { 'io/Server.class': '' }],
    ['a library that is not in it', 'gradle', 'archive', {}],
  ])('of a manifest needs %s, with %s: the artifact is of the kind %s', async (_, tool, kind, files) => {
    const content = classFile('shop/Main', { uses: 'io/Server' })
    const entries = { 'META-INF/MANIFEST.MF': 'Main-Class: shop.Main\n', ...files, 'shop/Main.class': content }
    const jar = zipOf(...Object.entries(entries).map(([name, content]) => ({ name, content })))
    const note = noted()
    expect(await find({ 'target/shop.jar': jar }, tool, note)).toMatchObject({ kind })
    const why =
      'target/shop.jar starts with the libraries that Maven says it needs: it uses io.Server, which is not in it'
    expect(note.said().includes(why)).toBe(kind === 'classes')
  })

  it('may be in a library if pom.xml names it, and the library has to exist', async () => {
    const pom = '<exec.mainClass>io.Server</exec.mainClass>'
    const artifact = await find({ 'pom.xml': pom, 'target/shop.jar': main })
    expect(artifact).toMatchObject({ kind: 'classes', main: 'io.Server' })
    const dir = await temporaryDirectory()
    await writeTree(dir, { 'shop.jar': main, 'lib/a.jar': zip({}), 'lib/b.jar': zip({ 'io/Server.class': '' }) })
    const shop = await readArchive(join(dir, 'shop.jar'))
    const place = { libraries: join(dir, 'lib'), pom: 'shop/pom.xml' }
    for (const name of ['shop.Main', 'io.Server']) await requireClass(name, shop, place)
    expect(await failureOf(requireClass('io.Sever', shop, place))).toMatchObject({
      where: 'shop/pom.xml',
      message: 'names the class io.Sever, which is neither in shop.jar nor in its libraries',
    })
    expect(await failureOf(requireClass('io.Server', shop, { ...place, libraries: join(dir, 'none') }))).toBeInstanceOf(
      BuildpackError,
    )
  })

  it.each<[BuildTool, string, string]>([
    ['gradle', 'build/libs/shop.jar', 'apply the plugin application'],
    ['sbt', 'target/scala-3.3.6/shop.jar', 'SBT_TASKS=stage'],
    ['leiningen', 'target/shop.jar', 'lein uberjar'],
    ['maven', 'build/libs/shop.jar', 'Class-Path'],
  ])('is an error if %s makes an archive without libraries: %s', async (tool, path, fix) => {
    expect(await failureOf(find({ [path]: main }, tool))).toMatchObject({
      where: path,
      message: 'does not name a class to start, or the libraries that it needs',
      fix: expect.stringContaining(fix) as string,
    })
  })

  it('cannot be found in a file that is not an archive, or in a damaged archive', async () => {
    const dir = await temporaryDirectory()
    // The first entry's data are not what they say.
    const damaged = Buffer.from(main).fill(0xff, 30 + 'shop/Main.class'.length, 60)
    await writeTree(dir, { 'pointer.jar': 'version https://git-lfs.github.com/spec/v1\n', 'damaged.jar': damaged })
    for (const name of ['pointer.jar', 'damaged.jar']) {
      const message = expect.stringContaining('is not an archive: ') as string
      expect(await failureOf(mainClassesIn(join(dir, name)))).toMatchObject({ where: join(dir, name), message })
    }
  })

  it('is the one that pom.xml names, if there are several', async () => {
    const pom = '<properties><exec.mainClass>shop.Other</exec.mainClass></properties>'
    expect(await find({ 'pom.xml': pom, 'target/shop.jar': classes })).toMatchObject({ main: 'shop.Other' })
    expect(await failureOf(find({ 'target/shop.jar': classes }))).toMatchObject({
      message: 'no archive has a Main-Class, and several classes can start: target/shop.jar has shop.Main, shop.Other',
    })
  })
})

describe('commands of the user that start an output of the build', () => {
  const starts = async (tree: Tree, env: Record<string, string> = {}) => {
    const dir = await temporaryDirectory()
    await writeTree(dir, tree)
    return startsInPlace(new App(dir), env)
  }

  it.each([
    ['web: java $JAVA_OPTS -jar target/shop.jar --server.port=$PORT', 'the Procfile'],
    ['web: java -cp "target/classes:target/dependency/*" shop.Main', 'the Procfile'],
    ['release: echo\nworker: java -jar ./target/*.jar', 'the Procfile'],
    ['web: java -jar target/shop-${VERSION:-1}.jar', 'the Procfile'],
    ['web: sh target/bin/shop', 'the Procfile'],
    ['web: cd target/bin && ./shop', 'the Procfile'],
    ['web: java -cp $(cat target/class.path) shop.Main', 'the Procfile'],
    ['web: java -XX:HeapDumpPath=target/shop.hprof -jar target/shop.jar --out build/report', 'the Procfile'],
    ['web: java -jar shop.jar', undefined],
    ['web: java -XX:HeapDumpPath=target/shop.hprof -jar shop.jar --out=build/report', undefined],
  ])('keep it where it is: %s', async (Procfile, where) => {
    const paths = ['shop.jar', 'classes/A.class', 'dependency/a.jar', 'bin/shop', 'class.path']
    const tree = { Procfile, ...Object.fromEntries(paths.map(path => [`target/${path}`, ''])) }
    expect(await starts(tree)).toBe(where)
  })

  it('keep it where it is with absolute paths of the application', async () => {
    const dir = await temporaryDirectory()
    await writeTree(dir, { Procfile: `web: java -jar ${dir}/target/shop.jar`, 'target/shop.jar': '' })
    expect(await startsInPlace(new App(dir), {})).toBe('the Procfile')
    await writeTree(dir, { Procfile: `web: java -jar /opt${dir}/target/shop.jar` })
    expect(await startsInPlace(new App(dir), {})).toBeUndefined()
    await writeTree(dir, { Procfile: `web: java -jar ${dir}/target/gone.jar` })
    expect(await failureOf(startsInPlace(new App(dir), {}))).toMatchObject({ fix: 'write target/shop.jar' })
  })

  it('have to name files that exist', async () => {
    const tree = { Procfile: 'web: java -jar target/shop.jar', 'target/shop-1.0.jar': '', 'target/classes/A.class': '' }
    expect(await failureOf(starts(tree))).toMatchObject({
      where: 'the Procfile',
      message: 'starts target/shop.jar, which the build did not make',
      fix: 'write target/shop-1.0.jar',
    })
    const missing = starts({ 'target/x': '' }, { GOOGLE_ENTRYPOINT: 'java -jar web/target/*.jar' })
    expect(await failureOf(missing)).toMatchObject({ where: 'GOOGLE_ENTRYPOINT' })
  })
})

describe('Dropwizard', () => {
  const place = async (tree: Tree, entries: Record<string, string>) => {
    const dir = await temporaryDirectory()
    const files = { 'pom.xml': '', 'target/shop-1.0.jar': zip(entries), ...tree }
    await writeTree(dir, Object.fromEntries(Object.entries(files).map(([path, text]) => [`app/${path}`, text])))
    await writeTree(dir, { 'temp/x': '' })
    let said = ''
    const note = (text: string) => void (said += text)
    const app = new App(join(dir, 'app'))
    const context = { app, env: {}, log: new Log({ stdout: note, stderr: note }) } as unknown as BuildContext
    const openMaven = () => Promise.reject(new Error('Maven is not needed'))
    const tools = { jdk: {} as Jdk, temp: join(dir, 'temp'), start: new Date(), openMaven }
    const archive = await readArchive(app.at('target/shop-1.0.jar'))
    const { shown } = await placeArtifact(context, { kind: 'archive', archive }, tools)
    return { shown, said, files: (await readdir(app.path)).sort() }
  }
  const extendsIt = 'Lio/dropwizard/core/Application;'
  const fat = { 'META-INF/MANIFEST.MF': 'Main-Class: shop.Shop\n', 'shop/Shop.class': extendsIt }

  it.each<[string, Tree, string]>([
    ['config.yml', { 'config.yml': 'greeting: hello\n', 'docker-compose.yml': 'services:\n' }, 'config.yml'],
    ['the name of the project', { 'shop.yaml': '', 'other.yml': 'server:\n' }, 'shop.yaml'],
    ['the only one with a section of it', { 'prod.yml': 'server:\n  type: simple\n', 'ci.yml': 'jobs:\n' }, 'prod.yml'],
  ])('is started as a server with its configuration: %s', async (_, tree, file) => {
    expect(await place(tree, fat)).toEqual({
      shown: `java -jar shop-1.0.jar server ${file}`,
      said: '',
      files: [file, 'shop-1.0.jar'].sort(),
    })
  })

  it('says that it starts without a configuration', async () => {
    const { shown, said } = await place({ 'a.yml': 'server:\n', 'b.yml': 'logging:\n' }, fat)
    expect(shown).toBe('java -jar shop-1.0.jar server')
    expect(said).toContain('Dropwizard starts without a configuration: a.yml, b.yml at the root may be one')
  })

  it('is not another program that a library of Dropwizard’s lies beside', async () => {
    const other = {
      ...fat,
      'shop/Shop.class': '',
      'io/dropwizard/core/Application.class': '',
      'shop/Other.class': extendsIt,
    }
    expect((await place({ 'config.yml': 'server:\n' }, other)).shown).toBe('java -jar shop-1.0.jar')
  })
})

it('a function is served by the program of its framework, with the libraries of the project', async () => {
  const dir = await temporaryDirectory()
  await writeTree(dir, { 'app/target/shop.jar': zip({ 'shop/Greet.class': '' }), 'app/pom.xml': '', 'temp/x': '' })
  const app = new App(join(dir, 'app'))
  const context = { app, env: {}, log: new Log({ stdout: () => {}, stderr: () => {} }) } as unknown as BuildContext
  const run = async (args: readonly string[]) => {
    const option = (name: string) => args.find(arg => arg.startsWith(`-D${name}=`))?.slice(name.length + 3)
    const artifact = option('artifact')
    const library = artifact === undefined ? 'target/bale-libraries/gson.jar' : ''
    await writeTree(app.path, library === '' ? {} : { [library]: zip({}) })
    if (artifact !== undefined) await writeTree(option('outputDirectory') ?? '', { 'invoker-1.jar': zip({}) })
  }
  const openMaven = () => Promise.resolve({ name: 'mvn', run })
  const tools = { jdk: {} as Jdk, temp: join(dir, 'temp'), start: new Date(), openMaven }
  const archive = await readArchive(app.at('target/shop.jar'))
  const { processes, slices } = await placeArtifact(context, { kind: 'function', archive, target: 'shop.Greet' }, tools)
  const classPath = `${app.at('shop.jar')}:${app.at('lib/*')}`
  const program = app.at('invoker/invoker-1.jar')
  expect(processes[0]?.command).toEqual(['java', '-jar', program, '--classpath', classPath, '--target', 'shop.Greet'])
  expect(slices).toEqual([{ paths: ['invoker'] }, { paths: ['lib'] }])
  expect((await readdir(app.path)).sort()).toEqual(['invoker', 'lib', 'shop.jar'])
})

describe('libraries that an archive names in its manifest', () => {
  const place = async (classPath: string) => {
    const dir = await temporaryDirectory()
    const manifest = `Manifest-Version: 1.0\r\nMain-Class: Main\r\nClass-Path: ${classPath}\r\n`
    await writeTree(dir, {
      'app/target/shop.jar': zip({ 'META-INF/MANIFEST.MF': manifest }),
      'app/target/lib/a.jar': zip({}),
      'app/pom.xml': '',
      'temp/x': '',
    })
    let said = ''
    const note = (text: string) => void (said += text)
    const app = new App(join(dir, 'app'))
    const context = { app, env: {}, log: new Log({ stdout: note, stderr: note }) } as unknown as BuildContext
    const archive = await readArchive(app.at('target/shop.jar'))
    const openMaven = () => Promise.reject(new Error('Maven is not needed'))
    const tools = { jdk: {} as Jdk, temp: join(dir, 'temp'), start: new Date(), openMaven }
    await placeArtifact(context, { kind: 'archive', archive }, tools)
    return { said, files: (await readdir(app.path, { recursive: true })).sort() }
  }

  it('are beside it in the image; others are warned of', async () => {
    expect(await place('lib/a.jar')).toEqual({ said: '', files: ['lib', 'lib/a.jar', 'shop.jar'] })
    const { said, files } = await place('lib/a.jar /opt/b.jar ../c.jar file:///d.jar')
    expect(files).toEqual(['lib', 'lib/a.jar', 'shop.jar'])
    expect(said).toContain('not in the image: /opt/b.jar, ../c.jar, file:///d.jar')
  })

  it('are an error if they do not exist', async () => {
    expect(await failureOf(place('lib/b.jar'))).toMatchObject({
      where: 'shop.jar',
      message: 'its manifest names lib/b.jar in Class-Path, which does not exist',
    })
  })
})

describe('the runtime that jlink makes', () => {
  const link = async (env: Record<string, string>, version = '21.0.13+9-1~deb13u2') => {
    const home = await temporaryDirectory()
    const developers = ['jdk.internal.le', 'jdk.jartool', 'jdk.jlink', 'jdk.jshell']
    const names = [...modules.split(','), ...developers]
    await writeTree(home, Object.fromEntries(names.map(name => [`jmods/${name}.jmod`, ''])))
    const found = await linkArguments(env, { home, version })
    return found && `${found.what}: ${found.args.join(' ')}`
  }
  const modules = 'java.base,java.sql,jdk.attach,jdk.compiler,jdk.httpserver,jdk.incubator.vector'
  const without = '--exclude-files **/bin/javac,**/bin/serialver,**/ct.sym'
  const fixed = '--no-man-pages --no-header-files'
  const newer = '--strip-java-debug-attributes --compress zip-6'

  it.each<[Record<string, string>, string | undefined]>([
    [{}, `JRE: --add-modules ${modules} ${without} ${fixed} ${newer}`],
    [{ BP_JVM_TYPE: 'JDK' }, `JDK: --add-modules ALL-MODULE-PATH ${fixed} ${newer}`],
    [{ BP_JVM_JLINK_ENABLED: 'true' }, `JRE (jlink): --add-modules ALL-MODULE-PATH ${fixed} ${newer}`],
    [{ BP_JVM_JLINK_ENABLED: 'false' }, undefined],
    [{ BP_JVM_JLINK_ARGS: '--add-modules java.base' }, 'JRE (jlink): --add-modules java.base'],
  ])('has what %o says', async (env, expected) => {
    expect(await link(env)).toBe(expected)
  })

  it('is compressed as older releases can', async () => {
    const older = `JRE: --add-modules ${modules} ${without} ${fixed} --compress 2`
    expect(await link({}, '17.0.21.1+2-1~deb12u1')).toBe(older)
  })
})

it('proxies of the environment are told to tools that do not read it', () => {
  const env = { https_proxy: 'http://me:p%40ss@proxy.corp:3128', NO_PROXY: 'localhost,.corp' }
  expect(proxiesOf(env)).toEqual([
    {
      protocol: 'https',
      host: 'proxy.corp',
      port: '3128',
      username: 'me',
      password: 'p@ss',
      nonProxyHosts: 'localhost|*.corp',
    },
  ])
})

describe('the program of exec.d', () => {
  /** Runs the program, and returns the variables it sets. */
  const run = async (env: Record<string, string>, switches: readonly Switch[] = []) => {
    const dir = await temporaryDirectory()
    const file = join(dir, 'jvm')
    await writeFile(file, launchScript(5000, [], switches))
    await chmod(file, 0o755)
    // A Java that says what it was asked to make a trust store of.
    await mkdir(join(dir, 'home/bin'), { recursive: true })
    await writeFile(join(dir, 'home/bin/java'), '#!/bin/sh\nfor last; do :; done\necho store > "$last"\n')
    await chmod(join(dir, 'home/bin/java'), 0o755)
    const { status, stderr, output } = spawnSync(file, [], {
      env: { PATH: process.env['PATH'], TMPDIR: dir, JAVA_HOME: join(dir, 'home'), ...env },
      stdio: ['ignore', 'inherit', 'pipe', 'pipe'],
      encoding: 'utf8',
    })
    const variables = [...(output[3] ?? '').matchAll(/^(\w+) = "(.*)"$/gm)].map(m => [m[1], m[2]])
    const set = Object.fromEntries(variables) as Record<string, string>
    return { status, stderr, JAVA_TOOL_OPTIONS: set['JAVA_TOOL_OPTIONS'], set }
  }

  it('gives the heap the rest of the limit after threads, code, classes and buffers', async () => {
    const { JAVA_TOOL_OPTIONS, stderr } = await run({ BPL_JVM_TOTAL_MEMORY: '1G' })
    // 1 GiB - 250 MiB of stacks - 10 MiB - 240 MiB - (11,200 × 5,800 + 14,000,000) bytes
    const metaspace = Math.floor((Math.floor((32_000 * 35) / 100) * 5800 + 14_000_000) / 1024)
    const heap = 1048576 - 250 * 1024 - 10240 - 245760 - metaspace
    expect(JAVA_TOOL_OPTIONS).toBe(
      `-Xmx${heap}K -Xss1024K -XX:MaxDirectMemorySize=10240K -XX:ReservedCodeCacheSize=245760K -XX:MaxMetaspaceSize=${metaspace}K -XX:+ExitOnOutOfMemoryError`,
    )
    expect(stderr).toContain(`JVM memory: ${Math.floor(heap / 1024)}M of 1024M for the heap`)
  })

  it('keeps the memory options of the user', async () => {
    const env = {
      BPL_JVM_TOTAL_MEMORY: '2G',
      JAVA_TOOL_OPTIONS: '-Dmine="x" -Xss512k',
      JAVA_OPTS: '-XX:ReservedCodeCacheSize=64m',
    }
    const { JAVA_TOOL_OPTIONS } = await run({ ...env, BPL_JVM_THREAD_COUNT: '10', BPL_JVM_HEAD_ROOM: '10' })
    expect(JAVA_TOOL_OPTIONS).toMatch(/^-Dmine=\\"x\\" -Xss512k -XX:ReservedCodeCacheSize=64m -Xmx\d+K /)
    expect(JAVA_TOOL_OPTIONS?.match(/-Xss/g)).toHaveLength(1)
    expect((await run({ BPL_JVM_TOTAL_MEMORY: '2G', JAVA_TOOL_OPTIONS: '-Xmx100m' })).JAVA_TOOL_OPTIONS).toBe(
      '-Xmx100m -XX:+ExitOnOutOfMemoryError',
    )
  })

  it('reads options on lines of their own, as manifests have them', async () => {
    const env = {
      BPL_JVM_TOTAL_MEMORY: '2G',
      JAVA_TOOL_OPTIONS: '-Dfiles=*\n\t-Xmx100m\r\n',
      JAVA_OPTS: '-Da=1\n-Db=2\n',
    }
    const { JAVA_TOOL_OPTIONS } = await run(env)
    expect(JAVA_TOOL_OPTIONS?.split(/ +/)).toEqual([
      ...['-Dfiles=*', '-Xmx100m', '-Da=1', '-Db=2', '-XX:+ExitOnOutOfMemoryError'],
    ])
  })

  it.each(['-XX:MaxHeapSize=100m', '-XX:MaxRAMPercentage=60', '-XX:MaxRAMFraction=2', '-XX:MaxRAM=1g'])(
    'leaves the heap to %s',
    async JAVA_TOOL_OPTIONS => {
      const found = await run({ BPL_JVM_TOTAL_MEMORY: '2G', JAVA_TOOL_OPTIONS })
      expect(found.JAVA_TOOL_OPTIONS).toBe(`${JAVA_TOOL_OPTIONS} -XX:+ExitOnOutOfMemoryError`)
    },
  )

  it('calculates with the number of classes in BPL_JVM_LOADED_CLASS_COUNT', async () => {
    const { stderr } = await run({ BPL_JVM_TOTAL_MEMORY: '1G', BPL_JVM_LOADED_CLASS_COUNT: '1000' })
    expect(stderr).toContain('18M for 1000 classes')
  })

  it('gives the heap half of a limit that is too small for the rule, and says so', async () => {
    const { status, JAVA_TOOL_OPTIONS, stderr } = await run({ BPL_JVM_TOTAL_MEMORY: '512M' })
    expect(status).toBe(0)
    expect(JAVA_TOOL_OPTIONS).toBe('-XX:MaxRAMPercentage=50 -XX:+ExitOnOutOfMemoryError')
    expect(stderr).toContain('raise the limit, or set BPL_JVM_THREAD_COUNT')
  })

  it('refuses a setting that is not a number', async () => {
    expect(await run({ BPL_JVM_TOTAL_MEMORY: 'much' })).toMatchObject({
      status: 1,
      stderr: 'Error: BPL_JVM_TOTAL_MEMORY is much, which is not a number\n',
    })
  })

  it('translates switches, the port and certificates', async () => {
    const dir = await temporaryDirectory()
    await writeTree(dir, { 'ca.pem': 'PEM' })
    const result = await run({
      JAVA_TOOL_OPTIONS: '-Xmx1g',
      BPL_DEBUG_ENABLED: 'true',
      BPL_JMX_ENABLED: 'true',
      BPL_JFR_ENABLED: 'true',
      PORT: '9000',
      QUARKUS_HTTP_PORT: '7000',
      SSL_CERT_FILE: join(dir, 'ca.pem'),
    })
    expect(result.JAVA_TOOL_OPTIONS).toContain('-agentlib:jdwp=transport=dt_socket,server=y,address=*:8000,suspend=n')
    expect(result.JAVA_TOOL_OPTIONS).toContain('-Dcom.sun.management.jmxremote.port=5000')
    expect(result.JAVA_TOOL_OPTIONS).toContain('-XX:StartFlightRecording=dumponexit=true')
    expect(result.JAVA_TOOL_OPTIONS).toMatch(/-Djavax\.net\.ssl\.trustStore=\S+trust-store-\w+ /)
    expect(result.set).toMatchObject({ SERVER_PORT: '9000', MICRONAUT_SERVER_PORT: '9000' })
    expect(result.set['QUARKUS_HTTP_PORT']).toBeUndefined()
  })

  it.each<[boolean, Record<string, string>, boolean]>([
    [true, {}, true],
    [true, { BPL_FIRST: 'false' }, false],
    [true, { BPL_SECOND: 'no' }, false],
    [false, {}, false],
    [false, { BPL_SECOND: '1' }, true],
    [false, { BPL_FIRST: 'true', BPL_SECOND: 'false' }, true],
  ])('turns an option that is on (%s) on or off with its variables: %o', async (isOn, env, isThere) => {
    const { JAVA_TOOL_OPTIONS } = await run(env, [
      { variables: ['BPL_FIRST', 'BPL_SECOND'], isOn, option: '-Dshop=open' },
    ])
    expect(JAVA_TOOL_OPTIONS?.includes('-Dshop=open')).toBe(isThere)
  })
})
