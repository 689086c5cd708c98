import { createHash } from 'node:crypto'
import type { BuildSecret } from '../../phases/secrets.ts'
import { platformApi } from '../api.ts'
import type { ClusterSettings } from './settings.ts'

// What a build is on a cluster: one Job with one pod, a phase in each container, and a Secret. Pure.

/** The containers of the pod in the order in which they run; the last one is the main container, the others are for its start. */
export const steps = ['source', 'analyze', 'detect', 'restore', 'build', 'export'] as const
export type Step = (typeof steps)[number]

/** Those that run buildpacks. They have no secret, and no token of a service account. */
export const isUntrusted = (step: Step): step is 'detect' | 'build' => step === 'detect' || step === 'build'

/** A build for manifests. */
export interface ClusterBuild {
  /** Of all objects. */
  readonly name: string
  readonly namespace?: string | undefined
  readonly builder: string
  /** What `bale source` takes. */
  readonly source: string
  readonly subPath?: string | undefined
  /** Which buildpacks of the builder it takes: flags of `bale source`. */
  readonly selection: readonly string[]
  /** The names of the image, all in one registry. */
  readonly image: string
  readonly tags: readonly string[]
  readonly runImage?: string | undefined
  readonly previousImage?: string | undefined
  readonly cacheImage?: string | undefined
  readonly clearCache: boolean
  readonly defaultProcess?: string | undefined
  readonly execEnv?: string | undefined
  readonly sourceDateEpoch?: number | undefined
  readonly insecureRegistries: readonly string[]
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
  /** What buildpacks may read as bindings, from the Secret of the build. */
  readonly secrets: readonly Omit<BuildSecret, 'value'>[]
  /** Seconds that the pod may take. */
  readonly deadline: number
  /** Whether the Secret of the build holds credentials of registries (CNB_REGISTRY_AUTH). */
  readonly hasRegistryAuth: boolean
  /** Whether it holds variables for buildpacks. */
  readonly hasVariables: boolean
  /** Phases print events, for whoever follows the build, not text. */
  readonly events: boolean
}

/** The keys of the Secret: credentials and variables, and a value and a type for each secret of buildpacks. */
export const secretKeys = { registryAuth: 'registry-auth', variables: 'variables' } as const
export const keysOfSecret = (index: number) => ({ value: `secret-${index}`, type: `secret-${index}-type` })

/** A Kubernetes object as JSON and YAML have it. */
export type ClusterObject = Readonly<Record<string, unknown>> & {
  readonly metadata: { readonly name: string } & Readonly<Record<string, unknown>>
}

const defaultUser = { uid: 1000, gid: 1000 }
/** The label by which the objects of builds are found. */
export const managedBy = { 'app.kubernetes.io/managed-by': 'bale' } as const
/** For whoever started a build and is gone: the Job is deleted so many seconds after its end. */
const defaultTtl = 600
/** Ending a phase takes a few seconds: it removes what it has written. */
const grace = 10
/** Seconds after which a pod gives up a node that does not answer. Kubernetes' own default is 300. */
const patience = 30

/** A suspended Job is one that Kueue starts. */
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
 * The Secret of a build; undefined if it needs none. With its Job as the owner, it goes when that goes.
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

/** A name for what is made once, from all that it depends on: a Job that has run cannot be changed. */
export function stableName(prefix: string, ...parts: readonly unknown[]): string {
  return `${prefix}-${createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 10)}`
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
    ...(settings.resources !== undefined && { resources: settings.resources }),
    securityContext: {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    },
    // What a phase printed last, where it left nothing better.
    terminationMessagePolicy: isUntrusted(step) ? 'File' : 'FallbackToLogsOnError',
    volumeMounts: mountsOf(step, build, settings),
  }
}

/** The directory of analyzed.toml. Buildpacks read it and cannot write it: it names the images that export reads. */
const results = '/bale'
const runFile = `${results}/run.toml`
const orderFile = `${results}/order.toml`
const platformDir = '/platform'
const cacheDir = '/cache'
const registryDir = '/registry'

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
    // kubernetes.io/basic-auth: what a Secret for git is.
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
    // What the builder image calls its run image is inside of it.
    ...(runImage === undefined && step !== 'source' && { BALE_RUN_IMAGE_LAYOUT: '/cnb/bale/run-image' }),
    ...(step === 'export' && { CNB_REPORT_PATH: '/dev/termination-log' }),
    ...(step === 'export' && sourceDateEpoch !== undefined && { SOURCE_DATE_EPOCH: String(sourceDateEpoch) }),
  }
}

