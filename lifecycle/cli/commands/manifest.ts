import { BaleError } from '../../errors.ts'
import type { ManifestFormat } from '../../image/image.ts'
import {
  type ImageIndex,
  type IndexedImage,
  makeImageIndex,
  platformOf,
  requireImagesOnly,
} from '../../image/image-index.ts'
import { parseReference } from '../../image/reference.ts'
import { copyIndex } from '../../stores/copy.ts'
import { localName } from '../../stores/local/transport.ts'
import { Stores } from '../../stores/open.ts'
import { registryHost } from '../../stores/settings.ts'
import { asPublished, candidates } from '../../stores/transports.ts'
import type { CommandContext, GlobalOptions } from '../context.ts'
import { shortName } from '../text.ts'
import { parseLabels } from '../labels.ts'

export async function createCommand(
  context: CommandContext,
  name: string,
  images: readonly string[],
  options: GlobalOptions,
): Promise<void> {
  await using stores = open(context, options.insecure === true ? [name, ...images] : [])
  const entries: IndexedImage[] = []
  for (const image of images) entries.push(...(await entriesOf(image, context, stores)))
  await put(indexOf(entries, formatOf(options)), name, options.publish === true, context, stores)
}

export async function addCommand(context: CommandContext, name: string, image: string): Promise<void> {
  await using stores = open(context)
  const { manifests, document } = await localIndex(name, context, stores)
  const added = await entriesOf(image, context, stores)
  const kept = manifests.filter(entry => added.every(({ image: i }) => i.digest !== entry.image.digest))
  await put(indexOf([...kept, ...added], undefined, document.annotations), name, false, context, stores)
}

export async function annotateCommand(
  context: CommandContext,
  name: string,
  image: string,
  options: GlobalOptions,
): Promise<void> {
  await using stores = open(context)
  const { manifests, document } = await localIndex(name, context, stores)
  const [digest] = await digestsOf([image], manifests, name, context, stores)
  const { os, arch: architecture, variant } = options
  const changed = manifests.map((entry): IndexedImage => {
    if (entry.image.digest !== digest) return entry
    const platform = entry.platform ?? platformOf(entry.image)
    return {
      ...entry,
      platform: {
        ...platform,
        ...(os !== undefined && { os }),
        ...(architecture !== undefined && { architecture }),
        ...(variant !== undefined && { variant }),
      },
      annotations: { ...entry.annotations, ...parseLabels(options.annotations, '--annotations') },
    }
  })
  await put(indexOf(changed, undefined, document.annotations), name, false, context, stores)
}

export async function removeCommand(context: CommandContext, name: string, images: readonly string[]): Promise<void> {
  await using stores = open(context)
  const { manifests, document } = await localIndex(name, context, stores)
  const gone = await digestsOf(images, manifests, name, context, stores)
  const kept = manifests.filter(({ image }) => !gone.includes(image.digest))
  await put(indexOf(kept, undefined, document.annotations), name, false, context, stores)
}

export async function inspectCommand(context: CommandContext, name: string): Promise<void> {
  await using stores = open(context)
  const found = await findIndex(name, context, stores)
  if (found === undefined) throw none(name)
  context.print(JSON.stringify(found.document, null, 2))
}

export async function pushCommand(context: CommandContext, name: string, options: GlobalOptions): Promise<void> {
  await using stores = open(context, options.insecure === true ? [name] : [])
  const { manifests, document } = await localIndex(name, context, stores)
  const format = formatOf(options)
  const index = indexOf(manifests, format, document.annotations)
  await put(index, name, true, context, stores)
  if (options.purge === true) await deleteCommand(context, [name])
}

export async function deleteCommand(context: CommandContext, names: readonly string[]): Promise<void> {
  await using stores = open(context)
  for (const name of names) {
    await localIndex(name, context, stores)
    await stores.local.remove(localName(name))
    context.print(`Removed ${name}`)
  }
  await stores.local.collectGarbage()
}

