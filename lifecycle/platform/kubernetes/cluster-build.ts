import { createHash } from 'node:crypto'
import { BaleError } from '../../errors.ts'
import { parseReference } from '../../image/reference.ts'
import type { BuildSecret } from '../../phases/secrets.ts'
import type { BuildOptions } from '../build-options.ts'
import type { ClusterSettings } from './settings.ts'

// Converts the options of a build to the data of its manifests.

/** The containers of the pod in the order in which they run; the last one is the main container, the others are init containers. */
export const steps = ['source', 'analyze', 'detect', 'restore', 'build', 'export'] as const
export type Step = (typeof steps)[number]

/** The steps that run buildpacks. They get no secret, and no token of a service account. */
export const isUntrusted = (step: Step): step is 'detect' | 'build' => step === 'detect' || step === 'build'

/** A build for manifests. */
export interface ClusterBuild {
  /** Of all objects. */
  readonly name: string
  readonly namespace?: string | undefined
  readonly builder: string
  /** The argument of `bale source`. */
  readonly source: string
  readonly subPath?: string | undefined
  /** Flags of `bale source` that select buildpacks of the builder. */
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
  /** The bindings for buildpacks, from the Secret of the build. */
  readonly secrets: readonly Omit<BuildSecret, 'value'>[]
  /** The limits of buildpacks in bytes, which replace those of the settings file. */
  readonly limits: { readonly memory?: number; readonly disk?: number }
  /** The time limit of the pod, in seconds. */
  readonly deadline: number
  /** Whether the Secret of the build holds credentials of registries (CNB_REGISTRY_AUTH). */
  readonly hasRegistryAuth: boolean
  /** Whether the Secret contains variables for buildpacks. */
  readonly hasVariables: boolean
  /** Phases print events instead of text, for a program that follows the build. */
  readonly events: boolean
}

/** The keys of the Secret: credentials and variables, and a value and a type for each secret of buildpacks. */
export const secretKeys = { registryAuth: 'registry-auth', variables: 'variables' } as const
export const keysOfSecret = (index: number) => ({ value: `secret-${index}`, type: `secret-${index}-type` })

export const defaultTimeout = 2 * 3600_000

export type Values = Readonly<Record<string, string | Uint8Array>>

export function valuesOf(secrets: readonly BuildSecret[]): Values {
  return Object.fromEntries<string | Uint8Array>(
    secrets.flatMap(({ type, value }, index): [string, string | Uint8Array][] => {
      const keys = keysOfSecret(index)
      return [
        [keys.type, type],
        [keys.value, value],
      ]
    }),
  )
}

export function refuseSameBinding({ secrets = [] }: BuildOptions, { bindings = [] }: ClusterSettings): void {
  const both = secrets.find(({ id }) => bindings.includes(id))
  if (both === undefined) return
  throw new BaleError('usage', `the binding ${both.id} is also in the settings file`, {
    where: '--secret',
    fix: 'give it another id, or leave one of them out',
  })
}

type Planned = Pick<ClusterBuild, 'name' | 'namespace' | 'builder' | 'source' | 'selection' | 'events'> & {
  readonly values: Values
}

export function clusterBuildOf(
  options: BuildOptions & { readonly subPath?: string | undefined },
  cluster: ClusterSettings,
  planned: Planned,
): ClusterBuild {
  const { values, ...own } = planned
  const [image = '', ...tags] = imagesIn(options)
  const { timeout = defaultTimeout, settings } = options
  return {
    ...own,
    image,
    tags,
    subPath: options.subPath,
    runImage: options.runImage,
    previousImage: options.previousImage,
    cacheImage: options.cacheImage ?? cluster.cache?.image,
    clearCache: options.clearCache === true,
    defaultProcess: options.defaultProcess,
    execEnv: options.execEnv,
    sourceDateEpoch: settings.sourceDateEpoch,
    insecureRegistries: settings.insecureRegistries ?? [],
    labels: options.labels ?? {},
    annotations: options.annotations ?? {},
    secrets: (options.secrets ?? []).map(({ id, type, key }) => ({ id, type, key })),
    limits: options.limits ?? {},
    // Longer than the timeout here, whose message is better.
    deadline: Math.ceil(timeout / 1000) + 60,
    hasRegistryAuth: secretKeys.registryAuth in values,
    hasVariables: secretKeys.variables in values,
  }
}

export function builderOf(
  { builder, defaultBuilder }: BuildOptions,
  cluster: ClusterSettings,
  ofProject: string | undefined,
): string {
  const name = builder ?? cluster.builder ?? ofProject ?? defaultBuilder
  const where = '--builder'
  if (name === undefined)
    throw new BaleError('usage', 'a build on a cluster needs a builder image, and none is given', {
      where,
      fix: 'push the image of npm run dist:builder-image to a registry, and give its name with --builder, or as builder in the settings file',
    })
  const text = name.replace(/^docker:\/\//, '')
  if (/^[./]/.test(text) || /^[a-z-]+:(?!\d+\/)[./]/.test(text))
    throw new BaleError('usage', `${JSON.stringify(name)} is only on this machine, where a cluster cannot read it`, {
      where,
      fix: 'name a builder image in a registry',
    })
  parseReference(text)
  return text
}

/** The names of the image, without transports. @throws BaleError 'usage' unless all are in one registry */
export function imagesIn({ image, tags = [], publish = false }: BuildOptions): string[] {
  const names = [image, ...tags].map(text => {
    const plain = text.replace(/^docker:\/\//, '')
    if ((plain === text && !publish) || /^(oci|oci-archive|docker-archive|docker-daemon):/.test(plain))
      throw new BaleError('usage', 'a build on a cluster publishes its image to a registry', {
        where: text,
        fix: 'name one, with --publish: bale build registry.example.com/team/app --publish --on kubernetes',
      })
    return plain
  })
  const hosts = new Set(names.map(name => parseReference(name).registry))
  if (hosts.size > 1)
    throw new BaleError('usage', `the names of the image are in different registries: ${[...hosts].join(', ')}`, {
      where: '--tag',
      fix: 'build for one of them, and copy the image to the others',
    })
  return names
}

/** Returns the part of an object's name that identifies the app: the last component of the image's name. */
export function labelOf(image: string): string {
  const { repository } = parseReference(image.replace(/^docker:\/\//, ''))
  const last = repository.split('/').at(-1) ?? ''
  return (
    last
      .toLowerCase()
      .replaceAll(/[^a-z0-9]+/g, '-')
      .replaceAll(/^-|-$/g, '')
      .slice(0, 30)
      .replace(/-$/, '') || 'app'
  )
}

/** Derives an object's name from all its inputs: a finished Job cannot be changed, so changed inputs need a new name. */
export function stableName(prefix: string, ...parts: readonly unknown[]): string {
  return `${prefix}-${createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 10)}`
}
