import { BaleError } from '../../errors.ts'
import { formatReference, parseReference } from '../../image/reference.ts'
import { copyImage } from '../../stores/copy.ts'
import { Stores, localName } from '../../stores/open.ts'
import type { Context } from '../context.ts'
import { formatBytes } from '../render/text.ts'

/** How people write it: Docker Hub's name and `library/` are understood. */
export function shortName(name: string): string {
  return name.replace(/^index\.docker\.io\/(library\/)?/, '')
}

export async function listCommand(context: Context): Promise<void> {
  await using stores = open(context)
  const images = await stores.local.list()
  if (images.length === 0) return context.print('There are no images yet. Make one with: bale build NAME --path DIR')
  const rows = images.map(i => [shortName(i.name), i.digest.slice(7, 19), formatBytes(i.size)] as const)
  const heads = ['IMAGE', 'DIGEST', 'SIZE'] as const
  const widths = heads.map((head, column) => Math.max(head.length, ...rows.map(row => (row[column] as string).length)))
  for (const row of [heads, ...rows])
    context.print(
      row
        .map((cell, i) => cell.padEnd(widths[i] as number))
        .join('  ')
        .trimEnd(),
    )
}

export async function removeCommand(context: Context, names: readonly string[]): Promise<void> {
  await using stores = open(context)
  for (const name of names) {
    if (!(await stores.local.remove(localName(name)))) throw missing(name)
    context.print(`Removed ${name}`)
  }
  await stores.local.collectGarbage()
}

export async function tagCommand(context: Context, image: string, name: string): Promise<void> {
  await using stores = open(context)
  await stores.local.tag(localName(image), localName(name))
  context.print(`Tagged ${image} as ${name}`)
}

export async function pushCommand(context: Context, image: string, name: string | undefined): Promise<void> {
  await copyTo(context, image, `docker://${formatReference(parseReference(name ?? image))}`)
}

export async function saveCommand(context: Context, image: string, destination: string): Promise<void> {
  if (!destination.includes(':')) {
    throw new BaleError('arguments', `${JSON.stringify(destination)} does not say what to write`, {
      fix: 'write for example docker-archive:FILE.tar or oci:DIR',
    })
  }
  await copyTo(context, image, destination)
}

async function copyTo(context: Context, image: string, destination: string): Promise<void> {
  await using stores = open(context)
  const found = await stores.find(image, context.signal)
  const [to] = await stores.destinations([destination], false)
  const { names, digest } = await copyImage(found.image, to.sink, to.names, context.signal)
  for (const name of names) context.print(`${name}@${digest}`)
}

const open = (context: Context): Stores => new Stores(context.settings, context.reporter)

function missing(name: string): BaleError {
  return new BaleError('arguments', `there is no image ${name} in the local store`, {
    fix: 'see what there is: bale image ls',
  })
}
