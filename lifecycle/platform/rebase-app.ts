import { publishElsewhere, withDisplayNames } from './publish.ts'
import { platformApi } from './api.ts'
import type { Settings } from './settings.ts'
import { BaleError, inPhase } from '../errors.ts'
import { type Reporter, silent } from '../events.ts'
import { type Rebased, findRunImage, rebase as rebasePhase } from '../phases/rebase.ts'
import { requirePlatformApi } from '../spec/api.ts'
import { dockerDaemon } from '../stores/daemon/transport.ts'
import { Stores, identify } from '../stores/open.ts'
import { isPlain } from '../stores/transports.ts'

export interface RebaseOptions {
  /** The app image, as skopeo would say it; a plain name is in Bale's own store. */
  readonly image: string
  readonly settings: Settings
  /** The new run image, in any place; by default the newest of the one that the app was built on. */
  readonly runImage?: string
  /** More names for the result; each may be in another place. */
  readonly tags?: readonly string[]
  /** Plain names mean their registries, not Bale's own store. */
  readonly publish?: boolean
  /** Does it whatever labels and targets say. */
  readonly force?: boolean
  readonly reporter?: Reporter
  readonly signal?: AbortSignal
}

export interface RebaseResult extends Rebased {
  /** Every name that the image was given, in every place. */
  readonly names: readonly string[]
}

/**
 * Gives an image the newest run image below its layers, without building it anew.
 * @throws BaleError
 */
export async function rebase(options: RebaseOptions): Promise<RebaseResult> {
  const { settings, signal } = options
  const reporter = options.reporter ?? silent
  await using stores = new Stores(settings, reporter)
  const names = [options.image, ...(options.tags ?? [])]
  const publish = options.publish === true
  const [destination, ...others] = await stores.destinations(names, publish)
  const { source, name } = destination.previous
  const daemonFirst = stores.parse(options.image).transport === dockerDaemon
  const image = await source.pull(name, settings.platform, signal)
  if (image === undefined)
    throw new BaleError('arguments', `there is no image ${options.image} in ${source.description}`, {
      fix:
        publish || !isPlain(stores.parse(options.image))
          ? 'build it first, or correct its name'
          : 'see what there is: bale image ls; for an image in a registry, add --publish',
    })
  const { registry } = destination
  const app = { name: name === '' ? options.image : name, image, ...(registry !== undefined && { registry }) }
  const runImage = await findRunImage(
    {
      app,
      ...(options.runImage !== undefined && { wanted: options.runImage }),
      find: async (text, platform) => {
        const found = await stores.find(text, signal, { platform, daemonFirst, lazy: true })
        // The app image must not say where on this machine its run image lay.
        const name = found.reference.transport.isPath ? '' : found.name
        return { name, image: found.image, reference: identify(found) }
      },
      reporter,
    },
    signal,
  )
  const features = requirePlatformApi(platformApi)
  const force = options.force === true
  const rebased = await inPhase('rebase', () =>
    rebasePhase(
      { app, runImage, destination, force, features, reporter: withDisplayNames(destination, reporter) },
      signal,
    ),
  )
  const elsewhere = await publishElsewhere(rebased.image, others, reporter, signal)
  return { ...rebased, names: [...rebased.published.names, ...elsewhere] }
}
