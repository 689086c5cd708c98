import { BaleError } from '../errors.ts'
import { quote } from './read.ts'

/**
 * The features of each API version (platform.md and buildpack.md and their changelogs). This is the only place that compares
 * versions: other code checks `features.execEnv`. A new version is a higher newest minor and rows for its features.
 */

const platformSince = {
  /** The SBOM layer, with the paths of 0.9, as in the Go lifecycle since this version. */
  sbomLayer: 8,
  /** SOURCE_DATE_EPOCH sets `created`. */
  sourceDateEpoch: 9,
  /** Processes have a working-dir. */
  workingDir: 9,
  launchCacheInAnalyzer: 9,
  /** The build label has no `bom`, and sbom.legacy.json is written instead. */
  legacySbomFile: 9,
  /** `command` is a list in metadata.toml and in labels. */
  commandLists: 10,
  /** The user's arguments replace `args`, if the buildpack's API also supports that. */
  overridableArgs: 10,
  buildExtensions: 10,
  /** store.toml is restored even when layers are not. */
  storeAlwaysRestored: 10,
  /** `<build-config>/env`: the operator's variables. */
  buildConfig: 11,
  launcherSbom: 11,
  previousImageInRebaser: 11,
  /** run.toml instead of stack.toml; targets instead of stacks. */
  runToml: 12,
  targets: 12,
  runExtensions: 12,
  layout: 12,
  forceRebase: 12,
  /** The history says how each layer was made. */
  history: 12,
  insecureRegistries: 13,
  extensionContexts: 13,
  /** A replaced cache image is no longer deleted. */
  keepsOldCacheImage: 13,
  extensionsAreStable: 13,
  /** The restorer also restores launch layers from the cache when the app image lacks them. */
  restoresWithoutAppImage: 14,
  restorerChecksRunImage: 14,
  execEnv: 15,
  systemToml: 15,
} as const

const buildpackSince = {
  /** `<layer>.sbom.<ext>` and similar files instead of `bom`. */
  sbomFiles: 7,
  /** Inputs as CNB_* variables; the positional arguments stay. */
  envInputs: 8,
  /** `command` in launch.toml is a list. */
  commandLists: 9,
  overridableArgs: 9,
  /** No shell: every process is direct, and no profile.d. */
  directProcesses: 9,
  targets: 10,
  execEnv: 12,
} as const

type Features<Table> = { readonly [Name in keyof Table]: boolean } & {
  /** The version, as written in CNB_PLATFORM_API or buildpack.toml. */
  readonly api: string
}
export type PlatformFeatures = Features<typeof platformSince>
export type BuildpackFeatures = Features<typeof buildpackSince>

const oldestMinor = 7
const newestPlatformMinor = 15
const newestBuildpackMinor = 12

/** Oldest first: `0.7` … `0.15`. */
export const supportedPlatformApis: readonly string[] = versions(newestPlatformMinor)
export const supportedBuildpackApis: readonly string[] = versions(newestBuildpackMinor)
/** Supported but deprecated: see CNB_DEPRECATION_MODE. */
export const deprecatedPlatformApis: readonly string[] = []
export const deprecatedBuildpackApis: readonly string[] = []

function versions(newest: number): readonly string[] {
  return Array.from({ length: newest - oldestMinor + 1 }, (_, i) => `0.${oldestMinor + i}`)
}

/**
 * Returns the features of the platform's API.
 * @param value the value of CNB_PLATFORM_API
 * @throws BaleError 'platform-api'
 */
export function requirePlatformApi(value: string | undefined): PlatformFeatures {
  const supported = `${supportedPlatformApis[0]} to ${supportedPlatformApis.at(-1)}`
  if (value === undefined || value === '')
    throw new BaleError('platform-api', 'CNB_PLATFORM_API is not set', {
      fix: `set it to the version that the platform uses: ${supported}`,
    })
  const minor = minorOf(value, supportedPlatformApis)
  if (minor === undefined)
    throw new BaleError('platform-api', `Platform API ${quote(value)} is not supported`, {
      where: 'CNB_PLATFORM_API',
      fix: `use one of ${supportedPlatformApis.join(', ')}`,
    })
  return featuresOf(platformSince, minor)
}

/**
 * Returns whether an image of this Platform API is matched to run images by target instead of stack
 * (platform.md, "Deprecations").
 * @param api CNB_PLATFORM_API in the image's environment, of any version, past ones included; absent in the oldest
 */
export function isMatchedByTarget(api: string | undefined): boolean {
  const [, major, minor] = /^(\d+)(?:\.(\d+))?$/.exec(api ?? '') ?? []
  return Number(major) > 0 || Number(minor) >= platformSince.targets
}

/**
 * Returns the features of a buildpack's API.
 * @param value `api` in its buildpack.toml
 * @param id the buildpack's id, for the message
 * @throws BaleError 'buildpack-api'
 */
export function requireBuildpackApi(value: string, id: string): BuildpackFeatures {
  const minor = minorOf(value, supportedBuildpackApis)
  if (minor === undefined)
    throw new BaleError(
      'buildpack-api',
      `buildpack ${id} needs Buildpack API ${quote(value)}, which is not supported`,
      {
        fix: `use a version of ${id} for one of ${supportedBuildpackApis.join(', ')}`,
      },
    )
  return featuresOf(buildpackSince, minor)
}

/** Returns the minor of a supported version. `0` means `0.0` (buildpack.md, "Buildpack API Version"). */
function minorOf(value: string, supported: readonly string[]): number | undefined {
  const version = /^\d+$/.test(value) ? `${value}.0` : value
  return supported.includes(version) ? Number(version.slice('0.'.length)) : undefined
}

function featuresOf<Table extends Readonly<Record<string, number>>>(since: Table, minor: number): Features<Table> {
  const flags = Object.fromEntries(Object.entries(since).map(([name, first]) => [name, minor >= first]))
  return { ...flags, api: `0.${minor}` } as Features<Table>
}
