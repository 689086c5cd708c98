import { BaleError } from '../errors.ts'
import type { Mount } from '../engines/engine.ts'
import type { Reporter } from '../events.ts'
import type { Compression } from '../image/media-types.ts'
import { type Packing, levels } from '../layers/compression/packing.ts'
import type { BuildSecret } from '../phases/secrets.ts'
import type { PullPolicy } from '../stores/pull-policy.ts'
import type { LifecycleChoice } from './build-environment.ts'
import type { Distribution } from './distribution.ts'
import type { Interaction } from './failed-phase-shell.ts'
import type { Settings } from './settings.ts'
import type { SshKeys } from './ssh/forward.ts'

export interface BuildOptions {
  /** The destination of the image, in skopeo's notation. A plain name means Bale's own store. */
  readonly image: string
  readonly settings: Settings
  /** The directory with the source; the working directory by default. */
  readonly path?: string | undefined
  /**
   * A builder.toml, a directory with one, or a builder image in any transport; the one of project.toml, or Bale's own, by
   * default.
   */
  readonly builder?: string | undefined
  /** The builder of builds for which neither `builder` nor project.toml names one. */
  readonly defaultBuilder?: string | undefined
  /** The lifecycle whose phases run in a builder image: by default Bale's, which is mounted. */
  readonly lifecycle?: LifecycleChoice | undefined
  /** Buildpacks in place of the builder's order: directories, .cnb files, images, `urn:cnb:builder:…`, `from=builder`. */
  readonly buildpacks?: readonly string[] | undefined
  /** Buildpacks before and after every group of the order. */
  readonly preBuildpacks?: readonly string[] | undefined
  readonly postBuildpacks?: readonly string[] | undefined
  /** Image extensions in place of the builder's: directories, .cnb files, images, ID[@VERSION] of the builder. */
  readonly extensions?: readonly string[] | undefined
  /** Another project.toml than the one in the source. */
  readonly descriptor?: string | undefined
  /** When to read builder, buildpacks and run image from a registry although this machine has them. */
  readonly pullPolicy?: PullPolicy | undefined
  /** Variables for buildpacks, at build time. */
  readonly env?: Readonly<Record<string, string>> | undefined
  /** More names for the image, in any transport. */
  readonly tags?: readonly string[] | undefined
  readonly runImage?: string | undefined
  /** Additional names of run images, by the builder's name of each. */
  readonly runImageMirrors?: Readonly<Record<string, readonly string[]>> | undefined
  /** What the image is for (platform.md, "CNB_EXEC_ENV"): production by default. */
  readonly execEnv?: string | undefined
  /** The image of the last build, if its name differs. */
  readonly previousImage?: string | undefined
  /** The user and group that run buildpacks and own their files, in place of the builder's. */
  readonly user?: { readonly uid?: number | undefined; readonly gid?: number | undefined } | undefined
  /** Where the application is in the build and in the image: /workspace by default. */
  readonly workspace?: string | undefined
  /** Further directories of this machine for buildpacks. */
  readonly volumes?: readonly Mount[] | undefined
  /** Sends plain names to the registry that they name, not to Bale's own store. */
  readonly publish?: boolean | undefined
  readonly clearCache?: boolean | undefined
  /** Paths that the caller writes to after the build. Paths inside the source are left out of the application. */
  readonly outputs?: readonly string[] | undefined
  /** A cache image in a registry, instead of a directory of this machine. */
  readonly cacheImage?: string | undefined
  /**
   * Caches shared with other machines, in the notation of `--cache-from` and `--cache-to`:
   * `type=s3,bucket=builds,region=eu-central-1`. If this machine's cache is empty, the first nonempty one of `cacheFrom` is read.
   */
  readonly cacheFrom?: readonly string[] | undefined
  readonly cacheTo?: readonly string[] | undefined
  /** The compression of new layers. gzip by default, which every tool reads. */
  readonly compression?: Compression | undefined
  /** 0 to 9 for gzip, 1 to 22 for zstd. 1 by default; higher levels make smaller layers, and take longer. */
  readonly compressionLevel?: number | undefined
  readonly defaultProcess?: string | undefined
  /** Labels of the image. Labels of the specification, `io.buildpacks.*`, are refused. */
  readonly labels?: Readonly<Record<string, string>> | undefined
  /** Secrets for buildpacks, as bindings. Events and errors mask them. A build with one in its image fails. */
  readonly secrets?: readonly BuildSecret[] | undefined
  /** SSH keys that buildpacks may sign in to servers with, but not read, for dependencies in private repositories. */
  readonly ssh?: SshKeys | undefined
  /** Annotations of its manifest (image-spec annotations.md). */
  readonly annotations?: Readonly<Record<string, string>> | undefined
  /** The network of buildpacks: `host` by default, since they download dependencies. */
  readonly network?: 'none' | 'host' | undefined
  readonly reporter?: Reporter | undefined
  /** For a person at a terminal: a shell in the sandbox of detect or build when it fails. */
  readonly interaction?: Interaction | undefined
  /**
   * The most threads and processes in the sandbox at one time, 4096 by default, and bytes of memory and of disk, unlimited by default.
   */
  readonly limits?: { readonly pids?: number; readonly memory?: number; readonly disk?: number } | undefined
  /** Milliseconds for the whole build. 2 hours by default. */
  readonly timeout?: number | undefined
  /** Milliseconds for the bin/build of one buildpack. The limit of the build by default. */
  readonly buildpackTimeout?: number | undefined
  /** Bale's own files. Found beside the program by default. */
  readonly distribution?: Distribution | undefined
  /** Ends the build and cleans up. The promise rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined
}

/**
 * @param name of the level, as the user writes it
 * @throws BaleError 'usage' for a level that the compression does not have
 */
export function packingOf(
  { compression = 'gzip', compressionLevel: level }: Pick<BuildOptions, 'compression' | 'compressionLevel'>,
  name = 'compressionLevel',
): Packing {
  if (level === undefined) return { compression }
  const where = `${name} ${level}`
  if (compression === 'none')
    throw new BaleError('usage', 'layers without compression have no level', {
      where,
      fix: 'leave it out, or use gzip or zstd',
    })
  const { least, most } = levels[compression]
  if (!Number.isInteger(level) || level < least || level > most)
    throw new BaleError('usage', `${compression} has no such level`, {
      where,
      fix: `write a number from ${least} to ${most}`,
    })
  return { compression, level }
}
