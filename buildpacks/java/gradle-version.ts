import { type App, firstSetting, fromToolFiles, type VersionRequest } from '../sdk/index.ts'

/** The newest available Java that a release of Gradle runs on (docs.gradle.org, "Compatibility Matrix"). */
const newest = [
  { gradle: [8, 5], java: '21' },
  { gradle: [7, 3], java: '17' },
  { gradle: [5, 0], java: '11' },
] as const

const file = 'gradle/wrapper/gradle-wrapper.properties'
/** Names the JDK that runs Gradle. */
export const daemonFile = 'gradle/gradle-daemon-jvm.properties'

/** The last release of each line, for a request that names only the line. */
const releases = { '9': '9.2.1', '8': '8.14.3', '7': '7.6.4', '6': '6.9.4' } as const

/** The releases for a message, newest first. */
export const knownReleases: readonly string[] = Object.values(releases).toReversed()

/** The release for a project that requests none. The first one that runs on Java 25 is of Gradle 9. */
export const defaultRelease = (java: string): string => (Number(java) >= 25 ? releases['9'] : releases['8'])

/** The requested version of Gradle, and the place of the request: a setting, or a file of a version manager. */
export async function requestedGradle(
  app: App,
  env: Readonly<Record<string, string>>,
): Promise<VersionRequest | undefined> {
  const setting = firstSetting(env, 'BP_GRADLE_VERSION', 'RAILPACK_GRADLE_VERSION')
  if (setting) return { value: setting.value, where: setting.name }
  const value = /^\s*gradle\s*=\s*(\S+)/m.exec((await app.read('.sdkmanrc')) ?? '')?.[1]
  return value === undefined ? fromToolFiles(app, 'gradle') : { value, where: '.sdkmanrc' }
}

/** @returns undefined for an invalid version, and for a line of which no release is known */
export function releaseOf(value: string): string | undefined {
  if (/^\d+\.\d+(?:\.\d+)?(?:-(?:rc|milestone)-\d+)?$/.test(value)) return value
  const requested = /^(\d+)(?:\.[*x])*$/.exec(value)?.[1]
  return Object.entries(releases).find(([line]) => line === requested)?.[1]
}

/** The newest Java for the Gradle of the wrapper, or for the requested one; undefined if none is named, or if no Java fits. */
export async function newestForGradle(
  app: App,
  env: Readonly<Record<string, string>>,
): Promise<{ major: string; why: string } | undefined> {
  const url = /^\s*distributionUrl\s*[=:]\s*(\S+)/m.exec((await app.read(file)) ?? '')?.[1]
  const wrapped = /gradle-(\d+\.\d+[\w.-]*?)(?:-(?:bin|all|src))?\.zip$/.exec(url ?? '')?.[1]
  const request = url === undefined ? await requestedGradle(app, env) : undefined
  const version = wrapped ?? releaseOf(request?.value ?? '') ?? ''
  const [, major, minor] = /^(\d+)\.(\d+)/.exec(version) ?? []
  const found = newest.find(
    ({ gradle }) => Number(major) > gradle[0] || (Number(major) === gradle[0] && Number(minor) >= gradle[1]),
  )
  return (
    found && { major: found.java, why: `${request?.where ?? file}: Gradle ${version} does not run on a newer Java` }
  )
}
