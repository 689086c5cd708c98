import { BaleError } from '../../errors.ts'
import { type Image, type ManifestFormat, inManifestFormat } from '../../image/image.ts'
import { type ImageIndex, isImageIndex, makeImageIndex, requireImagesOnly } from '../../image/image-index.ts'
import { copyImage, copyIndex } from '../../stores/copy.ts'
import { localName } from '../../stores/local/transport.ts'
import { Stores } from '../../stores/open.ts'
import { isPlain } from '../../stores/transports.ts'
import type { CommandContext, GlobalOptions } from '../context.ts'
import { formatBytes, shortName, formatTable } from '../text.ts'

export async function listCommand(context: CommandContext): Promise<void> {
  await using stores = open(context)
  const images = await stores.local.list()
  if (images.length === 0) return context.print('There are no images yet. Make one with: bale build NAME --path DIR')
  const rows = images.map(i => [shortName(i.name), i.digest.slice(7, 19), formatBytes(i.size)])
  for (const line of formatTable(['IMAGE', 'DIGEST', 'SIZE'], rows)) context.print(line)
}

export async function removeCommand(context: CommandContext, names: readonly string[]): Promise<void> {
  await using stores = open(context)
  for (const name of names) {
    if (!(await stores.local.remove(localName(name)))) throw missing(name)
    context.print(`Removed ${name}`)
  }
  await stores.local.collectGarbage()
}

export async function tagCommand(context: CommandContext, image: string, name: string): Promise<void> {
  await using stores = open(context)
  await stores.local.tag(localName(image), localName(name)).catch((error: unknown) => {
    throw error instanceof BaleError && error.code === 'arguments' ? missing(image) : error
  })
  context.print(`Tagged ${image} as ${name}`)
}

export async function pushCommand(
  context: CommandContext,
  image: string,
  name: string | undefined,
  { format }: GlobalOptions,
): Promise<void> {
  await using stores = open(context)
  const { signal } = context
  const source = localName(image)
  const content =
    (await stores.local.pullIndex(source, signal)) ??
    (await stores.local.pull(source, context.settings.platform, signal))
  if (content === undefined) throw missing(image)
  const wanted = format === 'docker' || format === 'oci' ? inFormat(content, format, image) : content
  await copyTo(context, stores, wanted, `docker://${localName(name ?? image)}`)
}

/** Converts an image, or each image of an index, to the media types of a format. */
function inFormat(content: Image | ImageIndex, format: ManifestFormat, name: string): Image | ImageIndex {
  if (!isImageIndex(content)) return inManifestFormat(content, format, name)
  requireImagesOnly(content, name)
  const manifests = content.manifests.map(entry => ({ ...entry, image: inManifestFormat(entry.image, format, name) }))
  return makeImageIndex(manifests, content.document.annotations, format)
}

export async function saveCommand(context: CommandContext, image: string, destination: string): Promise<void> {
  await using stores = open(context)
  if (isPlain(stores.parse(destination))) {
    throw new BaleError('arguments', `${JSON.stringify(destination)} does not say what to write`, {
      fix: 'write for example docker-archive:FILE.tar, oci:DIR or docker-daemon:NAME',
    })
  }
  await copyTo(context, stores, (await stores.find(image, context.signal)).image, destination)
}

async function copyTo(
  context: CommandContext,
  stores: Stores,
  content: Image | ImageIndex,
  destination: string,
): Promise<void> {
  const [{ sink, names, displayNames }] = await stores.destinations([destination], false)
  const { digest } = isImageIndex(content)
    ? await copyIndex(content, sink, names, context.signal)
    : await copyImage(content, sink, names, context.signal)
  context.print(`${shortName(displayNames[0] ?? destination)}${digest === undefined ? '' : `@${digest}`}`)
}

const open = (context: CommandContext): Stores => new Stores(context.settings, context.reporter)

function missing(name: string): BaleError {
  return new BaleError('arguments', `there is no image ${name} in the local store`, {
    fix: 'list the images: bale image ls',
  })
}
