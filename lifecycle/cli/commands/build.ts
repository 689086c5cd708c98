import { rename } from 'node:fs/promises'
import { join } from 'node:path'
import { build, exitStatusOf } from '../../build.ts'
import { formatReport } from '../../spec/report.ts'
import type { Report } from '../../spec/types.ts'
import type { Context, GlobalOptions } from '../context.ts'
import { readVariables } from '../variables.ts'

export async function buildCommand(context: Context, image: string, options: GlobalOptions): Promise<void> {
  const env = await readVariables(options.env ?? [], options.envFile ?? [], context.env)
  const { report } = await build({
    image,
    settings: context.settings,
    env,
    reporter: context.reporter,
    signal: context.signal,
    ...(options.path !== undefined && { path: options.path }),
    ...(options.builder !== undefined && { builder: options.builder }),
    ...(options.tag !== undefined && { tags: options.tag }),
    ...(options.runImage !== undefined && { runImage: options.runImage }),
    ...(options.cacheImage !== undefined && { cacheImage: options.cacheImage }),
    ...(options.compression !== undefined && { compression: options.compression }),
    ...(options.defaultProcess !== undefined && { defaultProcess: options.defaultProcess }),
    ...(options.network !== undefined && { network: options.network }),
    publish: options.publish === true,
    clearCache: options.clearCache === true,
  })
  if (options.reportOutputDir !== undefined) await writeReport(options.reportOutputDir, report)
}

export const buildStatus = exitStatusOf

async function writeReport(dir: string, report: Report): Promise<void> {
  const { outputFile } = await import('fs-extra/esm')
  const file = join(dir, 'report.toml')
  await outputFile(`${file}.tmp`, formatReport(report))
  await rename(`${file}.tmp`, file)
}
