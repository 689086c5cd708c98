import {
  type App,
  BuildpackError,
  firstSetting,
  fromToolFiles,
  fromVersionFile,
  type VersionRequest,
} from '../sdk/index.ts'

/** The major versions that Debian 13 has, the default one first. */
export const available = ['21', '25'] as const
export type Major = (typeof available)[number]

export interface ChosenVersion {
  readonly major: Major
  /** Why, for people. */
  readonly why: string
  /** What asks for a version that is not to be had, and gets a newer one. */
  readonly instead?: VersionRequest
}

type Env = Readonly<Record<string, string>>

/**
 * The major version of Java for an application. A setting is fulfilled or refused. What a file asks for is fulfilled, or by the
 * next newer version with a warning, which runs what older versions run. A build's release or target is the oldest version that will do.
 * @throws BuildpackError for a setting, or a version that is newer than all
 */
export async function chooseVersion(app: App, env: Env): Promise<ChosenVersion> {
  const setting =
    firstSetting(env, 'BP_JVM_VERSION') ??
    (/java|jvm/i.test(env['GOOGLE_RUNTIME'] ?? 'java') ? firstSetting(env, 'GOOGLE_RUNTIME_VERSION') : undefined)
  if (setting !== undefined) {
    const major = majorOf(setting.value)
    const found = available.find(known => known === major)
    if (found !== undefined) return { major: found, why: `${setting.name} is ${setting.value}` }
    throw new BuildpackError(`Java ${setting.value} is not to be had`, {
      where: setting.name,
      fix: `write ${available.join(' or ')}, which Debian 13 has`,
    })
  }
  const pin = await pinnedVersion(app)
  if (pin !== undefined) {
    const major = majorOf(pin.value)
    if (major === undefined)
      throw new BuildpackError(`${JSON.stringify(pin.value)} is no version of Java`, { where: pin.where })
    const found = atLeast(major, pin)
    const why = `${pin.where} asks for ${pin.value}`
    return found === major ? { major: found, why } : { major: found, why, instead: pin }
  }
  const target = await compilerTarget(app)
  if (target !== undefined) {
    const major = majorOf(target.value)
    if (major !== undefined)
      return { major: atLeast(major, target), why: `${target.where} needs ${target.value} or newer` }
  }
  return { major: available[0], why: 'the default, as nothing asks for another' }
}

function atLeast(major: string, { value, where }: VersionRequest): Major {
  const found = available.find(known => Number(known) >= Number(major))
  if (found !== undefined) return found
  throw new BuildpackError(`Java ${value} is not to be had`, {
    where,
    fix: `ask for ${available.join(' or ')}, which Debian 13 has`,
  })
}

/** `21`, `21.0.4+7`, `1.8`, `21.0.4-tem`, `temurin-21.0.4`, `21.*`. */
export function majorOf(version: string): string | undefined {
  const [, old, major] = /^(?:[a-z][a-z_-]*-)?(?:1\.(\d)\b|(\d+))(?=$|[.+*\-_\s])/i.exec(version.trim()) ?? []
  return old ?? major
}

/** Files that name the version to build and run with. */
async function pinnedVersion(app: App): Promise<VersionRequest | undefined> {
  const read = async (file: string, pattern: RegExp): Promise<VersionRequest | undefined> => {
    const value = pattern.exec((await app.read(file)) ?? '')?.[1]
    return value === undefined ? undefined : { value, where: file }
  }
  return (
    (await read('system.properties', /^\s*java\.runtime\.version\s*[=:]\s*(\S+)/m)) ??
    (await read('.sdkmanrc', /^\s*java\s*=\s*(\S+)/m)) ??
    (await fromVersionFile(app, '.java-version')) ??
    (await fromToolFiles(app, 'java'))
  )
}

/** The release that a build compiles for: a newer JDK compiles for it as well. */
async function compilerTarget(app: App): Promise<VersionRequest | undefined> {
  const pom = (await app.read('pom.xml')) ?? ''
  const properties = ['maven.compiler.release', 'maven.compiler.target', 'java.version', 'maven.compiler.source']
  for (const name of properties) {
    const value = new RegExp(`<${name.replaceAll('.', '\\.')}>\\s*([\\d.]+)\\s*<`).exec(pom)?.[1]
    if (value !== undefined) return { value, where: `pom.xml ${name}` }
  }
  const release = /<release>\s*([\d.]+)\s*<\/release>/.exec(pom)?.[1]
  if (release !== undefined) return { value: release, where: 'pom.xml release' }
  for (const file of ['build.gradle', 'build.gradle.kts', 'app/build.gradle', 'app/build.gradle.kts']) {
    const text = (await app.read(file)) ?? ''
    const value =
      /JavaLanguageVersion\.of\(\s*(\d+)\s*\)/.exec(text)?.[1] ??
      /jvmToolchain\(\s*(\d+)\s*\)/.exec(text)?.[1] ??
      /(?:source|target)Compatibility\s*=?\s*(?:JavaVersion\.VERSION_)?['"]?(1_\d|1\.\d|\d+)/.exec(text)?.[1]
    if (value !== undefined) return { value: value.replace('_', '.'), where: file }
  }
  return undefined
}
