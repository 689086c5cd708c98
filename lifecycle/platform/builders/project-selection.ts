import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { requireBuildpackApi } from '../../spec/api.ts'
import type { ProjectBuildpack, ProjectDescriptor } from '../../spec/project-descriptor.ts'
import { formatToml } from '../../spec/toml.ts'
import { type BuildpackModule, readModule } from './module.ts'
import type { BuildpackChoice, BuildpackSelection } from './selection.ts'

/** What the user gives on the command line, or a program as options. */
export interface GivenBuildpacks {
  readonly buildpacks?: readonly string[] | undefined
  readonly preBuildpacks?: readonly string[] | undefined
  readonly postBuildpacks?: readonly string[] | undefined
}

/**
 * The buildpacks that a build chooses: those that the user gives, and for each list that is not given, those of project.toml.
 * @param scripts a directory for the scripts of project.toml, which become buildpacks there
 */
export async function selectionOf(
  given: GivenBuildpacks,
  project: ProjectDescriptor | undefined,
  scripts: string,
): Promise<BuildpackSelection> {
  const list = async (
    own: readonly string[] | undefined,
    option: string,
    ofProject: readonly ProjectBuildpack[] = [],
  ): Promise<BuildpackChoice[]> => {
    if (own !== undefined && own.length > 0)
      return own.flatMap(text => text.split(',').filter(Boolean)).map(uri => ({ uri, where: option }))
    const choices: BuildpackChoice[] = []
    for (const buildpack of ofProject) choices.push(await choiceOf(buildpack, scripts))
    return choices
  }
  return {
    group: await list(given.buildpacks, '--buildpack', project?.group),
    pre: await list(given.preBuildpacks, '--pre-buildpack', project?.pre),
    post: await list(given.postBuildpacks, '--post-buildpack', project?.post),
  }
}

async function choiceOf(buildpack: ProjectBuildpack, scripts: string): Promise<BuildpackChoice> {
  const { id = '', version, uri, script, where } = buildpack
  if (uri !== undefined) return { uri, where }
  if (script !== undefined)
    return { uri: id, where, module: await scriptModule(id, version ?? '0.0.0', script, scripts, where) }
  return { uri: `urn:cnb:builder:${id}${version === undefined ? '' : `@${version}`}`, where }
}

/** An inline buildpack: it takes part in every build, and its bin/build is the script. */
async function scriptModule(
  id: string,
  version: string,
  { api, shell, inline }: NonNullable<ProjectBuildpack['script']>,
  scripts: string,
  where: string,
): Promise<BuildpackModule> {
  requireBuildpackApi(api, id)
  const dir = join(scripts, id.replaceAll('/', '_'), version)
  await mkdir(join(dir, 'bin'), { recursive: true })
  await writeFile(join(dir, 'buildpack.toml'), formatToml({ api, buildpack: { id, version } }))
  await writeFile(join(dir, 'bin', 'detect'), '#!/bin/sh\nexit 0\n', { mode: 0o755 })
  await writeFile(join(dir, 'bin', 'build'), `#!${shell}\n${inline}\n`, { mode: 0o755 })
  return await readModule(dir, where)
}
