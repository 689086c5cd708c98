import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { DebianArchive, DebianPackage } from '../debian/archive.ts'
import { debianComponents, libraryDir, unpackPackages } from '../debian/unpack.ts'
import type { Mise } from '../mise/mise.ts'
import { type BuildContext, BuildpackError, type Component, digestOf, type LayerKey, packageUrl } from '../sdk/index.ts'

/** A JDK or a JRE that can be installed. */
export interface JavaSource {
  /** Debian's version, or the vendor's: `21.0.5+11.0.LTS`. */
  readonly version: string
  /** `temurin`; undefined for Debian's OpenJDK. */
  readonly vendor?: string | undefined
  /** The name for users: `21.0.9+10`, `temurin-21.0.5+11.0.LTS`. */
  readonly shown: string
  readonly key: LayerKey
  /** Puts it into a layer. */
  unpack(dir: string): Promise<void>
  /** Java's home in the layer. */
  home(dir: string): Promise<string>
  /** The directory of other shared libraries in the layer that it needs; undefined if it needs none. */
  libraries(dir: string): string | undefined
  readonly components: readonly Component[]
}

/** Packages that only maintainer scripts of Java's packages need: no script runs, and programs such as `su` do not belong in an image. */
const forScripts =
  /^(ca-certificates-java|java-common|default-jre-headless|util-linux|libpam.*|libaudit.*|libcap-ng0|libdb5.*|libblkid1|liblastlog2.*|libmount1|libsmartcols1|libudev1|libuuid1)$/

/** Debian's package `openjdk-21-jdk-headless`, and the packages that it needs. */
export async function debianJava(context: BuildContext, archive: DebianArchive, name: string): Promise<JavaSource> {
  const { run, target } = context
  const packages = (await archive.resolve([name])).filter(p => !forScripts.test(p.name))
  const version = versionOf(packages, name)
  const { name: distro = 'debian', version: release = '13' } = target.distro ?? {}
  return {
    version,
    shown: version.replace(/-.*/, ''),
    key: { Java: version, architecture: target.arch, 'Debian packages': digestOf(JSON.stringify(packages)) },
    unpack: async dir => {
      await unpackPackages(run, await archive.download(packages), dir)
      // A file for people at a desk.
      await rm(join(await debianHome(dir), 'docs'), { force: true })
    },
    home: debianHome,
    libraries: dir => libraryDir(dir, target.arch),
    components: debianComponents(packages, `${distro}-${release}`),
  }
}

function versionOf(packages: readonly DebianPackage[], name: string): string {
  const version = packages.find(p => p.name === name)?.version
  if (version === undefined) throw new BuildpackError(`apt-get did not choose ${name}`)
  return version
}

/** `usr/lib/jvm/java-21-openjdk-amd64` */
async function debianHome(dir: string): Promise<string> {
  const jvm = join(dir, 'usr/lib/jvm')
  const name = (await readdir(jvm)).find(name => /^java-\d+-openjdk/.test(name))
  if (name === undefined) throw new BuildpackError(`Debian's package has no Java in ${jvm}`)
  return join(jvm, name)
}

/** A vendor's JDK, which contains its own libraries: `temurin-21.0.5+11.0.LTS`. */
export function vendorJava({ target }: BuildContext, mise: Mise, build: string): JavaSource {
  const [, vendor = '', version = ''] = /^([a-z-]+)-(\d.*)$/.exec(build) ?? []
  const release = version.replace(/\+.*/, '')
  const component = {
    name: vendor,
    version,
    purl: packageUrl('generic', vendor, version),
    // Vulnerabilities of all builds of OpenJDK have this name.
    cpe: `cpe:2.3:a:oracle:openjdk:${release}:*:*:*:*:*:*:*`,
  }
  return {
    version,
    vendor,
    shown: build,
    key: { Java: build, architecture: target.arch },
    unpack: async dir => {
      await mise.install(build, join(dir, 'jdk'))
      for (const name of ['demo', 'man', 'sample', 'lib/src.zip']) {
        await rm(join(dir, 'jdk', name), { recursive: true, force: true })
      }
    },
    home: dir => Promise.resolve(join(dir, 'jdk')),
    libraries: () => undefined,
    components: [component],
  }
}
