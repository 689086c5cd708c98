import { randomBytes } from 'node:crypto'
import { resolve } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import * as v from 'valibot'
import { BaleError } from '../../errors.ts'
import { type Reporter, silent } from '../../events.ts'
import { parseReference, withoutPasswordsOfUrls } from '../../image/reference.ts'
import { outOfTime } from '../../phase-runner.ts'
import type { Mask } from '../../phases/mask.ts'
import { maskCredentials } from '../../phases/registry-credentials.ts'
import { BuildSecrets } from '../../phases/secrets.ts'
import type { Report } from '../../spec/types.ts'
import { type Destination, Stores } from '../../stores/open.ts'
import type { BuildOptions } from '../build-options.ts'
import { selectionFlags, selectionInImage } from '../builders/selection-in-image.ts'
import { withDisplayNames } from '../publish.ts'
import { readSourceSettings } from '../source-filter.ts'
import { type SourceImage, pushSource } from '../source-image.ts'
import { ClusterApi } from './api-client.ts'
import { followJob } from './follow.ts'
import {
  type ClusterBuild,
  type Values,
  builderOf,
  clusterBuildOf,
  defaultTimeout,
  imagesIn,
  labelOf,
  refuseSameBinding,
  secretKeys,
  stableName,
  valuesOf,
} from './cluster-build.ts'
import { type ClusterObject, jobOf, secretOf } from './manifests.ts'
import { registryAuth } from './registry-auth.ts'
import { parseReport } from './report.ts'
import { job as jobSchema, listOf, pod as podSchema } from './objects.ts'
import { type ClusterPlace, parsePlace } from './place.ts'
import { type ClusterSettings, checkClusterSettings } from './settings.ts'
import { refuseOptions } from './refused-options.ts'

/** Where and how a build runs on a cluster. */
export interface OnCluster {
  /** `kubernetes[:CONTEXT][/NAMESPACE]`, or its parts. */
  readonly on: string | ClusterPlace
  /** The settings of a file: `readClusterSettings`. */
  readonly settings?: ClusterSettings | undefined
}

export interface ClusterResult {
  readonly digest: string
  /** Every name of the image. */
  readonly names: readonly string[]
  readonly report: Report
}

/**
 * Builds as `build` does, in a pod of a cluster. The image goes to a registry, which also transports the source.
 * @throws BaleError; afterwards the namespace is clean, and so is a registry that can delete manifests
 */
export async function buildOnCluster(options: BuildOptions, { on, settings }: OnCluster): Promise<ClusterResult> {
  const secrets = new BuildSecrets(options.secrets ?? [])
  // Phases mask as well, for readers of the pod's log.
  const reporter = secrets.masked(options.reporter ?? silent)
  secrets.warnOfShort(reporter)
  try {
    return await buildInPod({ ...options, reporter }, { on, settings }, secrets)
  } catch (error) {
    throw secrets.maskError(error)
  }
}

async function buildInPod(options: BuildOptions, { on, settings = {} }: OnCluster, mask: Mask): Promise<ClusterResult> {
  refuseOptions(options)
  const cluster = checkClusterSettings(settings, 'settings')
  refuseSameBinding(options, cluster)
  const { timeout = defaultTimeout, reporter = silent } = options
  const timer = AbortSignal.timeout(timeout)
  const signal = AbortSignal.any([timer, ...(options.signal ? [options.signal] : [])])
  try {
    await using stores = new Stores(options.settings, reporter)
    maskCredentials(stores.credentials, mask)
    const [destination] = await registryDestinations(options, stores)
    const api = await ClusterApi.open(on, options.settings.environment)
    const dir = resolve(options.path ?? '.')
    const source = await readSourceSettings({
      dir,
      descriptor: options.descriptor,
      images: [],
      outputs: [options.settings.cacheDir, options.settings.dataDir, ...(options.outputs ?? [])],
      reporter,
    })
    const selection = await selectionInImage(options, source.project)
    const auth = cluster.registrySecret === undefined ? await registryAuth(options, stores, signal) : undefined
    const variables = { ...source.env, ...options.env }
    const values = {
      ...(auth !== undefined && { [secretKeys.registryAuth]: auth }),
      ...(Object.keys(variables).length > 0 && { [secretKeys.variables]: JSON.stringify(variables) }),
      ...valuesOf(options.secrets ?? []),
    }
    const planned = clusterBuildOf(options, cluster, {
      name: `bale-${labelOf(options.image)}-${randomBytes(4).toString('hex')}`,
      namespace: api.namespace,
      builder: builderOf(options, cluster, source.project?.builder),
      source: '',
      selection: selectionFlags(selection),
      values,
      events: true,
    })
    await destination.sink.checkWrite(destination.names, signal)
    // A dry run: the cluster refuses a bad Job before the source is sent.
    await api.create('jobs', jobOf(planned, cluster), { dryRun: true, signal })
    const secret = secretOf(planned, values)
    if (secret !== undefined) await api.create('secrets', secret, { dryRun: true, signal })
    const pushed = await pushSource(
      { dir, source, beside: parseReference(planned.image), stores, settings: options.settings, reporter },
      signal,
    )
    const build = { ...planned, source: `docker://${pushed.reference}` }
    const shown = withDisplayNames(destination, reporter)
    const text = await runJob(api, build, { cluster, values, pushed, reporter: shown, options }, signal)
    const report = parseReport(text)
    return { digest: report.digest, names: destination.names, report }
  } catch (error) {
    options.signal?.throwIfAborted()
    if (timer.aborted) throw outOfTime('the build', timeout, '--timeout')
    throw error
  }
}

