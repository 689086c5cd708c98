import { BaleError } from '../../errors.ts'
import { quotaFix } from './api-client.ts'
import type { Step } from './cluster-build.ts'
import type { ClusterEvent, ClusterJob, ContainerState, Pod } from './objects.ts'

// Explains why a pod does not build, in the cluster's own words. Pure functions.

/** The observed state of a build at one time. */
export interface Observation {
  readonly job: ClusterJob
  readonly pod: Pod | undefined
  /** Events of Job and pod; empty if this user may not read events. */
  readonly events: readonly ClusterEvent[]
}

export type Trouble =
  /** The build cannot succeed any more. */
  | { readonly state: 'failed'; readonly error: BaleError }
  /** The trouble may pass without action, within so many seconds. */
  | { readonly state: 'waiting'; readonly why: string; readonly seconds: number; readonly error: BaleError }
  | undefined

const clusterError = (message: string, where: string, fix: string) => new BaleError('cluster', message, { where, fix })

/** Returns what blocks the build; undefined if nothing does. */
export function troubleOf({ job, pod, events }: Observation): Trouble {
  if (job.metadata.deletionTimestamp !== undefined)
    return failed(clusterError('somebody else deleted the Job', `job ${job.metadata.name}`, 'build again'))
  const jobFailed = job.status.conditions.find(c => c.type === 'Failed' && c.status === 'True')
  if (jobFailed?.reason === 'DeadlineExceeded')
    return failed(
      clusterError(
        `the cluster ended the build: ${jobFailed.message ?? 'DeadlineExceeded'}`,
        `job ${job.metadata.name}`,
        'see its messages above for what it waits for, or raise --timeout',
      ),
    )
  if (pod === undefined) return withoutPod(job, jobFailed?.message, events)
  return lost(pod) ?? unscheduled(pod) ?? waiting(pod, events)
}

const failed = (error: BaleError): Trouble => ({ state: 'failed', error })

function withoutPod(job: ClusterJob, ended: string | undefined, events: readonly ClusterEvent[]): Trouble {
  const where = `job ${job.metadata.name}`
  const refused = events.findLast(e => e.reason === 'FailedCreate' && e.involvedObject.kind === 'Job')
  if (refused !== undefined) {
    const words = refused.message ?? ''
    return failed(clusterError(`the cluster does not create a pod: ${words}`, where, fixOfRefusal(words)))
  }
  if (ended === undefined) return undefined
  return failed(clusterError(`the pod of the build was removed: ${ended}`, where, 'build again'))
}

function fixOfRefusal(words: string): string {
  if (/exceeded quota|LimitRange|must specify|maximum .* usage/i.test(words)) return quotaFix
  if (/PodSecurity/.test(words)) return 'remove that setting from the settings file, or use another namespace'
  if (/serviceaccount/i.test(words)) return 'correct serviceAccount in the settings file'
  return 'correct that object in the namespace, or its name in the settings file'
}

/** @param words the reason, from the cluster or from a failed request through the node */
export function nodeIsSilent({ metadata, spec }: Pod, words: string | undefined): BaleError {
  const [onNode, node] = spec.nodeName === undefined ? ['', ''] : [` on node ${spec.nodeName}`, ` ${spec.nodeName}`]
  const cause = words === undefined ? '' : `: ${words}`
  const message = `the node of the pod${onNode} does not answer${cause}`
  return clusterError(message, `pod ${metadata.name}`, `check the node: kubectl describe node${node}`)
}

/** The pod or its node was removed. */
function lost(pod: Pod): Trouble {
  const { metadata, status } = pod
  const where = `pod ${metadata.name}`
  const disrupted = status.conditions.find(c => c.type === 'DisruptionTarget' && c.status === 'True')
  const words = status.message ?? disrupted?.message ?? status.reason ?? disrupted?.reason
  const onNode = pod.spec.nodeName === undefined ? '' : ` on node ${pod.spec.nodeName}`
  if (status.reason === 'Evicted') {
    const fix =
      'request more of it, or allow more: resources of the settings file, --memory, --disk; or use nodes that have more: nodeSelector'
    return failed(clusterError(`the pod was evicted${onNode}: ${words}`, where, fix))
  }
  if (disrupted !== undefined || metadata.deletionTimestamp !== undefined) {
    if (disrupted?.reason === 'DeletionByTaintManager') return failed(nodeIsSilent(pod, words))
    const cause = words === undefined ? ' by somebody else' : `: ${words}`
    return failed(clusterError(`the pod was deleted${onNode}${cause}`, where, 'build again'))
  }
  if (status.phase === 'Failed' && status.reason !== undefined)
    return failed(clusterError(`the cluster ended the pod${onNode}: ${words}`, where, 'build again'))
  return undefined
}

