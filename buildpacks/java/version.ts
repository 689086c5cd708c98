import {
  type App,
  BuildpackError,
  firstSetting,
  fromToolFiles,
  fromVersionFile,
  type VersionRequest,
} from '../sdk/index.ts'
import type { DebianRelease } from '../debian/releases.ts'
import { parseManifest } from './archive.ts'
import { buildToolOf } from './build-tool.ts'
import { daemonFile, newestForGradle } from './gradle-version.ts'
import { elementIn, type Pom, readPom } from './pom.ts'
import { type BuildWish, isExact, parseRequest } from './vendor.ts'

/** The major versions in Debian: in the stack's release, the default first, and for requests of exactly these in older releases. */
export const javaReleases: readonly [DebianRelease, ...DebianRelease[]] = [
  { minor: '21' },
  { minor: '25' },
  { minor: '17', older: 'bookworm' },
  { minor: '11', older: 'bullseye' },
]
const usual = javaReleases[0].minor
/** The major versions in Debian 13. */
const available = javaReleases.filter(({ older }) => older === undefined).map(({ minor }) => minor)
/** All of Debian's: `11`, `17`, `21`, `25`. */
const offered = javaReleases.map(({ minor }) => minor).toSorted((a, b) => Number(a) - Number(b))
/** The oldest version that the JRE's programs run on. */
const oldestSupported = Number(offered[0])
/** Whether class archives of a JVM with this version have the same bytes each time: those of 17 do not. */
export const dumpsReproducibly = (major: Major): boolean => Number(major) >= 21

export type Major = string

/** The older Debian release that has a major version: `bookworm`. */
export const olderRelease = (major: Major): string | undefined =>
  javaReleases.find(({ minor }) => minor === major)?.older

export interface ChosenVersion {
  /** Debian's version; without one, that of `wish`. */
  readonly major: Major
  /** The reason, for users. */
  readonly why: string
  /** The request for a version that Debian does not have; a newer one is used instead, unless `wish` is satisfied. */
  readonly instead?: VersionRequest
  /** A build that Debian may not have: of a vendor, of an exact version, or of another major version. */
  readonly wish?: BuildWish
  /** A vendor in the request whose builds are not available. */
  readonly unknownVendor?: string
}

type Env = Readonly<Record<string, string>>

/**
 * The version of Java for an application. A setting is satisfied in its major version and vendor, or it is an error. A file's version is
 * satisfied, or replaced by the next newer version with a warning, since that runs programs for older versions. A build's release or target is the oldest version
 * allowed among Debian 13's own, unless the wrapper's Gradle runs on none of these.
 * @throws BuildpackError for an invalid version, or one that is older than all
 */
export async function chooseVersion(app: App, env: Env): Promise<ChosenVersion> {
  const setting =
    firstSetting(env, 'BP_JVM_VERSION', 'RAILPACK_JDK_VERSION') ??
    (/java|jvm/i.test(env['GOOGLE_RUNTIME'] ?? 'java') ? firstSetting(env, 'GOOGLE_RUNTIME_VERSION') : undefined)
  if (setting !== undefined) return choose({ value: setting.value, where: setting.name }, 'setting')
  const pom = await readPom(app, env)
  const pin = await pinnedVersion(app, pom)
  if (pin !== undefined) return choose(pin, 'file')
  const target = await compilerTarget(app, pom)
  const oldest = target && majorOf(target.value)
  const limit = (await buildToolOf(app, env)) === 'gradle' ? await newestForGradle(app, env) : undefined
  if (limit !== undefined && Number(limit.major) < Number(usual) && Number(limit.major) >= Number(oldest ?? 0))
    return limit
  if (target !== undefined && oldest !== undefined) {
    return atLeast(oldest, target, `${target.where} needs ${target.value} or newer`)
  }
  const daemon = await gradleDaemon(app)
  if (daemon !== undefined) {
    const why = `${daemon.where} needs ${daemon.value} or newer`
    return atLeast(majorOf(daemon.value) ?? usual, daemon, why, parseRequest(daemon.value)?.vendor)
  }
  const made = parseManifest((await app.read('META-INF/MANIFEST.MF')) ?? '')['Build-Jdk-Spec']
  const maker = made && majorOf(made)
  if (made !== undefined && maker !== undefined) {
    const request = { value: made, where: 'META-INF/MANIFEST.MF' }
    return atLeast(maker, request, `${request.where}: it was built with ${made}`)
  }
  return { major: usual, why: 'the default, as nothing requests another' }
}

