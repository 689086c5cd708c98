import { lstat, mkdir } from 'node:fs/promises'
import { uptime } from 'node:os'
import { join } from 'node:path'
import * as v from 'valibot'
import { BaleError } from '../errors.ts'
import { bootId } from '../files/lease.ts'
import { readSmall } from '../files/read.ts'
import { replaceFile } from '../files/staged.ts'
import { type Digest, isDigest } from '../image/digest.ts'
import type { LayerDigests } from '../image/layer.ts'
import { settled } from '../layers/tree/fingerprint.ts'

const maxBytes = 16 * 1024 * 1024
const fileName = 'known-layers.json'

const digest = v.custom<Digest>(isDigest, 'is not a digest')
const document = v.object({
  version: v.literal(1),
  /** Of the boot; times of another one prove nothing: a power cut may have kept a file's time and lost its contents. */
  boot: v.string(),
  /** Milliseconds since 1970 when the machine booted, by its clock, and when this was written. */
  booted: v.number(),
  written: v.number(),
  layers: v.record(v.string(), v.object({ diffId: digest, digest, size: v.number(), mediaType: v.string() })),
  trees: v.record(v.string(), v.string()),
  files: v.record(v.string(), v.string()),
})
type Known = Omit<v.InferOutput<typeof document>, 'boot' | 'booted' | 'written' | 'version'>

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
 * What earlier builds found out about layers and need not read again: digests of a layer by its fingerprint, fingerprints of
 * kept trees and files by the layer that is in them. Trusted only under the boot that it was written in, and while the
 * clock has run steadily since: a clock set back could give a change the time of an earlier one. What is used or set goes
 * into the next index; the rest is forgotten.
 */
export class BlobInfoCache {
  readonly #dir: string
  readonly #clock: Clock
  readonly #before: Known
  readonly #next: Known = { layers: {}, trees: {}, files: {} }

  private constructor(dir: string, clock: Clock, before: Known) {
    this.#dir = dir
    this.#clock = clock
    this.#before = before
  }

  /** The index in that directory; an empty one if there is none that can be trusted. */
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

  /** The digests of the layer with this fingerprint. */
  layer(key: string): LayerDigests | undefined {
    const known = this.#before.layers[key]
    if (known !== undefined) this.#next.layers[key] = known
    return known
  }

  setLayer(key: string, { diffId, digest, size, mediaType }: LayerDigests): void {
    this.#next.layers[key] = { diffId, digest, size, mediaType }
  }

  /** The layers whose trees were kept. */
  trees(): Digest[] {
    return Object.keys(this.#before.trees).filter(isDigest)
  }

  /** The fingerprint that the layer's tree had when it was kept. */
  tree(diffId: Digest): string | undefined {
    return this.#before.trees[diffId]
  }

  setTree(diffId: Digest, fingerprint: string): void {
    this.#next.trees[diffId] = fingerprint
  }

  /** Whether a file that was found to hold a layer is still the same: it need not be read again. */
  async hasFile(diffId: Digest, path: string): Promise<boolean> {
    const seal = this.#before.files[diffId]
    return seal !== undefined && seal === (await sealOf(path))
  }

  /** The file at `path` is known to hold the layer. */
  async setFile(diffId: Digest, path: string): Promise<void> {
    const seal = await sealOf(path)
    if (seal !== undefined) this.#next.files[diffId] = seal
  }

  /** @throws BaleError 'filesystem' if it cannot be written */
  async save(): Promise<void> {
    const boot = this.#clock.boot()
    if (boot === undefined) return
    const [written, booted] = [this.#clock.now(), this.#clock.now() - this.#clock.sinceBoot()]
    const json = JSON.stringify({ version: 1, boot, booted, written, ...this.#next })
    const staging = join(this.#dir, 'staging') // what is left there is swept up
    await mkdir(staging, { recursive: true })
    await replaceFile(join(this.#dir, fileName), Buffer.from(json), staging)
  }
}

/** A clock that is kept right by small corrections runs fast or slow by less than a thousandth (adjtimex(2): 500 ppm). */
function isTrusted({ boot, booted, written }: v.InferOutput<typeof document>, clock: Clock): boolean {
  const elapsed = clock.now() - written
  const moved = Math.abs(clock.now() - clock.sinceBoot() - booted)
  return boot === clock.boot() && elapsed >= 0 && moved <= 2000 + elapsed / 1000
}

/** Small ones are read as fast as they are looked at. */
const worthIt = 1024n * 1024n

/** Not its change time: a file gets another one when it gets another name. Nobody else writes in a cache. */
async function sealOf(path: string): Promise<string | undefined> {
  const stats = await lstat(path, { bigint: true }).catch(() => undefined)
  if (stats?.isFile() !== true || stats.size < worthIt || !(await settled(stats.mtimeNs))) return undefined
  return `${stats.dev} ${stats.ino} ${stats.size} ${stats.mtimeNs}`
}
