import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { type BuildContext, type BuildResult, defineBuildpack, pass } from '../../../buildpacks/sdk/index.ts'
import { type ProjectOptions, TestProject } from '../../../buildpacks/sdk/testing.ts'

type Build = (context: BuildContext) => Promise<BuildResult> | BuildResult

/** A project with a buildpack that is its build function; both are gone when the test is over. */
export async function projectOf(build: Build, options: Partial<ProjectOptions> = {}): Promise<TestProject> {
  const buildpack = defineBuildpack({ detect: () => pass('always'), build })
  return openProject({ buildpack, dir: await buildpackDir(), app: {}, ...options })
}

export async function openProject(options: ProjectOptions): Promise<TestProject> {
  const project = await TestProject.create(options)
  onTestFinished(() => project[Symbol.asyncDispose]())
  return project
}

/** A folder with the buildpack.toml of `example/test` in the given version. */
export async function buildpackDir(version = '1.2.3', sbomFormats?: readonly string[]): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'buildpack-dir-'))
  onTestFinished(() => rm(dir, { recursive: true }))
  await writeBuildpackToml(dir, version, sbomFormats)
  return dir
}

const allFormats = ['application/vnd.cyclonedx+json', 'application/spdx+json', 'application/vnd.syft+json']

export async function writeBuildpackToml(
  dir: string,
  version: string,
  sbomFormats: readonly string[] = allFormats,
): Promise<void> {
  await writeFile(
    join(dir, 'buildpack.toml'),
    `api = "0.10"\n[buildpack]\nid = "example/test"\nversion = "${version}"\nsbom-formats = ${JSON.stringify(sbomFormats)}\n`,
  )
}
