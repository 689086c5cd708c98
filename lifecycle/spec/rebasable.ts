import { isMatchedByTarget } from './api.ts'
import { labels } from './labels.ts'
import { quote, readJson, texts } from './read.ts'
import { describeTarget, sameTarget } from './target.ts'
import type { LayersMetadata, Target } from './types.ts'

/** An image, as far as the rules of rebasing look at it. */
export interface RebaseParty {
  readonly target: Target
  readonly labels: Readonly<Record<string, string>>
}

export interface RebaseApp extends RebaseParty {
  readonly metadata: LayersMetadata
  /** CNB_PLATFORM_API in its environment. */
  readonly platformApi?: string
}

/** What is against a rebase; `-force` overrides it unless `always`. */
export interface Obstacle {
  readonly why: string
  readonly always?: true
}

/**
 * What is against putting the app on this run image (platform.md, "rebaser"): its label, another target, or for an app that
 * was built before there were targets another stack.
 */
export function obstaclesToRebase(app: RebaseApp, runImage: RebaseParty): readonly Obstacle[] {
  const obstacles: Obstacle[] = []
  // The Go lifecycle never writes `false` itself, but hands on the run image's label: nothing else blocks.
  if (labelOf(app, labels.rebasable) === 'false')
    obstacles.push({ why: `its label ${labels.rebasable} says that it must not be` })
  if (!isMatchedByTarget(app.platformApi)) return [...obstacles, ...obstaclesOfStack(app, runImage)]
  if (sameTarget(app.target, runImage.target)) return obstacles
  const [is, was] = [describeTarget(runImage.target), describeTarget(app.target)]
  return [...obstacles, { why: `the new run image is for ${quote(is)}, and the app for ${quote(was)}` }]
}

function obstaclesOfStack(app: RebaseParty, runImage: RebaseParty): readonly Obstacle[] {
  const always = true
  const [old, now] = [labelOf(app, labels.stackId), labelOf(runImage, labels.stackId)]
  if (old === '') return [{ why: `it has no label ${labels.stackId}, which says what it can run on`, always }]
  if (now !== old) {
    const theirs = now === '' ? 'has no stack' : `has the stack ${quote(now)}`
    return [{ why: `it was built for the stack ${quote(old)}, and the new run image ${theirs}`, always }]
  }
  const offered = new Set(mixinsOf(runImage))
  const missing = mixinsOf(app).filter(mixin => !offered.has(mixin))
  if (missing.length === 0) return []
  return [{ why: `the new run image lacks the mixins ${missing.slice(0, 20).map(quote).join(', ')}`, always }]
}

/** Without the stages that they may be limited to: a run image has those of its own stage only. */
function mixinsOf(image: RebaseParty): readonly string[] {
  const json = labelOf(image, labels.stackMixins)
  const list = json === '' ? [] : texts(readJson(`{"mixins":${json}}`, `label ${labels.stackMixins}`), 'mixins')
  return list.map(mixin => mixin.replace(/^(?:build|run):/, ''))
}

const labelOf = (image: RebaseParty, name: string): string =>
  Object.hasOwn(image.labels, name) ? (image.labels[name] ?? '') : ''

/** How many layers of the image the label says are the app's. */
export function countOwnLayers({ app, sbom, config, launcher, processTypes, buildpacks }: LayersMetadata): number {
  const launched = buildpacks.flatMap(b => Object.values(b.layers)).filter(layer => layer.launch)
  return [...app, sbom, config, launcher, processTypes, ...launched].filter(record => record?.sha).length
}
