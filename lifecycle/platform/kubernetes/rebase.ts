import { BaleError } from '../../errors.ts'
import { type Reporter, silent } from '../../events.ts'
import { labelOf } from '../../image/config.ts'
import { formatReference, parseReference } from '../../image/reference.ts'
import { labels } from '../../spec/labels.ts'
import { Stores } from '../../stores/open.ts'
import type { PullPolicy } from '../../stores/pull-policy.ts'
import { type RebaseResult, checkRebase, rebase } from '../rebase-app.ts'
import type { RebaseCheck } from '../rebase-check.ts'
import type { Settings } from '../settings.ts'
import { ClusterApi } from './api-client.ts'
import { listOf, workload } from './objects.ts'
import type { ClusterPlace } from './place.ts'

export interface FleetOptions {
  /** `kubernetes[:CONTEXT][/NAMESPACE]`, or its parts. */
  readonly on: string | ClusterPlace
  /** Selects workloads in Kubernetes' notation: `app=web,tier in (a,b)`. All of the namespace by default. */
  readonly selector?: string | undefined
  readonly settings: Settings
  /** The new run image for all images; by default the newest version of each image's own. */
  readonly runImage?: string | undefined
  /** Where a plain run image is read: anywhere, with the machine first, by default. */
  readonly pullPolicy?: PullPolicy | undefined
  readonly force?: boolean | undefined
  /** Changes nothing: marks the images that could be rebased as `newer`. */
  readonly check?: boolean | undefined
  readonly reporter?: Reporter | undefined
  readonly signal?: AbortSignal | undefined
}

/** The result for one image that workloads run. */
export type FleetImage = {
  readonly image: string
  /** `deployment/web` */
  readonly workloads: readonly string[]
} & (
  | { readonly state: 'current' }
  | { readonly state: 'newer'; readonly checks: readonly RebaseCheck[] }
  | { readonly state: 'rebased'; readonly digest: string | undefined }
  | { readonly state: 'skipped'; readonly reason: string }
  | { readonly state: 'failed'; readonly error: BaleError }
)

export interface Fleet {
  readonly context: string
  readonly namespace: string
  readonly images: readonly FleetImage[]
}

/** The kinds of objects that have a pod template, with the path of their API. */
const kinds = [
  ['deployment', 'deployments'],
  ['statefulset', 'statefulsets'],
  ['daemonset', 'daemonsets'],
  ['cronjob', 'cronjobs'],
] as const

/**
 * Rebases every image that the workloads of a namespace run and that buildpacks built, if a newer run image exists. The
 * registry does the work; the cluster only lists the images. The failure of one image does not stop the others.
 * @throws BaleError if the cluster does not list its workloads
 */
export async function rebaseOnCluster(options: FleetOptions): Promise<Fleet> {
  const { on, selector, settings, signal, reporter = silent } = options
  const api = await ClusterApi.open(on, settings.environment)
  const used = await imagesInUse(api, selector, signal)
  const images: FleetImage[] = []
  for (const [image, workloads] of used) {
    const state = await one(image, { ...options, reporter }).catch((error: unknown) => {
      signal?.throwIfAborted()
      if (error instanceof BaleError) return { state: 'failed', error } as const
      throw error
    })
    images.push({ image, workloads, ...state })
  }
  return { context: api.context, namespace: api.namespace, images }
}

/** How long to wait for an answer of the cluster, in milliseconds. Short, as no work has begun. */
const patience = 5_000

/** Returns images with the workloads that run them, sorted by name. */
async function imagesInUse(api: ClusterApi, selector: string | undefined, signal: AbortSignal | undefined) {
  const used = new Map<string, string[]>()
  const query: Record<string, string> = selector === undefined ? {} : { labelSelector: selector }
  for (const [kind, resource] of kinds) {
    const { items } = await api.read(listOf(workload), { path: api.pathOf(resource), query, signal }, patience)
    for (const { metadata, spec } of items) {
      const pod = (spec.jobTemplate?.spec ?? spec).template?.spec
      for (const { image } of [...(pod?.initContainers ?? []), ...(pod?.containers ?? [])]) {
        const name = `${kind}/${metadata.name}`
        const names = used.get(image) ?? []
        if (!names.includes(name)) used.set(image, [...names, name])
      }
    }
  }
  return [...used].toSorted(([a], [b]) => (a < b ? -1 : 1))
}

type State = FleetImage extends infer T ? (T extends FleetImage ? Omit<T, 'image' | 'workloads'> : never) : never

async function one(image: string, options: FleetOptions & { readonly reporter: Reporter }): Promise<State> {
  const { settings, signal, runImage, pullPolicy, force = false, check = false, reporter } = options
  const reference = parseReference(image)
  if (reference.digest !== undefined)
    return { state: 'skipped', reason: 'the workload uses a digest, so a rebase cannot change its image' }
  if (!(await isOfBuildpacks(image, settings, signal)))
    return { state: 'skipped', reason: 'buildpacks did not build it' }
  const input = {
    ...{ image: formatReference(reference), publish: true, settings, reporter, force, pullPolicy },
    ...(runImage !== undefined && { runImage }),
    ...(signal !== undefined && { signal }),
  }
  const checks = await checkRebase(input)
  if (checks.every(({ state }) => state === 'current')) return { state: 'current' }
  if (check) return { state: 'newer', checks }
  return { state: 'rebased', digest: digestOf(await rebase(input)) }
}

const digestOf = (result: RebaseResult): string | undefined =>
  result.kind === 'image' ? result.published.digest : result.index.digest

/** Returns whether a label says that a lifecycle made the layers (platform.md, "Labels"). Reads the first image of an index. */
async function isOfBuildpacks(image: string, settings: Settings, signal: AbortSignal | undefined): Promise<boolean> {
  await using stores = new Stores(settings, silent)
  const [{ previous }] = await stores.destinations([image], true)
  const { source, name } = previous
  const index = await source.pullIndex(name, signal)
  const found = index === undefined ? await source.pull(name, settings.platform, signal) : index.manifests[0]?.image
  if (found === undefined)
    throw new BaleError('registry', 'there is no such image', {
      where: image,
      fix: 'correct the name in the workload, or publish the image',
    })
  return labelOf(found.config, labels.lifecycle) !== undefined
}
