import { join } from 'node:path'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import type { DebianArchive } from '../../buildpacks/debian/archive.ts'
import { linkArguments } from '../../buildpacks/java/jdk.ts'
import { parseRequest } from '../../buildpacks/java/vendor.ts'
import {
  chooseBuild,
  type ChosenJava,
  chooseJava,
  installJava,
  vendorOffers,
} from '../../buildpacks/java/vendor-builds.ts'
import { chooseVersion, majorOf } from '../../buildpacks/java/version.ts'
import { App } from '../../buildpacks/sdk/index.ts'
import { failureOf } from '../helpers/failure.ts'
import { fakeMise } from '../helpers/fake-mise.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { type Tree, writeTree } from '../helpers/tree.ts'

const builds = [
  'corretto-21.0.5.11.1',
  'temurin-jre-21.0.5+11.0.LTS',
  'temurin-21.0.5+11.0.LTS',
  'temurin-21.0.10+7.0.LTS',
  'temurin-22.0.2+9',
  'temurin-26.0.1+8',
  'zulu-crac-21.38.22',
  'zulu-21.38.21',
  '21.0.2',
]

/** A build on amd64, in which mise and Debian's archive are fakes. */
async function machine() {
  const mise = await fakeMise(builds)
  const { dir, context } = mise
  const archive = {
    resolve: ([name = '']) =>
      Promise.resolve([{ name, version: `${/\d+/.exec(name)?.[0]}.0.9+10-1~deb13u1`, architecture: 'amd64' }]),
  } as DebianArchive
  const choose = async (tree: Tree, env: Record<string, string> = {}) => {
    const app = join(dir, 'app')
    await writeTree(app, tree)
    const { major, jdk, jre, instead } = await chooseJava(context, archive, await chooseVersion(new App(app), env), dir)
    return { major, shown: jdk.shown, components: jre.components, jdk, instead }
  }
  return { ...mise, choose }
}

describe('a request for Java', () => {
  it.each([
    ['21', { vendor: undefined, unknownVendor: undefined, version: '21' }],
    ['21.*', { vendor: undefined, unknownVendor: undefined, version: '21' }],
    ['21.0.5-tem', { vendor: 'temurin', unknownVendor: undefined, version: '21.0.5' }],
    ['17.0.9-amzn', { vendor: 'corretto', unknownVendor: undefined, version: '17.0.9' }],
    ['temurin-21.0.5+11.0.LTS', { vendor: 'temurin', unknownVendor: undefined, version: '21.0.5+11.0.LTS' }],
    ['openjdk64-17.0.1', { vendor: undefined, unknownVendor: undefined, version: '17.0.1' }],
    ['adoptopenjdk-17.0.1+12', { vendor: 'temurin', unknownVendor: undefined, version: '17.0.1+12' }],
    ['21.0.2-graalce', { vendor: undefined, unknownVendor: 'graalce', version: '21.0.2' }],
    ['graalvm-community-21.0.2', { vendor: undefined, unknownVendor: 'graalvm-community', version: '21.0.2' }],
    ['newest', undefined],
  ])('%s has a vendor and a version', (text, parts) => {
    expect(parseRequest(text)).toEqual(parts)
  })
})

describe('the build of a vendor', () => {
  const request = (vendor: string | undefined, version: string) => ({
    vendor,
    version,
    major: majorOf(version) ?? '',
    value: version,
    where: '.sdkmanrc',
    isRequired: false,
  })

  it.each([
    [undefined, '22', 'temurin-22.0.2+9'],
    ['temurin', '21', 'temurin-21.0.10+7.0.LTS'],
    ['temurin', '21.0.5', 'temurin-21.0.5+11.0.LTS'],
    ['temurin', '21.0.5+11', 'temurin-21.0.5+11.0.LTS'],
    ['corretto', '21.0.5', 'corretto-21.0.5.11.1'],
    ['zulu', '21.0.5', 'zulu-21.38.21'],
    ['zulu', '21.38.21', 'zulu-21.38.21'],
  ])('of %s %s is %s', (vendor, version, build) => {
    expect(chooseBuild(builds, request(vendor, version))).toBe(build)
  })

  it.each([
    ['temurin', '21.0.7', 'the nearest is temurin-21.0.10+7.0.LTS'],
    ['temurin', '23', 'the nearest is temurin-26.0.1+8'],
    ['temurin', '27', 'the nearest is temurin-26.0.1+8'],
    ['liberica', '21', 'it has none of liberica at all'],
  ])('of %s %s is not there, and the nearest one is named', async (vendor, version, fix) => {
    expect(await failureOf(Promise.resolve().then(() => chooseBuild(builds, request(vendor, version))))).toMatchObject({
      fix,
    })
  })
})

