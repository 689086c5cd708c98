import { type Command, Option } from 'commander'
import { BaleError } from '../errors.ts'
import type { GlobalOptions } from './context.ts'
import { collect } from './options.ts'
import { noteUnused, unusedInBuilds, withUnused } from './unused-options.ts'

// pack's options that Bale names differently or does not need, so that scripts for pack work. Help texts leave them out.

/** Adds pack's options to a command that builds. */
export function withPackOptions(command: Command): Command {
  return withUnused(command, unusedInBuilds).addOption(new Option('--cache <entries>').argParser(collect).hideHelp())
}

/**
 * Converts pack's options to Bale's: `--timestamps` is `--log-timestamps`, and `--cache` one of the options for caches. Notes which
 * options have no effect.
 * @throws BaleError 'usage' for an invalid --cache
 */
export function fromPack(options: GlobalOptions, note: (text: string) => void): GlobalOptions {
  noteUnused(options, unusedInBuilds, note)
  const caches = (options.cache ?? []).flatMap(parseEntries).map(entry => fromEntry(entry, note))
  const lists = (key: 'cacheFrom' | 'cacheTo') => [
    ...(options[key] ?? []),
    ...caches.flatMap(cache => cache[key] ?? []),
  ]
  const [image, other] = [options.cacheImage, ...caches.map(({ cacheImage }) => cacheImage)].filter(
    name => name !== undefined,
  )
  if (other !== undefined) throw wrong(`…name=${other}`, `a cache image is already given: ${image}`)
  return {
    ...options,
    ...(image !== undefined && { cacheImage: image }),
    ...(caches.some(({ cacheFrom }) => cacheFrom !== undefined) && {
      cacheFrom: lists('cacheFrom'),
      cacheTo: lists('cacheTo'),
    }),
  }
}

type Entry = ReadonlyMap<string, string>

/** `type=build;format=bind;source=DIR;type=launch;format=volume`: each `type` begins an entry. */
function parseEntries(text: string): Entry[] {
  const entries: Map<string, string>[] = []
  for (const field of text.split(';').filter(Boolean)) {
    const [, key = '', value = ''] = /^([^=]*)=(.*)$/.exec(field) ?? []
    if (key === 'type') entries.push(new Map())
    const entry = entries.at(-1)
    if (entry === undefined || !['type', 'format', 'name', 'source'].includes(key))
      throw wrong(text, `${JSON.stringify(field)} is not a known key here`)
    entry.set(key, value)
  }
  if (entries.length === 0) throw wrong(text, 'it says nothing')
  for (const entry of entries) check(text, entry)
  return entries
}

function check(text: string, entry: Entry): void {
  const [type, format = 'volume'] = [entry.get('type'), entry.get('format')]
  if (type !== 'build' && type !== 'launch') throw wrong(text, 'type must be build or launch')
  if (!['volume', 'image', 'bind'].includes(format)) throw wrong(text, 'format must be volume, image or bind')
  if (format === 'image' && type === 'launch') throw wrong(text, 'a launch cache cannot be an image')
  if (format === 'image' && !entry.get('name')) throw wrong(text, 'format=image needs a name')
  if (format === 'bind' && entry.get('source')?.includes(','))
    throw wrong(text, 'the directory has a comma in its name')
  if (format === 'bind' && !entry.get('source')) throw wrong(text, 'format=bind needs a source')
}

function fromEntry(
  entry: Entry,
  note: (text: string) => void,
): Pick<GlobalOptions, 'cacheImage' | 'cacheFrom' | 'cacheTo'> {
  const [name, source = ''] = [entry.get('name'), entry.get('source')]
  if (entry.get('type') === 'launch') {
    note('--cache type=launch changes nothing: Bale keeps image layers in the local store')
    return {}
  }
  if (entry.get('format') === 'image') return { cacheImage: name }
  if (entry.get('format') === 'bind')
    return { cacheFrom: [`type=local,src=${source}`], cacheTo: [`type=local,dest=${source}`] }
  if (name !== undefined) note(`--cache name=${name} changes nothing: each application has its own cache`)
  return {}
}

const wrong = (text: string, message: string) =>
  new BaleError('usage', message, {
    where: `--cache ${text}`,
    fix: 'write type=build;format=image;name=REPOSITORY, type=build;format=bind;source=DIR or type=build;format=volume',
  })

const leading: Readonly<Record<string, string>> = {
  '-q': '--quiet',
  '--quiet': '--quiet',
  '-v': '--verbose',
  '--verbose': '--verbose',
  '--no-color': '--no-color',
  '--force-color': '--force-color',
  '--timestamps': '--timestamps',
}

/** Moves options in front of the command, which pack allows (`--verbose build app`), behind it. Returns the command line. */
export function withoutLeading(argv: readonly string[]): string[] {
  const count = argv.findIndex(word => leading[word] === undefined)
  if (count <= 0) return [...argv]
  const options = argv.slice(0, count).map(word => leading[word] ?? word)
  const words = argv.slice(count)
  const end = words.includes('--') ? words.indexOf('--') : words.length
  return words.toSpliced(end, 0, ...options)
}
