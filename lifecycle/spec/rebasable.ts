import { isMatchedByTarget } from './api.ts'
import { labels } from './labels.ts'
import { quote, readJson, texts } from './read.ts'
import { describeTarget, sameTarget } from './target.ts'
import type { LayersMetadata, Target } from './types.ts'

/** The parts of an image that the rules for rebasing use. */
export interface RebaseParty {
  readonly target: Target
  readonly labels: Readonly<Record<string, string>>
}

export interface RebaseApp extends RebaseParty {
  readonly metadata: LayersMetadata
  /** CNB_PLATFORM_API in its environment. */
  readonly platformApi?: string
}

/** A reason against a rebase. `-force` overrides it unless `always`. */
export interface Obstacle {
  readonly why: string
  readonly always?: true
}

/**
 * Returns the reasons against putting the app on this run image (platform.md, "rebaser"): its label, another target, or
 * another stack for an app that was built before targets existed.
 */
export function obstaclesToRebase(app: RebaseApp, runImage: RebaseParty): readonly Obstacle[] {
  const obstacles: Obstacle[] = []
  // The Go lifecycle never writes `false` itself, but copies the run image's label. Only `false` blocks.
  if (labelOf(app, labels.rebasable) === 'false') obstacles.push({ why: `its label ${labels.rebasable} forbids it` })
  if (!isMatchedByTarget(app.platformApi)) return [...obstacles, ...obstaclesOfStack(app, runImage)]
  if (sameTarget(app.target, runImage.target)) return obstacles
  const [is, was] = [describeTarget(runImage.target), describeTarget(app.target)]
  return [...obstacles, { why: `the new run image is for ${quote(is)}, and the app for ${quote(was)}` }]
}

function obstaclesOfStack(app: RebaseParty, runImage: RebaseParty): readonly Obstacle[] {
  const always = true
  const [old, now] = [labelOf(app, labels.stackId), labelOf(runImage, labels.stackId)]
  if (old === '')
    return [{ why: `it has no label ${labels.stackId}, which names the stack that it can run on`, always }]
  if (now !== old) {
    const theirs = now === '' ? 'has no stack' : `has the stack ${quote(now)}`
    return [{ why: `it was built for the stack ${quote(old)}, and the new run image ${theirs}`, always }]
  }
  const offered = new Set(mixinsOf(runImage))
  const missing = mixinsOf(app).filter(mixin => !offered.has(mixin))
  if (missing.length === 0) return []
  return [{ why: `the new run image lacks the mixins ${missing.slice(0, 20).map(quote).join(', ')}`, always }]
}

/** Removes the stage prefixes of mixins: a run image has only those of its own stage. */
function mixinsOf(image: RebaseParty): readonly string[] {
  const json = labelOf(image, labels.stackMixins)
  const list = json === '' ? [] : texts(readJson(`{"mixins":${json}}`, `label ${labels.stackMixins}`), 'mixins')
  return list.map(mixin => mixin.replace(/^(?:build|run):/, ''))
}

const labelOf = (image: RebaseParty, name: string): string =>
  Object.hasOwn(image.labels, name) ? (image.labels[name] ?? '') : ''

/** Returns the number of the image's layers that belong to the app, according to the label. */
export function countOwnLayers({ app, sbom, config, launcher, processTypes, buildpacks }: LayersMetadata): number {
  const launched = buildpacks.flatMap(b => Object.values(b.layers)).filter(layer => layer.launch)
  return [...app, sbom, config, launcher, processTypes, ...launched].filter(record => record?.sha).length
}
