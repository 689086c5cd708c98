import { posix } from 'node:path'
import type { Layer } from '../image/layer.ts'
import { contentTar } from '../layers/layer-tar.ts'
import { relativeName } from '../layers/tar/names.ts'
import { type TarEntry, readTar } from '../layers/tar/reader.ts'

/**
 * The path of os-release(5), and the paths that it may link to: some distributions have a file for each
 * variant.
 */
const start = 'etc/os-release'
const candidate = /^(etc|usr\/lib)\/([^/]+\/)?[^/]*os-release[^/]*$/
const mostLinks = 8
/** In bytes. Real files have a few hundred. */
const largest = 64 * 1024

type Found = { readonly kind: 'file'; text: string } | { readonly kind: 'link'; readonly target: string }

/** The entries of a layer that decide which os-release an image has. */
interface LayerFacts {
  readonly found: Map<string, Found>
  /** Whiteouts: the image has no entries of lower layers at or below these paths. */
  readonly hidden: Set<string>
  /** Opaque whiteouts: the image has no entries of lower layers below these paths. */
  readonly emptied: Set<string>
}

/**
 * Returns the text of an image's /etc/os-release, or undefined if it has none that can be interpreted. Reads layers from
 * the topmost down to the one that has it, and unpacks none. Verifies each layer before it uses the text.
 * @throws BaleError 'input' for a damaged layer; a store's error when one cannot be read
 */
export async function readOsRelease(layers: readonly Layer[], signal?: AbortSignal): Promise<string | undefined> {
  const read: Promise<LayerFacts>[] = []
  const topDown = layers.toReversed()
  let path = start
  for (let links = 0; links < mostLinks; links++) {
    const found = await look(path)
    if (found === undefined) return undefined
    if (found.kind === 'file') return found.text
    path = posix.resolve('/', posix.dirname(path), found.target).slice(1)
  }
  return undefined

  async function look(path: string): Promise<Found | undefined> {
    for (const [n, layer] of topDown.entries()) {
      const facts = await (read[n] ??= readFacts(layer, signal))
      const found = facts.found.get(path)
      if (found !== undefined) return found
      if (isHidden(path, facts)) return undefined
    }
    return undefined
  }
}

function isHidden(path: string, { hidden, emptied }: LayerFacts): boolean {
  for (let at = path; at !== '.'; at = posix.dirname(at)) {
    if (hidden.has(at) || (at !== path && emptied.has(at))) return true
  }
  return emptied.has('')
}

async function readFacts(layer: Layer, signal?: AbortSignal): Promise<LayerFacts> {
  const facts: LayerFacts = { found: new Map(), hidden: new Set(), emptied: new Set() }
  const tar = contentTar(layer, signal)
  if (tar === undefined) return facts
  const decoder = new TextDecoder()
  let file: (Found & { kind: 'file' }) | undefined
  await readTar(
    tar,
    {
      entry(entry) {
        file = note(entry, facts)
      },
      data(chunk) {
        if (file !== undefined) file.text += decoder.decode(chunk, { stream: true })
      },
      endOfFile() {
        file = undefined
      },
    },
    signal === undefined ? {} : { signal },
  )
  return facts
}

/** Records an entry if it is relevant. The caller then reads the text of a file. */
function note(entry: TarEntry, { found, hidden, emptied }: LayerFacts): (Found & { kind: 'file' }) | undefined {
  const path = relativeName(entry.name)
  const [dir, name] = [path.includes('/') ? posix.dirname(path) : '', posix.basename(path)]
  // image-spec layer.md, "Whiteouts"
  if (name === '.wh..wh..opq') emptied.add(dir)
  else if (name.startsWith('.wh.')) hidden.add(posix.join(dir, name.slice('.wh.'.length)))
  else if (['etc', 'usr', 'usr/lib'].includes(path)) {
    if (entry.type !== 'directory') hidden.add(path)
  } else if (candidate.test(path)) {
    if (entry.type === 'symlink') found.set(path, { kind: 'link', target: entry.target })
    else if (entry.type === 'file' && entry.size <= largest) {
      const file = { kind: 'file' as const, text: '' }
      found.set(path, file)
      return file
    } else if (entry.type !== 'directory') hidden.add(path)
  }
  return undefined
}
