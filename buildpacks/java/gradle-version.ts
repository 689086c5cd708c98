import type { App } from '../sdk/index.ts'

/** The newest available Java that a release of Gradle runs on (docs.gradle.org, "Compatibility Matrix"). */
const newest = [
  { gradle: [8, 5], java: '21' },
  { gradle: [7, 3], java: '17' },
  { gradle: [5, 0], java: '11' },
] as const

const file = 'gradle/wrapper/gradle-wrapper.properties'

/** The newest Java for the wrapper's Gradle; undefined without a wrapper that names its version, or if no Java fits. */
export async function newestForGradle(app: App): Promise<{ major: string; why: string } | undefined> {
  const url = /^\s*distributionUrl\s*[=:]\s*(\S+)/m.exec((await app.read(file)) ?? '')?.[1] ?? ''
  const [, version = '', major, minor] = /gradle-((\d+)\.(\d+)[\w.-]*?)(?:-(?:bin|all|src))?\.zip$/.exec(url) ?? []
  const found = newest.find(
    ({ gradle }) => Number(major) > gradle[0] || (Number(major) === gradle[0] && Number(minor) >= gradle[1]),
  )
  return found && { major: found.java, why: `${file}: Gradle ${version} does not run on a newer Java` }
}
