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

/** Whether a release is all that has to be met. */
export const isMet = ({ musts }: Wanted, release: string): boolean => musts.every(wish => wish.meets(release))

/** How a place has a version that would do: `ruby "~> 3.3"`. */
type Spell = (wish: Wish, minor: string) => string

/**
 * Holds the version that Debian has of a language against what is asked for.
 * @param releases that of the stack's Debian, and those of older ones that were looked at after it: the last one counts
 * @returns warnings of places that ask for another, with the place that wins
 * @throws BuildpackError if one that has to be met is not
 */
export function checkOffered(
  wanted: Wanted,
  language: string,
  releases: readonly [string, ...string[]],
  spell: Spell,
): string[] {
  const chosen = releases.at(-1) ?? releases[0]
  if (!isMet(wanted, chosen)) throw notOffered(wanted, language, releases, spell)
  const [first] = wanted.musts
  return wanted.wishes
    .filter(wish => !wish.meets(chosen))
    .map(
      ({ value, where }) =>
        `${where} asks for ${value}, but ${first?.where} for ${first?.value}: the image has ${chosen}`,
    )
}

function notOffered(
  { musts }: Wanted,
  language: string,
  releases: readonly [string, ...string[]],
  spell: Spell,
): BuildpackError {
  const wish = musts.find(each => !each.meets(releases[0])) as Wish
  const nearest = nearestTo(wish.value, releases)
  const minor = nearest.split('.').slice(0, 2).join('.')
  const which = nearest === releases[0] ? 'the one that Debian 13 has' : 'of an older release of Debian'
  return new BuildpackError(`asks for ${language} ${wish.value}, which is not to be had`, {
    where: wish.where,
    fix: `the nearest is ${nearest}, ${which}: write ${spell(wish, minor)} if the application runs on it`,
  })
}

/** By the first version that a constraint names; the first release where it names none. */
function nearestTo(constraint: string, releases: readonly [string, ...string[]]): string {
  const numberOf = (text: string): number => {
    const [, major = '0', minor = '0'] = /(\d+)(?:\.(\d+))?/.exec(text) ?? []
    return Number(major) * 1000 + Number(minor)
  }
  if (!/\d/.test(constraint)) return releases[0]
  const distance = (release: string): number => Math.abs(numberOf(release) - numberOf(constraint))
  return releases.toSorted((a, b) => distance(a) - distance(b))[0] ?? releases[0]
}
