import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { RunOptions } from '../sdk/index.ts'

/** Maven with the settings and the repository of this build. */
export interface Maven {
  /** The name for users: `./mvnw`. */
  readonly name: string
  run(args: readonly string[], options?: Pick<RunOptions, 'cwd' | 'quiet' | 'step'>): Promise<void>
}

/** Maven with its version and repository. */
export interface MavenProgram extends Maven {
  /** Undefined for a wrapper that does not name it. */
  readonly version: string | undefined
  /** The local repository, which stays in the cache. */
  readonly repository: string
  /** Another Maven with the same settings and the same repository. */
  as(program: string, version: string): MavenProgram
}

export const dependencyPlugin = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1'

/** Copies an artifact of a repository, `org.example:tool:1.0:tar.gz`, with the repositories and credentials of Maven's settings. */
export async function copyArtifact(
  maven: Maven,
  coordinates: string,
  dir: string,
  temp: string,
  options: readonly string[] = [],
): Promise<void> {
  const to = [`-DoutputDirectory=${dir}`, '-Dmdep.useBaseVersion=true']
  // It runs outside of the application, so that the application's project has no effect.
  await maven.run([...options, `${dependencyPlugin}:copy`, `-Dartifact=${coordinates}`, ...to], {
    cwd: temp,
    quiet: true,
  })
}

/** Copies an artifact with all of its runtime dependencies. */
export async function copyDependencies(maven: Maven, coordinates: string, dir: string, temp: string): Promise<void> {
  const [groupId = '', artifactId = '', version = ''] = coordinates.split(':')
  const pom = join(temp, 'dependencies.xml')
  const elements = Object.entries({ groupId, artifactId, version }).map(([name, text]) => `<${name}>${text}</${name}>`)
  await writeFile(
    pom,
    `<project><modelVersion>4.0.0</modelVersion><groupId>bale</groupId><artifactId>dependencies</artifactId><version>1</version><dependencies><dependency>${elements.join('')}</dependency></dependencies></project>\n`,
  )
  const options = ['-DincludeScope=runtime', `-DoutputDirectory=${dir}`, '-Dmdep.useBaseVersion=true']
  await maven.run(['-f', pom, `${dependencyPlugin}:copy-dependencies`, ...options], { cwd: temp, quiet: true })
}