const fromSecret = (name: string, secret: string, key: string) => ({
  name,
  valueFrom: { secretKeyRef: { name: secret, key } },
})

function mountsOf(step: Step, build: ClusterBuild, settings: ClusterSettings) {
  const mount = (name: string, mountPath: string, more: object = {}) => ({ name, mountPath, ...more })
  const readOnly = { readOnly: true }
  const app = { subPath: 'workspace' }
  // What a trusted container leaves in /tmp or HOME is not for buildpacks, nor the other way round.
  const own = isUntrusted(step) ? 'buildpacks' : 'trusted'
  const scratch = [mount(`${own}-tmp`, '/tmp'), mount(`${own}-home`, '/home/bale')]
  const registry =
    !isUntrusted(step) && settings.registrySecret !== undefined ? [mount('registry', registryDir, readOnly)] : []
  const bindings = bindingsOf(build, settings).map(({ id, volume }) =>
    mount(volume, `${platformDir}/bindings/${id}`, readOnly),
  )
  if (step === 'source')
    return [
      ...[...scratch, ...registry, mount('source', '/source'), mount('platform', platformDir)],
      // It reads none. Their mounts make the directories that they need where the platform directory is read-only.
      ...bindings,
      mount('results', results),
    ]
  const usesCache = settings.cache?.claim !== undefined && (step === 'restore' || step === 'export')
  return [
    ...scratch,
    mount('layers', '/layers'),
    mount('results', results, isUntrusted(step) ? readOnly : {}),
    // buildpack.md, "Detection": the app directory is read-only there. Analyze and restore need none.
    ...(step === 'detect' ? [mount('source', '/workspace', { ...app, ...readOnly })] : []),
    ...(step === 'build' || step === 'export' ? [mount('source', '/workspace', app)] : []),
    ...(isUntrusted(step) ? [mount('platform', platformDir, readOnly)] : []),
    // Export sees that the image holds none of them.
    ...(isUntrusted(step) || step === 'export' ? bindings : []),
    ...registry,
    ...(usesCache ? [mount('cache', cacheDir, { subPath: stableName('app', build.image) })] : []),
  ]
}

interface Binding {
  readonly id: string
  readonly volume: string
  readonly secret: { readonly secretName: string; readonly items?: readonly { key: string; path: string }[] }
}

/** The bindings of a build: those of its own Secret, and whole Secrets of the namespace by their names. */
function bindingsOf({ name, secrets }: ClusterBuild, { bindings = [] }: ClusterSettings): Binding[] {
  const items = new Map<string, Map<string, string>>()
  for (const [index, { id, key }] of secrets.entries()) {
    const keys = keysOfSecret(index)
    const files = items.get(id) ?? new Map<string, string>()
    items.set(id, files.set('type', keys.type).set(key, keys.value))
  }
  const own = [...items].map(([id, files]) => ({
    id,
    secret: { secretName: name, items: [...files].map(([path, key]) => ({ key, path })) },
  }))
  return [...own, ...bindings.map(id => ({ id, secret: { secretName: id } }))].map((binding, index) => ({
    ...binding,
    volume: `binding-${index}`,
  }))
}

function volumesOf(build: ClusterBuild, settings: ClusterSettings) {
  const { registrySecret, cache } = settings
  const empty = [
    'source',
    'platform',
    'results',
    'layers',
    'trusted-tmp',
    'trusted-home',
    'buildpacks-tmp',
    'buildpacks-home',
  ]
  return [
    ...empty.map(name => ({ name, emptyDir: {} })),
    ...(registrySecret === undefined
      ? []
      : [
          {
            name: 'registry',
            secret: {
              secretName: registrySecret,
              defaultMode: 0o440,
              items: [{ key: '.dockerconfigjson', path: 'config.json' }],
            },
          },
        ]),
    ...bindingsOf(build, settings).map(({ volume, secret }) => ({
      name: volume,
      secret: { ...secret, defaultMode: 0o440 },
    })),
    ...(cache?.claim === undefined ? [] : [{ name: 'cache', persistentVolumeClaim: { claimName: cache.claim } }]),
  ]
}
