import { BuildpackError, type VersionRequest } from '../sdk/index.ts'

/** A version that some place requests. */
export interface Wish extends VersionRequest {
  /** Whether a release such as `8.4.28` satisfies the request. */
  meets(release: string): boolean
}

/** The combination of all requests. */
export interface Wanted {
  /** Requests that have to be satisfied. */
  readonly musts: readonly Wish[]
  /** Other requests, for warnings. */
  readonly wishes: readonly Wish[]
}

/**
 * Combines requests.
 * @param binding a setting, and the requirement that the language's own package client checks against the running version
 * @param others files of version managers and the like: without a binding request the first of them has to be satisfied
 */
export function wantedOf(binding: readonly (Wish | undefined)[], others: readonly (Wish | undefined)[]): Wanted {
  const musts = binding.filter(wish => wish !== undefined)
  const rest = others.filter(wish => wish !== undefined)
  return musts.length > 0 ? { musts, wishes: rest } : { musts: rest.slice(0, 1), wishes: rest.slice(1) }
}

/** Whether a release satisfies all requests that have to be satisfied. */
export const isMet = ({ musts }: Wanted, release: string): boolean => musts.every(wish => wish.meets(release))

/** How a place writes a version that would be accepted: `ruby "~> 3.3"`. */
type Spell = (wish: Wish, minor: string) => string

/**
 * Compares Debian's version of a language with the requests.
 * @param releases the release of the stack's Debian, and then those of older Debian releases: the last one counts, and a version without
 *   a patch number was not opened, since it cannot satisfy the requests
 * @returns warnings of places that request another version, with the place that wins
 * @throws BuildpackError if a release does not satisfy a request that has to be satisfied
 */
export function checkOffered(
  wanted: Wanted,
  language: string,
  releases: readonly [string, ...string[]],
  spell: Spell,
  others: readonly string[] = [],
): string[] {
  const chosen = releases.at(-1) ?? releases[0]
  if (!isMet(wanted, chosen)) throw notOffered(wanted, language, releases, spell, others)
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
  others: readonly string[],
): BuildpackError {
  const wish = musts.find(each => !each.meets(releases[0])) as Wish
  const nearest = nearestTo(wish.value, [...releases, ...others])
  const minor = nearest.split('.').slice(0, 2).join('.')
  const older = others.includes(nearest) ? 'which is precompiled' : 'of an older release of Debian'
  const which = nearest === releases[0] ? 'the version of Debian 13' : older
  return new BuildpackError(`asks for ${language} ${wish.value}, which is not available`, {
    where: wish.where,
    fix: `the nearest is ${nearest}, ${which}: write ${spell(wish, minor)} if the application works with it`,
  })
}

/** By the first version that a constraint names; the first release if it names none. */
function nearestTo(constraint: string, releases: readonly [string, ...string[]]): string {
  const numberOf = (text: string): number => {
    const [, major = '0', minor = '0'] = /(\d+)(?:\.(\d+))?/.exec(text) ?? []
    return Number(major) * 1000 + Number(minor)
  }
  if (!/\d/.test(constraint)) return releases[0]
  const distance = (release: string): number => Math.abs(numberOf(release) - numberOf(constraint))
  return releases.toSorted((a, b) => distance(a) - distance(b))[0] ?? releases[0]
}
