import { writeFile } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import { BaleError } from '../../errors.ts'
import { failureEvent, formatEvent } from '../../event-stream.ts'
import type { Reporter } from '../../events.ts'
import { wrapErrno } from '../../files/wrap-errno.ts'
import { formatToml } from '../../spec/toml.ts'
import { fetchSource } from '../../platform/fetch-source.ts'
import type { CommandContext, GlobalOptions } from '../context.ts'

/** `bale source`: the first container of a build on a cluster. */
export async function sourceCommand(
  context: CommandContext,
  from: string,
  to: string,
  { subPath, platform, runImage, run, delete: deleteImage }: GlobalOptions,
): Promise<void> {
  const { env, settings, signal } = context
  // As the phase binaries have it: whoever started the build renders it.
  const asEvents = env['BALE_LOG_FORMAT'] === 'jsonl'
  const reporter: Reporter = asEvents
    ? { event: event => context.print(formatEvent(event)), close: () => Promise.resolve() }
    : context.reporter
  try {
    const variables = variablesOf(env['BALE_BUILD_VARIABLES'])
    const input = { from, to, subPath, deleteImage, platformDir: platform, env: variables, settings, reporter }
    // Exporter records the first image of run.toml for one that is not in there (platform.md, "Run Image Resolution").
    if (runImage !== undefined && run !== undefined)
      await wrapErrno(run, () => writeFile(run, formatToml({ images: [{ image: runImage }] })))
    await fetchSource({ ...input, stdin: context.input as Readable }, signal)
  } catch (error) {
    if (asEvents) context.print(formatEvent(failureEvent(error)))
    throw error
  }
}

/** A JSON object of variables for buildpacks. */
function variablesOf(text: string | undefined): Record<string, string> {
  if (text === undefined || text === '') return {}
  const wrong = () =>
    new BaleError('arguments', 'it is no JSON object of texts', {
      where: 'BALE_BUILD_VARIABLES',
      fix: 'write {"NAME":"VALUE"}',
    })
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw wrong()
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong()
  if (!Object.values(value).every(v => typeof v === 'string')) throw wrong()
  return value as Record<string, string>
}
