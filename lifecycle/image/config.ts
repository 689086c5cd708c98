import type { Digest } from './digest.ts'

/** image-spec config.md. Unknown keys are kept, so that a base image's config loses nothing. */
export interface ImageConfig {
  readonly created?: string
  readonly author?: string
  readonly architecture: string
  readonly os: string
  readonly variant?: string
  readonly 'os.version'?: string
  readonly 'os.features'?: readonly string[]
  readonly config?: ContainerConfig
  readonly rootfs: { readonly type: 'layers'; readonly diff_ids: readonly Digest[] }
  readonly history?: readonly History[]
  readonly [key: string]: unknown
}

export interface ContainerConfig {
  readonly User?: string
  readonly ExposedPorts?: Readonly<Record<string, object>>
  readonly Env?: readonly string[]
  readonly Entrypoint?: readonly string[] | null
  readonly Cmd?: readonly string[] | null
  readonly Volumes?: Readonly<Record<string, object>> | null
  readonly WorkingDir?: string
  readonly Labels?: Readonly<Record<string, string>> | null
  readonly StopSignal?: string
  readonly [key: string]: unknown
}

export interface History {
  readonly created?: string
  readonly created_by?: string
  readonly author?: string
  readonly comment?: string
  readonly empty_layer?: boolean
}

/** The date in place of real dates, which would make each build's image different. */
export const constantDate = '1980-01-01T00:00:01Z'

/** The value of `NAME=` in a config's Env; the last one counts, as for a process. */
export function envOf(config: ImageConfig, name: string): string | undefined {
  const entry = config.config?.Env?.findLast(e => e.startsWith(`${name}=`))
  return entry?.slice(name.length + 1)
}

export function labelOf(config: ImageConfig, name: string): string | undefined {
  const labels = config.config?.Labels ?? {}
  return Object.hasOwn(labels, name) ? labels[name] : undefined
}
