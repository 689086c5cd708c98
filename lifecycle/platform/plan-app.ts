import { join } from 'node:path'
import { type DetectResult, type Reporter, silent } from '../events.ts'
import type { Digest } from '../image/digest.ts'
import { readUntrusted } from '../files/read.ts'
import { type Analysis, runImageMetadata } from '../phases/analyze.ts'
import { runDetection } from '../pipeline.ts'
import { parseResolvedPlan } from '../spec/plan.ts'
import type { ExtendKind } from '../spec/extend-config.ts'
import type { GroupElement, PlanRequire, Target } from '../spec/types.ts'
import type { BuildOptions } from './build-options.ts'
import { requestedImages } from './extensions/extend-images.ts'
import { type ChosenBuilder, type OpenBuild, prepareDetection, withOpenBuild } from './open-build.ts'

/** The plan of a build: its builder, images, buildpacks and destinations. */
export interface PlannedBuild {
  readonly builder: ChosenBuilder
  /** The lifecycle whose phases run the buildpacks, and their Platform API. */
  readonly lifecycle: { readonly from: 'bale' | 'image'; readonly platformApi: string }
  readonly target: Target
  readonly runImage: PlannedRunImage
  /** The image extensions that take part. */
  readonly extensions: readonly { readonly id: string; readonly version: string }[]
  /** The images that their Dockerfiles change. */
  readonly extended: readonly ExtendKind[]
  /** The buildpacks that take part, in the order in which they build. */
  readonly buildpacks: readonly PlannedBuildpack[]
  /** The buildpacks that were tried and take no part. Empty with the builder's own lifecycle, which does not report them. */
  readonly left: readonly DetectResult[]
  /** The requirements of the build plan (buildpack.md, "Build Plan"). */
  readonly requires: readonly PlannedRequirement[]
  /** The image of the last build, whose layers can be reused. */
  readonly previous?: { readonly name: string; readonly digest: Digest }
  /** The destinations of the image. Analysis has checked that they are writable. */
  readonly destinations: readonly string[]
  /** What is only known after a build. */
  readonly unknown: readonly ('processes' | 'layers' | 'digest')[]
}

export interface PlannedRunImage {
  readonly name: string
  readonly digest: Digest
  /** The reference that the app image would record: a name with a digest. */
  readonly reference: string
  /** Run images that the build may choose instead, depending on the buildpacks' output. */
  readonly alternatives: readonly string[]
}

export interface PlannedBuildpack {
  readonly id: string
  readonly version: string
  readonly api: string
  readonly name?: string | undefined
  readonly homepage?: string | undefined
  /** The output of its bin/detect; empty if there was none or it is unknown. */
  readonly why: string
}

export interface PlannedRequirement extends PlanRequire {
  /** The buildpacks that can provide it, as `id@version`. */
  readonly providedBy: readonly string[]
}

/**
 * Plans a build with these options: analyzes and detects as a build does, in the sandbox, and stops. Writes no image,
 * tag or cache. If the environment for buildpacks is missing on this machine, makes it: the stack, or the unpacked
 * layers of a builder image.
 * @throws BaleError; `exitStatusOf(error)` is the exit status of `bale plan`
 */
export function plan(options: BuildOptions): Promise<PlannedBuild> {
  const seen = detectionOf(options.reporter ?? silent)
  return withOpenBuild({ ...options, reporter: seen.reporter }, async (opened, signal) => {
    const { analysis, group, extensions } = await runDetection(await prepareDetection(opened, signal), signal)
    const requested = extensions.length === 0 ? { extended: [] } : await requestedImages(opened, analysis, signal)
    const planned = {
      ...(await describe(opened, { ...analysis, ...requested }, group, seen.results)),
      extensions: extensions.map(({ id, version }) => ({ id, version })),
      extended: requested.extended,
    }
    // Metadata of requirements may contain a secret that a buildpack has read.
    return opened.mask.maskAll(planned) as PlannedBuild
  })
}

/** Wraps a reporter to keep the buildpacks' output in detection. */
function detectionOf(reporter: Reporter): { readonly reporter: Reporter; readonly results: DetectResult[] } {
  const results: DetectResult[] = []
  return {
    results,
    reporter: {
      event(event) {
        if (event.type === 'detected') results.splice(0, Infinity, ...event.results)
        reporter.event(event)
      },
      drained: () => reporter.drained?.(),
      close: () => reporter.close(),
    },
  }
}

async function describe(
  { options, builder, environment, destinations, workspace }: OpenBuild,
  { runImage, target, previous }: Analysis,
  group: readonly GroupElement[],
  results: readonly DetectResult[],
): Promise<Omit<PlannedBuild, 'extensions' | 'extended'>> {
  const { lifecycle, buildpacks, runImages } = environment
  const isSame = (a: Pick<GroupElement, 'id' | 'version'>) => (b: Pick<GroupElement, 'id' | 'version'>) =>
    a.id === b.id && a.version === b.version
  const { reference } = runImageMetadata(runImage.image, runImage.names.image)
  return {
    builder,
    lifecycle: { from: lifecycle.phases.from, platformApi: lifecycle.platformApi },
    target,
    runImage: {
      name: runImage.name,
      digest: runImage.image.digest,
      reference,
      alternatives: runImages.others ?? [],
    },
    buildpacks: group.map(({ id, version, api }) => {
      const found = buildpacks.find(({ descriptor }) => isSame({ id, version })(descriptor))?.descriptor
      const why = results.find(isSame({ id, version }))?.output.trim() ?? ''
      return { id, version, api, name: found?.name, homepage: found?.homepage, why }
    }),
    left: results.filter(result => !group.some(isSame(result))),
    requires: await requirements(join(workspace.layers, 'plan.toml')),
    ...(previous && { previous: { name: options.previousImage ?? options.image, digest: previous.image.digest } }),
    destinations: destinations.flatMap(({ displayNames }) => displayNames),
    unknown: ['processes', 'layers', 'digest'],
  }
}

/** @param file the plan.toml of detect; a buildpack may have changed it */
async function requirements(file: string): Promise<PlannedRequirement[]> {
  const { entries } = parseResolvedPlan((await readUntrusted(file)) ?? '', file)
  return entries.flatMap(({ providers, requires }) => {
    const providedBy = providers.map(({ id, version }) => `${id}@${version}`)
    return requires.map(({ name, metadata }) => ({ name, metadata, providedBy }))
  })
}
