/**
 * The values of the specification for the rest of Bale: parsed, validated, readonly. Each document has a file
 * beside this one that reads and writes it. Keys here are camelCase, regardless of the document's spelling.
 */

/** Opaque data in TOML and JSON documents: preserved, never interpreted. */
export type Metadata = Readonly<Record<string, unknown>>

/** A buildpack or an image extension in a group (platform.md, "group.toml"). */
export interface GroupElement {
  readonly id: string
  readonly version: string
  /** Buildpack API, as declared: `0.10`. */
  readonly api: string
  readonly homepage?: string
  readonly optional?: boolean
}

/** group.toml (platform.md, "group.toml"): the detected buildpacks, in order. */
export interface Group {
  readonly buildpacks: readonly GroupElement[]
  readonly extensions: readonly GroupElement[]
}

/** A buildpack named in an order (platform.md, "order.toml"). Version may be absent in a builder's order. */
export interface OrderElement {
  readonly id: string
  readonly version: string
  readonly optional: boolean
  readonly execEnv?: readonly string[]
}
export interface Order {
  readonly groups: readonly (readonly OrderElement[])[]
  /** Image extensions. Each group of them comes before each group of buildpacks. */
  readonly extensions: readonly (readonly OrderElement[])[]
}

/** buildpack.toml (buildpack.md, "buildpack.toml"). A composite has an order, a component has none. */
export interface BuildpackDescriptor {
  readonly api: string
  readonly id: string
  readonly version: string
  readonly name?: string
  readonly homepage?: string
  readonly description?: string
  readonly clearEnv: boolean
  readonly sbomFormats: readonly string[]
  readonly execEnv: readonly string[]
  readonly targets: readonly BuildpackTarget[]
  /** Deprecated `[[stacks]]`, ids only. */
  readonly stacks: readonly string[]
  readonly order?: readonly (readonly OrderElement[])[]
  readonly metadata: Metadata
}
export interface BuildpackTarget {
  readonly os?: string
  readonly arch?: string
  readonly variant?: string
  readonly distros: readonly { readonly name?: string; readonly version?: string }[]
}

/** The platform and distribution of an image (platform.md, "Target Data"). */
export interface Target {
  readonly os: string
  readonly arch: string
  readonly variant?: string
  readonly distro?: { readonly name: string; readonly version: string }
}

/** The build plan that one bin/detect wrote (buildpack.md, "Build Plan"): the top level first, then each `or`. */
export interface PlanSections {
  readonly provides: readonly string[]
  readonly requires: readonly PlanRequire[]
}
export interface PlanRequire {
  readonly name: string
  readonly metadata: Metadata
}
export type BuildPlan = readonly PlanSections[]

/** plan.toml (platform.md, "plan.toml"). */
export interface ResolvedPlan {
  readonly entries: readonly PlanEntry[]
}
export interface PlanEntry {
  readonly providers: readonly PlanProvider[]
  readonly requires: readonly PlanRequire[]
}

export interface PlanProvider {
  readonly id: string
  readonly version: string
  /** Set for an image extension. */
  readonly extension?: true
}

/** `<layer>.toml` (buildpack.md, "Layer Content Metadata"). */
export interface LayerTypes {
  readonly launch: boolean
  readonly build: boolean
  readonly cache: boolean
}
export interface LayerContentMetadata {
  readonly types: LayerTypes
  readonly metadata: Metadata
}

/** A process of launch.toml and metadata.toml. */
export interface Process {
  readonly type: string
  readonly command: readonly string[]
  readonly args: readonly string[]
  readonly direct: boolean
  readonly default: boolean
  readonly workingDir?: string
  readonly execEnv?: readonly string[]
}
export interface Slice {
  readonly paths: readonly string[]
}
export interface Label {
  readonly key: string
  readonly value: string
}

/** launch.toml (buildpack.md, "launch.toml"). */
export interface LaunchDocument {
  readonly processes: readonly Process[]
  readonly slices: readonly Slice[]
  readonly labels: readonly Label[]
}

/** metadata.toml, the output of build for export and the launcher (platform.md, "metadata.toml"). */
export interface BuildMetadata {
  readonly buildpacks: readonly GroupElement[]
  readonly extensions?: readonly GroupElement[]
  readonly processes: readonly (Process & { readonly buildpackId: string })[]
  readonly slices: readonly Slice[]
  readonly labels: readonly Label[]
  readonly defaultProcessType?: string
}

/** The `io.buildpacks.lifecycle.metadata` label (platform.md). Readers accept missing keys. */
export interface LayersMetadata {
  readonly app: readonly { readonly sha: string }[]
  readonly sbom?: { readonly sha: string }
  readonly buildpacks: readonly BuildpackLayersMetadata[]
  readonly config?: { readonly sha: string }
  readonly launcher?: { readonly sha: string }
  readonly processTypes?: { readonly sha: string }
  readonly runImage?: RunImageMetadata
  /** CNB_EXEC_ENV of the build. */
  readonly execEnv?: string
}
export interface BuildpackLayersMetadata {
  readonly key: string
  readonly version: string
  readonly layers: Readonly<Record<string, LayerRecord>>
  /** store.toml's metadata. */
  readonly store?: Metadata
}
/** A layer in a label or a cache: the buildpack's types and metadata, and the diffID. */
export interface LayerRecord extends LayerTypes {
  readonly sha: string
  readonly data: Metadata
}
export interface RunImageMetadata {
  readonly topLayer: string
  /** `registry/repo@sha256:…`, or an image ID in a daemon. Never a path of the build machine. */
  readonly reference: string
  readonly image?: string
  readonly mirrors?: readonly string[]
}

/** The metadata of a cache, beside its layers: `io.buildpacks.lifecycle.cache.metadata`. */
export interface CacheMetadata {
  readonly buildpacks: readonly BuildpackLayersMetadata[]
  readonly sbom?: { readonly sha: string }
}

/** analyzed.toml (platform.md). */
export interface Analyzed {
  /** The previous image, if there is one. */
  readonly image?: { readonly reference: string }
  readonly metadata?: LayersMetadata
  readonly runImage?: {
    readonly reference: string
    readonly image?: string
    readonly target?: Target
    readonly extend?: boolean
  }
  /** Present if image extensions took part. */
  readonly buildImage?: { readonly reference?: string; readonly extend?: boolean }
}

/** run.toml (platform.md). */
export interface RunDocument {
  readonly images: readonly { readonly image: string; readonly mirrors: readonly string[] }[]
}

/** report.toml (platform.md). */
export interface Report {
  readonly tags: readonly string[]
  readonly digest?: string
  readonly imageId?: string
  readonly manifestSize?: number
}

/** project-metadata.toml (platform.md). */
export interface ProjectMetadata {
  readonly source?: { readonly type?: string; readonly version?: Metadata; readonly metadata?: Metadata }
}
