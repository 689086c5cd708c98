import type { VersionRequest } from '../sdk/index.ts'

/** mise's names of vendors, with the other names that version managers have for them. All build the HotSpot JVM. */
const vendors: Readonly<Record<string, readonly string[]>> = {
  temurin: ['tem', 'temurin64', 'adoptium', 'adoptopenjdk'],
  corretto: ['amzn', 'corretto64', 'amazon'],
  zulu: ['zulu64', 'azul'],
  liberica: ['librca', 'bellsoft'],
  microsoft: ['ms'],
  sapmachine: ['sapmchn', 'sap'],
  dragonwell: ['albba'],
}
/** Names that ask for OpenJDK of no certain vendor. */
const anyVendor = ['open', 'openjdk', 'openjdk64', 'heroku', 'java', 'jdk']
/** The names of a vendor in requests; those of Debian's OpenJDK without one. */
export const namesOfVendor = (vendor: string | undefined): readonly string[] =>
  vendor === undefined ? ['openjdk', 'debian'] : [vendor, ...(vendors[vendor] ?? [])]

/** The vendor of builds for requests without one. */
export const usualVendor = 'temurin'

/** The builds of a vendor that a request names. */
export interface BuildWish extends VersionRequest {
  /** `temurin`; undefined if any vendor satisfies the request. */
  readonly vendor: string | undefined
  /** `21`, `21.0.5`, `21.0.5+11`: a version or the start of one. */
  readonly version: string
  readonly major: string
  /** Whether Debian's version is no substitute. */
  readonly isRequired: boolean
}

/** The parts of a request: `21`, `21.*`, `21.0.4+7`, `1.8`, `21.0.4-tem`, `temurin-21.0.4`, `openjdk64-17.0.1`. */
export interface JavaRequest {
  readonly vendor: string | undefined
  /** A name that is none of a vendor's: `graalce`. */
  readonly unknownVendor: string | undefined
  readonly version: string
}

/** @returns undefined for a text without a version */
export function parseRequest(text: string): JavaRequest | undefined {
  const pattern = /^(?:([a-z][a-z\d_-]*)-)?(\d+(?:[.+_]\w+)*)(?:\.[*x])*(?:-([a-z]+))?$/i
  const [, prefix, version, suffix] = pattern.exec(text.trim()) ?? []
  if (version === undefined) return undefined
  const name = (prefix ?? suffix)?.toLowerCase()
  const vendor = Object.keys(vendors).find(key => key === name || vendors[key]?.includes(name ?? ''))
  const isKnown = name === undefined || vendor !== undefined || anyVendor.includes(name)
  return { vendor, unknownVendor: isKnown ? undefined : name, version }
}

/** Whether a version names one release: `21.0.4`, `25+36`. */
export const isExact = (version: string): boolean => /^\d+(?:\.\d+\.\d+|\+\d+)/.test(version)

/** Whether `version` is a release, or the start of its name: 21.0.5 of 21.0.5+11. */
export const isStartOf = (version: string, release: string): boolean =>
  release === version || (release.startsWith(version) && /[.+]/.test(release.charAt(version.length)))
