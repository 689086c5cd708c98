import { platformApi } from '../api.ts'
import { type ClusterBuild, type Step, isUntrusted, secretKeys, steps } from './cluster-build.ts'
import { amountOf, type ClusterSettings } from './settings.ts'
import {
  bindingsOf,
  cacheDir,
  mountsOf,
  orderFile,
  platformDir,
  registryDir,
  results,
  runFile,
  volumesOf,
} from './volumes.ts'

// The objects of a build on a cluster: one Job with one pod, a phase in each container, and a Secret. Pure functions.

/** A Kubernetes object, for JSON or YAML. */
export type ClusterObject = Readonly<Record<string, unknown>> & {
  readonly metadata: { readonly name: string } & Readonly<Record<string, unknown>>
}

const defaultUser = { uid: 1000, gid: 1000 }
/** The label that marks all objects of builds. */
const managedBy = { 'app.kubernetes.io/managed-by': 'bale' } as const
/** The Job is deleted so many seconds after its end, even if the process that started the build has died. */
const defaultTtl = 600
/** Stopping a phase takes a few seconds: it removes its files. */
const grace = 10
/** Seconds after which Kubernetes removes a pod from a node that does not answer. Its own default is 300. */
const patience = 30

/** Kueue starts a suspended Job. */
export function jobOf(build: ClusterBuild, settings: ClusterSettings): ClusterObject {
  const labels = { ...settings.labels, ...managedBy }
  const queue: Record<string, string> =
    settings.queue === undefined ? {} : { 'kueue.x-k8s.io/queue-name': settings.queue }
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: metadataOf(build, { ...labels, ...queue }),
    spec: {
      backoffLimit: 0,
      activeDeadlineSeconds: build.deadline,
      ttlSecondsAfterFinished: settings.ttl ?? defaultTtl,
      ...(settings.queue !== undefined && { suspend: true }),
      template: { metadata: { labels }, spec: podOf(build, settings) },
    },
  }
}

/**
 * The Secret of a build; undefined if it needs none. The Job owns it, so both are deleted together.
 * @param values by the keys of `secretKeys`
 */
export function secretOf(
  build: ClusterBuild,
  values: Readonly<Record<string, string | Uint8Array>>,
  owner?: { readonly name: string; readonly uid: string },
): ClusterObject | undefined {
  if (Object.keys(values).length === 0) return undefined
  const texts = Object.entries(values).filter(([, value]) => typeof value === 'string')
  const bytes = Object.entries(values).flatMap(([key, value]) =>
    typeof value === 'string' ? [] : [[key, Buffer.from(value).toString('base64')]],
  )
  const reference = owner && { apiVersion: 'batch/v1', kind: 'Job', ...owner, controller: true }
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { ...metadataOf(build, managedBy), ...(reference && { ownerReferences: [reference] }) },
    immutable: true,
    type: 'Opaque',
    ...(texts.length > 0 && { stringData: Object.fromEntries(texts) }),
    ...(bytes.length > 0 && { data: Object.fromEntries(bytes) }),
  }
}

const metadataOf = ({ name, namespace }: ClusterBuild, labels: Readonly<Record<string, string>>) => ({
  name,
  ...(namespace !== undefined && { namespace }),
  labels,
})

function podOf(build: ClusterBuild, settings: ClusterSettings) {
  const { uid, gid } = settings.user ?? defaultUser
  const { serviceAccount, imagePullSecrets = [], nodeSelector, tolerations = [], priorityClass } = settings
  const containers = steps.map(step => containerOf(step, build, settings))
  return {
    restartPolicy: 'Never',
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    terminationGracePeriodSeconds: grace,
    ...(serviceAccount !== undefined && { serviceAccountName: serviceAccount }),
    ...(imagePullSecrets.length > 0 && { imagePullSecrets: imagePullSecrets.map(name => ({ name })) }),
    ...(nodeSelector !== undefined && { nodeSelector }),
    ...(priorityClass !== undefined && { priorityClassName: priorityClass }),
    tolerations: [...tolerations, ...nodeGone()],
    securityContext: {
      runAsNonRoot: true,
      runAsUser: uid,
      runAsGroup: gid,
      fsGroup: gid,
      fsGroupChangePolicy: 'OnRootMismatch',
      seccompProfile: { type: 'RuntimeDefault' },
    },
    initContainers: containers.slice(0, -1),
    containers: containers.slice(-1),
    volumes: volumesOf(build, settings),
  }
}

const nodeGone = () =>
  ['not-ready', 'unreachable'].map(state => ({
    key: `node.kubernetes.io/${state}`,
    operator: 'Exists',
    effect: 'NoExecute',
    tolerationSeconds: patience,
  }))

function containerOf(step: Step, build: ClusterBuild, settings: ClusterSettings) {
  return {
    name: step,
    image: build.builder,
    ...(settings.imagePullPolicy !== undefined && { imagePullPolicy: settings.imagePullPolicy }),
    command: commandOf(step, build, settings),
    workingDir: '/',
    env: variablesOf(step, build, settings),
    ...resourcesOf(step, build, settings),
    securityContext: {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    },
    // Falls back to the last output of a phase without a termination message.
    terminationMessagePolicy: isUntrusted(step) ? 'File' : 'FallbackToLogsOnError',
    volumeMounts: mountsOf(step, build, settings),
  }
}

/**
 * The pod's limit of disk space is the largest of its containers', and volumes count for the pod, so all get the same limit. No container
 * may request more than its limit.
 */
