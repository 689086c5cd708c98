import type { Reporter } from '../events.ts'
import { type ImageConfig } from '../image/config.ts'
import type { RunImageRequest } from '../phases/analyze.ts'
import type { BuildpackDescriptor, Order } from '../spec/types.ts'
import type { Stores } from '../stores/open.ts'
import type { BuildConfigVariable, Builder } from './builder.ts'
import type { Distribution } from './distribution.ts'
import type { Settings } from './settings.ts'
import { ensureStack, madeHere } from './stack.ts'

/** The environment of detect and build. A builder.toml with a stack provides it; others may come from a builder image. */
export interface BuildEnvironment {
  /** The unpacked build image, and its config. */
  readonly rootfs: { readonly path: string; readonly config: ImageConfig }
  /** Buildpacks, and the directory of each on this machine. */
  readonly buildpacks: readonly { readonly descriptor: BuildpackDescriptor; readonly dir: string }[]
  /** The order of the buildpacks, and that of extensions. */
  readonly order: Order
  readonly lifecycle: Lifecycle
  /** The user that buildpacks run as, and that owns what they make. */
  readonly user: { readonly uid: number; readonly gid: number }
  readonly runImages: RunImageRequest
  readonly buildConfig: readonly BuildConfigVariable[]
}

/** The phase binaries that run in the environment. */
export interface Lifecycle {
  /** Mounted as /cnb/lifecycle. */
  readonly dir: string
  /** The Node that runs phases and buildpacks, mounted below it. */
  readonly node: string
  /** The launcher that goes into the image. */
  readonly launcher: string
}

export interface StackEnvironmentInput {
  readonly builder: Builder
  readonly distribution: Distribution
  readonly settings: Settings
  readonly stores: Stores
  /** The run image that the user names. Absent: the builder's or the stack's. */
  readonly runImage?: string | undefined
  readonly reporter: Reporter
}

/** Opens the environment that a builder.toml describes, on a stack of this machine. Makes the stack if it does not exist. */
export async function stackEnvironment(input: StackEnvironmentInput, signal: AbortSignal): Promise<BuildEnvironment> {
  const { builder, distribution, settings, stores, reporter } = input
  const arch = settings.platform.architecture
  const stack = await ensureStack({ stackDir: builder.stackDir, arch, settings, store: stores.local, reporter }, signal)
  return {
    rootfs: { path: stack.buildRoot, config: stack.buildConfig },
    buildpacks: builder.buildpacks,
    order: builder.order,
    lifecycle: { dir: distribution.lifecycleDir, node: distribution.node, launcher: distribution.launcher(arch) },
    user: stack.user,
    runImages: await requestRunImage(input, stack.runImage),
    buildConfig: builder.buildConfig,
  }
}

/**
 * Returns the run image: the user's, from a stack of this machine or any transport; else the builder's, in a registry; else
 * the stack's own, in the local store.
 */
async function requestRunImage(
  { builder, stores, runImage }: StackEnvironmentInput,
  stackRunImage: string,
): Promise<RunImageRequest> {
  const isMadeHere = runImage?.startsWith(madeHere) === true
  if (runImage !== undefined && !isMadeHere) {
    const at = await stores.source(runImage)
    return { names: { image: at.name, mirrors: [] }, open: () => Promise.resolve(at) }
  }
  if (builder.runImage !== undefined && !isMadeHere)
    return { names: builder.runImage, open: name => stores.source(name) }
  return {
    names: { image: isMadeHere ? runImage : stackRunImage, mirrors: [] },
    open: name => Promise.resolve({ source: stores.local, name }),
  }
}
