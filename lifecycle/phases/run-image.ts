import { BaleError } from '../errors.ts'
import type { Reporter } from '../events.ts'
import type { Image } from '../image/image.ts'
import { formatReference, parseReference } from '../image/reference.ts'
import type { RunDocument } from '../spec/types.ts'

type RunEntry = RunDocument['images'][number]

export interface RunImageInput {
  readonly entry: RunEntry
  /** That of the app image: a mirror there is nearest. */
  readonly registry: string
  readonly read: (name: string) => Promise<Image | undefined>
  readonly reporter: Reporter
}

/**
 * Chooses a run image among the names that it has (platform.md, "Run Image Resolution"): the one in the app image's registry if
 * it can be read, else the first that can.
 * @throws BaleError 'arguments' if none can
 */
export async function resolveRunImage(
  { entry, registry, read, reporter }: RunImageInput,
  signal?: AbortSignal,
): Promise<{ readonly name: string; readonly image: Image }> {
  const names = [entry.image, ...entry.mirrors]
  const near = names.filter(name => parseReference(name).registry === registry)
  const reasons: string[] = []
  for (const name of new Set([...near, ...names])) {
    try {
      const image = await read(name)
      if (image !== undefined) return { name, image }
      reasons.push(`${name}: it does not exist`)
    } catch (error) {
      signal?.throwIfAborted()
      if (!(error instanceof BaleError)) throw error
      reasons.push(`${name}: ${error.message}`)
    }
    reporter.event({ type: 'note', level: 'debug', text: `run image ${reasons.at(-1)}` })
  }
  throw new BaleError('arguments', `no run image can be read: ${reasons.join('; ')}`, {
    fix: 'give one with -run-image, or correct where they are named',
  })
}

/** Whether two names mean the same image, however they are written. */
export function sameName(a: string, b: string): boolean {
  return formatReference(parseReference(a)) === formatReference(parseReference(b))
}

/** The entry of run.toml that has this name, if there is one. */
export function entryOf(run: RunDocument, name: string): RunEntry | undefined {
  return run.images.find(({ image, mirrors }) => [image, ...mirrors].some(own => sameName(own, name)))
}
