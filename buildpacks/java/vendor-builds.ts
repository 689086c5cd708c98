import type { DebianArchive } from '../debian/archive.ts'
import { type BuildRequest, rememberFailure, resolveBuild } from '../mise/builds.ts'
import { hasMise, Mise, type MiseTool, UntrustedArchive } from '../mise/mise.ts'
import { type BuildContext, BuildpackError, type Offer, withTempDir } from '../sdk/index.ts'
import { newestFirst } from '../sdk/version-order.ts'
import { debianJava, type JavaSource, vendorJava } from './java-source.ts'
import { type Jdk, provideJdk } from './jdk.ts'
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
  /** Debian's, with a warning about the error, for a vendor's build that cannot be installed; undefined if it is no substitute. */
  readonly instead?: (error: BuildpackError) => Promise<ChosenJava>
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
  const { major, why, wish } = chosen
  const { log } = context
  const packages = async (): Promise<ChosenJava> => ({
    major,
    jdk: await debianJava(context, archive, `openjdk-${major}-jdk-headless`),
    jre: await debianJava(context, archive, `openjdk-${major}-jre-headless`),
  })
  const debian = (): Promise<ChosenJava> => {
    logDebianChoice(context, chosen)
    return packages()
  }
  if (wish === undefined || (await satisfiedByDebian(wish, major, packages))) return debian()
  const { where, value, isRequired } = wish
  const request = requestFor(wish)
  const otherwise = (error: BuildpackError): Promise<ChosenJava> => {
    log.warning(
      `${where} asks for Java ${value}, which is not available (${error.message}): Debian's Java ${major} builds and runs the application`,
      error.fix,
    )
    return debian()
  }
  try {
    const source = await findBuild(context, wish, request, temp)
    log.info(`Java ${source.shown}: ${why}`)
    const found = { major: majorOf(source.version) ?? wish.major, jdk: source, jre: source }
    if (isRequired) return found
    const instead = async (error: BuildpackError) => {
      await rememberFailure(context, request, error)
      return otherwise(error)
    }
    return { ...found, instead }
  } catch (error) {
    if (!(error instanceof BuildpackError)) throw error
    if (!isRequired) return otherwise(error)
    throw new BuildpackError(`Java ${value}: ${error.message}`, {
      where,
      fix: [error.fix, `write ${debianVersions}`].filter(Boolean).join('; '),
      cause: error,
    })
  }
}

function logDebianChoice({ log }: BuildContext, { major, why, instead, unknownVendor }: ChosenVersion): void {
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
}

/** Whether Debian's packages are a release that the request accepts. */
async function satisfiedByDebian(
  { vendor, version, major }: BuildWish,
  debianMajor: Major,
  packages: () => Promise<ChosenJava>,
): Promise<boolean> {
  if (vendor !== undefined || debianMajor !== major || !javaReleases.some(({ minor }) => minor === major)) return false
  return isStartOf(version, (await packages()).jdk.shown)
}

async function findBuild(
  context: BuildContext,
  wish: BuildWish,
  request: BuildRequest,
  temp: string,
): Promise<JavaSource> {
  const mise = new Mise(context, tool, temp)
  const source = vendorJava(context, mise, await resolveBuild(context, mise, request))
  if (!isStartOf(wish.version, source.version))
    context.log.warning(
      `${wish.where} asks for Java ${wish.value}, but mise has builds of Zulu only by Zulu's own numbers: ${source.shown} builds and runs the application`,
      `Write ${source.shown} there.`,
    )
  return source
}

const requestFor = (wish: BuildWish): BuildRequest => ({
  layer: 'jdk-build',
  text: `${wish.vendor ?? usualVendor} ${wish.version}`,
  isExact: isExact(wish.version) && wish.vendor !== 'zulu',
  isOptional: !wish.isRequired,
  choose: builds => chooseBuild(builds, wish),
})

/** Puts the chosen JDK into a build layer, or the one that replaces it if it cannot be installed. */
export async function installJava(
  context: BuildContext,
  { major, jdk, jre, instead }: ChosenJava,
): Promise<{ readonly major: Major; readonly jdk: Jdk; readonly jre: JavaSource }> {
  try {
    return { major, jdk: await provideJdk(context, jdk), jre }
  } catch (error) {
    // An archive that somebody may have changed is no reason to go on with another one.
    if (instead === undefined || !(error instanceof BuildpackError) || error instanceof UntrustedArchive) throw error
    return installJava(context, await instead(error))
  }
}

/** The newest build that a request accepts. @throws BuildpackError with the nearest one, if there is none */
export function chooseBuild(builds: readonly string[], wish: BuildWish): string {
  const { version, major, isRequired } = wish
  const vendor = wish.vendor ?? usualVendor
  const releases = releasesOf(builds, vendor)
  // Zulu's own numbers follow the major version: other version managers write OpenJDK's.
  const isOther = vendor === 'zulu' && !isRequired && !releases.some(release => isStartOf(version, release))
  const found = releases.find(release => isStartOf(isOther ? major : version, release))
  if (found !== undefined) return `${vendor}-${found}`
  const same = releases.find(release => isStartOf(major, release))
  const next = releases.findLast(release => Number(majorOf(release)) > Number(major))
  const nearest = same ?? next ?? releases[0]
  throw new BuildpackError(`mise has no build ${vendor}-${version}`, {
    fix:
      nearest === undefined
        ? `it has none of ${vendor} at all`
        : `the nearest is ${vendor}-${nearest}${vendor === 'zulu' ? ", with Zulu's own numbers" : ''}`,
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