/** The version for a setting or a file that names the one to use. */
function choose(request: VersionRequest, place: 'setting' | 'file'): ChosenVersion {
  const { value, where } = request
  const major = majorOf(value)
  const isTooOld = major !== undefined && Number(major) < oldestSupported
  if (major === undefined || (isTooOld && place === 'setting')) throw notOffered(value, where, major)
  const why = place === 'setting' ? `${where} is ${value}` : `${where} asks for ${value}`
  const debian = offered.find(known => Number(known) >= Number(major))
  const base = { major: debian ?? major, why, ...(debian !== major && { instead: request }) }
  if (isTooOld) return base
  const parts = parseRequest(value)
  const vendor = parts?.vendor
  const unknown = parts?.unknownVendor !== undefined && { unknownVendor: parts.unknownVendor }
  const isPlainDebian = debian === major && vendor === undefined && !(parts !== undefined && isExact(parts.version))
  if (isPlainDebian || (parts?.unknownVendor !== undefined && debian !== undefined)) return { ...base, ...unknown }
  // Another release of the same version satisfies a setting as well, unless it names a vendor: the releases change with Debian's updates.
  const isRequired = debian === undefined || (place === 'setting' && (vendor !== undefined || debian !== major))
  return { ...base, ...unknown, wish: { ...request, vendor, version: parts?.version ?? major, major, isRequired } }
}

/** The oldest of Debian 13's versions that is not older; or that version itself, if it is newer than all. */
function atLeast(major: string, request: VersionRequest, why: string, vendor?: string): ChosenVersion {
  const found = available.find(known => Number(known) >= Number(major))
  if (found !== undefined && vendor === undefined) return { major: found, why }
  const version = found ?? major
  return { major: version, why, wish: { ...request, vendor, version, major: version, isRequired: found === undefined } }
}

/** Debian's versions, for errors: `11, 17, 21 or 25, which Debian has`. */
export const debianVersions = `${offered.slice(0, -1).join(', ')} or ${offered.at(-1)}, which Debian has`

function notOffered(value: string, where: string, major: string | undefined): BuildpackError {
  const nearest = offered.find(known => Number(known) >= Number(major)) ?? offered.at(-1)
  return new BuildpackError(
    major === undefined
      ? `${JSON.stringify(value.slice(0, 100))} is not a version of Java`
      : `Java ${value} is not available`,
    { where, fix: `${major === undefined ? '' : `the nearest is ${nearest}: `}write ${debianVersions}` },
  )
}

/** `21`, `21.0.4+7`, `1.8`, `21.0.4-tem`, `temurin-21.0.4`, `openjdk64-17.0.1`, `21.*`. */
export function majorOf(version: string): string | undefined {
  const [, old, major] = /^(?:[a-z][a-z\d_-]*-)?(?:1\.(\d)\b|(\d+))(?=$|[.+*\-_\s])/i.exec(version.trim()) ?? []
  return old ?? major
}

/** The version in files that name the one to build and run with. */
async function pinnedVersion(app: App, pom: Pom): Promise<VersionRequest | undefined> {
  const read = async (file: string, pattern: RegExp): Promise<VersionRequest | undefined> => {
    const value = pattern.exec((await app.read(file)) ?? '')?.[1]
    return value === undefined ? undefined : { value, where: file }
  }
  return (
    (await read('system.properties', /^\s*java\.runtime\.version\s*[=:]\s*(\S+)/m)) ??
    (await read('.sdkmanrc', /^\s*java\s*=\s*(\S+)/m)) ??
    (await fromVersionFile(app, '.java-version')) ??
    (await fromToolFiles(app, 'java')) ??
    (await toolchain(app, pom))
  )
}

const gradleFiles = ['build.gradle', 'build.gradle.kts', 'app/build.gradle', 'app/build.gradle.kts']

