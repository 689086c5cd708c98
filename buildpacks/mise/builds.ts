import type { Mise } from './mise.ts'
import { type BuildContext, drop, keep } from '../sdk/index.ts'

/** A request for a build, and the rule that chooses one. */
export interface BuildRequest {
  /** The name of the layer that remembers the choice. */
  readonly layer: string
  /** The request, for the layer's key: `temurin 21.0.5`. */
  readonly text: string
  /** Whether a later list cannot have a better build. */
  readonly isExact: boolean
  /** Chooses among mise's builds. @throws BuildpackError if none satisfies the request */
  choose(builds: readonly string[]): string
}

/**
 * The build for a request. The choice is kept for builds without the network; for a request that newer builds may satisfy as well, the
 * list is read again if it can be.
 */
export async function resolveBuild(context: BuildContext, mise: Mise, request: BuildRequest): Promise<string> {
  const layer = await context.layer(request.layer, {
    types: { cache: true },
    key: { request: request.text, architecture: context.target.arch },
    isCurrent: async ({ notes }) => {
      const known = notes['build']
      if (known === undefined) return drop('it names no build')
      if (request.isExact) return keep
      const builds = await mise.list().catch(() => undefined)
      if (builds !== undefined) return request.choose(builds) === known ? keep : drop('there is a newer build')
      context.log.warning(
        `the list of builds is out of reach: ${known} is used again`,
        'A newer one may be available. Build again with the network.',
      )
      return keep
    },
    create: async () => ({ notes: { build: request.choose(await mise.list()) } }),
  })
  return layer.notes['build'] ?? ''
}

/** Orders versions by their numbers, the newest first: `21.0.5+11`, `21.0.4+7`. */
export function newestFirst(a: string, b: string): number {
  const [left, right] = [numbersOf(a), numbersOf(b)]
  for (let index = 0; index < Math.max(left.length, right.length); index++) {
    const difference = (right[index] ?? 0) - (left[index] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}

const numbersOf = (version: string): number[] => (version.match(/\d+/g) ?? []).map(Number)
