import { BaleError } from '../../errors.ts'
import type { Image } from '../../image/image.ts'
import { formatReference, parseReference } from '../../image/reference.ts'
import { copyImage } from '../../stores/copy.ts'
import { parseDestination, displayName } from '../../stores/destination.ts'
import { Stores, localName } from '../../stores/open.ts'
import type { CommandContext } from '../context.ts'
import { formatBytes, shortName, table } from '../text.ts'

export async function listCommand(context: CommandContext): Promise<void> {
  await using stores = open(context)
  const images = await stores.local.list()
  if (images.length === 0) return context.print('There are no images yet. Make one with: bale build NAME --path DIR')
  const rows = images.map(i => [shortName(i.name), i.digest.slice(7, 19), formatBytes(i.size)])
  for (const line of table(['IMAGE', 'DIGEST', 'SIZE'], rows)) context.print(line)
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

export async function pushCommand(context: CommandContext, image: string, name: string | undefined): Promise<void> {
  await using stores = open(context)
  const found = await stores.local.pull(localName(image), context.settings.platform, context.signal)
  if (found === undefined) throw missing(image)
  await copyTo(context, stores, found, `docker://${formatReference(parseReference(name ?? image))}`)
}

export async function saveCommand(context: CommandContext, image: string, destination: string): Promise<void> {
  if (parseDestination(destination).kind === 'store') {
    throw new BaleError('arguments', `${JSON.stringify(destination)} does not say what to write`, {
      fix: 'write for example docker-archive:FILE.tar, oci:DIR or docker-daemon:NAME',
    })
  }
  await using stores = open(context)
  await copyTo(context, stores, (await stores.find(image, context.signal)).image, destination)
}

async function copyTo(context: CommandContext, stores: Stores, image: Image, destination: string): Promise<void> {
  const [to] = await stores.destinations([destination], false)
  const { digest } = await copyImage(image, to.sink, to.names, context.signal)
  context.print(`${shortName(displayName(parseDestination(destination)))}@${digest}`)
}

const open = (context: CommandContext): Stores => new Stores(context.settings, context.reporter)

function missing(name: string): BaleError {
  return new BaleError('arguments', `there is no image ${name} in the local store`, {
    fix: 'see what there is: bale image ls',
  })
}
