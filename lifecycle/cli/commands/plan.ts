import { BaleError } from '../../errors.ts'
import { type PlannedBuild, plan } from '../../platform/plan-app.ts'
import { buildOptionsOf } from '../build-options.ts'
import type { CommandContext, GlobalOptions } from '../context.ts'
import { formatValue } from '../formats.ts'
import { parseBuildPlatform } from '../values.ts'
import { formatTable, makeStyle, printable, shortName } from '../text.ts'

/** `bale plan`, and `bale build --dry-run`. @param planned computes the plan */
export async function planCommand(
  context: CommandContext,
  named: string | undefined,
  options: GlobalOptions,
  planned: typeof plan = plan,
): Promise<void> {
  const { output = 'human', logFormat } = options
  if (logFormat === 'json' && output === 'human')
    throw new BaleError('usage', 'this prints the plan as text, which cannot be combined with JSON lines', {
      where: '--log-format json',
      fix: 'for programs, use bale plan --output json, which prints the events on standard error',
    })
  parseBuildPlatform(options.platform, 'a plan is for one platform')
  await using given = await buildOptionsOf(context, named, options)
  const found = await planned(given.options)
  context.print(output === 'human' ? describe(found, context.color) : await formatValue(found, output))
}

const chosenBy: Record<PlannedBuild['builder']['chosenBy'], string> = {
  options: 'chosen by --builder',
  project: 'chosen by project.toml',
  default: 'chosen by bale config default-builder',
  bale: 'the default',
}

function describe(planned: PlannedBuild, color: boolean): string {
  const { builder, runImage, target, lifecycle, destinations, requires, previous, extensions, extended } = planned
  const style = makeStyle(color)
  const { distro } = target
  const platform = [target.os, target.arch, target.variant].filter(Boolean).join('/')
  const phases = lifecycle.from === 'bale' ? "Bale's" : "the builder's"
  const facts = [
    ['Builder', `${builder.name ?? "Bale's own"}, ${chosenBy[builder.chosenBy]}`],
    ['Lifecycle', `${phases}, Platform API ${lifecycle.platformApi}`],
    ['Run image', `${shortName(runImage.name)} ${runImage.digest}`],
    ...runImage.alternatives.map(name => ['', `or ${shortName(name)}, if that is enough for the app`]),
    ...extensions.map(({ id, version }, i) => [i === 0 ? 'Extensions' : '', `${id}@${version}`]),
    ...(extended.length === 0 ? [] : [['', `their Dockerfiles change the ${extended.join(' image and the ')} image`]]),
    ['Target', [platform, distro?.name, distro?.version].filter(Boolean).join(' ')],
    ['Previous', previous === undefined ? 'none: a first build' : `${shortName(previous.name)} ${previous.digest}`],
    ...destinations.map((name, i) => [i === 0 ? 'Goes to' : '', `${shortName(name)} (writable)`]),
  ]
  const rows = planned.buildpacks.map(({ id, version, why }) => [id, version, firstLine(why)].map(printable))
  return [
    style.bold('The build would use'),
    ...facts.map(([head = '', text = '']) => `  ${head.padEnd(10)}  ${printable(text)}`),
    '',
    style.bold('Buildpacks, in this order'),
    ...formatTable(['id', 'version', 'because'], rows).map(line => `  ${line}`),
    ...(requires.length === 0 ? [] : ['', style.bold('What they require of each other'), ...requires.map(requirement)]),
    '',
    'Known only after a build: processes, layers, the digest. No image and no cache was written.',
  ].join('\n')
}

function requirement({ name, metadata, providedBy }: PlannedBuild['requires'][number]): string {
  const details = Object.keys(metadata).length === 0 ? '' : ` ${JSON.stringify(metadata)}`
  return printable(`  ${name}${details}, from ${providedBy.join(' or ')}`)
}

const firstLine = (text: string): string => text.split('\n', 1)[0] ?? ''
