import { BuildpackError, type VersionRequest } from '../sdk/index.ts'

/** A version that some place asks for. */
export interface Wish extends VersionRequest {
  /** Whether a release is what is asked for: `8.4.28`. */
  meets(release: string): boolean
}

/** What all places come to. */
export interface Wanted {
  /** Those that have to be met. */
  readonly musts: readonly Wish[]
  /** Others, for warnings. */
  readonly wishes: readonly Wish[]
}

/**
 * @param binding a setting, and what the language's own package client holds against the version that runs it
 * @param others files of version managers and the like: without any of the former the first of them has to be met
 */
export function wantedOf(binding: readonly (Wish | undefined)[], others: readonly (Wish | undefined)[]): Wanted {
  const musts = binding.filter(wish => wish !== undefined)
  const rest = others.filter(wish => wish !== undefined)
  return musts.length > 0 ? { musts, wishes: rest } : { musts: rest.slice(0, 1), wishes: rest.slice(1) }
}

/**
 * Holds the one version that a Debian release has of a language against what is asked for.
 * @param spell how its place has a version that would do: `ruby "~> 3.3"`
 * @returns warnings of places that ask for another, with the place that wins
 * @throws BuildpackError if one that has to be met is not
 */
export function checkOffered(
  { musts, wishes }: Wanted,
  language: string,
  release: string,
  spell: (wish: Wish, minor: string) => string,
): string[] {
  const minor = release.split('.').slice(0, 2).join('.')
  for (const wish of musts) {
    if (wish.meets(release)) continue
    throw new BuildpackError(`asks for ${language} ${wish.value}, which is not to be had`, {
      where: wish.where,
      fix: `the nearest is ${release}, the one that Debian 13 has: write ${spell(wish, minor)} if the application runs on it`,
    })
  }
  return wishes
    .filter(wish => !wish.meets(release))
    .map(
      ({ value, where }) =>
        `${where} asks for ${value}, but ${musts[0]?.where} for ${musts[0]?.value}: the image has ${release}`,
    )
}
