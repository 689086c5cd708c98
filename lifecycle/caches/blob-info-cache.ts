import { lstat, mkdir } from 'node:fs/promises'
import { uptime } from 'node:os'
import { join } from 'node:path'
import * as v from 'valibot'
import { BaleError } from '../errors.ts'
import { bootId } from '../files/lease.ts'
import { readSmall } from '../files/read.ts'
import { replaceFile } from '../files/staged.ts'
import { type Digest, isDigest } from '../image/digest.ts'
import type { Fingerprint, LayerDigests } from '../image/layer.ts'
import { settled } from '../layers/tree/fingerprint.ts'

const maxBytes = 16 * 1024 * 1024
const fileName = 'known-layers.json'

const digest = v.custom<Digest>(isDigest, 'is not a digest')
const document = v.object({
  version: v.literal(2),
  /**
   * Identifies the boot. Times from another boot prove nothing: a power cut may keep a file's time but lose its contents.
   */
  boot: v.string(),
  /** The times of the machine's boot, by its clock, and of this write, in milliseconds since 1970. */
  booted: v.number(),
  written: v.number(),
  /** The key has the parts of a `LayerKey`, separated by spaces. */
  layers: v.record(v.string(), v.object({ diffId: digest, digest, size: v.number(), mediaType: v.string() })),
  trees: v.record(v.string(), v.string()),
  files: v.record(v.string(), v.string()),
})
type Known = Omit<v.InferOutput<typeof document>, 'boot' | 'booted' | 'written' | 'version'>

/** The files that a layer was made from, and its purpose. The purpose separates different results, such as compressed layers. */
export interface LayerKey extends Fingerprint {
  readonly purpose: string
}

/** The clock, for tests. */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number
  /** Milliseconds since the machine booted, suspended or not. */
  sinceBoot(): number
  boot(): string | undefined
}

const machine: Clock = { now: Date.now, sinceBoot: () => uptime() * 1000, boot: bootId }

/**
 * Results of earlier builds that save reading layers again: digests of a layer by its fingerprint, and fingerprints of
 * cached trees and files by the layer in them. Trusted only in the boot in which it was written, and if the clock has
 * run steadily since: a clock set back could give a change the time of an earlier one. Entries that a build uses or sets go
 * into the next index; the rest is dropped.
 */
export class BlobInfoCache {
  readonly #dir: string
  readonly #clock: Clock
  readonly #before: Known
  readonly #next: Known = { layers: {}, trees: {}, files: {} }
  /** Layers whose only known trees are the newest ones, from now on. */
  readonly #restored = new Set<Digest>()

  private constructor(dir: string, clock: Clock, before: Known) {
    this.#dir = dir
    this.#clock = clock
    this.#before = before
  }

  /** Reads the index in a directory. Returns an empty one if there is no trusted index. */
  static async open(dir: string, clock = machine): Promise<BlobInfoCache> {
    const none: Known = { layers: {}, trees: {}, files: {} }
    try {
      const bytes = await readSmall(join(dir, fileName), maxBytes)
      const parsed = v.safeParse(document, bytes && JSON.parse(Buffer.from(bytes).toString()))
      return new BlobInfoCache(dir, clock, parsed.success && isTrusted(parsed.output, clock) ? parsed.output : none)
    } catch (error) {
      if (error instanceof BaleError || error instanceof SyntaxError) return new BlobInfoCache(dir, clock, none)
      throw error
    }
  }

  /** Returns the known digests of the layer for a key. */
  layer(key: LayerKey): LayerDigests | undefined {
    const text = textOf(key)
    const known = this.#next.layers[text] ?? this.#before.layers[text]
    if (known !== undefined) this.#next.layers[text] = known
    return known
  }

  /** Returns whether a layer is known to have been made of the files that this one restores. */
  hasContent(diffId: Digest): boolean {
    return Object.values(this.#before.layers).some(layer => layer.diffId === diffId)
  }

  /**
   * Records that a tree has the files of the layer: it was restored from its tar. Layers that were made from those files before apply
   * to this tree, too.
   */
  setContent(diffId: Digest, tree: string): void {
    for (const [key, layer] of Object.entries(this.#before.layers))
      if (layer.diffId === diffId) this.#next.layers[key.replace(/[^ ]*$/, tree)] = layer
    this.#restored.add(diffId)
  }

  setLayer(key: LayerKey, { diffId, digest, size, mediaType }: LayerDigests): void {
    this.#next.layers[textOf(key)] = { diffId, digest, size, mediaType }
  }

  /** Returns the layers whose trees are cached. */
  trees(): Digest[] {
    return Object.keys(this.#before.trees).filter(isDigest)
  }

  /** Returns the fingerprint that the layer's tree had when it was checked in. */
  tree(diffId: Digest): string | undefined {
    return this.#before.trees[diffId]
  }

  setTree(diffId: Digest, fingerprint: string): void {
    this.#next.trees[diffId] = fingerprint
  }

  /** Returns whether a file that was verified to hold a layer is unchanged and need not be read again. */
  async hasFile(diffId: Digest, path: string): Promise<boolean> {
    const seal = this.#before.files[diffId]
    return seal !== undefined && seal === (await sealOf(path))
  }

  /** Records that the file at `path` was verified to hold the layer. */
  async setFile(diffId: Digest, path: string): Promise<void> {
    const seal = await sealOf(path)
    if (seal !== undefined) this.#next.files[diffId] = seal
  }

  /**
   * Saves the entries that this build has used or set.
   * @throws BaleError 'filesystem' if it cannot be written
   */
  save(): Promise<void> {
    return this.#write(this.#next)
  }

  /** Saves the entries of `setContent`, if any, in addition to all earlier entries. Throws as `save` does. */
  async saveContent(): Promise<void> {
    if (this.#restored.size === 0) return
    const others = Object.entries(this.#before.layers).filter(([, { diffId }]) => !this.#restored.has(diffId))
    await this.#write({ ...this.#before, layers: { ...Object.fromEntries(others), ...this.#next.layers } })
  }

  async #write(known: Known): Promise<void> {
    const boot = this.#clock.boot()
    if (boot === undefined) return
    const [written, booted] = [this.#clock.now(), this.#clock.now() - this.#clock.sinceBoot()]
    const json = JSON.stringify({ version: 2, boot, booted, written, ...known })
    const staging = join(this.#dir, 'staging') // the next build removes leftovers there
    await mkdir(staging, { recursive: true })
    await replaceFile(join(this.#dir, fileName), Buffer.from(json), staging)
  }
}

const textOf = ({ purpose, place, tree }: LayerKey): string => `${purpose} ${place} ${tree}`

/** A clock that NTP disciplines runs fast or slow by less than a thousandth (adjtimex(2): 500 ppm). */
function isTrusted({ boot, booted, written }: v.InferOutput<typeof document>, clock: Clock): boolean {
  const elapsed = clock.now() - written
  const moved = Math.abs(clock.now() - clock.sinceBoot() - booted)
  return boot === clock.boot() && elapsed >= 0 && moved <= 2000 + elapsed / 1000
}

/** In bytes. Reading a smaller file takes no longer than checking it. */
const worthIt = 1024n * 1024n

/** Leaves out the change time, which changes when a file is renamed or linked. No other user writes in a cache. */
async function sealOf(path: string): Promise<string | undefined> {
  const stats = await lstat(path, { bigint: true }).catch(() => undefined)
  if (stats?.isFile() !== true || stats.size < worthIt || !(await settled(stats.mtimeNs))) return undefined
  return `${stats.dev} ${stats.ino} ${stats.size} ${stats.mtimeNs}`
}
