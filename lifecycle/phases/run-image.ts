import { BaleError } from '../errors.ts'
import type { Reporter } from '../events.ts'
import type { Image } from '../image/image.ts'
import type { Platform } from '../image/manifest.ts'
import { formatReference, parseReference } from '../image/reference.ts'
import type { RunDocument } from '../spec/types.ts'

/** A run image's name and its mirrors, from run.toml, a builder or a label. */
export type RunImageNames = RunDocument['images'][number]

export interface SelectRunImageInput<T extends { readonly image: Image }> {
  readonly names: RunImageNames
  /** The registry of the app image: a mirror there is preferred. */
  readonly registry: string | undefined
  /** Reads one of the names. If it does not exist, returns the place of the search. */
  readonly read: (name: string) => Promise<T | { readonly image: undefined; readonly place: string }>
  /** The required target of the run image. Not checked if absent. */
  readonly platform?: Pick<Platform, 'os' | 'architecture'>
  readonly reporter: Reporter
}

/**
 * Selects a name of the run image (platform.md, "Run Image Resolution"): the first readable one. Tries names in the app image's
 * registry first, then the others in their order.
 * @returns the selected name, and what `read` returned for it
 * @throws BaleError 'arguments' if none can be read; with one name only, the error of reading it
 */
export async function selectRunImage<T extends { readonly image: Image }>(
  input: SelectRunImageInput<T>,
  signal?: AbortSignal,
): Promise<{ readonly name: string; readonly found: T }> {
  const { names, registry, read, platform, reporter } = input
  const all = [names.image, ...names.mirrors]
  const near = registry === undefined ? [] : all.filter(name => registryOf(name) === registry)
  const candidates = [...new Set([...near, ...all])]
  const reasons: string[] = []
  for (const name of candidates) {
    try {
      const found = await read(name)
      if (!isFound(found)) {
        const named = ['the run image', name].filter(Boolean).join(' ') // an image in a layout has no name
        if (candidates.length === 1)
          throw new BaleError('arguments', `${named} does not exist in ${found.place}`, { fix: correct })
        throw new BaleError('arguments', 'it does not exist')
      }
      if (platform !== undefined) requirePlatform(found.image, name, platform)
      return { name, found }
    } catch (error) {
      signal?.throwIfAborted()
      if (!(error instanceof BaleError) || candidates.length === 1) throw error
      reasons.push(`${name}: ${error.message}`)
    }
    reporter.event({ type: 'note', level: 'debug', text: `run image ${reasons.at(-1)}` })
  }
  throw new BaleError('arguments', `no run image can be read: ${reasons.join('; ')}`, { fix: correct })
}

function isFound<T extends { readonly image: Image }>(found: T | { readonly image: undefined }): found is T {
  return found.image !== undefined
}

const correct = 'correct its name, or give another run image'

/** @throws BaleError 'arguments' for an image of another platform */
function requirePlatform({ config }: Image, name: string, platform: Pick<Platform, 'os' | 'architecture'>): void {
  const { os, architecture } = config
  if (os === platform.os && architecture === platform.architecture) return
  throw new BaleError('arguments', `the run image ${name} is for ${os}/${architecture}`, {
    fix: `give a run image for ${platform.os}/${platform.architecture}`,
  })
}

/** Returns undefined for a name that is a path or an image ID. */
function registryOf(name: string): string | undefined {
  try {
    return parseReference(name).registry
  } catch {
    return undefined
  }
}

/** Returns whether two names, in any notation, mean the same image. */
function sameName(a: string, b: string): boolean {
  try {
    return formatReference(parseReference(a)) === formatReference(parseReference(b))
  } catch {
    return false // an image in a layout has no name
  }
}

/** Returns the entry of run.toml that has this name, if there is one. */
export function runImageEntry(run: RunDocument, name: string): RunImageNames | undefined {
  return run.images.find(({ image, mirrors }) => [image, ...mirrors].some(own => sameName(own, name)))
}
