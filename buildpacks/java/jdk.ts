import { chmod, mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import type { DebianArchive, DebianPackage } from '../debian/archive.ts'
import { debianComponents, libraryDir, unpackPackages } from '../debian/unpack.ts'
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
import { trustStoreSource, writeTrustStore } from './trust-store.ts'
import { dumpsReproducibly, type Major } from './version.ts'

/** A JDK in a build layer. */
export interface Jdk {
  readonly home: string
  readonly version: string
  readonly env: Readonly<Record<string, string>>
}

/** Puts Debian's JDK into a build layer. It trusts the certificates of the build image, including those of a proxy or a binding. */
export async function provideJdk(context: BuildContext, archive: DebianArchive, major: Major): Promise<Jdk> {
  const { env, run, target } = context
  const packages = await resolveJava(archive, `openjdk-${major}-jdk-headless`)
  const version = versionOf(packages, `openjdk-${major}-jdk-headless`)
  const layer = await context.layer('jdk', {
    title: `JDK ${version.replace(/-.*/, '')}`,
    types: { build: true, cache: true },
    key: keyOf(packages, version, target.arch),
    create: async dir => {
      await unpackPackages(run, await archive.download(packages), dir)
      const home = await homeOf(dir)
      const security = join(home, 'lib/security')
      await rm(join(security, 'cacerts'), { force: true })
      await symlink(relative(security, join(dirname(dir), trustLayer, 'cacerts')), join(security, 'cacerts'))
      const own = { JAVA_HOME: override(home), PATH: prepend(join(home, 'bin'), ':') }
      return { env: { build: { ...own, ...found(libraryDir(dir, target.arch)) } } }
    },
  })
  const home = await homeOf(layer.path)
  await provideTrust(context, { home, libraries: libraryDir(layer.path, target.arch) }, version)
  const libraries = [libraryDir(layer.path, target.arch), env['LD_LIBRARY_PATH']].filter(Boolean).join(':')
  return {
    home,
    version,
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
  readonly env: Readonly<Record<string, string>>
  /** A different JVM has a different digest. */
  readonly digest: string
}

/**
 * Puts Debian's JRE and its trust store into a layer of the image.
 * @param isRun whether the build also runs it: if the image reuses the previous layer, the build does not have its files
 */
export async function provideJre(
  context: BuildContext,
  archive: DebianArchive,
  { major, jdk, isRun }: { major: Major; jdk: Jdk; isRun: boolean },
): Promise<Jre | undefined> {
  const { run, target } = context
  const name = `openjdk-${major}-jre-headless`
  const packages = await resolveJava(archive, name)
  const version = versionOf(packages, name)
  const link = await linkArguments(context.env, jdk)
  const certificates = await packagedCertificates()
  const key = {
    ...keyOf(packages, version, target.arch),
    Certificates: digestOf(certificates),
    Program: digestOf(trustStoreSource),
    ...(link && { jlink: link.args.join(' ') }),
  }
  const { path } = await context.layer('jre', {
    title: `${link?.what ?? 'JRE'} ${version.replace(/-.*/, '')}`,
    types: { launch: true, cache: isRun },
    key,
    create: async dir => {
      await unpackPackages(run, await archive.download(packages), dir)
      const home = await homeOf(dir)
      if (link !== undefined) {
        await rm(home, { recursive: true })
        await run([join(jdk.home, 'bin/jlink'), ...link.args, '--output', home], { env: jdk.env, name: 'jlink' })
        if (dumpsReproducibly(major)) await dumpClasses(context, home, libraryDir(dir, target.arch))
      }
      const libraries = libraryDir(dir, target.arch)
      await withTempDir(async temp => {
        const bundle = join(temp, 'certificates.pem')
        await writeFile(bundle, certificates)
        await writeTrustStore(context, {
          home: jdk.home,
          libraries: jdk.env['LD_LIBRARY_PATH'] ?? '',
          bundle,
          file: join(home, 'lib/security/cacerts'),
          program: join(dir, 'trust-store'),
        })
      })
      const launch = { JAVA_HOME: override(home), PATH: prepend(join(home, 'bin'), ':'), LANG: byDefault('C.UTF-8') }
      return { env: { launch: { ...launch, ...found(libraries) } } }
    },
    sbom: () => {
      const { name = 'debian', version = '13' } = target.distro ?? {}
      return Promise.resolve(debianComponents(packages, `${name}-${version}`))
    },
  })
  if (!isRun) return undefined
  const env = { LD_LIBRARY_PATH: libraryDir(path, target.arch) }
  return { home: await homeOf(path), env, digest: digestOf(JSON.stringify(key)) }
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
async function dumpClasses({ run }: BuildContext, home: string, libraries: string): Promise<void> {
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
  const files = await readdir(join(jdk.home, 'jmods')).catch(() => [])
  const names = files.flatMap(name => (name.endsWith('.jmod') ? name.slice(0, -'.jmod'.length) : [])).toSorted()
  const isAll = isJdk || enabled !== undefined || names.length === 0
  const modules = isAll ? 'ALL-MODULE-PATH' : names.filter(name => !forDevelopers.test(name)).join(',')
  const args = ['--add-modules', modules, ...(isAll ? [] : without), '--no-man-pages', '--no-header-files', ...smaller]
  return { args, what: isJdk ? 'JDK' : enabled === undefined ? 'JRE' : 'JRE (jlink)' }
}

/** Packages that only maintainer scripts of Java's packages need: no script runs, and programs such as `su` do not belong in an image. */
const forScripts =
  /^(ca-certificates-java|java-common|default-jre-headless|util-linux|libpam.*|libaudit.*|libcap-ng0|libdb5.*|libblkid1|liblastlog2.*|libmount1|libsmartcols1|libudev1|libuuid1)$/

async function resolveJava(archive: DebianArchive, name: string): Promise<DebianPackage[]> {
  return (await archive.resolve([name])).filter(p => !forScripts.test(p.name))
}

const found = (libraries: string): EnvChanges => ({ LD_LIBRARY_PATH: prepend(libraries, ':') })

function keyOf(packages: readonly DebianPackage[], version: string, arch: string) {
  return { Java: version, architecture: arch, 'Debian packages': digestOf(JSON.stringify(packages)) }
}

function versionOf(packages: readonly DebianPackage[], name: string): string {
  const version = packages.find(p => p.name === name)?.version
  if (version === undefined) throw new BuildpackError(`apt-get did not choose ${name}`)
  return version
}

/** `usr/lib/jvm/java-21-openjdk-amd64`, without files for people at a desk. */
async function homeOf(dir: string): Promise<string> {
  const jvm = join(dir, 'usr/lib/jvm')
  const name = (await readdir(jvm)).find(name => /^java-\d+-openjdk/.test(name))
  if (name === undefined) throw new BuildpackError(`Debian's package has no Java in ${jvm}`)
  await rm(join(jvm, name, 'docs'), { force: true })
  return join(jvm, name)
}
