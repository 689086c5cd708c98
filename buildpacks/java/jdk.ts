import { chmod, cp, mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import {
  type BuildContext,
  BuildpackError,
  byDefault,
  digestOf,
  digestOfFile,
  type EnvChanges,
  firstSetting,
  isSet,
  override,
  prepend,
  splitWords,
  withTempDir,
} from '../sdk/index.ts'
import type { JavaSource } from './java-source.ts'
import { trustStoreProgram, trustStoreSource, writeTrustStore } from './trust-store.ts'
import { dumpsReproducibly, type Major } from './version.ts'

/** A JDK in a build layer. */
export interface Jdk {
  readonly home: string
  readonly version: string
  /** `temurin`; undefined for Debian's OpenJDK. */
  readonly vendor?: string | undefined
  readonly env: Readonly<Record<string, string>>
}

/** Puts a JDK into a build layer. It trusts the certificates of the build image, including those of a proxy or a binding. */
export async function provideJdk(context: BuildContext, source: JavaSource): Promise<Jdk> {
  const { env } = context
  const { version } = source
  const layer = await context.layer('jdk', {
    title: `JDK ${source.shown}`,
    types: { build: true, cache: true },
    key: source.key,
    create: async dir => {
      await source.unpack(dir)
      const home = await source.home(dir)
      const security = join(home, 'lib/security')
      await rm(join(security, 'cacerts'), { force: true })
      await symlink(relative(security, join(dirname(dir), trustLayer, 'cacerts')), join(security, 'cacerts'))
      const own = { JAVA_HOME: override(home), PATH: prepend(join(home, 'bin'), ':') }
      return { env: { build: { ...own, ...found(source.libraries(dir)) } } }
    },
  })
  const home = await source.home(layer.path)
  const libraries = [source.libraries(layer.path), env['LD_LIBRARY_PATH']].filter(Boolean).join(':')
  await provideTrust(context, { home, libraries: source.libraries(layer.path) ?? '' }, version)
  return {
    home,
    version,
    vendor: source.vendor,
    env: { JAVA_HOME: home, LD_LIBRARY_PATH: libraries, PATH: `${join(home, 'bin')}:${env['PATH'] ?? ''}` },
  }
}

const trustLayer = 'jdk-certificates'

/** A layer of its own: a build without the network sees other certificates than one behind a proxy, and can still use the same JDK. */
async function provideTrust(
  context: BuildContext,
  jdk: { readonly home: string; readonly libraries: string },
  version: string,
): Promise<void> {
  const bundle = context.env['SSL_CERT_FILE'] || '/etc/ssl/certs/ca-certificates.crt'
  await context.layer(trustLayer, {
    types: { build: true, cache: true },
    key: { Java: version, Certificates: await digestOfFile(bundle), Program: digestOf(trustStoreSource) },
    create: dir => writeTrustStore(context, { ...jdk, bundle, file: join(dir, 'cacerts') }),
  })
}

/** The JVM of the image. */
export interface Jre {
  readonly home: string
  readonly env: Readonly<Record<string, string | undefined>>
  /** A different JVM has a different digest. */
  readonly digest: string
}

/**
 * Puts a JRE and its trust store into a layer of the image: what jlink makes of the JDK, or the source's own.
 * @param isRun whether the build also runs it: if the image reuses the previous layer, the build does not have its files
 */
export async function provideJre(
  context: BuildContext,
  source: JavaSource,
  { major, jdk, isRun }: { major: Major; jdk: Jdk; isRun: boolean },
): Promise<Jre | undefined> {
  const { run } = context
  const link = await linkArguments(context.env, jdk)
  const certificates = await packagedCertificates()
  const key = {
    ...source.key,
    Certificates: digestOf(certificates),
    Program: digestOf(trustStoreSource),
    ...(link && { jlink: link.args.join(' ') }),
  }
  const { path } = await context.layer('jre', {
    title: `${link?.what ?? 'JRE'} ${source.shown}`,
    types: { launch: true, cache: isRun },
    key,
    create: async dir => {
      // Without libraries beside it, a JRE is made of the JDK alone, which the build has.
      const isOfJdk = source.libraries(dir) === undefined
      if (!isOfJdk) await source.unpack(dir)
      const home = await source.home(dir)
      if (link === undefined) {
        if (isOfJdk) await cp(jdk.home, home, { recursive: true, verbatimSymlinks: true, preserveTimestamps: true })
      } else {
        await rm(home, { recursive: true, force: true })
        await run([join(jdk.home, 'bin/jlink'), ...link.args, '--output', home], { env: jdk.env, name: 'jlink' })
        if (dumpsReproducibly(major)) await dumpClasses(context, home, source.libraries(dir))
      }
      await withTempDir(async temp => {
        const bundle = join(temp, 'certificates.pem')
        await writeFile(bundle, certificates)
        await writeTrustStore(context, {
          home: jdk.home,
          libraries: jdk.env['LD_LIBRARY_PATH'] ?? '',
          bundle,
          file: join(home, 'lib/security/cacerts'),
          program: join(home, trustStoreProgram),
        })
      })
      const launch = { JAVA_HOME: override(home), PATH: prepend(join(home, 'bin'), ':'), LANG: byDefault('C.UTF-8') }
      return { env: { launch: { ...launch, ...found(source.libraries(dir)) } } }
    },
    sbom: () => Promise.resolve(source.components),
  })
  if (!isRun) return undefined
  const env = { LD_LIBRARY_PATH: source.libraries(path) }
  return { home: await source.home(path), env, digest: digestOf(JSON.stringify(key)) }
}

/**
 * The certificates of Debian's package. In a build the bundle in /etc/ssl may be the machine's own, with the authority of its proxy,
 * which an image must not trust.
 */
async function packagedCertificates(): Promise<string> {
  const dir = '/usr/share/ca-certificates'
  const names = await readdir(dir, { recursive: true, encoding: 'utf8' }).catch(() => [])
  const files = names.filter(name => name.endsWith('.crt')).toSorted()
  if (files.length === 0) {
    throw new BuildpackError('there are no certificates for the trust store of Java', {
      where: dir,
      fix: 'use a build image that has the package ca-certificates',
    })
  }
  return (await Promise.all(files.map(name => readFile(join(dir, name), 'utf8')))).join('\n')
}

/** A layer of its own, since the number of classes changes with the application and the JRE does not. */
export async function provideLaunchProgram({ layer }: BuildContext, script: string): Promise<void> {
  await layer('jvm-options', {
    types: { launch: true },
    key: { Script: digestOf(script) },
    create: async dir => {
      await mkdir(join(dir, 'exec.d'))
      await writeFile(join(dir, 'exec.d', 'jvm'), script)
      await chmod(join(dir, 'exec.d', 'jvm'), 0o755)
    },
  })
}

/**
 * The archive of JDK classes that the JVM maps into memory instead of parsing them at each start (JEP 341). jlink does not create it.
 * The options make the file the same on every machine.
 */
async function dumpClasses({ run }: BuildContext, home: string, libraries: string | undefined): Promise<void> {
  const options = ['-Xshare:dump', '-XX:+UseG1GC', '-Xms128m', '-Xmx128m'] as const
  await run([join(home, 'bin/java'), ...options], {
    env: { LD_LIBRARY_PATH: libraries, JAVA_TOOL_OPTIONS: undefined },
    quiet: true,
    name: 'java -Xshare:dump',
  })
}

/**
 * Modules with programs for developers, which Debian's JRE also contains. The compiler stays, as applications call it (javax.tools,
 * templates). Modules that need an option of the JVM stay as well: jdk.incubator.vector.
 */
const forDevelopers =
  /^jdk\.(editpad|graal\..*|hotspot\.agent|internal\..*|jartool|javadoc|jcmd|jconsole|jdeps|jlink|jpackage|jshell|jstatd|rmic|unsupported\.desktop)$/

/** Programs of the remaining modules, and the compiler's data for `--release`: Debian's JRE does not have them either. */
const without = ['--exclude-files', '**/bin/javac,**/bin/serialver,**/ct.sym'] as const

/**
 * Arguments for jlink: for the modules of a JRE, which then takes half the space of Debian's; for BP_JVM_JLINK_ARGS; or for all
 * modules, with BP_JVM_TYPE=JDK and with BP_JVM_JLINK_ENABLED. Undefined for Debian's own JRE, if BP_JVM_JLINK_ENABLED is `false`.
 */
export async function linkArguments(
  env: Readonly<Record<string, string>>,
  jdk: Pick<Jdk, 'home' | 'version'>,
): Promise<{ args: string[]; what: string } | undefined> {
  const own = firstSetting(env, 'BP_JVM_JLINK_ARGS')
  if (own !== undefined) return { args: splitWords(own.value, own.name), what: 'JRE (jlink)' }
  const isJdk = env['BP_JVM_TYPE']?.toLowerCase() === 'jdk'
  const enabled = firstSetting(env, 'BP_JVM_JLINK_ENABLED')
  if (enabled !== undefined && !isSet(env, enabled.name) && !isJdk) return undefined
  // Since Java 21 the levels have other names.
  const smaller =
    Number(/^\d+/.exec(jdk.version)?.[0]) < 21
      ? ['--compress', '2']
      : ['--strip-java-debug-attributes', '--compress', 'zip-6']
  const isWhole = isJdk || enabled !== undefined
  const { modules, areFiles } = await modulesOf(jdk.home)
  const isAll = isWhole || modules.length === 0
  const chosen = isAll ? modules : modules.filter(name => !forDevelopers.test(name))
  // A JDK without module files makes its copy from itself, which it can do of all modules but jlink's.
  const names =
    isAll && areFiles ? 'ALL-MODULE-PATH' : chosen.filter(name => areFiles || name !== 'jdk.jlink').join(',')
  const args = ['--add-modules', names, ...(isAll ? [] : without), '--no-man-pages', '--no-header-files', ...smaller]
  return { args, what: isJdk ? 'JDK' : enabled === undefined ? 'JRE' : 'JRE (jlink)' }
}

/** The modules of a JDK, as files of their own, or since Java 24 (JEP 493) only as part of the JDK. */
async function modulesOf(home: string): Promise<{ modules: string[]; areFiles: boolean }> {
  const files = await readdir(join(home, 'jmods')).catch(() => undefined)
  if (files !== undefined) {
    const modules = files.flatMap(name => (name.endsWith('.jmod') ? name.slice(0, -'.jmod'.length) : []))
    return { modules: modules.toSorted(), areFiles: true }
  }
  const release = await readFile(join(home, 'release'), 'utf8').catch(() => '')
  const listed = /^MODULES="([^"]*)"$/m.exec(release)?.[1]
  return { modules: (listed?.split(' ') ?? []).toSorted(), areFiles: listed === undefined }
}

const found = (libraries: string | undefined): EnvChanges =>
  libraries === undefined ? {} : { LD_LIBRARY_PATH: prepend(libraries, ':') }
