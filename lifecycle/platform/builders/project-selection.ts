import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { requireBuildpackApi } from '../../spec/api.ts'
import type { ProjectBuildpack, ProjectDescriptor } from '../../spec/project-descriptor.ts'
import { formatToml } from '../../spec/toml.ts'
import { type BuildpackModule, readModule } from './module.ts'
import type { BuildpackChoice, BuildpackSelection } from './selection.ts'

/** The buildpacks from the command line, or from a program's options. */
export interface GivenBuildpacks {
  readonly buildpacks?: readonly string[] | undefined
  readonly preBuildpacks?: readonly string[] | undefined
  readonly postBuildpacks?: readonly string[] | undefined
}

/** Makes a buildpack of a script in project.toml. */
export type OpenScript = (buildpack: ProjectBuildpack) => Promise<BuildpackModule>

/** Returns the buildpacks of a build: each list from the user or, if absent, from project.toml. */
export async function selectionOf(
  given: GivenBuildpacks,
  project: ProjectDescriptor | undefined,
  openScript: OpenScript,
): Promise<BuildpackSelection> {
  const list = async (
    own: readonly string[] | undefined,
    option: string,
    ofProject: readonly ProjectBuildpack[] = [],
  ): Promise<BuildpackChoice[]> => {
    if (own !== undefined && own.length > 0)
      return own.flatMap(text => text.split(',').filter(Boolean)).map(uri => ({ uri, where: option }))
    const choices: BuildpackChoice[] = []
    for (const buildpack of ofProject) choices.push(await choiceOf(buildpack, openScript))
    return choices
  }
  return {
    group: await list(given.buildpacks, '--buildpack', project?.group),
    pre: await list(given.preBuildpacks, '--pre-buildpack', project?.pre),
    post: await list(given.postBuildpacks, '--post-buildpack', project?.post),
  }
}

async function choiceOf(buildpack: ProjectBuildpack, openScript: OpenScript): Promise<BuildpackChoice> {
  const { id = '', version, uri, script, where } = buildpack
  if (uri !== undefined) return { uri, where }
  if (script !== undefined) return { uri: id, where, module: await openScript(buildpack) }
  return { uri: `urn:cnb:builder:${id}${version === undefined ? '' : `@${version}`}`, where }
}

/** Writes inline buildpacks below a directory: they take part in every build, and their bin/build is the script. */
export const scriptsIn =
  (scripts: string): OpenScript =>
  async ({ id = '', version = '0.0.0', script, where }) => {
    const { api, shell, inline } = script as NonNullable<typeof script>
    requireBuildpackApi(api, id)
    const dir = join(scripts, id.replaceAll('/', '_'), version)
    await mkdir(join(dir, 'bin'), { recursive: true })
    await writeFile(join(dir, 'buildpack.toml'), formatToml({ api, buildpack: { id, version } }))
    await writeFile(join(dir, 'bin', 'detect'), '#!/bin/sh\nexit 0\n', { mode: 0o755 })
    await writeFile(join(dir, 'bin', 'build'), `#!${shell}\n${inline}\n`, { mode: 0o755 })
    return await readModule(dir, where)
  }
