import {
  type App,
  BuildpackError,
  firstSetting,
  fromToolFiles,
  fromVersionFile,
  type VersionRequest,
} from '../sdk/index.ts'
import { parseManifest } from './archive.ts'
import { buildToolOf } from './build-tool.ts'
import { newestForGradle } from './gradle-version.ts'

/** The major versions in Debian 13, the default first. */
export const available = ['21', '25'] as const
/** Whether class archives of a JVM with this version have the same bytes each time: those of 17 do not. */
export const dumpsReproducibly = (major: Major): boolean => Number(major) >= 21

/** Versions from an older Debian release, which also run on this one, for requests of exactly these. */
export const olderReleases: Readonly<Record<string, string>> = { '11': 'bullseye', '17': 'bookworm' }
/** All available versions: `11`, `17`, `21`, `25`. */
export const offered = [...Object.keys(olderReleases), ...available] as const
export type Major = string

export interface ChosenVersion {
  readonly major: Major
  /** The reason, for users. */
  readonly why: string
  /** The request for a version that is not available; a newer one is used instead. */
  readonly instead?: VersionRequest
}

type Env = Readonly<Record<string, string>>

/**
 * The major version of Java for an application. A setting is satisfied, or it is an error. A file's version is satisfied, or replaced
 * by the next newer version with a warning, since that runs programs for older versions. A build's release or target is the oldest
 * version allowed among Debian 13's own, unless the wrapper's Gradle runs on none of these.
 * @throws BuildpackError for a setting that cannot be satisfied, or a version that is newer than all
 */
export async function chooseVersion(app: App, env: Env): Promise<ChosenVersion> {
  const setting =
    firstSetting(env, 'BP_JVM_VERSION', 'RAILPACK_JDK_VERSION') ??
    (/java|jvm/i.test(env['GOOGLE_RUNTIME'] ?? 'java') ? firstSetting(env, 'GOOGLE_RUNTIME_VERSION') : undefined)
  if (setting !== undefined) {
    const major = majorOf(setting.value)
    const found = offered.find(known => known === major)
    if (found !== undefined) return { major: found, why: `${setting.name} is ${setting.value}` }
    throw notOffered(setting.value, setting.name, major)
  }
  const pin = await pinnedVersion(app)
  if (pin !== undefined) {
    const major = majorOf(pin.value)
    if (major === undefined)
      throw new BuildpackError(`${JSON.stringify(pin.value)} is not a version of Java`, { where: pin.where })
    const found = atLeast(major, pin, offered)
    const why = `${pin.where} asks for ${pin.value}`
    return found === major ? { major: found, why } : { major: found, why, instead: pin }
  }
  const target = await compilerTarget(app)
  const oldest = target && majorOf(target.value)
  const limit = (await buildToolOf(app, env)) === 'gradle' ? await newestForGradle(app, env) : undefined
  if (limit !== undefined && Number(limit.major) < Number(available[0]) && Number(limit.major) >= Number(oldest ?? 0))
    return limit
  if (target !== undefined && oldest !== undefined)
    return { major: atLeast(oldest, target), why: `${target.where} needs ${target.value} or newer` }
  const made = parseManifest((await app.read('META-INF/MANIFEST.MF')) ?? '')['Build-Jdk-Spec']
  if (made !== undefined && majorOf(made) !== undefined) {
    const request = { value: made, where: 'META-INF/MANIFEST.MF' }
    return { major: atLeast(majorOf(made) ?? '', request), why: `${request.where}: it was built with ${made}` }
  }
  return { major: available[0], why: 'the default, as nothing asks for another' }
}

function atLeast(major: string, { value, where }: VersionRequest, known: readonly string[] = available): Major {
  const found = known.find(known => Number(known) >= Number(major))
  if (found !== undefined) return found
  throw notOffered(value, where, major)
}

function notOffered(value: string, where: string, major: string | undefined): BuildpackError {
  const nearest = offered.find(known => Number(known) >= Number(major)) ?? offered.at(-1)
  return new BuildpackError(`Java ${value} is not available`, {
    where,
    fix: `${major === undefined ? '' : `the nearest is ${nearest}: `}write ${offered.slice(0, -1).join(', ')} or ${offered.at(-1)}, which Debian has`,
  })
}

/** `21`, `21.0.4+7`, `1.8`, `21.0.4-tem`, `temurin-21.0.4`, `21.*`. */
export function majorOf(version: string): string | undefined {
  const [, old, major] = /^(?:[a-z][a-z_-]*-)?(?:1\.(\d)\b|(\d+))(?=$|[.+*\-_\s])/i.exec(version.trim()) ?? []
  return old ?? major
}

/** The version in files that name the one to build and run with. */
async function pinnedVersion(app: App): Promise<VersionRequest | undefined> {
  const read = async (file: string, pattern: RegExp): Promise<VersionRequest | undefined> => {
    const value = pattern.exec((await app.read(file)) ?? '')?.[1]
    return value === undefined ? undefined : { value, where: file }
  }
  return (
    (await read('system.properties', /^\s*java\.runtime\.version\s*[=:]\s*(\S+)/m)) ??
    (await read('.sdkmanrc', /^\s*java\s*=\s*(\S+)/m)) ??
    (await fromVersionFile(app, '.java-version')) ??
    (await fromToolFiles(app, 'java')) ??
    (await toolchain(app))
  )
}

const gradleFiles = ['build.gradle', 'build.gradle.kts', 'app/build.gradle', 'app/build.gradle.kts']

/** The toolchain that a build compiles with: the build accepts no other, and would download it. */
async function toolchain(app: App): Promise<VersionRequest | undefined> {
  for (const file of gradleFiles) {
    const text = (await app.read(file)) ?? ''
    const value =
      /JavaLanguageVersion\.of\(\s*['"]?(\d+)['"]?\s*\)/.exec(text)?.[1] ??
      /jvmToolchain\(\s*(\d+)\s*\)/.exec(text)?.[1]
    if (value !== undefined) return { value, where: `${file} toolchain` }
  }
  // maven.apache.org, "Guide to Using Toolchains": <toolchains><jdk><version>17</version>
  const version = /<toolchains>\s*<jdk>\s*<version>\s*\[?([\d.]+)/.exec((await app.read('pom.xml')) ?? '')?.[1]
  return version === undefined ? undefined : { value: version, where: 'pom.xml toolchain' }
}

/** The release that a build compiles for: a newer JDK can compile for it as well. */
async function compilerTarget(app: App): Promise<VersionRequest | undefined> {
  const pom = (await app.read('pom.xml')) ?? ''
  const properties = ['maven.compiler.release', 'maven.compiler.target', 'java.version', 'maven.compiler.source']
  for (const name of properties) {
    const value = new RegExp(`<${name.replaceAll('.', '\\.')}>\\s*([\\d.]+)\\s*<`).exec(pom)?.[1]
    if (value !== undefined) return { value, where: `pom.xml ${name}` }
  }
  const release = /<release>\s*([\d.]+)\s*<\/release>/.exec(pom)?.[1]
  if (release !== undefined) return { value: release, where: 'pom.xml release' }
  for (const file of gradleFiles) {
    const text = (await app.read(file)) ?? ''
    const value = /(?:source|target)Compatibility\s*=?\s*(?:JavaVersion\.VERSION_)?['"]?(1_\d|1\.\d|\d+)/.exec(
      text,
    )?.[1]
    if (value !== undefined) return { value: value.replace('_', '.'), where: file }
  }
  return undefined
}
