import { resolve } from 'node:path'
import { BaleError } from '../errors.ts'
import type { BuildEvent, Reporter } from '../events.ts'
import { labelOf } from '../image/config.ts'
import { formatReference } from '../image/reference.ts'
import type { Image } from '../image/image.ts'
import type { BuildOptions } from '../platform/build-options.ts'
import { type BuildFacts, BuildHistory, layerKinds } from '../platform/history.ts'
import { labels } from '../spec/labels.ts'
import type { Report } from '../spec/types.ts'
import { parseLayersMetadata } from '../spec/layers-metadata.ts'
import { parseImageReference } from '../stores/transports.ts'
import { renderLines } from './render/plain.ts'
import { makeStyle } from './text.ts'

// Records each build, successful or not, for `bale history` and `bale logs`.

/** Returns the name of an image, and the name of the app that the image is a version of. */
export function namesOf(text: string): { readonly image: string; readonly app: string } {
  const { transport, location, name, docker } = parseImageReference(text)
  if (docker !== undefined) {
    const { registry, repository } = docker
    return { image: formatReference(docker), app: `${registry}/${repository}` }
  }
  const place = transport.isPath ? resolve(location) : location
  const app = `${transport.prefix}${place}`
  return { image: name === '' || name === place ? app : `${app}:${name}`, app }
}

/** The result of a build. A build on a cluster has only the report. */
interface Recordable {
  readonly report: Report
  readonly image?: Image
}

/** Runs a build, and records it. A failure to record does not fail the build. */
export async function recorded<Result extends Recordable>(
  options: BuildOptions,
  build: (options: BuildOptions) => Promise<Result>,
): Promise<Result> {
  const { reporter, settings, signal } = options
  const started = { time: new Date().toISOString(), at: performance.now() }
  const listener = listen(reporter)
  const record = async (ending: Pick<BuildFacts, 'result' | 'digest' | 'runImage' | 'error'>): Promise<void> => {
    try {
      const { image, app } = namesOf(options.image)
      const milliseconds = Math.round(performance.now() - started.at)
      const facts = { time: started.time, image, milliseconds, ...listener.facts(), ...ending }
      await new BuildHistory(settings.dataDir).add(app, facts, listener.log())
    } catch (error) {
      const text = `The build is missing from bale history: ${(error as Error).message}`
      reporter?.event({ type: 'note', level: 'debug', text })
    }
  }
  try {
    const result = await build({ ...options, reporter: listener.reporter })
    await record({
      result: 'built',
      digest: result.report.digest ?? result.report.imageId,
      runImage: topLayerOf(result),
    })
    return result
  } catch (error) {
    const known = error instanceof BaleError ? error : undefined
    const message = ((error as Error).message.split('\n')[0] ?? '').slice(0, 500)
    const where = known?.where === undefined ? '' : `${known.where}: `
    await record({
      result: signal?.aborted === true ? 'cancelled' : 'failed',
      error: { code: known?.code ?? 'failed', message: `${where}${message}` },
    })
    throw error
  }
}

function topLayerOf({ image }: Recordable): string | undefined {
  const label = image && labelOf(image.config, labels.lifecycle)
  return label === undefined ? undefined : parseLayersMetadata(label, labels.lifecycle).runImage?.topLayer
}

/** How many characters to keep of a build's output: the last ones. */
const longestLog = 128 * 1024

function listen(reporter: Reporter | undefined) {
  const buildpacks: { id: string; version: string }[] = []
  const layers: BuildFacts['layers'] = []
  const events: BuildEvent[] = []
  let [length, first, isCut] = [0, 0, false]
  const keep = (event: BuildEvent): void => {
    events.push(event)
    length += lengthOf(event)
    for (; length > longestLog && first < events.length - 1; first++) {
      length -= lengthOf(events[first] as BuildEvent)
      isCut = true
    }
    if (first < 4096) return
    events.splice(0, first)
    first = 0
  }
  const own: Reporter = {
    event(event) {
      if (event.type === 'detected') buildpacks.push(...event.group.map(({ id, version }) => ({ id, version })))
      if (event.type === 'layer') {
        const { name, diffId, action } = event
        const kind = layerKinds.find(kind => kind === event.kind)
        if (kind !== undefined) layers.push({ name, kind, diffId, made: action === 'added' })
      }
      if (event.type !== 'transfer') keep(event)
      reporter?.event(event)
    },
    drained: () => reporter?.drained?.(),
    close: async () => reporter?.close(),
  }
  return {
    reporter: own,
    facts: () => ({ buildpacks, layers }),
    log: () => {
      const lines = events.slice(first).flatMap(event => renderLines(event, makeStyle(false), { verbose: true }))
      return `${[...(isCut ? ['… (the beginning was not kept)'] : []), ...lines].join('\n')}\n`
    },
  }
}

const lengthOf = (event: BuildEvent): number => ('text' in event ? event.text.length : 0) + 40
