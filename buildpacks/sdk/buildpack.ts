import type { Offer } from '../../lifecycle/spec/offers.ts'
import type { Metadata, PlanRequire, Target } from '../../lifecycle/spec/types.ts'
import type { App } from './app.ts'
import type { Run, Step } from './command.ts'
import type { Launch } from './launch.ts'
import type { Layer, LayerDefinition, LayerKey } from './layer.ts'
import type { Log } from './log.ts'
import type { OwnCommand } from './own-commands.ts'
import type { BuildPlanBuilder } from './plan.ts'
import type { Component } from './sbom/component.ts'

/** The part that detect and build share. */
export interface Context {
  readonly app: App
  readonly buildpack: {
    readonly id: string
    readonly version: string
    readonly dir: string
    /** Media types of the bills of materials that buildpack.toml declares. */
    readonly sbomFormats: readonly string[]
  }
  /** `<platform>`, which also holds bindings and other data of the platform. */
  readonly platformDir: string
  /** The process's environment with the user's variables. */
  readonly env: Readonly<Record<string, string>>
  readonly target: Target
  /** `production` unless the platform says otherwise. */
  readonly execEnv: string
  readonly log: Log
  readonly run: Run
}

export type DetectContext = Context

export interface BuildContext extends Context {
  /** The names that this buildpack has to provide, with the metadata of each requirement. */
  readonly plan: readonly PlanRequire[]
  /** What the last build left in `store`. */
  readonly store: Metadata
  /** Restores the layer of an earlier build, or creates it. */
  readonly layer: <const K extends LayerKey>(name: string, definition: LayerDefinition<K>) => Promise<Layer>
  /**
   * Ends the changes of a cache-only layer, such as a store of packages, before untrusted programs run: if one of them changes the
   * layer, no later build uses it (X40).
   */
  readonly seal: (layer: Layer) => void
  /** The user's own command for a step of this buildpack's build. It replaces the program that is started with this `step`. */
  readonly ownCommand: (step: Step) => Promise<OwnCommand | undefined>
}

export type DetectResult =
  | { readonly pass: true; readonly reason: string; readonly plan?: BuildPlanBuilder }
  | { readonly pass: false; readonly reason: string }

/** This buildpack takes part, because of `reason`. */
export const pass = (reason: string, plan?: BuildPlanBuilder): DetectResult => ({
  pass: true,
  reason,
  ...(plan && { plan }),
})
/** This buildpack does not take part. The reason is shown if no buildpack does. */
export const fail = (reason: string): DetectResult => ({ pass: false, reason })

export interface BuildResult {
  readonly launch?: Launch
  /** Data for the next build. */
  readonly store?: Metadata
  /** Names in `plan` that this buildpack could not provide. */
  readonly unmet?: readonly string[]
  /** Software in the image that is not in a layer of this buildpack. */
  readonly sbom?: readonly Component[]
}

export interface Buildpack {
  detect(context: DetectContext): Promise<DetectResult> | DetectResult
  build(context: BuildContext): Promise<BuildResult> | BuildResult
  /**
   * Only for a language: what happens to the user's own commands that replaced no program of its build (own-commands.ts). With `after`
   * they run after the build, if its programs run from the existing files. With `left` the build reports that they do not run.
   */
  readonly ownCommands?: 'after' | 'left'
  /** The available versions, from the source that a build would use. The layers of this call are removed afterwards. */
  offers?(context: BuildContext): Promise<readonly Offer[]>
}

/** Gives an object the type: `export const ruby = defineBuildpack({ detect, build })`. */
export function defineBuildpack(buildpack: Buildpack): Buildpack {
  return buildpack
}
