import { BaleError } from '../../errors.ts'
import { type BuildRecord, BuildHistory } from '../../platform/history.ts'
import { namesOf } from '../build-record.ts'
import type { CommandContext, GlobalOptions } from '../context.ts'
import { formatValue } from '../formats.ts'
import { formatDuration, formatTable, printable, shortName } from '../text.ts'

export async function historyCommand(
  context: CommandContext,
  name: string | undefined,
  { output = 'human' }: GlobalOptions,
): Promise<void> {
  const builds = await find(context, name)
  if (output !== 'human') return context.print(await formatValue({ builds }, output))
  if (builds.length === 0) return context.print(name === undefined ? 'There are no builds yet' : `${none(name)}`)
  const rows = builds.map(build => [
    String(build.build),
    build.time.replace(/\.\d+Z$/, 'Z'),
    printable(shortName(build.image)),
    build.result,
    build.digest?.slice(7, 19) ?? '',
    formatDuration(build.milliseconds),
    printable(build.error?.message ?? summary(build.changed)),
  ])
  const heads = ['BUILD', 'TIME', 'IMAGE', 'RESULT', 'DIGEST', 'TOOK', 'CHANGED']
  for (const line of formatTable(heads, rows)) context.print(line)
}

export async function logsCommand(
  context: CommandContext,
  name: string,
  number: string | undefined,
  { output = 'human' }: GlobalOptions,
): Promise<void> {
  if (number !== undefined && !/^[1-9]\d{0,8}$/.test(number))
    throw new BaleError('usage', `${JSON.stringify(number)} is not the number of a build`, {
      fix: `see the first column of: bale history ${name}`,
    })
  const builds = await find(context, name)
  const build = number === undefined ? builds[0] : builds.find(b => b.build === Number(number))
  if (build === undefined)
    throw new BaleError('arguments', number === undefined ? none(name) : `there is no build ${number} of ${name}`, {
      fix: number === undefined ? `build it: bale build ${name}` : `see the recorded builds: bale history ${name}`,
    })
  const log = await new BuildHistory(context.settings.dataDir).log(namesOf(name).app, build.build)
  if (log === undefined)
    throw new BaleError(
      'arguments',
      `the log of build ${build.build} of ${name} was deleted: only the newest logs are kept`,
      {
        fix: `see its record: bale history ${name} --output json`,
      },
    )
  if (output !== 'human') return context.print(await formatValue({ ...build, log: log.trimEnd().split('\n') }, output))
  // Bale made the lines printable when it wrote them, but another program may have changed the file.
  context.print(log.trimEnd().split('\n').map(printable).join('\n'))
  if (build.error !== undefined) context.print(`ERROR: ${printable(build.error.message)}`)
}

const none = (name: string): string => `no build of ${name} is recorded on this machine`

/** Returns the builds of an app or, if the name has a tag, of that image. */
async function find({ settings }: CommandContext, name: string | undefined): Promise<BuildRecord[]> {
  const history = new BuildHistory(settings.dataDir)
  if (name === undefined) return history.list()
  const { app, image } = namesOf(name)
  const builds = await history.list(app)
  return /:[^/]+$/.test(name) ? builds.filter(build => build.image === image) : builds
}

/** Names only the first few layers: a new version of a runtime changes many. */
function summary(changed: readonly string[]): string {
  const shown = changed.slice(0, 3).join(', ')
  return changed.length > 3 ? `${shown} and ${changed.length - 3} more` : shown
}
