import { writeFile } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import { BaleError } from '../../errors.ts'
import { failureEvent, formatEvent } from '../../event-stream.ts'
import type { Reporter } from '../../events.ts'
import { wrapErrno } from '../../files/wrap-errno.ts'
import { formatToml } from '../../spec/toml.ts'
import { type FetchSource, fetchSource } from '../../platform/fetch-source.ts'
import type { Env } from '../../stores/settings.ts'
import type { CommandContext, GlobalOptions } from '../context.ts'

/** `bale source`: the first container of a build on a cluster. */
export async function sourceCommand(
  context: CommandContext,
  from: string,
  to: string,
  options: GlobalOptions,
): Promise<void> {
  const { env, settings, signal } = context
  const { subPath, platform, runImage, run, delete: deleteImage } = options
  // As in the phase binaries: the process that started the build renders the events.
  const asEvents = env['BALE_LOG_FORMAT'] === 'jsonl'
  const reporter: Reporter = asEvents
    ? { event: event => context.print(formatEvent(event)), close: () => Promise.resolve() }
    : context.reporter
  try {
    refuseAlone(options)
    const variables = variablesOf(env['BALE_BUILD_VARIABLES'])
    const order = orderOf(options, env)
    const input = { from, to, subPath, deleteImage, platformDir: platform, order, env: variables, settings, reporter }
    // Exporter records the first image of run.toml if run.toml does not list the given one (platform.md, "Run Image Resolution").
    if (runImage !== undefined && run !== undefined)
      await wrapErrno(run, () => writeFile(run, formatToml({ images: [{ image: runImage }] })))
    await fetchSource({ ...input, stdin: context.input as Readable }, signal)
  } catch (error) {
    if (asEvents) context.print(formatEvent(failureEvent(error)))
    throw error
  }
}

/** @throws BaleError 'usage' for an option that means nothing without another one */
function refuseAlone({ order, buildpack, preBuildpack, postBuildpack, run, runImage }: GlobalOptions): void {
  const pairs = [
    ['--buildpack', buildpack, '--order', order],
    ['--pre-buildpack', preBuildpack, '--order', order],
    ['--post-buildpack', postBuildpack, '--order', order],
    ['--run-image', runImage, '--run', run],
  ] as const
  for (const [where, given, other, file] of pairs)
    if (given !== undefined && file === undefined)
      throw new BaleError('usage', `it has no effect without ${other}`, {
        where,
        fix: `add ${other} FILE, or leave it out`,
      })
}

/** Returns the paths of the files of a builder image, as detector expects them. */
function orderOf(
  { order: to, buildpack, preBuildpack, postBuildpack }: GlobalOptions,
  { CNB_ORDER_PATH: order, CNB_BUILDPACKS_DIR: buildpacks }: Env,
): FetchSource['order'] {
  if (to === undefined) return undefined
  const of = { order: order || '/cnb/order.toml', buildpacks: buildpacks || '/cnb/buildpacks' }
  return { of, to, chosen: { buildpacks: buildpack, preBuildpacks: preBuildpack, postBuildpacks: postBuildpack } }
}

/** Parses a JSON object of variables for buildpacks. */
function variablesOf(text: string | undefined): Record<string, string> {
  if (text === undefined || text === '') return {}
  const wrong = () =>
    new BaleError('arguments', 'it is not a JSON object of strings', {
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
