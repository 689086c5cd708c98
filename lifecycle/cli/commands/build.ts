import { rename, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { build, exitStatusOf } from '../../platform/build-app.ts'
import { BaleError } from '../../errors.ts'
import { makeDirectories } from '../../files/directories.ts'
import { wrapErrno } from '../../files/wrap-errno.ts'
import { formatReport } from '../../spec/report.ts'
import type { Report } from '../../spec/types.ts'
import type { CommandContext, GlobalOptions } from '../context.ts'
import { parseSize } from './cache.ts'
import { readVariables } from '../variables.ts'

export async function buildCommand(context: CommandContext, image: string, options: GlobalOptions): Promise<void> {
  const env = await readVariables(options.env ?? [], options.envFile ?? [], context.env)
  // Checked before the build, so that the error does not come after it.
  if (options.reportOutputDir !== undefined) await makeDirectories(resolve(options.reportOutputDir))
  const building = build({
    image,
    settings: context.settings,
    env,
    reporter: context.reporter,
    signal: context.signal,
    path: options.path,
    builder: options.builder,
    lifecycle: options.lifecycle,
    buildpacks: options.buildpack,
    preBuildpacks: options.preBuildpack,
    postBuildpacks: options.postBuildpack,
    descriptor: options.descriptor,
    pullPolicy: options.pullPolicy,
    tags: options.tag,
    runImage: options.runImage,
    cacheImage: options.cacheImage,
    compression: options.compression,
    defaultProcess: options.defaultProcess,
    network: options.network,
    ...(options.timeout !== undefined && { timeout: parseDuration(options.timeout, '--timeout') }),
    ...(options.buildpackTimeout !== undefined && {
      buildpackTimeout: parseDuration(options.buildpackTimeout, '--buildpack-timeout'),
    }),
    limits: limitsOf(options),
    publish: options.publish === true,
    clearCache: options.clearCache === true,
    ...(options.reportOutputDir !== undefined && { outputs: [reportFile(options.reportOutputDir)] }),
  })
  const { report } = await building.catch((error: unknown) => {
    throw options.network === 'none' ? withoutNetwork(error) : error
  })
  if (options.reportOutputDir !== undefined) await writeReport(options.reportOutputDir, report)
}

function limitsOf({ pids, memory }: GlobalOptions) {
  if (pids !== undefined && !/^[1-9]\d{0,6}$/.test(pids)) {
    const fix = 'write a number from 1 to 9999999'
    throw new BaleError('usage', `${JSON.stringify(pids)} is no number of processes`, { where: '--pids', fix })
  }
  return {
    ...(pids !== undefined && { pids: Number(pids) }),
    ...(memory !== undefined && { memory: parseSize(memory, '--memory') }),
  }
}

/** Parses `45s`, `30m`, `2h` into milliseconds, within the range of a timer. */
function parseDuration(text: string, where: string): number {
  const [, number, unit = ''] = /^([1-9]\d{0,5})([smh])$/.exec(text) ?? []
  const milliseconds = Number(number) * ({ s: 1000, m: 60_000, h: 3600_000 }[unit] ?? NaN)
  if (milliseconds < 2 ** 31) return milliseconds
  throw new BaleError('usage', `${JSON.stringify(text)} is not a duration up to 24 days`, {
    where,
    fix: 'write for example 45s, 30m or 2h',
  })
}

export const buildStatus = exitStatusOf

/** A buildpack that cannot reach the network suggests mirrors and credentials. The cause may be nearer: `--network none`. */
function withoutNetwork(error: unknown): unknown {
  if (!(error instanceof BaleError) || error.code !== 'buildpack-failed') return error
  return new BaleError(error.code, error.message, {
    fix: 'its own messages stand above; if it needs what it could not download, leave out --network none',
    cause: error.cause,
  })
}

const reportFile = (dir: string): string => join(dir, 'report.toml')

async function writeReport(dir: string, report: Report): Promise<void> {
  const file = reportFile(dir)
  await wrapErrno(file, async () => {
    await writeFile(`${file}.tmp`, formatReport(report))
    await rename(`${file}.tmp`, file)
  })
}
