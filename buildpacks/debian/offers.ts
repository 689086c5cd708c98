import { type BuildContext, type Offer, withTempDir } from '../sdk/index.ts'
import { DebianArchive } from './archive.ts'

/** Debian's versions of some packages, by their names for users: the versions that the apt sources of the build image choose. */
export function debianOffers(
  context: BuildContext,
  packages: Readonly<Record<string, readonly string[]>>,
): Promise<Offer[]> {
  return withTempDir(async temp => {
    const archive = await DebianArchive.open(context, temp)
    const offers: Offer[] = []
    for (const [name, wanted] of Object.entries(packages)) {
      const versions: string[] = []
      for (const each of wanted) {
        const found = (await archive.resolve([each])).find(chosen => chosen.name === each)
        if (found !== undefined) versions.push(upstreamVersion(found.version))
      }
      offers.push({
        name,
        from: `Debian's archive, ${wanted.length === 1 ? 'package' : 'packages'} ${wanted.join(', ')}`,
        versions,
      })
    }
    return offers
  })
}

/** `8.4.28` of `1:8.4.28-1~deb13u1`. */
const upstreamVersion = (version: string) => version.replace(/^\d+:/, '').replace(/[-+~].*/, '')
