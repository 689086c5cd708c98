import { type UsageRecord, type PruneRule, diskUsage, prune } from '../../platform/disk-usage.ts'
import { BaleError } from '../../errors.ts'
import { Stores } from '../../stores/open.ts'
import type { CommandContext, GlobalOptions } from '../context.ts'
import { formatAge, formatBytes, printable, shortName, formatTable, printableJson } from '../text.ts'

/** The limits that apply when the user names none. */
const usualAge = '30d'

export async function listCommand(context: CommandContext, { output }: GlobalOptions): Promise<void> {
  const { cacheDir } = context.settings
  const usage = await diskUsage(cacheDir)
  const bytes = sum(usage)
  if (output === 'json') return context.print(printableJson({ path: cacheDir, bytes, entries: usage }))
  if (usage.length === 0) return context.print(`Nothing is cached yet in ${cacheDir}`)
  const now = Date.now()
  const rows = usage.map(item => [
    titleOf(item),
    formatBytes(item.bytes),
    item.inUse ? 'in use' : formatAge(now - item.lastUsed.getTime()),
    contentsOf(item),
  ])
  for (const line of formatTable(['CACHE', 'SIZE', 'LAST USED', 'CONTENTS'], rows)) context.print(line)
  context.print(`${formatBytes(bytes)} in ${cacheDir}`)
}

export async function pruneCommand(context: CommandContext, options: GlobalOptions): Promise<void> {
  const { cacheDir } = context.settings
  const removed = await prune(cacheDir, ruleOf(options))
  await using stores = new Stores(context.settings, context.reporter)
  // Layers of images that have been replaced or removed.
  const layers = await stores.local.collectGarbage()
  const freed = sum(removed) + layers.bytes
  const left = sum(await diskUsage(cacheDir))
  if (options.output === 'json') {
    const storeBytes = layers.bytes
    return context.print(printableJson({ path: cacheDir, freed, left, storeBytes, removed }))
  }
  for (const item of removed) context.print(`Removed ${titleOf(item)}, ${formatBytes(item.bytes)}`)
  if (layers.blobs > 0) context.print(`Removed ${layers.blobs} blobs that no image uses, ${formatBytes(layers.bytes)}`)
  context.print(`Freed ${formatBytes(freed)}; ${formatBytes(left)} are left in ${cacheDir}`)
}

function ruleOf({ olderThan, keepSize, all }: GlobalOptions): PruneRule {
  if (all === true) return { all }
  // If only a size limit is given, age does not matter.
  const age = olderThan ?? (keepSize === undefined ? usualAge : undefined)
  return {
    ...(age !== undefined && { olderThan: parseAge(age) }),
    ...(keepSize !== undefined && { keepBytes: parseSize(keepSize) }),
  }
}

const milliseconds: Record<string, number> = { m: 60_000, h: 3600_000, d: 86_400_000, w: 7 * 86_400_000 }

/** Parses `90m`, `12h`, `30d`, `2w` into milliseconds. */
export function parseAge(text: string): number {
  const [, number, unit = ''] = /^(\d{1,6})([mhdw])$/.exec(text) ?? []
  if (number !== undefined) return Number(number) * (milliseconds[unit] as number)
  throw new BaleError('usage', `${JSON.stringify(text)} is not an age`, {
    where: '--older-than',
    fix: 'write for example 12h, 30d or 2w',
  })
}

const powers = ['', 'k', 'm', 'g', 't']

/** Parses `10GB`, `500MB`, `1.5GiB`, `1000` into bytes. */
export function parseSize(text: string, where = '--keep-size'): number {
  const [, number, prefix = '', binary] = /^(\d{1,15}(?:\.\d{1,3})?) ?([kmgt]?)(i?)b?$/i.exec(text) ?? []
  if (number === undefined || (prefix === '' && binary)) {
    throw new BaleError('usage', `${JSON.stringify(text)} is not a size`, {
      where,
      fix: 'write for example 500MB or 10GB',
    })
  }
  return Math.round(Number(number) * (binary ? 1024 : 1000) ** powers.indexOf(prefix.toLowerCase()))
}

const sum = (records: readonly UsageRecord[]): number => records.reduce((total, { bytes }) => total + bytes, 0)

function titleOf({ kind, name }: UsageRecord): string {
  switch (kind) {
    case 'app':
      return printable(shortName(name.replace(/^(store|registry) /, '')))
    case 'image':
      return `unpacked image ${name.slice(0, 12)}`
    case 'layer':
      return `layer of builders ${name.replace(/^chain-/, '').slice(0, 12)}`
    case 'temporary':
      return 'a build or a run'
    case 'other':
      return printable(name)
  }
}

const words: Readonly<Record<string, string>> = { committed: 'layers', staging: 'unfinished' }

/** Lists the largest parts of an app's cache. */
function contentsOf({ kind, parts, bytes }: UsageRecord): string {
  if (kind !== 'app') return ''
  const large = parts.filter(part => part.bytes > bytes / 100).slice(0, 4)
  return large.map(part => `${printable(words[part.name] ?? part.name)} ${formatBytes(part.bytes)}`).join(', ')
}
