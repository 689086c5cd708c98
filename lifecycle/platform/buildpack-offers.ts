import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { BaleError } from '../errors.ts'
import { type Reporter, silent } from '../events.ts'
import { leaseName } from '../files/lease.ts'
import { ownDirectory } from '../files/own-directory.ts'
import { removeTree } from '../files/remove.ts'
import { isOffersEntry, type Offer, offersVariable, parseOffers } from '../spec/offers.ts'
import type { BuildOptions } from './build-options.ts'
import { plan } from './plan-app.ts'

/** The options of a build that affect the available versions. */
export type OffersInput = Pick<BuildOptions, 'settings' | 'env' | 'network' | 'reporter' | 'signal'>

/**
 * Lists the versions that a buildpack can put into a build, from the registries and archives in use. Runs the buildpack as a build
 * does: in the sandbox, with the settings of package clients. Installs and keeps nothing.
 * @param buildpack the id of one of Bale's buildpacks, or a value of `bale build --buildpack`
 * @throws BaleError without network, or for a buildpack that offers no choice of versions
 */
export async function buildpackOffers(buildpack: string, { env, ...input }: OffersInput): Promise<Offer[]> {
  const { cacheDir } = input.settings
  await ownDirectory(cacheDir, 'XDG_CACHE_HOME')
  const dir = join(cacheDir, 'tmp', leaseName())
  await mkdir(join(dir, 'source'), { recursive: true, mode: 0o700 })
  const asked = askedThrough(input.reporter ?? silent)
  try {
    const { requires } = await plan({
      ...input,
      reporter: asked.reporter,
      image: `oci:${join(dir, 'image')}`,
      path: join(dir, 'source'),
      buildpacks: [buildpack],
      env: { ...env, [offersVariable]: 'true' },
    })
    const offers = requires.filter(isOffersEntry).flatMap(({ metadata }) => parseOffers(metadata))
    if (offers.length > 0) return offers
    throw noVersions(buildpack)
  } catch (error) {
    if (error instanceof BaleError && error.code === 'nothing-detected') throw noVersions(buildpack)
    if (!(error instanceof BaleError) || error.code !== 'detect-errored') throw error
    throw new BaleError('failed', `the versions for ${buildpack} cannot be listed:\n${asked.said()}`, {
      cause: error,
    })
  } finally {
    await removeTree(dir)
  }
}

function noVersions(buildpack: string): BaleError {
  return new BaleError('arguments', `${buildpack} has no list of versions`, {
    fix: "Bale's language buildpacks have one, such as bale/nodejs or bale/python",
  })
}

/** Hides detection, which only serves to query the buildpack, unless it fails. Shows slow work before it. */
function askedThrough(reporter: Reporter): { readonly reporter: Reporter; said(): string } {
  let said = ''
  return {
    said: () => said,
    reporter: {
      event(event) {
        if (event.type === 'detected') said = event.results.map(({ output }) => output.trim()).join('\n')
        else if (event.type !== 'phase-started' && event.type !== 'phase-finished') reporter.event(event)
      },
      drained: () => reporter.drained?.(),
      close: () => reporter.close(),
    },
  }
}
