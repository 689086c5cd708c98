import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { App } from '../sdk/index.ts'
import { newestFirst } from '../sdk/version-order.ts'
import type { Jdk } from './jdk.ts'
import { namesOfVendor } from './vendor.ts'
import { majorOf } from './version.ts'

/** The first Maven with the option. */
const first = '3.3.1'

/**
 * Maven's options for a list of JDKs, with the one of this build (maven.apache.org, "Guide to Using Toolchains"). Maven compiles a project that
 * requires a toolchain with a JDK of such a list only. The application's own list counts as well, and comes before this one.
 */
export async function toolchainOptions(jdk: Jdk, temp: string): Promise<readonly string[]> {
  const file = join(temp, 'toolchains.xml')
  const entries = versionsOf(jdk).flatMap(version => namesOfVendor(jdk.vendor).map(vendor => ({ version, vendor })))
  const elements = entries.map(
    ({ version, vendor }) =>
      `<toolchain><type>jdk</type><provides><version>${version}</version><vendor>${vendor}</vendor></provides><configuration><jdkHome>${jdk.home}</jdkHome></configuration></toolchain>`,
  )
  await writeFile(file, `<toolchains>${elements.join('')}</toolchains>\n`)
  return ['--global-toolchains', file]
}

/** `21` and `21.0.9`: Maven compares a requirement that is no range with the whole text. */
function versionsOf({ version }: Jdk): readonly string[] {
  const release = version.replace(/[^\d.].*/, '')
  return [...new Set([majorOf(version) ?? release, release])]
}

/** Whether a Maven has the option. A version that is not known is that of a newer one. */
export const knowsToolchains = (version: string | undefined): boolean =>
  version === undefined || [version, first].toSorted(newestFirst)[1] === first

/** The version of the application's Maven wrapper: `3.9.9`. */
export async function wrapperVersion(app: App, dir: string): Promise<string | undefined> {
  const properties = (await app.read(join(dir, '.mvn/wrapper/maven-wrapper.properties'))) ?? ''
  return /^\s*distributionUrl\s*[=:].*apache-maven-(\d[\w.-]*?)-bin\.zip/m.exec(properties)?.[1]
}
