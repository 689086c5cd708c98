import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { BaleError, isErrno } from '../../lifecycle/errors.ts'
import { checkLayerName } from '../../lifecycle/spec/ids.ts'
import { formatToml, parseToml } from '../../lifecycle/spec/toml.ts'
import type { LayerTypes, Metadata } from '../../lifecycle/spec/types.ts'
import { type LayerEnv, writeLayerEnv } from './env.ts'
import type { Log } from './log.ts'
import type { Step } from './own-commands.ts'
import type { Component } from './sbom/component.ts'
import type { Seals } from './seal.ts'
import { hasSbom, removeSbom, type SbomFormat, type SbomSubject, writeSbom } from './sbom/files.ts'
import { isTable } from './tables.ts'

/**
 * What a layer's contents depend on, by the names that people know: `{ Node: '24.21.0', 'package-lock.json': 'sha256:…' }`.
 * It is kept beside the layer, and a layer whose key has changed is created again.
 */
export type LayerKey = Readonly<Record<string, string>>

export type Verdict = { readonly keep: true } | { readonly keep: false; readonly reason: string }
export const keep: Verdict = { keep: true }
export const drop = (reason: string): Verdict => ({ keep: false, reason })

export interface LayerDefinition<K extends LayerKey = LayerKey> {
  /** What is in it, for people: `Node 24.21.0`. Nothing is said of a layer without a title. */
  readonly title?: string
  /** `cache` brings it back in the next build; `launch` alone lets the next image have it again without its bytes. */
  readonly types: Partial<LayerTypes>
  readonly key: K
  /** The step whose programs fill it. A command of the user's in their place fills it in each build: what that reads is not known. */
  readonly step?: Step
  /**
   * Judges the layer of an earlier build by its key. Without this, the two keys have to be equal, and the buildpack's version
   * and program the same: another one may fill the layer in another way.
   */
  restore?(existing: Partial<K>): Verdict
  /**
   * Asked about a layer that its key would keep, where something decides its contents that no key holds: what a package index
   * offers today, or where a channel of releases stands. `notes` are those that `create` left; `dir` is not there where the layer
   * is for launch alone.
   */
  isCurrent?(existing: { readonly dir: string; readonly notes: Readonly<Record<string, string>> }): Promise<Verdict>
  /** Fills the directory, which is there and empty. */
  create(dir: string): Promise<LayerContents | void>
  /** What is in the directory, for the software bill of materials. */
  sbom?(dir: string): Promise<readonly Component[]>
}

export interface LayerContents {
  /** Variables that come with it. */
  readonly env?: LayerEnv
  /** Facts about the contents that are known again when the layer comes back, with or without its bytes. */
  readonly notes?: Readonly<Record<string, string>>
}

/**
 * Where the layer comes from. `restored`: its directory came from the cache. `reused`: the image gets the layer of the previous
 * image, and there is no directory here. `created`: made by this build, and why.
 */
export type LayerState =
  { readonly state: 'restored' } | { readonly state: 'reused' } | { readonly state: 'created'; readonly reason: string }
export type Layer = LayerState & {
  readonly name: string
  readonly path: string
  readonly notes: Readonly<Record<string, string>>
}

export interface LayerRoom {
  /** The buildpack's directory of layers. */
  readonly dir: string
  readonly buildpack: { readonly id: string; readonly version: string }
  /** The digest of the buildpack's bundle: while a buildpack is being written, its version stays the same. Absent without one. */
  readonly program?: string | undefined
  /** The formats of bills of materials; none if the user wants no bill. */
  readonly sbom: readonly SbomFormat[]
  readonly log: Log
  readonly seals: Seals
}

/** Restores the layer of an earlier build if it is still valid, and creates it otherwise. */
export async function provideLayer<K extends LayerKey>(
  room: LayerRoom,
  name: string,
  definition: LayerDefinition<K>,
): Promise<Layer> {
  checkLayerName(name, `a layer of ${room.buildpack.id}`)
  const path = join(room.dir, name)
  const existing = await readExisting(path)
  const outcome = await judge(room, path, definition, existing)
  let notes = existing?.notes ?? {}
  if (outcome.state === 'created') {
    // One that is made a second time in a build, of other contents, is written to by commands again.
    room.seals.remove(name)
    notes = await createContents(room, path, definition, outcome.reason)
  } else if (definition.title !== undefined) {
    room.log.info(
      `Using ${definition.title} ${outcome.state === 'restored' ? 'from the cache' : 'of the previous image'}`,
    )
  }
  if (room.sbom.length > 0 && definition.sbom && outcome.state !== 'reused') {
    const known = outcome.state === 'restored' && (await hasSbom(path, room.sbom))
    if (!known) await writeSbom(path, room.sbom, subject(room, name), await definition.sbom(path))
  }
  const { launch = false, build = false, cache = false } = definition.types
  const metadata = {
    buildpack: room.buildpack.version,
    ...(room.program !== undefined && { program: room.program }),
    key: definition.key,
    ...(Object.keys(notes).length > 0 && { notes }),
  }
  await writeFile(`${path}.toml`, formatToml({ types: { launch, build, cache }, metadata }))
  // A layer for the cache alone is a working directory, such as a package manager's, until its buildpack seals it.
  if (outcome.state !== 'reused' && (launch || build)) room.seals.add(name, path, { launch, build, cache })
  return { ...outcome, name, path, notes }
}

