import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { BaleError, isErrno } from '../../lifecycle/errors.ts'
import { checkLayerName } from '../../lifecycle/spec/ids.ts'
import { formatToml, parseToml } from '../../lifecycle/spec/toml.ts'
import type { LayerTypes, Metadata } from '../../lifecycle/spec/types.ts'
import type { Step } from './command.ts'
import { type LayerEnv, writeLayerEnv } from './env.ts'
import type { Log } from './log.ts'
import type { Component, SbomSubject } from './sbom/component.ts'
import type { Seals } from './seal.ts'
import { hasSbom, removeSbom, type SbomFormat, writeSbom } from './sbom/files.ts'
import { isTable } from './tables.ts'

/**
 * What a layer's contents depend on, with names that users know: `{ Node: '24.21.0', 'package-lock.json': 'sha256:…' }`. The key is
 * stored beside the layer. A layer whose key has changed is created again.
 */
export type LayerKey = Readonly<Record<string, string>>

export type Verdict = { readonly keep: true } | { readonly keep: false; readonly reason: string }
export const keep: Verdict = { keep: true }
export const drop = (reason: string): Verdict => ({ keep: false, reason })

export interface LayerDefinition<K extends LayerKey = LayerKey> {
  /** The layer's contents, for users: `Node 24.21.0`. The log does not mention a layer without a title. */
  readonly title?: string
  /**
   * With `cache` the next build restores the layer. With only `launch` the next image can reuse it, but the next build does not have
   * its files.
   */
  readonly types: Partial<LayerTypes>
  readonly key: K
  /**
   * The step whose programs fill the layer. If a command of the user replaces them, it fills the layer in each build, since the files
   * that it reads are not known.
   */
  readonly step?: Step
  /**
   * Judges the layer of an earlier build by its key. The default requires equal keys, and the same version and program of the
   * buildpack, since a different program may fill the layer differently.
   */
  restore?(existing: Partial<K>): Verdict
  /**
   * Judges a layer whose key is unchanged, if its contents also depend on something that no key holds, such as the current state of a
   * package index or of a release channel. `notes` are those that `create` wrote. `dir` does not exist if the layer is only for launch.
   */
  isCurrent?(existing: { readonly dir: string; readonly notes: Readonly<Record<string, string>> }): Promise<Verdict>
  /** Fills the directory, which exists and is empty. */
  create(dir: string): Promise<LayerContents | void>
  /** The directory's contents, for the software bill of materials. */
  sbom?(dir: string): Promise<readonly Component[]>
}

export interface LayerContents {
  /** Variables that the layer sets. */
  readonly env?: LayerEnv
  /** Facts about the contents. They are known again in a later build that uses the layer, with or without its files. */
  readonly notes?: Readonly<Record<string, string>>
}

/**
 * Where the layer comes from. `restored`: its directory came from the cache. `reused`: the image gets the layer of the previous image,
 * and the build has no directory. `created`: this build made it, with the reason.
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
  /** The digest of the buildpack's bundle, since the version stays the same during development. Absent without a bundle. */
  readonly program?: string | undefined
  /** The formats of bills of materials; empty if the user wants none. */
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
    // Commands write again to a layer that is created a second time in a build with other contents.
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
  // A cache-only layer is a working directory, such as a package manager's, until its buildpack seals it.
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

/** The buildpack that made a layer, as parts of its key. */
function makerOf(id: string, version: string | undefined, program: string | undefined): LayerKey {
  return {
    ...(version !== undefined && { [id]: version }),
    ...(program !== undefined && { [`the program of ${id}`]: program }),
  }
}

/** Creates the contents again, and returns the notes on them. */
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

/** The default verdict: names the differences, `Node 24.21.0 → 24.22.0`. */
function compareKeys(existing: LayerKey, wanted: LayerKey): Verdict {
  const names = [...new Set([...Object.keys(existing), ...Object.keys(wanted)])]
  const differences = names.filter(name => existing[name] !== wanted[name])
  if (differences.length === 0) return keep
  return drop(differences.map(name => changed(name, existing[name], wanted[name])).join(', '))
}

function changed(name: string, before: string | undefined, now: string | undefined): string {
  if (before === undefined) return `${name} is new`
  if (now === undefined) return `${name} is gone`
  // Two digests would tell a user nothing.
  return now.startsWith('sha256:') ? `${name} changed` : `${name} ${before} → ${now}`
}

/** What an earlier build wrote to a layer's metadata. */
interface Existing {
  readonly buildpack: string | undefined
  readonly program: string | undefined
  readonly key: LayerKey
  readonly notes: Readonly<Record<string, string>>
}

/** undefined if there is none. Data from a cache may have any shape. */
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
