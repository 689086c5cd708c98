import type { Reporter } from '../events.ts'
import type { ImageConfig } from '../image/config.ts'
import type { Image } from '../image/image.ts'
import type { RunImageRequest } from '../phases/analyze.ts'
import type { RunImageNames } from '../phases/run-image.ts'
import type { Order } from '../spec/types.ts'
import type { Stores } from '../stores/open.ts'
import type { PullPolicy } from '../stores/pull-policy.ts'
import type { BuildConfigVariable, Builder } from './builder.ts'
import type { BuildpackModule } from './builders/module.ts'
import type { Files } from './builders/node-runtime.ts'
import type { Distribution } from './distribution.ts'
import type { Settings } from './settings.ts'

/** The lifecycle whose detector and builder run in a builder image: Bale's, which is mounted, or the image's own. */
export type LifecycleChoice = 'bale' | 'builder'

/** The environment of detect and build. A builder.toml with a stack provides it, or a builder image. */
export interface BuildEnvironment {
  /** The unpacked build image, its layers from the lowest to the topmost, and its config. */
  readonly rootfs: { readonly layers: readonly string[]; readonly config: ImageConfig }
  /** The build image as its source has it, for its owners of files. Absent for a stack, whose files are root's. */
  readonly buildImage?: Image | undefined
  /** Whether image extensions have extended the build image. */
  readonly isExtended?: boolean
  /** Whether the image has a /cnb of its own, with buildpacks and settings. */
  readonly hasBuildpacks: boolean
  readonly buildpacks: readonly BuildpackModule[]
  readonly extensions: readonly BuildpackModule[]
  /** The order of the buildpacks, and that of extensions. */
  readonly order: Order
  readonly lifecycle: Lifecycle
  /** The user that runs buildpacks and owns their files. */
  readonly user: { readonly uid: number; readonly gid: number }
  readonly runImages: RunImageRequest
  /** All run images of the builder, of which an image extension may select another one. */
  readonly knownRunImages?: readonly RunImageNames[]
  /** The folder of a stack whose run image is for applications that need neither shell nor C library. */
  readonly staticStackDir?: string | undefined
  readonly buildConfig: readonly BuildConfigVariable[]
}

export interface Lifecycle {
  readonly phases: Phases
  /** The Platform API that all phases of a build speak. */
  readonly platformApi: string
  /** The launcher that goes into the image. */
  readonly launcher: string
}

/** The phase binaries that run in the environment. */
export type Phases =
  | {
      readonly from: 'bale'
      /** Mounted as /cnb/lifecycle. */
      readonly dir: string
      /** The files of Node for phases and buildpacks: `node`, and the files that it needs in addition to the image. */
      readonly runtime: Files
    }
  /** The phase binaries in /cnb/lifecycle of the image. */
  | { readonly from: 'image' }

export interface EnvironmentInput {
  /** A builder.toml, a directory with one, or a builder image in any transport; Bale's own builder by default. */
  readonly builder?: string | undefined
  readonly lifecycle?: LifecycleChoice | undefined
  readonly pullPolicy?: PullPolicy | undefined
  readonly distribution: Distribution
  readonly settings: Settings
  readonly stores: Stores
  /** The run image that the user names. Absent: the builder's or the stack's. */
  readonly runImage?: string | undefined
  readonly reporter: Reporter
}

export interface StackEnvironmentInput extends Omit<EnvironmentInput, 'builder'> {
  readonly builder: Builder
}
