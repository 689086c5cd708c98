import type { BuildEvent, DetectResult, Reporter } from '../../events.ts'
import {
  type Style,
  extensionsLine,
  formatBytes,
  formatDuration,
  makeStyle,
  phaseTitles,
  printable,
  printableLines,
  shortName,
} from '../text.ts'

export interface PlainOptions {
  write(text: string): void
  /** Resolves when the output has been written; undefined if it has. */
  drained?(): Promise<void> | undefined
  readonly verbose?: boolean
  readonly quiet?: boolean
  readonly color?: boolean
}

/** Writes lines for a log. Leaves out the progress of transfers. */
export function plainReporter(options: PlainOptions): Reporter {
  const style = makeStyle(options.color === true)
  const print = (line: string): void => options.write(`${line}\n`)
  const unfinished = lastOutput()
  return {
    event(event) {
      if (options.quiet === true) unfinished.event(event)
      for (const line of renderLines(event, style, options)) print(line)
    },
    drained: () => options.drained?.(),
    close() {
      for (const event of unfinished.take()) renderLines(event, style, {}).forEach(print)
      return Promise.resolve()
    },
  }
}

/** The maximum number of lines to keep, since a build may print endlessly. */
const linesKept = 200

/** Keeps the output of the running buildpack, which explains a failure. */
function lastOutput(): { event(event: BuildEvent): void; take(): BuildEvent[] } {
  let recent: BuildEvent[] = []
  return {
    event(event) {
      if (event.type === 'buildpack-started' || event.type === 'buildpack-finished') recent = []
      else if (event.type === 'output' && recent.push(event) > linesKept) recent.shift()
    },
    take: () => recent.splice(0),
  }
}

/** Renders an event as lines. Returns none if it is not shown at this level. */
export function renderLines(event: BuildEvent, style: Style, level: { verbose?: boolean; quiet?: boolean }): string[] {
  const quiet = level.quiet === true
  switch (event.type) {
    case 'warning':
      return [
        `${style.yellow('Warning:')} ${printableLines(event.text)}${event.fix === undefined ? '' : `; ${printable(event.fix)}`}`,
      ]
    case 'saved':
      return quiet ? event.names.map(name => pinned(name, event)) : saved(event, style)
    default:
      return quiet ? [] : detailed(event, style, level.verbose === true)
  }
}

function detailed(event: BuildEvent, style: Style, verbose: boolean): string[] {
  switch (event.type) {
    case 'phase-started':
      return [style.bold(`===> ${phaseTitles[event.phase]}`)]
    case 'phase-finished':
      return [style.dim(`     ${event.phase} took ${formatDuration(event.milliseconds)}`)]
    case 'detected':
      return detected(event, style, verbose)
    case 'buildpack-started':
      return [style.cyan(`[${printable(`${event.buildpack.id} ${event.buildpack.version}`)}]`)]
    case 'buildpack-finished':
      return verbose ? [style.dim(`[${printable(event.buildpack.id)}] took ${formatDuration(event.milliseconds)}`)] : []
    case 'output':
      return [`  ${printable(event.text)}`]
    case 'note':
      return event.level === 'debug' && !verbose ? [] : [printableLines(event.text)]
    case 'layer':
      return [
        `${event.action === 'added' ? 'Adding' : 'Reusing'} layer '${printable(event.name)}' ${style.dim(formatBytes(event.size))}`,
      ]
    case 'restored':
      return [
        `Restoring ${event.what} for "${printable(event.name)}" from ${event.from === 'image' ? 'app image' : 'cache'}`,
      ]
    case 'cached':
      return [
        `${event.action === 'added' ? 'Adding' : 'Reusing'} cache layer '${printable(event.name)}' ${style.dim(formatBytes(event.size))}`,
      ]
    case 'transfer':
    case 'warning':
    case 'saved':
      return []
  }
}

function detected(event: Extract<BuildEvent, { type: 'detected' }>, style: Style, verbose: boolean): string[] {
  const { group, results, extensions = [] } = event
  // If no group passes, the error that follows says why each did not, but with only the last line of each output.
  const isShown = (r: DetectResult) =>
    group.length === 0 ? r.status === 'errored' : [...group, ...extensions].some(b => b.id === r.id)
  const shown = verbose ? results : results.filter(isShown)
  const lines = shown.flatMap(result => why(result, style))
  if (group.length === 0) return lines
  // Platforms parse both forms.
  const width = Math.max(...group.map(b => b.id.length))
  return [
    ...lines,
    `${group.length} of ${results.filter(r => r.extension !== true).length} buildpacks participating`,
    ...group.map(b => `${printable(b.id).padEnd(width)} ${printable(b.version)}`),
    ...extensionsLine(extensions),
  ]
}

function why(result: DetectResult, style: Style): string[] {
  const paint = result.status === 'passed' ? style.green : result.status === 'errored' ? style.red : style.dim
  const said = result.output.trim().split('\n').filter(Boolean)
  const head = `${paint(result.status.padEnd(7))} ${printable(result.id)}`
  if (said.length === 0) return [head]
  return [`${head}: ${printable(said[0] as string)}`, ...said.slice(1).map(line => `        ${printable(line)}`)]
}

const nameOf = (name: string): string => printable(shortName(name))

type Saved = Extract<BuildEvent, { type: 'saved' }>

/** Returns the exact name of the saved image. Without a digest, only the image ID identifies it. */
const pinned = (name: string, { digest, imageId }: Saved): string =>
  digest === undefined ? (imageId ?? nameOf(name)) : `${nameOf(name)}@${digest}`

function saved(event: Saved, style: Style): string[] {
  const id = event.digest ?? event.imageId ?? ''
  return [
    ...event.names.map(name => `Saved ${style.bold(nameOf(name))}`),
    `*** Images (${id.slice(7, 19)}):`,
    ...event.names.map(name => `      ${nameOf(name)}`),
    style.dim(`${event.digest === undefined ? 'Image ID' : 'Digest'}: ${id}, ${formatBytes(event.size)}`),
  ]
}
