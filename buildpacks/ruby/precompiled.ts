import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { isMet, type Wanted } from '../debian/offered-version.ts'
import { resolveBuild } from '../mise/builds.ts'
import { hasMise, Mise } from '../mise/mise.ts'
import { type BuildContext, BuildpackError, byDefault, type Offer, prepend, withTempDir } from '../sdk/index.ts'
import { newestFirst } from '../sdk/version-order.ts'
import { bundlerOf, launchEnv, type Ruby } from './runtime.ts'
import { checkVersion } from './version.ts'

/** The releases of Ruby that mise's author compiles, with the digests that the host publishes. They run from any directory. */
const repository = 'github:jdx/ruby'
const hosts = ['https://api.github.com', 'https://github.com', 'https://mise-versions.jdx.dev']
/** By Debian's names of architectures. */
const archives: Readonly<Record<string, string>> = { amd64: 'ruby-*.x86_64_linux.tar.gz' }

const miseFor = (context: BuildContext, temp: string): Mise =>
  new Mise(context, { name: repository, archives: archives[context.target.arch] ?? '', hosts }, temp)

/** A Ruby that mise can install. */
export interface Precompiled {
  /** `3.4.7` */
  readonly release: string
  /** Puts it into the layer `ruby`, which is also in the image if `launch`. */
  provide(launch: boolean): Promise<Ruby>
}

/**
 * The newest precompiled Ruby that satisfies a request which Debian's do not satisfy.
 * @param releases those of Debian, for errors
 * @throws BuildpackError with the nearest release, if there is none
 */
export async function findPrecompiled(
  context: BuildContext,
  wanted: Wanted,
  temp: string,
  releases: readonly [string, ...string[]],
): Promise<Precompiled> {
  const refuse = (others: readonly string[]): never => {
    checkVersion(wanted, releases, others)
    throw new BuildpackError('no Ruby satisfies all requests')
  }
  if (!hasMise(context.target.arch)) return refuse([])
  const mise = miseFor(context, temp)
  const tag = await resolveBuild(context, mise, {
    layer: 'ruby-build',
    text: wanted.musts.map(({ value }) => value).join(', '),
    isExact: false,
    choose: tags => tags.toSorted(newestFirst).find(tag => isMet(wanted, releaseOf(tag))) ?? refuse(releasesOf(tags)),
  }).catch((error: unknown) => {
    if (!(error instanceof BuildpackError) || error.where !== undefined) throw error
    context.log.warning(`the list of precompiled Rubies is out of reach: ${error.message}`, error.fix)
    return refuse([])
  })
  return { release: releaseOf(tag), provide: launch => provide(context, mise, tag, launch) }
}

async function provide(context: BuildContext, mise: Mise, tag: string, launch: boolean): Promise<Ruby> {
  const { env, target } = context
  const release = releaseOf(tag)
  const abi = `${release.split('.').slice(0, 2).join('.')}.0`
  const layer = await context.layer('ruby', {
    title: `Ruby ${release}`,
    types: { launch, build: true, cache: true },
    key: { Ruby: tag, architecture: target.arch, source: repository },
    create: async dir => {
      const prefix = join(dir, 'ruby')
      await mise.install(tag, prefix)
      for (const name of [
        'share/doc',
        'share/man',
        'share/ri',
        `lib/ruby/gems/${abi}/doc`,
        `lib/ruby/gems/${abi}/cache`,
      ])
        await rm(join(prefix, name), { recursive: true, force: true })
      const all = { PATH: prepend(join(prefix, 'bin'), ':'), SSL_CERT_FILE: byDefault(certificates) }
      return { env: { all, launch: launchEnv } }
    },
    sbom: () =>
      Promise.resolve([
        {
          name: 'ruby',
          version: release,
          purl: `pkg:generic/ruby@${release}`,
          cpe: `cpe:2.3:a:ruby-lang:ruby:${release}:*:*:*:*:*:*:*`,
        },
      ]),
  })
  const prefix = join(layer.path, 'ruby')
  return {
    version: tag,
    abi,
    program: join(prefix, 'bin/ruby'),
    bundler: await bundlerOf(prefix, abi),
    libraries: join(prefix, 'lib'),
    env: {
      PATH: `${join(prefix, 'bin')}:${env['PATH'] ?? ''}`,
      SSL_CERT_FILE: env['SSL_CERT_FILE'] ?? certificates,
      ...(env['LD_LIBRARY_PATH'] && { LD_LIBRARY_PATH: env['LD_LIBRARY_PATH'] }),
    },
  }
}

/** The certificates of the build image and of the run image: this Ruby has an OpenSSL of its own, which looks elsewhere. */
const certificates = '/etc/ssl/certs/ca-certificates.crt'

/** `3.4.7` of `3.4.7-1`, the first build of it. */
const releaseOf = (tag: string): string => tag.replace(/-\d+$/, '')

/** The releases of tags, without previews, the newest first. */
const releasesOf = (tags: readonly string[]): string[] =>
  [...new Set(tags.map(releaseOf))].filter(release => /^\d+\.\d+\.\d+$/.test(release)).toSorted(newestFirst)

/** For `bale buildpack inspect --versions`. */
export async function precompiledOffers(context: BuildContext): Promise<Offer[]> {
  if (!hasMise(context.target.arch)) return []
  const from = `mise, of the npm registry, which installs precompiled releases of ${repository}`
  const tags = await withTempDir(temp => miseFor(context, temp).list()).catch((error: unknown) => {
    if (error instanceof BuildpackError) return undefined
    throw error
  })
  const missing = tags === undefined && { more: 'builds that cannot be shown, as the list of them is out of reach' }
  return [{ name: 'Ruby, precompiled', from, versions: releasesOf(tags ?? []), ...missing }]
}
