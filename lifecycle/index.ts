/** Everything that a program may import: `import { build, settings } from 'bale'`. */
export type { LifecycleChoice } from './platform/build-environment.ts'
export type { BuildOptions } from './platform/build-options.ts'
export type { StoreSettings } from './stores/transport.ts'
export type { Registries, RegistrySettings } from './stores/registry-settings.ts'
export type { Credential } from './stores/credentials/credential.ts'
export { type BuildResult, build, exitStatusOf } from './platform/build-app.ts'
export { type PlatformsResult, buildPlatforms } from './platform/build-platforms.ts'
export {
  type PlannedBuild,
  type PlannedBuildpack,
  type PlannedRequirement,
  type PlannedRunImage,
  plan,
} from './platform/plan-app.ts'
export type { ChosenBuilder } from './platform/open-build.ts'
export { type BuildOutcome, buildEvents } from './platform/build-events.ts'
export { type ClusterResult, type OnCluster, buildOnCluster, clusterManifests } from './platform/kubernetes/build.ts'
export type { ClusterObject } from './platform/kubernetes/manifests.ts'
export type { ClusterPlace } from './platform/kubernetes/place.ts'
export { type ClusterSettings, readClusterSettings } from './platform/kubernetes/settings.ts'
export { type EngineFactory, type Settings, settings } from './platform/settings.ts'
export { type Fleet, type FleetImage, type FleetOptions, rebaseOnCluster } from './platform/kubernetes/rebase.ts'
export type { RebaseCheck } from './platform/rebase-check.ts'
export type { PackageChange } from './platform/debian-packages.ts'
export type { BuildpackPhase } from './phase-runner.ts'
export type { Interaction } from './platform/failed-phase-shell.ts'
export { type RebaseOptions, type RebaseResult, rebase } from './platform/rebase-app.ts'
export type { Distribution } from './platform/distribution.ts'
export type { Emulator } from './processes/emulation.ts'
export type { Engine, EngineRun, ExitStatus, Mount } from './engines/engine.ts'
export { BaleError, type ErrorCode, type ErrorDetails, type PhaseName } from './errors.ts'
export type { FailureEvent } from './event-stream.ts'
export {
  type BuildEvent,
  type BuildpackName,
  type DetectResult,
  type LayerKind,
  type Reporter,
  silent,
} from './events.ts'
export type { Digest } from './image/digest.ts'
export type { Image } from './image/image.ts'
export type { Layer, LayerDigests } from './image/layer.ts'
export type { Compression } from './image/media-types.ts'
export type { ExtendKind } from './spec/extend-config.ts'
export type { GroupElement, Metadata, PlanRequire, Report, Target } from './spec/types.ts'
export type { ImageSink, ImageSource, ImageStore, OnTransfer, Published, PublishedIndex } from './stores/store.ts'
export type { Packing } from './layers/compression/packing.ts'
export type { KnownHelper } from './stores/credentials/known-helpers.ts'
export type { BuildSecret } from './phases/secrets.ts'
export type { SshKeys } from './platform/ssh/forward.ts'
export type { PullPolicy } from './stores/pull-policy.ts'
export type { ContainerConfig, History, ImageConfig } from './image/config.ts'
export type { ChunkRecorder, Fingerprint, LayerSource } from './image/layer.ts'
export type { Descriptor, Index, Manifest, Platform } from './image/manifest.ts'
export type { Reference } from './image/reference.ts'
export type { ImageIndex, IndexedImage } from './image/image-index.ts'
export type { Rebased } from './phases/rebase.ts'
export type { ImageReference, ImageTransport, OpenStore, StoreContext } from './stores/transport.ts'
export type { Env } from './stores/settings.ts'
export type { Credentials } from './stores/credentials.ts'
