import { BaleError } from '../../errors.ts'
import { type BuildResult, build, exitStatusOf } from '../../platform/build-app.ts'
import { buildPlatforms } from '../../platform/build-platforms.ts'
import { buildOnCluster } from '../../platform/kubernetes/build.ts'
import { recorded } from '../build-record.ts'
import { buildOptionsOf } from '../build-options.ts'
import type { CommandContext, GlobalOptions } from '../context.ts'
import { parseBuildPlatforms } from '../values.ts'
import { clusterOf } from './manifests.ts'
import { checkOutputDir, checkResultFiles, writeReport, writeResultFiles } from './result-files.ts'
import { downloadCommand } from './sbom.ts'

export async function buildCommand(
  context: CommandContext,
  named: string | undefined,
  options: GlobalOptions,
): Promise<void> {
  const platforms = parseBuildPlatforms(options.platform)
  const several = platforms !== undefined && platforms.length > 1 ? platforms : undefined
  if (several !== undefined && options.sbomOutputDir !== undefined)
    throw new BaleError('usage', 'the image of each platform has its own bills of materials', {
      where: '--sbom-output-dir',
      fix: 'leave it out and build one platform, or use bale sbom download with the digest of one image',
    })
  await using given = await buildOptionsOf(context, named, options)
  // Checked before the build, so that a wrong path does not fail after it.
  await checkOutputDir(options.reportOutputDir)
  await checkOutputDir(options.sbomOutputDir)
  await checkResultFiles(options, given.options.image)
  const cluster = options.on === undefined ? undefined : await clusterOf(options.on, options.onSettings)
  const { report, names } = await recorded<Pick<BuildResult, 'report' | 'names'>>(given.options, own =>
    cluster !== undefined
      ? buildOnCluster(own, cluster)
      : several === undefined
        ? build(own)
        : buildPlatforms(own, several),
  ).catch((error: unknown) => {
    throw options.network === 'none' ? withoutNetwork(error) : error
  })
  await writeReport(options.reportOutputDir, report)
  await writeResultFiles(options, names, report)
  const { sbomOutputDir } = options
  const { image, settings } = given.options
  if (sbomOutputDir !== undefined)
    await downloadCommand({ ...context, settings }, image, {
      sbomOutputDir,
      outputDir: sbomOutputDir,
      remote: options.publish === true,
    })
}

export const buildStatus = exitStatusOf

/** A buildpack that cannot reach the network suggests mirrors and credentials. The cause may be nearer: `--network none`. */
function withoutNetwork(error: unknown): unknown {
  if (!(error instanceof BaleError) || error.code !== 'buildpack-failed') return error
  return new BaleError(error.code, error.message, {
    fix: 'see its messages above; if a download failed, leave out --network none',
    cause: error.cause,
  })
}