describe('Java', () => {
  it.each<[Tree, Record<string, string>, string]>([
    [{ '.java-version': '21' }, {}, '21.0.9+10'],
    [{ '.java-version': '21.0.9' }, {}, '21.0.9+10'],
    [{ '.java-version': '17' }, {}, '17.0.9+10'],
    [{ '.sdkmanrc': 'java=21-open\n' }, {}, '21.0.9+10'],
    [{ 'system.properties': 'java.runtime.version=1.8\n' }, {}, '11.0.9+10'],
    [{ 'pom.xml': '<maven.compiler.release>22</maven.compiler.release>' }, {}, '25.0.9+10'],
    [{}, { BP_JVM_VERSION: '21.*' }, '21.0.9+10'],
  ])('of %j %j is Debian’s', async (tree, env, shown) => {
    const { choose, commands } = await machine()
    expect(await choose(tree, env)).toMatchObject({ shown })
    expect(commands).toEqual([])
  })

  it.each<[Tree, Record<string, string>, string]>([
    [{ '.sdkmanrc': 'java=21.0.5-tem\n' }, {}, 'temurin-21.0.5+11.0.LTS'],
    [{ '.tool-versions': 'java temurin-21.0.5+11.0.LTS\n' }, {}, 'temurin-21.0.5+11.0.LTS'],
    [{ 'mise.toml': '[tools]\njava = "corretto-21"\n' }, {}, 'corretto-21.0.5.11.1'],
    [{ 'system.properties': 'java.runtime.version=zulu-21\n' }, {}, 'zulu-21.38.21'],
    [{ '.java-version': '21.0.5' }, {}, 'temurin-21.0.5+11.0.LTS'],
    [{ '.java-version': '22' }, {}, 'temurin-22.0.2+9'],
    [{ 'pom.xml': '<maven.compiler.release>26</maven.compiler.release>' }, {}, 'temurin-26.0.1+8'],
    [
      {
        'build.gradle':
          'java { toolchain { languageVersion = JavaLanguageVersion.of(21); vendor = JvmVendorSpec.AMAZON } }',
      },
      {},
      'corretto-21.0.5.11.1',
    ],
    [
      { 'pom.xml': '<toolchains><jdk><version>21</version><vendor>amazon</vendor></jdk></toolchains>' },
      {},
      'corretto-21.0.5.11.1',
    ],
    [{}, { BP_JVM_VERSION: '21.0.5' }, 'temurin-21.0.5+11.0.LTS'],
    [{}, { BP_JVM_VERSION: '22' }, 'temurin-22.0.2+9'],
  ])('of %j %j is mise’s', async (tree, env, shown) => {
    const { choose, commands, output } = await machine()
    expect(await choose(tree, env)).toMatchObject({ shown, major: majorOf(shown) })
    expect(commands).toEqual(['ls-remote --json java'])
    expect(output()).toContain(`Java ${shown}: `)
    expect(output()).not.toContain('Warning')
  })

  it('is in the bill of materials by its vendor', async () => {
    const { choose } = await machine()
    expect((await choose({ '.sdkmanrc': 'java=21.0.5-tem\n' })).components).toEqual([
      {
        name: 'temurin',
        version: '21.0.5+11.0.LTS',
        purl: 'pkg:generic/temurin@21.0.5%2B11.0.LTS',
        cpe: 'cpe:2.3:a:oracle:openjdk:21.0.5:*:*:*:*:*:*:*',
      },
    ])
  })

  it('of a file is Debian’s with a warning, and of a setting with a vendor an error, where there is no such build', async () => {
    for (const list of [builds, undefined]) {
      const { choose, output, state } = await machine()
      state.list = list
      expect(await choose({ '.sdkmanrc': 'java=21.0.7-tem\n' })).toMatchObject({ shown: '21.0.9+10' })
      expect(output()).toContain('.sdkmanrc asks for Java 21.0.7-tem, which is not available')
      expect(output()).toContain(list ? 'the nearest is temurin-21.0.10' : 'check the network')
      expect(await failureOf(choose({}, { BP_JVM_VERSION: '21.0.7-tem' }))).toMatchObject({
        message: list ? 'Java 21.0.7-tem: mise has no build temurin-21.0.7' : 'Java 21.0.7-tem: mise ls-remote failed',
        where: 'BP_JVM_VERSION',
        fix: `${list ? 'the nearest is temurin-21.0.10+7.0.LTS' : 'check the network'}; write 11, 17, 21 or 25, which Debian has`,
      })
    }
  })

  it('of a file is Debian’s with a warning where the vendor’s archive is out of reach', async () => {
    const { choose, commands, context, dir, output, state } = await machine()
    const env = { SSL_CERT_FILE: join(dir, 'certificates.pem') }
    await writeTree(dir, { 'certificates.pem': '', 'jdk/jdk/lib/security/cacerts': '' })
    state.installation = { exitCode: 1, stderr: 'error sending request' }
    const { jdk, instead } = await choose({ '.sdkmanrc': 'java=21.0.5-tem\n' })
    const debians = { ...jdk, shown: 'Debian’s', key: {}, unpack: () => Promise.resolve(), version: '21.0.9' }
    const install = (more: Pick<ChosenJava, 'instead'>) =>
      installJava({ ...context, env }, { major: '21', jdk, jre: jdk, ...more })
    const replaced = await install({
      instead: async error => ({ ...(await instead?.(error)), major: '21', jdk: debians, jre: debians }),
    })
    expect(replaced).toMatchObject({ jdk: { version: '21.0.9' }, jre: { shown: 'Debian’s' } })
    expect(output()).toContain('.sdkmanrc asks for Java 21.0.5-tem, which is not available (mise install-into')
    expect(await failureOf(install({}))).toMatchObject({ fix: expect.stringContaining('check the network') as string })
    // It is not tried again within an hour.
    commands.length = 0
    expect(await choose({})).toMatchObject({ shown: '21.0.9+10' })
    expect(commands).toEqual([])

    for (const installation of [
      { exitCode: 1, stderr: 'Checksum mismatch for file jdk.tar.gz' },
      { exitCode: 0, stderr: 'extract jdk.tar.gz' },
    ]) {
      state.installation = installation
      const refused = install({ instead: () => Promise.reject(new Error('nothing replaces it')) })
      expect(await failureOf(refused)).toMatchObject({ message: expect.stringContaining('published digest') as string })
    }
  })

  it('has no substitute where a setting or the only version requires it', async () => {
    const insteadOf = async (tree: Tree, env?: Record<string, string>) =>
      (await (await machine()).choose(tree, env)).instead
    expect(await insteadOf({ '.sdkmanrc': 'java=21.0.5-tem\n' })).toBeDefined()
    expect(await insteadOf({ '.java-version': '26' })).toBeUndefined()
    expect(await insteadOf({}, { BP_JVM_VERSION: '21.0.5-tem' })).toBeUndefined()
  })

  it('of a setting is Debian’s same version with a warning where there is no such release, no list, or no mise', async () => {
    const { choose, context, output, state } = await machine()
    const setting = { BP_JVM_VERSION: '17.0.7' }
    expect(await choose({}, setting)).toMatchObject({ shown: '17.0.9+10' })
    expect(output()).toContain('BP_JVM_VERSION asks for Java 17.0.7, which is not available (mise has no build')
    state.list = undefined
    expect(await choose({}, setting)).toMatchObject({ shown: '17.0.9+10' })
    Object.assign(context.target, { arch: 'arm64' })
    expect(await choose({}, setting)).toMatchObject({ shown: '17.0.9+10' })
    expect(await failureOf(choose({}, { BP_JVM_VERSION: '22' }))).toMatchObject({ where: 'BP_JVM_VERSION' })
  })

  it('of Zulu by another number is the newest with a warning for a file, and an error for a setting', async () => {
    for (const value of ['21.0.4-zulu', '21.0.4.fx-zulu']) {
      const { choose, output } = await machine()
      expect(await choose({ '.sdkmanrc': `java=${value}\n` })).toMatchObject({ shown: 'zulu-21.38.21' })
      expect(output()).toContain(`.sdkmanrc asks for Java ${value}, but`)
      expect(output()).toContain('Write zulu-21.38.21 there.')
      expect(await failureOf(choose({}, { BP_JVM_VERSION: value }))).toMatchObject({
        fix: "the nearest is zulu-21.38.21, with Zulu's own numbers; write 11, 17, 21 or 25, which Debian has",
      })
    }
    const { choose, output } = await machine()
    expect(await choose({}, { BP_JVM_VERSION: '21-zulu' })).toMatchObject({ shown: 'zulu-21.38.21' })
    expect(output()).not.toContain('Warning')
  })

  it('of a vendor that is not known is Debian’s with a warning', async () => {
    const { choose, output, commands } = await machine()
    expect(await choose({ '.sdkmanrc': 'java=21.0.2-graalce\n' })).toMatchObject({ shown: '21.0.9+10' })
    expect(output()).toContain('there are no builds of graalce here')
    expect(commands).toEqual([])
  })

  it('is the same without the network, and a newer one as soon as the list has it', async () => {
    const { choose, commands, state, output } = await machine()
    const [exact, line] = [{ '.sdkmanrc': 'java=21.0.5-tem\n' }, { '.sdkmanrc': 'java=21-tem\n' }]
    for (const tree of [exact, line]) await choose(tree)
    commands.length = 0
    state.list = undefined
    expect(await choose(exact)).toMatchObject({ shown: 'temurin-21.0.5+11.0.LTS' })
    expect(commands).toEqual([])
    expect(await choose(line)).toMatchObject({ shown: 'temurin-21.0.10+7.0.LTS' })
    expect(output()).toContain('the list of builds is out of reach')
    state.list = [...builds, 'temurin-21.0.11+9.0.LTS']
    expect(await choose(line)).toMatchObject({ shown: 'temurin-21.0.11+9.0.LTS' })
  })

  it('of a file is not looked for again within an hour if the list was out of reach; of a setting it is', async () => {
    onTestFinished(() => void vi.useRealTimers())
    vi.useFakeTimers({ toFake: ['Date'], now: new Date('2026-12-01T05:00:00Z') })
    const { choose, commands, state, output } = await machine()
    const file = { '.sdkmanrc': 'java=21.0.5-tem\n' }
    state.list = undefined
    expect(await choose(file)).toMatchObject({ shown: '21.0.9+10' })
    state.list = builds
    expect(await choose(file)).toMatchObject({ shown: '21.0.9+10' })
    expect(commands).toHaveLength(1)
    expect(output()).toContain('mise ls-remote failed, at 2026-12-01T05:00:00.000Z: Bale asks again after an hour')
    expect(await choose({}, { BP_JVM_VERSION: '21.0.5-tem' })).toMatchObject({ shown: 'temurin-21.0.5+11.0.LTS' })

    const other = await machine()
    other.state.list = undefined
    await other.choose(file)
    other.state.list = builds
    vi.setSystemTime(new Date('2026-12-01T06:00:00Z'))
    expect(await other.choose(file)).toMatchObject({ shown: 'temurin-21.0.5+11.0.LTS' })
  })

  it('lists the usual vendor’s builds', async () => {
    const { context, state } = await machine()
    expect(await vendorOffers(context)).toMatchObject([
      { name: 'Temurin', versions: ['26.0.1+8', '22.0.2+9', '21.0.10+7.0.LTS', '21.0.5+11.0.LTS'] },
    ])
    state.list = undefined
    expect(await vendorOffers(context)).toMatchObject([
      { versions: [], more: 'builds that cannot be shown, as the list of them is out of reach' },
    ])
  })
})

describe('a JDK without module files', () => {
  it('gives a JRE the modules that its release file names, except jlink’s own', async () => {
    const home = await temporaryDirectory()
    await writeTree(home, { release: 'JAVA_VERSION="25.0.1"\nMODULES="java.base jdk.jlink jdk.zipfs"\n' })
    const jdk = { home, version: '25.0.1+8' }
    const modulesOf = async (env: Record<string, string>) => (await linkArguments(env, jdk))?.args[1]
    expect(await modulesOf({})).toBe('java.base,jdk.zipfs')
    expect(await modulesOf({ BP_JVM_TYPE: 'JDK' })).toBe('java.base,jdk.zipfs')
  })
})