/** The toolchain that a build compiles with: the build accepts no other, and would download it. */
async function toolchain(app: App, { where, text }: Pom): Promise<VersionRequest | undefined> {
  for (const file of gradleFiles) {
    const script = (await app.read(file)) ?? ''
    const value =
      /JavaLanguageVersion\.of\(\s*['"]?(\d+)['"]?\s*\)/.exec(script)?.[1] ??
      /jvmToolchain\(\s*(\d+)\s*\)/.exec(script)?.[1]
    if (value !== undefined) return { value: `${gradleVendor(script)}${value}`, where: `${file} toolchain` }
  }
  const { version, vendor } = mavenToolchain(text)
  const value = version === undefined || isOpen(version) ? undefined : versionInRange(version)
  if (value === undefined) return undefined
  const named = vendor === undefined ? undefined : `${vendor}-${value}`
  return {
    value: named !== undefined && parseRequest(named)?.vendor !== undefined ? named : value,
    where: `${where} toolchain`,
  }
}

/** The JDK that runs Gradle itself (docs.gradle.org, "Daemon JVM criteria"). The application may run on another. */
async function gradleDaemon(app: App): Promise<VersionRequest | undefined> {
  const text = (await app.read(daemonFile)) ?? ''
  const version = /^\s*toolchainVersion\s*[=:]\s*(\d+)/m.exec(text)?.[1]
  const vendor = /^\s*toolchainVendor\s*[=:]\s*(\w+)/m.exec(text)?.[1]?.toUpperCase() ?? ''
  return version === undefined ? undefined : { value: `${gradleVendors[vendor] ?? ''}${version}`, where: daemonFile }
}

/**
 * What a project requires of its JDK: `17`, `[17,18)` (maven.apache.org, "Guide to Using Toolchains"), for all plugins or for the compiler.
 * Other plugins may use other JDKs.
 */
function mavenToolchain(pom: string): { readonly version?: string; readonly vendor?: string } {
  const compiler = pom
    .match(/<plugin>[^]*?<\/plugin>/g)
    ?.filter(plugin => /<artifactId>\s*maven-compiler-plugin\s*</.test(plugin))
    .join('')
  const found =
    /<toolchains>\s*<jdk>([^]*?)<\/jdk>/.exec(pom) ?? /<jdkToolchain>([^]*?)<\/jdkToolchain>/.exec(compiler ?? '')
  const part = found?.[1] ?? ''
  return { version: elementIn(pom, part, 'version'), vendor: elementIn(pom, part, 'vendor') }
}

/** The version for `17`, `[17,18)` and `[17]`: the lower end. For `(,21]`: the newest of Debian's that is not above the upper end. */
function versionInRange(range: string): string | undefined {
  const lower = /^[[(]?([\d.]+)/.exec(range)?.[1]
  if (lower !== undefined) return lower
  const [, upper, end] = /^[[(],([\d.]+)([\])])/.exec(range) ?? []
  const major = upper && majorOf(upper)
  if (upper === undefined || major === undefined) return undefined
  const isBelow = end === ')' && upper === major
  return offered.findLast(known => Number(known) < Number(major) + (isBelow ? 0 : 1)) ?? major
}

/** `[17,)`: this version or any newer one. */
const isOpen = (range: string | undefined): boolean => /^[[(][\d.]+,\s*[\])]$/.test(range ?? '')

/** Gradle's names of vendors (docs.gradle.org, JvmVendorSpec), as mise writes them: a toolchain accepts no other vendor. */
const gradleVendors: Readonly<Record<string, string>> = {
  ADOPTIUM: 'temurin-',
  AMAZON: 'corretto-',
  AZUL: 'zulu-',
  BELLSOFT: 'liberica-',
  MICROSOFT: 'microsoft-',
  SAP: 'sapmachine-',
}

const gradleVendor = (text: string): string => gradleVendors[/\bJvmVendorSpec\.([A-Z]+)\b/.exec(text)?.[1] ?? ''] ?? ''

/** What Maven's compiler compiles for, the first that counts first; with the properties of Spring Boot's and Micronaut's parents. */
const compilerElements = [
  'maven.compiler.release',
  'maven.compiler.target',
  'java.version',
  'jdk.version',
  'maven.compiler.source',
  'release',
] as const

/** The release that a build compiles for: a newer JDK can compile for it as well. */
async function compilerTarget(app: App, { where, text }: Pom): Promise<VersionRequest | undefined> {
  const { version: range } = mavenToolchain(text)
  const oldest = isOpen(range) ? /[\d.]+/.exec(range ?? '')?.[0] : undefined
  if (oldest !== undefined) return { value: oldest, where: `${where} toolchain` }
  for (const name of compilerElements) {
    const value = elementIn(text, text, name, /^[\d.]+$/)
    if (value !== undefined) return { value, where: `${where} ${name}` }
  }
  for (const file of gradleFiles) {
    const script = (await app.read(file)) ?? ''
    const compatibility =
      /(?:source|target)Compatibility\s*=?\s*(?:JavaVersion\.(?:VERSION_|toVersion\(\s*))?['"]?(1_\d|1\.\d|\d+)/
    const value = /options\.release(?:\.set\(|\s*=)\s*(\d+)/.exec(script)?.[1] ?? compatibility.exec(script)?.[1]
    if (value !== undefined) return { value: value.replace('_', '.'), where: file }
  }
  return undefined
}