const unschedulableFor = 600

function unscheduled(pod: Pod): Trouble {
  const why = pod.status.conditions.find(c => c.type === 'PodScheduled' && c.status === 'False')
  if (why?.message === undefined) return undefined
  const message = `no node can run the pod: ${why.message}`
  const fix = 'change resources, nodeSelector or tolerations in the settings file, or --memory and --disk, or add nodes'
  const error = clusterError(message, `pod ${pod.metadata.name}`, fix)
  // An autoscaler may add a node, but not a claim.
  if (/persistentvolumeclaim .* not found/.test(why.message))
    return failed(
      clusterError(message, `pod ${pod.metadata.name}`, 'correct cache.claim in the settings file, or make the claim'),
    )
  return { state: 'waiting', why: message, seconds: unschedulableFor, error }
}

/** Answers of a registry that a retry does not change. */
const definite =
  /\b(401|403)\b|not found|unauthorized|denied|authorization failed|no basic auth|insufficient_scope|invalid reference|does not exist|manifest unknown/i

function waiting(pod: Pod, events: readonly ClusterEvent[]): Trouble {
  const { initContainerStatuses, containerStatuses } = pod.status
  const mount = events.findLast(e => /^Failed(Mount|AttachVolume|CreatePodSandBox)$/.test(e.reason ?? ''))
  for (const { name, state } of [...initContainerStatuses, ...containerStatuses]) {
    const { reason = '', message = '' } = state.waiting ?? {}
    const where = `pod ${pod.metadata.name}, container ${name}`
    if (
      /^(ErrImagePull|ImagePullBackOff|InvalidImageName|ErrImageNeverPull|ImageInspectError|RegistryUnavailable)$/.test(
        reason,
      )
    ) {
      const secrets = events.find(e => e.reason === 'FailedToRetrieveImagePullSecret')?.message
      const words = [message, secrets].filter(text => text !== undefined && text !== '').join('; ')
      const error = clusterError(`the builder image cannot be pulled: ${reason}: ${words}`, where, fixOfPull(words))
      if (/^(InvalidImageName|ErrImageNeverPull)$/.test(reason) || definite.test(words)) return failed(error)
      return { state: 'waiting', why: `the builder image cannot be pulled: ${words}`, seconds: 60, error }
    }
    if (/^Create?(Container)?(Config)?Error$|^RunContainerError$/.test(reason)) {
      const fix = 'correct the settings file: its Secrets, ConfigMaps and claims must be in the namespace'
      const error = clusterError(`the container cannot be made: ${message}`, where, fix)
      return { state: 'waiting', why: `the container cannot be made: ${message}`, seconds: 30, error }
    }
    if (state.waiting !== undefined && mount !== undefined) {
      const fix =
        'correct registrySecret, bindings, certificates or cache.claim in the settings file, or make what it names in the namespace'
      const error = clusterError(`the pod cannot start: ${mount.message}`, where, fix)
      return { state: 'waiting', why: `the pod cannot start: ${mount.message}`, seconds: 45, error }
    }
    if (state.waiting !== undefined) return undefined
  }
  return undefined
}

function fixOfPull(words: string): string {
  if (/not found|does not exist|manifest unknown|invalid reference/i.test(words) && !/pull secrets/.test(words))
    return 'correct --builder, or push the builder image there'
  return 'name a Secret with the credentials of its registry in imagePullSecrets of the settings file, and correct what it holds'
}

/** Returns the error for a container that failed without an explanation in its own output. */
export function explainEnd(
  step: Step,
  { exitCode, reason, message, signal }: NonNullable<ContainerState['terminated']>,
): BaleError {
  const where = `container ${step}`
  if (reason === 'OOMKilled') {
    const fix = 'raise --memory, or else resources.limits.memory in the settings file'
    return clusterError('it ran out of memory and was killed (OOMKilled)', where, fix)
  }
  if (reason === 'StartError' || reason === 'ContainerCannotRun') {
    const fix = "name a builder image of Bale's with --builder: npm run dist:builder-image, or bale builder create"
    return clusterError(`it could not start: ${message ?? reason}`, where, fix)
  }
  const how = signal !== undefined && signal !== 0 ? `was killed by signal ${signal}` : `exited with status ${exitCode}`
  const words = message === undefined || message.trim() === '' ? '' : `: ${message.trim()}`
  return clusterError(
    `${step} ${how} without a message${reason === undefined || reason === 'Error' ? '' : ` (${reason})`}${words}`,
    where,
    'build again; if it was killed, raise resources in the settings file',
  )
}
