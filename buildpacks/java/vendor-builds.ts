import type { DebianArchive } from '../debian/archive.ts'
import { newestFirst, resolveBuild } from '../mise/builds.ts'
import { hasMise, Mise, type MiseTool } from '../mise/mise.ts'
import { type BuildContext, BuildpackError, type Offer, withTempDir } from '../sdk/index.ts'
import { debianJava, type JavaSource, vendorJava } from './java-source.ts'
import { type BuildWish, isExact, isStartOf, usualVendor } from './vendor.ts'
import { type ChosenVersion, debianVersions, javaReleases, majorOf, type Major } from './version.ts'

/** mise's list of builds, and the hosts that vendors publish theirs on. */
const tool: MiseTool = {
  name: 'java',
  hosts: [
    'https://mise-java.jdx.dev',
    'https://github.com',
    'https://corretto.aws',
    'https://cdn.azul.com',
    'https://download.bell-sw.com',
    'https://aka.ms',
    'https://dragonwell.oss-cn-shanghai.aliyuncs.com',
  ],
}

/** The Java of a build. */
export interface ChosenJava {
  readonly major: Major
  readonly jdk: JavaSource
  /** The JRE from which the image gets its own. */
  readonly jre: JavaSource
}

/**
 * Chooses between Debian's packages and a vendor's build.
 * @throws BuildpackError if a required build is not available
 */
export async function chooseJava(
  context: BuildContext,
  archive: DebianArchive,
  chosen: ChosenVersion,
  temp: string,
): Promise<ChosenJava> {
  const { major, why, instead, unknownVendor, wish } = chosen
  const { log } = context
  const debian = async (): Promise<ChosenJava> => ({
    major,
    jdk: await debianJava(context, archive, `openjdk-${major}-jdk-headless`),
    jre: await debianJava(context, archive, `openjdk-${major}-jre-headless`),
  })
  const vendors = wish && (await findBuild(context, wish, { debian, temp, debianMajor: major }))
  if (vendors !== undefined) {
    log.info(`Java ${vendors.jdk.shown}: ${why}`)
    return vendors
  }
  log.info(`Java ${major}: ${why}`)
  if (unknownVendor !== undefined)
    log.warning(`there are no builds of ${unknownVendor} here: Debian's OpenJDK builds and runs the application`)
  if (instead) {
    log.warning(
      `${instead.where} asks for Java ${instead.value}, which Debian does not have: Java ${major} builds and runs the application`,
      `Write ${major} there if the application works with it.`,
    )
  }
  if (major === '11') log.warning('Debian no longer fixes Java 11', 'Use 17 or newer if the application works with it.')
  return debian()
}

interface Alternatives {
  readonly debian: () => Promise<ChosenJava>
  readonly debianMajor: Major
  readonly temp: string
}

/** @returns undefined if Debian's Java is the one */
async function findBuild(
  context: BuildContext,
  wish: NonNullable<ChosenVersion['wish']>,
  { debian, debianMajor, temp }: Alternatives,
): Promise<ChosenJava | undefined> {
  const { vendor, version, major, where, value, isRequired } = wish
  if (vendor === undefined && debianMajor === major && javaReleases.some(({ minor }) => minor === major)) {
    const { jdk } = await debian()
    if (isStartOf(version, jdk.shown)) return undefined
  }
  try {
    const mise = new Mise(context, tool, temp)
    const build = await resolveBuild(context, mise, {
      layer: 'jdk-build',
      text: `${vendor ?? usualVendor} ${version}`,
      isExact: isExact(version) && vendor !== 'zulu',
      choose: builds => chooseBuild(builds, wish),
    })
    const source = vendorJava(context, mise, build)
    return { major: majorOf(source.version) ?? major, jdk: source, jre: source }
  } catch (error) {
    if (!(error instanceof BuildpackError)) throw error
    if (isRequired)
      throw new BuildpackError(`Java ${value}: ${error.message}`, {
        where,
        fix: [error.fix, `write ${debianVersions}`].filter(Boolean).join('; '),
        cause: error,
      })
    context.log.warning(
      `${where} asks for Java ${value}, which cannot be had (${error.message}): Debian's Java ${debianMajor} builds and runs the application`,
      error.fix,
    )
    return undefined
  }
}

/** The newest build that a request accepts. @throws BuildpackError with the nearest one, if there is none */
export function chooseBuild(builds: readonly string[], wish: BuildWish): string {
  const { version, major } = wish
  const vendor = wish.vendor ?? usualVendor
  const releases = releasesOf(builds, vendor)
  // Zulu's own numbers follow the major version: other version managers write OpenJDK's.
  const isOther = vendor === 'zulu' && !releases.some(release => isStartOf(version, release))
  const found = releases.find(release => isStartOf(isOther ? major : version, release))
  if (found !== undefined) return `${vendor}-${found}`
  const same = releases.find(release => isStartOf(major, release))
  const next = releases.findLast(release => Number(majorOf(release)) > Number(major))
  const nearest = same ?? next ?? releases[0]
  throw new BuildpackError(`mise has no build ${vendor}-${version}`, {
    fix: nearest === undefined ? `it has none of ${vendor} at all` : `the nearest is ${vendor}-${nearest}`,
  })
}

/** A vendor's JDKs, without those for special uses (`zulu-crac-21…`), the newest first. */
const releasesOf = (builds: readonly string[], vendor: string): string[] =>
  builds
    .flatMap(build => (build.startsWith(`${vendor}-`) ? build.slice(vendor.length + 1) : []))
    .filter(release => /^\d/.test(release) && !release.includes('-'))
    .toSorted(newestFirst)

/** For `bale buildpack inspect --versions`: the usual vendor's builds. */
export async function vendorOffers(context: BuildContext): Promise<Offer[]> {
  if (!hasMise(context.target.arch)) return []
  const from = 'mise, of the npm registry, for requests of a vendor or of a version that Debian does not have'
  const more = 'builds of Corretto, Zulu, Liberica, Microsoft, SapMachine and Dragonwell by their names: corretto-21'
  const versions = await withTempDir(temp => new Mise(context, tool, temp).list()).catch((error: unknown) => {
    if (error instanceof BuildpackError) return undefined
    throw error
  })
  if (versions === undefined)
    return [
      { name: 'Temurin', from, versions: [], more: 'builds that cannot be shown, as the list of them is out of reach' },
    ]
  return [{ name: 'Temurin', from, versions: releasesOf(versions, usualVendor), more }]
}