function resourcesOf(step: Step, { limits: { memory, disk } }: ClusterBuild, { resources }: ClusterSettings) {
  const limits = {
    ...(memory !== undefined && isUntrusted(step) && { memory: String(memory) }),
    ...(disk !== undefined && { 'ephemeral-storage': String(disk) }),
  }
  if (Object.keys(limits).length === 0) return resources && { resources }
  const requests = Object.entries(resources?.requests ?? {}).map(([name, asked]) => {
    const limit = limits[name as keyof typeof limits]
    return [name, limit !== undefined && amountOf(asked) > Number(limit) ? limit : asked] as const
  })
  return {
    resources: {
      ...(requests.length > 0 && { requests: Object.fromEntries(requests) }),
      limits: { ...resources?.limits, ...limits },
    },
  }
}

function commandOf(step: Step, build: ClusterBuild, settings: ClusterSettings): string[] {
  const flag = (name: string, value: string | undefined): string[] => (value === undefined ? [] : [name, value])
  const cacheImage = flag('-cache-image', build.cacheImage ?? settings.cache?.image)
  const secrets = bindingsOf(build, settings).length > 0 ? ['-secrets', `${platformDir}/bindings`] : []
  const skip = build.clearCache ? ['-skip-layers'] : []
  const names = [...build.tags.flatMap(tag => ['-tag', tag]), build.image]
  switch (step) {
    case 'source':
      return [
        ...['bale', 'source', build.source, '/source/workspace', '--platform', platformDir],
        ...['--order', orderFile, ...build.selection],
        ...flag('--sub-path', build.subPath),
        ...(build.source.startsWith('docker://') ? ['--delete'] : []),
        ...(build.runImage === undefined ? [] : ['--run-image', build.runImage, '--run', runFile]),
      ]
    case 'analyze':
      return [
        ...phase('analyzer', ...flag('-run-image', build.runImage), ...flag('-previous-image', build.previousImage)),
        ...[...cacheImage, ...skip, ...names],
      ]
    case 'detect':
      return phase('detector', '-order', orderFile, ...secrets)
    case 'restore':
      return phase('restorer', ...cacheImage, ...skip)
    case 'build':
      return phase('builder', ...secrets)
    case 'export':
      return [
        ...phase('exporter', ...flag('-process-type', build.defaultProcess), ...cacheImage, ...secrets),
        ...[...pairs('-label', build.labels), ...pairs('-annotation', build.annotations), build.image, ...build.tags],
      ]
  }
}

const pairs = (flag: string, values: Readonly<Record<string, string>>): string[] =>
  Object.entries(values).flatMap(([name, value]) => [flag, `${name}=${value}`])

const phase = (binary: string, ...flags: string[]): string[] => [`/cnb/lifecycle/${binary}`, ...flags]

function variablesOf(step: Step, build: ClusterBuild, settings: ClusterSettings) {
  const { uid, gid } = settings.user ?? defaultUser
  const plain: Record<string, string> = {
    ...(step !== 'source' && { CNB_PLATFORM_API: platformApi }),
    CNB_ANALYZED_PATH: `${results}/analyzed.toml`,
    CNB_USER_ID: String(uid),
    CNB_GROUP_ID: String(gid),
    ...(build.runImage !== undefined && step !== 'source' && { CNB_RUN_PATH: runFile }),
    ...(build.events && { BALE_LOG_FORMAT: 'jsonl' }),
    ...(build.execEnv !== undefined && { CNB_EXEC_ENV: build.execEnv }),
    ...(isUntrusted(step) ? {} : trustedVariables(step, build, settings)),
  }
  const { gitSecret } = settings
  return [
    ...Object.entries(plain).map(([name, value]) => ({ name, value })),
    ...(isUntrusted(step) || !build.hasRegistryAuth
      ? []
      : [fromSecret('CNB_REGISTRY_AUTH', build.name, secretKeys.registryAuth)]),
    ...(step === 'source' && build.hasVariables
      ? [fromSecret('BALE_BUILD_VARIABLES', build.name, secretKeys.variables)]
      : []),
    // A Secret for git has the type kubernetes.io/basic-auth.
    ...(step === 'source' && gitSecret !== undefined
      ? [fromSecret('GIT_USERNAME', gitSecret, 'username'), fromSecret('GIT_PASSWORD', gitSecret, 'password')]
      : []),
  ]
}

function trustedVariables(step: Step, build: ClusterBuild, settings: ClusterSettings): Record<string, string> {
  const { insecureRegistries: insecure, sourceDateEpoch, runImage } = build
  return {
    ...(insecure.length > 0 && { CNB_INSECURE_REGISTRIES: insecure.join(',') }),
    ...(settings.registrySecret !== undefined && { DOCKER_CONFIG: registryDir }),
    ...(settings.cache?.claim !== undefined && ['restore', 'export'].includes(step) && { CNB_CACHE_DIR: cacheDir }),
    // The builder image contains its run image.
    ...(runImage === undefined && step !== 'source' && { BALE_RUN_IMAGE_LAYOUT: '/cnb/bale/run-image' }),
    ...(step === 'export' && { CNB_REPORT_PATH: '/dev/termination-log', BALE_CHECK_START: 'true' }),
    ...(step === 'export' && sourceDateEpoch !== undefined && { SOURCE_DATE_EPOCH: String(sourceDateEpoch) }),
  }
}

const fromSecret = (name: string, secret: string, key: string) => ({
  name,
  valueFrom: { secretKeyRef: { name: secret, key } },
})
