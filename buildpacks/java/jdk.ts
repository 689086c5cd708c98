import { chmod, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
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
import { launchScript } from './launch-script.ts'
import { trustStoreSource, writeTrustStore } from './trust-store.ts'
import type { Major } from './version.ts'

/** A JDK in a layer of the build. */
export interface Jdk {
  readonly home: string
  readonly version: string
  readonly env: Readonly<Record<string, string>>
}

/** Puts Debian's JDK into a layer of the build. It trusts what the build image trusts, with the certificates of a proxy or a binding. */
export async function provideJdk(context: BuildContext, archive: DebianArchive, major: Major): Promise<Jdk> {
  const { env, run, target } = context
  const packages = await resolveJava(archive, `openjdk-${major}-jdk-headless`)
  const version = versionOf(packages, `openjdk-${major}-jdk-headless`)
  const bundle = env['SSL_CERT_FILE'] || '/etc/ssl/certs/ca-certificates.crt'
  const layer = await context.layer('jdk', {
    title: `JDK ${version.replace(/-.*/, '')}`,
    types: { build: true, cache: true },
    key: { ...keyOf(packages, version, target.arch), Certificates: await digestOfFile(bundle) },
    create: async dir => {
      await unpackPackages(run, await archive.download(packages), dir)
      const home = await homeOf(dir)
      const libraries = libraryDir(dir, target.arch)
      await writeTrustStore(context, { home, libraries, bundle, file: join(home, 'lib/security/cacerts') })
      return {
        env: { build: { JAVA_HOME: override(home), PATH: prepend(join(home, 'bin'), ':'), ...found(libraries) } },
      }
    },
  })
  const home = await homeOf(layer.path)
  const libraries = [libraryDir(layer.path, target.arch), env['LD_LIBRARY_PATH']].filter(Boolean).join(':')
  return {
    home,
    version,
    env: { JAVA_HOME: home, LD_LIBRARY_PATH: libraries, PATH: `${join(home, 'bin')}:${env['PATH'] ?? ''}` },
  }
}

/** Puts Debian's JRE, its trust store and the program that sizes its memory into a layer of the image. */
export async function provideJre(
  context: BuildContext,
  archive: DebianArchive,
  { major, jdk, classes, options }: { major: Major; jdk: Jdk; classes: number; options: readonly string[] },
): Promise<void> {
  const { run, target } = context
  const name = `openjdk-${major}-jre-headless`
  const packages = await resolveJava(archive, name)
  const version = versionOf(packages, name)
  const link = linkArguments(context.env, major)
  const certificates = await packagedCertificates()
  await context.layer('jre', {
    title: `JRE ${version.replace(/-.*/, '')}${link === undefined ? '' : ' (jlink)'}`,
    types: { launch: true },
    key: {
      ...keyOf(packages, version, target.arch),
      Certificates: digestOf(certificates),
      Program: digestOf(trustStoreSource),
      ...(link && { jlink: link.join(' ') }),
    },
    create: async dir => {
      await unpackPackages(run, await archive.download(packages), dir)
      const home = await homeOf(dir)
      if (link !== undefined) {
        await rm(home, { recursive: true })
        await run([join(jdk.home, 'bin/jlink'), ...link, '--output', home], { env: jdk.env, name: 'jlink' })
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
  await provideLaunchProgram(context, launchScript(classes, options))
}

/**
 * The certificates of Debian's package: the bundle in /etc/ssl may be the machine's own while a build runs, with the authority of its
 * proxy, which an image must not trust.
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

/** A layer of its own, as the number of classes changes with the application and the JRE does not. */
async function provideLaunchProgram({ layer }: BuildContext, script: string): Promise<void> {
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

/** BP_JVM_JLINK_ENABLED makes a JRE of modules; BP_JVM_JLINK_ARGS says of which. */
function linkArguments(env: Readonly<Record<string, string>>, major: Major): string[] | undefined {
  const args = firstSetting(env, 'BP_JVM_JLINK_ARGS')
  if (args !== undefined) return splitWords(args.value, args.name)
  if (!isSet(env, 'BP_JVM_JLINK_ENABLED')) return undefined
  // Java 21 has other levels than those before it.
  const compression =
    Number(major) < 21 ? ['--compress', '2'] : ['--strip-java-debug-attributes', '--compress', 'zip-6']
  const smaller = ['--no-man-pages', '--no-header-files', ...compression]
  return ['--add-modules', 'ALL-MODULE-PATH', ...smaller]
}

/** What only maintainer scripts of Java's packages need: no script runs, and programs such as `su` have no place in an image. */
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

/** `usr/lib/jvm/java-21-openjdk-amd64`, without what only a person at a desk needs. */
async function homeOf(dir: string): Promise<string> {
  const jvm = join(dir, 'usr/lib/jvm')
  const name = (await readdir(jvm)).find(name => /^java-\d+-openjdk/.test(name))
  if (name === undefined) throw new BuildpackError(`Debian's package has no Java in ${jvm}`)
  await rm(join(jvm, name, 'docs'), { force: true })
  return join(jvm, name)
}
