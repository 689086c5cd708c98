import type { BuildContext } from '../sdk/index.ts'
import { DebianArchive } from './archive.ts'
import { isMet, type Wanted } from './offered-version.ts'

/** A version of a language in Debian: in the stack's release, or in an older one, whose packages run there as well. */
export interface DebianRelease {
  /** `8.2` */
  readonly minor: string
  /** `bookworm` */
  readonly older?: string
}

/**
 * Opens the archive with the first version that satisfies the request, or with the last opened version if none does. The package lists of
 * an older release are large, and the stack's apt sources may lack it: a version whose releases cannot satisfy the request is not opened.
 * @param versions the stack's version first
 * @param offerOf the release in an archive: `8.2.36`
 * @returns the offer, and all releases for a message: a version that was not opened has no patch number (`8.2`)
 */
export async function openRelease<Offer extends { readonly release: string }>(
  context: BuildContext,
  temp: string,
  wanted: Wanted,
  [first, ...older]: readonly [DebianRelease, ...DebianRelease[]],
  offerOf: (archive: DebianArchive, version: DebianRelease) => Promise<Offer>,
): Promise<{ archive: DebianArchive; offer: Offer; releases: readonly [string, ...string[]] }> {
  const open = async (version: DebianRelease) => {
    const archive = await DebianArchive.open(context, temp, { older: version.older })
    return { archive, offer: await offerOf(archive, version) }
  }
  let found = await open(first)
  const releases: [string, ...string[]] = [found.offer.release]
  for (const version of older) {
    if (isMet(wanted, found.offer.release)) break
    if (!canMeet(wanted, version.minor)) {
      releases.push(version.minor)
      continue
    }
    found = await open(version)
    releases.push(found.offer.release)
  }
  return { ...found, releases }
}

/** Whether a patch release of the version could satisfy the request. No release in Debian has a patch number near 1,000. */
const canMeet = (wanted: Wanted, minor: string): boolean =>
  Array.from({ length: 1000 }, (_, patch) => `${minor}.${patch}`).some(release => isMet(wanted, release))

/** For `bale buildpack inspect --versions`: the versions besides the stack's own. */
export const olderOffers = (language: string, versions: readonly DebianRelease[]): string | undefined => {
  const older = versions.flatMap(({ minor, older }) =>
    older === undefined ? [] : [`${language} ${minor} of ${older}`],
  )
  return older.length === 0 ? undefined : `${older.join(' and ')}, if no newer one satisfies the request`
}

/** The end of Debian LTS's security fixes (wiki.debian.org/LTS). */
const supportedUntil: Readonly<Record<string, string>> = { bookworm: 'June 2028' }

/** A warning that a version comes from an older release, with the fix. */
export const warnOfOlder = (
  log: Pick<BuildContext['log'], 'warning'>,
  language: string,
  { minor, older }: DebianRelease,
  usual: DebianRelease,
): void => {
  if (older === undefined) return
  const until = supportedUntil[older]
  log.warning(
    `${language} ${minor} comes from Debian's older release ${older}, which gets security fixes only${until === undefined ? '' : `, until ${until}`}`,
    `Request ${language} ${usual.minor} if the application works with it.`,
  )
}
