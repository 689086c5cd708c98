import { BaleError } from '../../errors.ts'
import { formatReference, parseReference } from '../../image/reference.ts'
import { copyImage } from '../../stores/copy.ts'
import { findImage, localName, openDestinations, openLocalStore } from '../../stores/open.ts'
import type { Context } from '../context.ts'
import { formatBytes } from '../render/text.ts'

/** How people write it: Docker Hub's name and `library/` are understood. */
export function shortName(name: string): string {
  return name.replace(/^index\.docker\.io\/(library\/)?/, '')
}

export async function listCommand(context: Context): Promise<void> {
  const images = await (await openLocalStore(context.settings)).list()
  if (images.length === 0) return context.print('There are no images yet. Make one with: bale build NAME --path DIR')
  const rows = images.map(i => [shortName(i.name), i.digest.slice(7, 19), formatBytes(i.size)] as const)
  const heads = ['IMAGE', 'DIGEST', 'SIZE'] as const
  const widths = heads.map((head, column) => Math.max(head.length, ...rows.map(row => (row[column] as string).length)))
  for (const row of [heads, ...rows]) context.print(row.map((cell, i) => cell.padEnd(widths[i] as number)).join('  ').trimEnd())
}

export async function removeCommand(context: Context, names: readonly string[]): Promise<void> {
  const store = await openLocalStore(context.settings)
  for (const name of names) {
    if (!(await store.remove(localName(name)))) throw missing(name)
    context.print(`Removed ${name}`)
  }
  await store.collectGarbage()
}

export async function tagCommand(context: Context, image: string, name: string): Promise<void> {
  const store = await openLocalStore(context.settings)
  if (!(await store.tag(localName(image), localName(name)))) throw missing(image)
  context.print(`Tagged ${image} as ${name}`)
}

export async function pushCommand(context: Context, image: string, name: string | undefined): Promise<void> {
  await copyTo(context, image, `docker://${formatReference(parseReference(name ?? image))}`)
}

export async function saveCommand(context: Context, image: string, destination: string): Promise<void> {
  if (!destination.includes(':')) {
    throw new BaleError('arguments', `${JSON.stringify(destination)} does not say what to write`, { fix: 'write for example docker-archive:FILE.tar or oci:DIR' })
  }
  await copyTo(context, image, destination)
}

async function copyTo(context: Context, image: string, destination: string): Promise<void> {
  const { settings, reporter, signal } = context
  const found = await findImage(image, { settings, reporter }, signal)
  const [to] = await openDestinations([destination], { publish: false, settings, reporter })
  if (to === undefined) throw new BaleError('arguments', 'no destination')
  const { names, digest } = await copyImage(found.image, to.sink, to.names, signal)
  for (const name of names) context.print(`${name}@${digest}`)
}

function missing(name: string): BaleError {
  return new BaleError('arguments', `there is no image ${name} in the local store`, { fix: 'see what there is: bale image ls' })
}
