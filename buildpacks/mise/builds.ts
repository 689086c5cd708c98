import type { Mise } from './mise.ts'
import { type BuildContext, BuildpackError, drop, keep } from '../sdk/index.ts'

/** A request for a build, and the rule that chooses one. */
export interface BuildRequest {
  /** The name of the layer that remembers the choice. */
  readonly layer: string
  /** The request, for the layer's key: `temurin 21.0.5`. */
  readonly text: string
  /** Whether a later list cannot have a better build. */
  readonly isExact: boolean
  /** Whether the application can do without the build. What was out of reach is then not asked for again within an hour. */
  readonly isOptional?: boolean
  /** Chooses among mise's builds. @throws BuildpackError if none satisfies the request */
  choose(builds: readonly string[]): string
}

/**
 * The build for a request. The choice is kept for builds without the network; for a request that newer builds may satisfy as well, the
 * list is read again if it can be.
 */
export async function resolveBuild(context: BuildContext, mise: Mise, request: BuildRequest): Promise<string> {
  const layer = await context.layer(request.layer, {
    ...memoryOf(context, request),
    isCurrent: async ({ notes }) => {
      const known = notes['build']
      if (known === undefined) return request.isOptional && isRecent(notes['failed']) ? keep : drop('it names no build')
      if (request.isExact) return keep
      const builds = await mise.list().catch(() => undefined)
      if (builds !== undefined) return request.choose(builds) === known ? keep : drop('there is a newer build')
      context.log.warning(
        `the list of builds is out of reach: ${known} is used again`,
        'A newer one may be available. Build again with the network.',
      )
      return keep
    },
    create: async () => ({ notes: await notesOn(mise, request) }),
  })
  const { build, failed, error = '', fix = '' } = layer.notes
  if (build !== undefined) return build
  const since = layer.state === 'created' ? '' : `, at ${failed}: Bale asks again after an hour, or with --clear-cache`
  throw new BuildpackError(`${error}${since}`, fix === '' ? {} : { fix })
}

/** Keeps in mind that the build of an optional request cannot be installed, in place of the choice. */
export async function rememberFailure(
  context: BuildContext,
  request: BuildRequest,
  error: BuildpackError,
): Promise<void> {
  await context.layer(request.layer, {
    ...memoryOf(context, request),
    isCurrent: () => Promise.resolve(drop('its build cannot be installed')),
    create: () => Promise.resolve({ notes: notesOnFailure(error) }),
  })
}

const memoryOf = ({ target }: BuildContext, { text }: BuildRequest) => ({
  types: { cache: true },
  key: { request: text, architecture: target.arch },
})

const notesOnFailure = ({ message, fix = '' }: BuildpackError): Record<string, string> => ({
  failed: new Date().toISOString(),
  error: message,
  fix,
})

/** The chosen build, or why there is no list. */
async function notesOn(mise: Mise, request: BuildRequest): Promise<Record<string, string>> {
  let builds: string[]
  try {
    builds = await mise.list()
  } catch (error) {
    if (!request.isOptional || !(error instanceof BuildpackError)) throw error
    return notesOnFailure(error)
  }
  return { build: request.choose(builds) }
}

const isRecent = (time: string | undefined): boolean => Math.abs(Date.now() - Date.parse(time ?? '')) < 3_600_000
