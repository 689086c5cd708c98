import { cp, mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { DebianArchive } from '../debian/archive.ts'
import { unpackPackages } from '../debian/unpack.ts'
import { boundFile, type BuildContext, BuildpackError, digestOf, firstSetting, keep, splitWords } from '../sdk/index.ts'
import { archiveTime } from './archive.ts'
import type { Jdk } from './jdk.ts'
import { type Maven, type MavenProgram, dependencyPlugin } from './maven-artifacts.ts'
import { provideAskedMaven, requestedMaven } from './maven-version.ts'
import { pomFile } from './pom.ts'
import { proxiesOf } from './proxies.ts'
import { knowsToolchains, toolchainOptions, wrapperVersion } from './toolchains.ts'

export interface MavenTools {
  readonly archive: DebianArchive
  readonly jdk: Jdk
  readonly temp: string
}

/**
 * Maven, ready to run. Downloads stay in a cache.
 * @param wrapper the application's own; without it, Debian's Maven
 */
export async function openMaven(context: BuildContext, tools: MavenTools, wrapper?: string): Promise<MavenProgram> {
  const { app, env, layer, run } = context
  const { archive, jdk, temp } = tools
  const cache = await layer('maven', {
    types: { cache: true },
    key: { repository: 'maven' },
    restore: () => keep,
    create: async () => {},
  })
  const debian = wrapper === undefined ? await provideMaven(context, archive) : undefined
  // Older wrappers look for their properties in their working directory, also when copyArtifact runs them.
  const parts = join(dirname(wrapper ?? ''), '.mvn/wrapper')
  if (wrapper !== undefined && (await app.hasDirectory(parts)))
    await cp(app.at(parts), join(temp, '.mvn/wrapper'), { recursive: true })
  const repository = join(cache.path, 'repository')
  const fixed = ['-B', '-ntp', `-Dmaven.repo.local=${repository}`]
  const settings = await settingsOf(context, temp)
  const toolchains = await toolchainOptions(jdk, temp)
  const name = wrapper === undefined ? 'mvn' : `./${wrapper}`
  const ownBuild = async (step: 'build' | 'install' | undefined) =>
    step !== undefined && (await context.ownCommand(step)) !== undefined
  const make = (program: readonly [string, ...string[]], version: string | undefined): MavenProgram => ({
    name,
    version,
    repository,
    as: (path, version) => make([path], version),
    run: async (args, options) => {
      const always = [...fixed, ...settings, ...(knowsToolchains(version) ? toolchains : [])]
      await run([...program, ...always, ...args], {
        name: `${name} ${args.filter(arg => !arg.startsWith('-D')).join(' ')}`,
        env: {
          ...jdk.env,
          HOME: cache.path,
          MAVEN_USER_HOME: join(cache.path, 'wrapper'),
          ...((await ownBuild(options?.step)) && forOwnCommand(env, program, always)),
          MAVEN_OPTS: [env['MAVEN_OPTS'], env['MAVEN_JAVA_OPTS']].filter(Boolean).join(' ') || undefined,
        },
        fix: (stderr, stdout) => explain(stdout + stderr),
        ...options,
      })
    },
  })
  if (debian !== undefined) return make([debian.program], debian.version)
  return make(['sh', app.at(wrapper ?? '')], await wrapperVersion(app, dirname(wrapper ?? '')))
}

/** For a command of the user that replaces Maven's: provides `mvn` with the same repository and settings (Maven 3.9 reads MAVEN_ARGS). */
function forOwnCommand(
  env: Readonly<Record<string, string>>,
  [program]: readonly [string, ...string[]],
  args: readonly string[],
): Record<string, string> {
  const path = program.startsWith('/') ? `${dirname(program)}:${env['PATH'] ?? ''}` : (env['PATH'] ?? '')
  return { PATH: path, MAVEN_ARGS: [...args, env['MAVEN_ARGS']].filter(Boolean).join(' ') }
}

/** Builds with the application's Maven wrapper, with the requested Maven, or with Debian's. */
export async function buildWithMaven(context: BuildContext, tools: MavenTools): Promise<Maven> {
  const { app, env, log } = context
  const wrapper = await app.firstOf([join(dirname(pomFile(env)), 'mvnw'), 'mvnw'])
  const own = await openMaven(context, tools, wrapper)
  const request = await requestedMaven(app, env)
  if (wrapper !== undefined && request?.where.endsWith('_VERSION') === true)
    log.warning(
      `${request.where} has no effect: ./${wrapper} brings its own Maven`,
      `Change it in .mvn/wrapper, or remove ${wrapper}.`,
    )
  const maven =
    wrapper === undefined ? await provideAskedMaven(context, { debian: own, request, temp: tools.temp }) : own
  const goals = goalsOf(env)
  await log.step(`Running ${maven.name} ${goals.join(' ')}`, () =>
    maven.run([...projectArguments(env), ...goals], { step: 'build' }),
  )
  return maven
}

/** The time of entries in archives (maven.apache.org, "Reproducible Builds"). */
const reproducible = `-Dproject.build.outputTimestamp=${archiveTime}`

function projectArguments(env: Readonly<Record<string, string>>): string[] {
  const pom = firstSetting(env, 'BP_MAVEN_POM_FILE')?.value
  return [reproducible, ...(pom === undefined ? [] : ['-f', pom])]
}

/**
 * Copies the libraries that a module needs at run time into a directory of its `target`, and returns that directory. A module without
 * libraries gets none. Modules find each other's archives only in the run that builds them, so this repeats the same run, which then
 * has almost nothing to do.
 */
export async function copyLibraries({ env, log }: BuildContext, maven: Maven, target: string): Promise<string> {
  const copy = `${dependencyPlugin}:copy-dependencies`
  const directory = 'bale-libraries'
  const options = ['-DincludeScope=runtime', `-DoutputDirectory=target/${directory}`, '-Dmdep.useBaseVersion=true']
  await log.step(`Running ${maven.name} dependency:copy-dependencies`, () =>
    maven.run([...projectArguments(env), ...goalsOf(env), copy, ...options], { quiet: true }),
  )
  return join(target, directory)
}

/** Maven's goals. The default builds the archive and leaves tests to CI, as other builders do. */
function goalsOf(env: Readonly<Record<string, string>>): string[] {
  const words = (name: string): string[] => splitWords(env[name] ?? '', name)
  const custom = firstSetting(env, 'MAVEN_CUSTOM_GOALS')
  const skip = ['-Dmaven.test.skip=true']
  const own = ['BP_MAVEN_BUILD_ARGUMENTS', 'GOOGLE_MAVEN_BUILD_ARGS'].find(name => env[name] !== undefined)
  const base =
    custom !== undefined
      ? [...(env['MAVEN_CUSTOM_OPTS'] === undefined ? ['-DskipTests'] : []), ...words('MAVEN_CUSTOM_GOALS')]
      : own === undefined
        ? [...skip, 'package']
        : words(own)
  const profiles = firstSetting(env, 'BP_MAVEN_ACTIVE_PROFILES')?.value
  const module = firstSetting(env, 'GOOGLE_BUILDABLE', 'BP_MAVEN_BUILT_MODULE')?.value
  return [
    ...base,
    ...words('MAVEN_CUSTOM_OPTS'),
    ...words('BP_MAVEN_ADDITIONAL_BUILD_ARGUMENTS'),
    ...words('GOOGLE_BUILD_ARGS'),
    ...(profiles === undefined ? [] : ['-P', profiles]),
    // One module, and the modules that it needs.
    ...(module === undefined ? [] : ['-pl', module, '-am']),
  ]
}
/**
 * Options for a binding of the type `maven`, for MAVEN_SETTINGS_PATH, or for generated settings with the machine's proxy, which Maven
 * does not read itself.
 */
async function settingsOf(context: BuildContext, temp: string): Promise<string[]> {
  const { app, env, log } = context
  const bound = await boundFile(context, 'maven', 'settings.xml')
  if (bound !== undefined) {
    const { binding, path } = bound
    log.info(`Settings: the binding ${binding.name}`)
    const security = binding.keys.includes('settings-security.xml')
      ? [`-Dsettings.security=${binding.pathOf('settings-security.xml')}`]
      : []
    return ['-s', path, ...security]
  }
  const setting = firstSetting(env, 'MAVEN_SETTINGS_PATH', 'BP_MAVEN_SETTINGS_PATH')
  if (setting !== undefined) {
    const path = setting.value
    if (!(await app.has(path))) throw new BuildpackError(`there is no ${path}`, { where: setting.name })
    // Maven does not always run in the application's directory.
    return ['-s', app.at(path)]
  }
  const proxies = proxiesOf(env)
  if (proxies.length === 0) return []
  const file = join(temp, 'settings.xml')
  const elements = proxies.map(({ protocol, host, port, username, password, nonProxyHosts }) => {
    const element = (name: string, value: string) => (value === '' ? '' : `<${name}>${escapeXml(value)}</${name}>`)
    const rest = [element('username', username), element('password', password), element('nonProxyHosts', nonProxyHosts)]
    return `<proxy><id>${protocol}</id><active>true</active><protocol>${protocol}</protocol>${element('host', host)}${element('port', port)}${rest.join('')}</proxy>`
  })
  await writeFile(file, `<settings><proxies>${elements.join('')}</proxies></settings>\n`, { mode: 0o600 })
  return ['-s', file]
}

const escapeXml = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')

/** Debian's Maven, without the JRE that its package depends on. */
async function provideMaven(
  { layer, run }: BuildContext,
  archive: DebianArchive,
): Promise<{ readonly program: string; readonly version: string }> {
  const jre = new Set((await archive.resolve(['default-jre-headless'])).map(({ name }) => name))
  const packages = (await archive.resolve(['maven'])).filter(({ name }) => !jre.has(name))
  const version = (packages.find(({ name }) => name === 'maven')?.version ?? '').replace(/-.*/, '')
  const made = await layer('maven-program', {
    title: `Maven ${version}`,
    types: { build: true, cache: true },
    key: { 'Debian packages': digestOf(JSON.stringify(packages)) },
    create: async dir => {
      await mkdir(dir, { recursive: true })
      await unpackPackages(run, await archive.download(packages), dir)
    },
  })
  return { program: join(made.path, 'usr/share/maven/bin/mvn'), version }
}

function explain(output: string): string | undefined {
  const fixes: readonly (readonly [RegExp, string])[] = [
    [
      /Could not transfer artifact|Could not find artifact|Unknown host|Connection refused/,
      'check the network, and the repositories; a binding of the type maven with settings.xml names mirrors and credentials',
    ],
    [/release version \S+ not supported|invalid target release/, 'set BP_JVM_VERSION to a newer version'],
    [/There are test failures/, 'leave tests out with BP_MAVEN_BUILD_ARGUMENTS="-DskipTests package"'],
  ]
  return fixes.find(([pattern]) => pattern.test(output))?.[1]
}