function subject({ buildpack }: LayerRoom, name: string): SbomSubject {
  return { name: `${buildpack.id}:${name}`, tool: buildpack }
}

async function judge<K extends LayerKey>(
  room: LayerRoom,
  path: string,
  definition: LayerDefinition<K>,
  existing: Existing | undefined,
): Promise<LayerState> {
  const { types, key } = definition
  if (existing === undefined) return { state: 'created', reason: 'not there yet' }
  const { id, version } = room.buildpack
  const ownKey = { ...makerOf(id, version, room.program), ...key }
  const existingKey = { ...makerOf(id, existing.buildpack, existing.program), ...existing.key }
  const verdict = definition.restore?.(existing.key as Partial<K>) ?? compareKeys(existingKey, ownKey)
  if (!verdict.keep) return { state: 'created', reason: verdict.reason }
  const isRestored = await isDirectory(path)
  // buildpack.md, "Launch Layers": without a directory, export takes the layer of the previous image.
  if (!isRestored && (types.launch !== true || types.cache === true || types.build === true)) {
    return { state: 'created', reason: 'its contents were not restored' }
  }
  const current = (await definition.isCurrent?.({ dir: path, notes: existing.notes })) ?? keep
  if (!current.keep) return { state: 'created', reason: current.reason }
  return { state: isRestored ? 'restored' : 'reused' }
}

/** What made a layer, as parts of its key. */
function makerOf(id: string, version: string | undefined, program: string | undefined): LayerKey {
  return {
    ...(version !== undefined && { [id]: version }),
    ...(program !== undefined && { [`the program of ${id}`]: program }),
  }
}

/** Makes the contents anew, and returns the notes on them. */
async function createContents(
  room: LayerRoom,
  path: string,
  definition: LayerDefinition,
  reason: string,
): Promise<Readonly<Record<string, string>>> {
  await rm(`${path}.toml`, { force: true })
  await removeSbom(path)
  await rm(path, { recursive: true, force: true })
  await mkdir(path)
  const create = () => definition.create(path)
  const title = definition.title
  const contents = await (title === undefined ? create() : room.log.step(`Creating ${title} (${reason})`, create))
  if (contents?.env) await writeLayerEnv(path, contents.env)
  return contents?.notes ?? {}
}

/** The default judgement: names what differs, `Node 24.21.0 → 24.22.0`. */
function compareKeys(existing: LayerKey, wanted: LayerKey): Verdict {
  const names = [...new Set([...Object.keys(existing), ...Object.keys(wanted)])]
  const differences = names.filter(name => existing[name] !== wanted[name])
  if (differences.length === 0) return keep
  return drop(differences.map(name => changed(name, existing[name], wanted[name])).join(', '))
}

function changed(name: string, before: string | undefined, now: string | undefined): string {
  if (before === undefined) return `${name} is new`
  if (now === undefined) return `${name} is gone`
  // Nobody wants to read two digests.
  return now.startsWith('sha256:') ? `${name} changed` : `${name} ${before} → ${now}`
}

/** What an earlier build left in a layer's metadata. */
interface Existing {
  readonly buildpack: string | undefined
  readonly program: string | undefined
  readonly key: LayerKey
  readonly notes: Readonly<Record<string, string>>
}

/** undefined if there is none. What came from a cache may be anything. */
async function readExisting(path: string): Promise<Existing | undefined> {
  let document: Metadata
  try {
    document = parseToml(await readFile(`${path}.toml`), `${path}.toml`)
  } catch (error) {
    if (isErrno(error, 'ENOENT') || error instanceof BaleError) return undefined
    throw error
  }
  const { metadata } = document
  if (!isTable(metadata)) return undefined
  const { key, notes } = metadata
  const { buildpack, program } = strings(metadata)
  return { buildpack, program, key: strings(key), notes: strings(notes) }
}

function strings(value: unknown): Record<string, string> {
  const entries = isTable(value) ? Object.entries(value) : []
  return Object.fromEntries(entries.filter((entry): entry is [string, string] => typeof entry[1] === 'string'))
}

async function isDirectory(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => undefined)
  return found?.isDirectory() ?? false
}