interface Running {
  readonly cluster: ClusterSettings
  readonly values: Values
  readonly pushed: SourceImage
  readonly reporter: Reporter
  readonly options: BuildOptions
}

async function runJob(api: ClusterApi, build: ClusterBuild, running: Running, signal: AbortSignal): Promise<string> {
  const { cluster, values, pushed, reporter, options } = running
  try {
    // The request itself is not aborted: the Job might then exist without being known here.
    signal.throwIfAborted()
    const made = v.parse(jobSchema, await api.create('jobs', jobOf(build, cluster)))
    // The Job is created first and owns the Secret: the cluster deletes the Secret with the Job, even if this process has died.
    const secret = secretOf(build, values, { name: build.name, uid: made.metadata.uid })
    if (secret !== undefined) await api.create('secrets', secret)
    return await followJob(api, build.name, { reporter, limits: options }, signal)
  } finally {
    // Each is removed even if the other fails.
    const ended = await Promise.allSettled([removeJob(api, build, reporter), pushed.remove(reporter)])
    for (const result of ended)
      if (result.status === 'rejected') reporter.event({ type: 'warning', text: (result.reason as Error).message })
  }
}

/** How long a pod may take to end: its grace period, and the node's work. */
const removal = 20_000

/** Deletes the Job, its pod and its Secret, and waits until they are gone, but not for a pod on a dead node. */
async function removeJob(api: ClusterApi, { name, namespace = '' }: ClusterBuild, reporter: Reporter): Promise<void> {
  const signal = AbortSignal.timeout(3 * removal)
  try {
    await api.delete('jobs', name, { propagationPolicy: 'Background' }, signal)
    const query = { labelSelector: `batch.kubernetes.io/job-name=${name}` }
    for (const start = Date.now(); ;) {
      const { items } = await api.read(listOf(podSchema), { path: api.pathOf('pods'), query, signal })
      const secrets = await removeSecret(api, name, signal)
      if (items.length === 0 && secrets) return
      if (Date.now() - start > removal)
        for (const { metadata } of items) await api.delete('pods', metadata.name, { gracePeriodSeconds: 0 }, signal)
      await setTimeout(300, undefined, { signal })
    }
  } catch (error) {
    reporter.event({
      type: 'warning',
      text: `the Job may still exist: ${(error as Error).message}`,
      fix: `delete it: kubectl --context ${api.context} --namespace ${namespace} delete job ${name}`,
    })
  }
}

/** Deletes the Secret. If this user may not, the deletion of its owner will. @returns true in both cases */
async function removeSecret(api: ClusterApi, name: string, signal: AbortSignal): Promise<boolean> {
  return await api.delete('secrets', name, {}, signal).then(
    () => true,
    () => true,
  )
}

/**
 * Makes the manifests of a build for another tool to apply. Sends nothing. The manifests contain no credentials.
 * @throws BaleError for a source on this machine, which no cluster can reach
 */
export async function clusterManifests(
  options: BuildOptions & { readonly subPath?: string | undefined },
  { on, settings = {} }: OnCluster,
): Promise<ClusterObject[]> {
  refuseOptions(options)
  if (options.secrets !== undefined && options.secrets.length > 0)
    throw new BaleError('usage', 'manifests cannot contain secrets', {
      where: '--secret',
      fix: 'create a Secret in the namespace, and add it to bindings in the settings file',
    })
  const cluster = checkClusterSettings(settings, 'settings')
  const place = typeof on === 'string' ? parsePlace(on) : on
  const { path = '.', env = {} } = options
  if (!/^git(\+[a-z]+)?:\/\//.test(path))
    throw new BaleError('usage', 'manifests need source that the cluster can fetch', {
      where: `--path ${withoutPasswordsOfUrls(path)}`,
      fix: 'name a repository: --path git+https://git.example.com/team/app.git#refs/heads/main',
    })
  if (/:\/\/[^/]*@/.test(path) && !/^git\+ssh:/.test(path))
    throw new BaleError('usage', 'manifests cannot contain passwords', {
      where: '--path',
      fix: 'set gitSecret in the settings file to a Secret of the namespace, and remove the password from the URL',
    })
  imagesIn(options)
  const values: Record<string, string> =
    Object.keys(env).length > 0 ? { [secretKeys.variables]: JSON.stringify(env) } : {}
  const without = clusterBuildOf(options, cluster, {
    name: '',
    namespace: place.namespace,
    builder: builderOf(options, cluster, undefined),
    source: path,
    // The pod reads the choices of project.toml.
    selection: selectionFlags(await selectionInImage(options, undefined)),
    values,
    events: false,
  })
  const build = { ...without, name: stableName(`bale-${labelOf(options.image)}`, jobOf(without, cluster), values) }
  return [secretOf(build, values), jobOf(build, cluster)].filter(m => m !== undefined)
}

async function registryDestinations(
  options: BuildOptions,
  stores: Stores,
): Promise<readonly [Destination, ...Destination[]]> {
  return stores.destinations(
    imagesIn(options).map(name => `docker://${name}`),
    true,
  )
}
