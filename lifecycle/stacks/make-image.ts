import type { ImageConfig } from '../image/config.ts'
import type { Digest } from '../image/digest.ts'
import { configFor, type DebianPackage, parsePackages } from './image-config.ts'
import type { StackDescription } from './description.ts'
import { explainFailure } from './explain-failure.ts'
import type { Archive } from './machine.ts'
import {
  type MmdebstrapRun,
  aptSettings,
  emulatorVariable,
  mmdebstrapArguments,
  newestNote,
  settingsVariable,
} from './mmdebstrap.ts'
import { type Environment, runCommand, searchPath } from './run-command.ts'
import { type ImageKind, type ImageRules, rulesFor } from './rules.ts'
import { normaliseTree, type NormalisedTree } from './normalise-tree.ts'

export type StackEvent =
  | { readonly type: 'warning'; readonly message: string }
  | { readonly type: 'started'; readonly image: ImageKind }
  /** A line of mmdebstrap's output; most name a stage: `I: downloading packages with apt...`. */
  | { readonly type: 'output'; readonly image: ImageKind; readonly line: string }
  | { readonly type: 'finished'; readonly image: ImageKind; readonly size: number; readonly packages: number }

/** One image of the stack: a single layer and its config. */
export interface StackImage {
  readonly kind: ImageKind
  /** The layer: an uncompressed tar, whose digest is `diffId`. */
  readonly tar: string
  readonly size: number
  readonly diffId: Digest
  /** Complete, with `rootfs.diff_ids`, history, Env, User and the labels of platform.md, "Build Image" and "Run Image". */
  readonly config: ImageConfig
  readonly packages: readonly DebianPackage[]
}

export interface ImageJob {
  readonly stack: StackDescription
  readonly kind: ImageKind
  readonly arch: string
  readonly architecture: string
  readonly archive: Archive
  readonly sourcesFile: string
  readonly files: ImageRules['files']
  /** The start of the command line, before `mmdebstrap`. */
  readonly prefix: readonly string[]
  readonly mode: MmdebstrapRun['mode']
  readonly emulation: MmdebstrapRun['emulation']
  readonly environment: Environment
  readonly work: string
  /** The path for the layer. */
  readonly tar: string
  readonly signal: AbortSignal
  readonly onEvent: ((event: StackEvent) => void) | undefined
}

const osRelease = 'usr/lib/os-release'
const debianVersion = 'etc/debian_version'
const dpkgStatus = 'var/lib/dpkg/status'
const wanted = new Set([osRelease, debianVersion, dpkgStatus, newestNote])

/** Makes one image, and writes its layer to `job.tar`. */
export async function createImage(job: ImageJob): Promise<StackImage> {
  const { stack, kind, tar, signal, onEvent } = job
  onEvent?.({ type: 'started', image: kind })
  const argv = ['mmdebstrap', ...mmdebstrapArguments({ ...job, image: stack[kind] })]
  const ending = await runCommand(
    {
      argv: [...job.prefix, ...argv] as [string, ...string[]],
      environment: environmentFor(job),
      signal,
      onLine: line => onEvent?.({ type: 'output', image: kind, line }),
    },
    output => normaliseTree(output, tar, rulesFor(stack, kind, job.files), wanted, signal),
  )
  if (ending.state === 'failed') throw explainFailure(ending, `${kind} image of ${stack.id}`)
  const image = describe(job, ending.value)
  onEvent?.({ type: 'finished', image: kind, size: image.size, packages: image.packages.length })
  return image
}

/**
 * Passes only the necessary part of the caller's environment: maintainer scripts see it, and could store it in the image.
 */
function environmentFor({ environment, work, stack, archive, emulation }: ImageJob): Environment {
  const passed = Object.entries(environment).filter(([name]) => /^(SSL_CERT_(FILE|DIR)|\w+_proxy)$/i.test(name))
  return {
    ...Object.fromEntries(passed),
    PATH: searchPath(environment),
    TMPDIR: work,
    HOME: work, // no ~/.dpkg.cfg
    TZ: 'UTC',
    LC_ALL: 'C.UTF-8',
    SOURCE_DATE_EPOCH: String(stack.debian.epoch.getTime() / 1000),
    [settingsVariable]: aptSettings(archive),
    ...(emulation?.registration !== undefined && { [emulatorVariable]: emulation.registration }),
  }
}

function describe({ stack, kind, arch, tar }: ImageJob, { diffId, size, texts }: NormalisedTree): StackImage {
  const newest = Number(texts.get(newestNote) || Number.NaN)
  const config = configFor(stack, kind, {
    arch,
    diffId,
    osRelease: texts.get(osRelease) ?? '',
    debianVersion: texts.get(debianVersion)?.trim() ?? '',
    released: Number.isFinite(newest) ? new Date(newest * 1000) : stack.debian.epoch,
  })
  return { kind, tar, size, diffId, config, packages: parsePackages(texts.get(dpkgStatus) ?? '') }
}
