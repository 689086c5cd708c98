import type { Offer } from '../../lifecycle/spec/offers.ts'
import type { Metadata, PlanRequire, Target } from '../../lifecycle/spec/types.ts'
import type { App } from './app.ts'
import type { Run } from './command.ts'
import type { Launch } from './launch.ts'
import type { Layer, LayerDefinition, LayerKey } from './layer.ts'
import type { Log } from './log.ts'
import type { OwnCommand, Step } from './own-commands.ts'
import type { BuildPlanBuilder } from './plan.ts'
import type { Component } from './sbom/component.ts'

/** What detect and build have in common. */
export interface Context {
  readonly app: App
  readonly buildpack: {
    readonly id: string
    readonly version: string
    readonly dir: string
    /** Media types of the bills of materials that buildpack.toml declares. */
    readonly sbomFormats: readonly string[]
  }
  /** `<platform>`, which also holds bindings and what else the platform has to say. */
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
  /** What this buildpack is to provide, and what was said with each requirement. */
  readonly plan: readonly PlanRequire[]
  /** What the last build left in `store`. */
  readonly store: Metadata
  /** Brings back the layer of an earlier build, or makes it. */
  readonly layer: <const K extends LayerKey>(name: string, definition: LayerDefinition<K>) => Promise<Layer>
  /**
   * Ends the changes of a layer for the cache alone, such as a store of packages, before programs run that nobody trusts: if one of
   * them changes it, no later build uses the layer (X40).
   */
  readonly seal: (layer: Layer) => void
  /** The user's own command for a step of this buildpack's build: the program that is started with this `step` gives way to it. */
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
/** This buildpack does not take part; the reason is shown when none does. */
export const fail = (reason: string): DetectResult => ({ pass: false, reason })

export interface BuildResult {
  readonly launch?: Launch
  /** Kept for the next build. */
  readonly store?: Metadata
  /** Names in `plan` that this buildpack could not provide. */
  readonly unmet?: readonly string[]
  /** Software in the image that is in no layer of this buildpack's. */
  readonly sbom?: readonly Component[]
}

export interface Buildpack {
  detect(context: DetectContext): Promise<DetectResult> | DetectResult
  build(context: BuildContext): Promise<BuildResult> | BuildResult
  /**
   * For a language: what becomes of the user's own commands that no program of its build has given way to (own-commands.ts). They are run
   * `after` it, where its programs run from the files that are there; elsewhere they are told to be `left`.
   */
  readonly ownCommands?: 'after' | 'left'
  /** The versions that can be had, from where a build would get them. Its layers are gone afterwards. */
  offers?(context: BuildContext): Promise<readonly Offer[]>
}

/** Names the type: `export const ruby = defineBuildpack({ detect, build })`. */
export function defineBuildpack(buildpack: Buildpack): Buildpack {
  return buildpack
}