/** @param insecure names of images whose registries need no TLS */
function open({ settings, reporter }: CommandContext, insecure: readonly string[] = []): Stores {
  const hosts = insecure.flatMap(name => registryHost(parseReference(name.replace(/^docker:\/\//, '')).registry))
  const insecureRegistries = [...(settings.insecureRegistries ?? []), ...hosts]
  return new Stores({ ...settings, insecureRegistries }, reporter)
}

const formatOf = ({ format }: GlobalOptions): ManifestFormat | undefined =>
  format === 'docker' || format === 'oci' ? format : undefined

/** @throws BaleError 'arguments' for two images of one platform, since a client could not choose between them */
function indexOf(
  entries: readonly IndexedImage[],
  format: ManifestFormat | undefined,
  annotations?: Readonly<Record<string, string>>,
): ImageIndex {
  if (format === 'docker' && entries.some(({ image }) => image.manifest.mediaType.includes('oci')))
    throw new BaleError('arguments', 'a Docker manifest list cannot name images in the format of OCI', {
      where: '--format docker',
      fix: 'leave it out',
    })
  return makeImageIndex(entries, annotations, format)
}

async function findIndex(name: string, { signal }: CommandContext, stores: Stores): Promise<ImageIndex | undefined> {
  for (const reference of candidates(stores.parse(name), false)) {
    const { source, name: there } = await stores.at(reference)
    const index = await source.pullIndex(there, signal)
    if (index !== undefined) return index
  }
  return undefined
}

async function localIndex(name: string, { signal }: CommandContext, stores: Stores): Promise<ImageIndex> {
  const index = await stores.local.pullIndex(localName(name), signal)
  if (index === undefined) throw none(`${name} in the local store`)
  requireImagesOnly(index, name)
  return index
}

const none = (what: string): BaleError =>
  new BaleError('arguments', `there is no index ${what}`, { fix: 'make one: bale manifest create INDEX IMAGE…' })

/** Returns an image as an entry, or all images of an index as entries. */
async function entriesOf(name: string, context: CommandContext, stores: Stores): Promise<readonly IndexedImage[]> {
  for (const reference of candidates(stores.parse(name), false)) {
    const { source, name: there } = await stores.at(reference)
    const index = await source.pullIndex(there, context.signal)
    if (index !== undefined) return index.manifests
    const image = await source.pull(there, context.settings.platform, context.signal)
    if (image !== undefined) return [{ image, platform: platformOf(image) }]
  }
  throw new BaleError('arguments', `there is no image ${name}`, { fix: 'correct its name' })
}

/** Returns the digests of the index entries that the user names by digest or by image name. */
async function digestsOf(
  names: readonly string[],
  entries: readonly IndexedImage[],
  index: string,
  context: CommandContext,
  stores: Stores,
): Promise<string[]> {
  const found: string[] = []
  for (const name of names) {
    const digest = /sha256:[0-9a-f]{64}$/.exec(name)?.[0]
    const wanted = digest === undefined ? (await entriesOf(name, context, stores)).map(e => e.image.digest) : [digest]
    const there = wanted.filter(d => entries.some(({ image }) => image.digest === d))
    if (there.length === 0)
      throw new BaleError('arguments', `the index ${index} does not have ${name}`, {
        fix: `see its images: bale manifest inspect ${index}`,
      })
    found.push(...there)
  }
  return found
}

async function put(
  index: ImageIndex,
  name: string,
  publish: boolean,
  context: CommandContext,
  stores: Stores,
): Promise<void> {
  const reference = asPublished(stores.parse(name), publish)
  const [{ sink, names, displayNames }] = await stores.destinationsAt([reference])
  const { digest } = await copyIndex(index, sink, names, context.signal)
  context.print(`${shortName(displayNames[0] ?? name)}@${digest}`)
}
