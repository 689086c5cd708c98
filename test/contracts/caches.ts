import { describe, expect, it, onTestFinished } from 'vitest'
import type { Cache } from '../../lifecycle/caches/cache.ts'
import { BaleError } from '../../lifecycle/errors.ts'
import { type Digest, digestOf } from '../../lifecycle/image/digest.ts'
import type { CacheMetadata } from '../../lifecycle/spec/types.ts'
import { failureOf } from '../helpers/failure.ts'
import { type Files, bytesOf, layerOf, noise, pieces, sourceOf, tarOf } from '../helpers/images.ts'

/** A fresh, empty cache, and what a test cannot do through the Cache interface. */
export interface OpenCache {
  readonly cache: Cache
  /** What it warned of. */
  readonly warnings: string[]
  readonly close: () => Promise<void>
  /** Another cache on the same place, as a second process would open it. */
  readonly reopen: () => Promise<Cache>
  /** Takes a layer away where it is stored. */
  readonly lose: (diffId: Digest) => Promise<void>
  /** Replaces the bytes of a layer where it is stored. */
  readonly damage?: (diffId: Digest, bytes: Uint8Array) => Promise<void>
  /** Damage is found when a layer is read, as restore does before anything is stored; not when it is stored. */
  readonly damageShowsInReading?: true
  /** Replaces the metadata where it is stored. */
  readonly damageMetadata?: (bytes: Uint8Array) => Promise<void>
}

const hello = { '/layers/a/hello.txt': 'hello' }
const other = { '/layers/a/other.txt': 'other' }

/** What every cache promises (lifecycle/caches/cache.ts): `cacheContract('directory', () => …)` in its own test file. */
export function cacheContract(kind: string, open: () => Promise<OpenCache>): void {
  async function fresh(): Promise<OpenCache> {
    const opened = await open()
    onTestFinished(() => opened.close())
    return opened
  }

  describe(`${kind}: generations`, () => {
    it('is empty at first, which is no reason to warn', async () => {
      const { cache, warnings } = await fresh()
      expect(cache.description).toMatch(/\S/)
      expect(await cache.metadata()).toBeUndefined()
      expect(warnings).toEqual([])
      expect(await cache.open(digestOf('missing'))).toBeUndefined()
    })

    it('gives back what was committed, to another process as well', async () => {
      const { cache, reopen, warnings } = await fresh()
      const metadata = await fill(cache, { hello, other })
      for (const reader of [cache, await reopen()]) {
        expect(await reader.metadata()).toEqual(metadata)
        expect(await read(reader, hello)).toEqual(await tarOf(hello))
        expect(await read(reader, other)).toEqual(await tarOf(other))
      }
      expect(warnings).toEqual([])
    })

    it('says what it stored', async () => {
      const { cache } = await fresh()
      const tar = await tarOf(hello)
      await using writer = await cache.begin()
      const { size, ...put } = await writer.put(sourceOf(hello))
      expect(put).toEqual({ diffId: digestOf(tar), reused: false })
      expect(size).toBeGreaterThan(0)
      expect(size).toBeLessThanOrEqual(tar.length)
    })

    it('stores a layer without any file, and one larger than any buffer', async () => {
      const { cache } = await fresh()
      const big = { '/noise': noise(3_000_000) }
      await fill(cache, { big, none: {} })
      expect(await read(cache, big)).toEqual(await tarOf(big))
      expect(await read(cache, {})).toEqual(await tarOf({}))
    })

    it('shows nothing of a generation before it is committed', async () => {
      const { cache, reopen } = await fresh()
      const metadata = await fill(cache, { hello })
      await using writer = await cache.begin()
      await writer.put(sourceOf(other))
      for (const reader of [cache, await reopen()]) {
        expect(await reader.metadata()).toEqual(metadata)
        expect(await read(reader, hello)).toEqual(await tarOf(hello))
      }
    })

    it('stays as it was when a generation is given up', async () => {
      const { cache } = await fresh()
      const metadata = await fill(cache, { hello })
      {
        await using writer = await cache.begin()
        await writer.put(sourceOf(other))
      }
      expect(await cache.metadata()).toEqual(metadata)
      expect(await read(cache, hello)).toEqual(await tarOf(hello))
    })

    it('drops what the next generation does not have', async () => {
      const { cache } = await fresh()
      await fill(cache, { hello, other })
      await fill(cache, { other })
      expect(Object.keys((await cache.metadata())!.buildpacks[0]!.layers)).toEqual(['other'])
      expect(await cache.open(await diffIdOf(hello))).toBeUndefined()
      expect(await read(cache, other)).toEqual(await tarOf(other))
    })

    it('can be committed empty', async () => {
      const { cache } = await fresh()
      await fill(cache, { hello })
      await fill(cache, {})
      expect((await cache.metadata())?.buildpacks[0]?.layers).toEqual({})
    })
  })

  describe(`${kind}: layers that it has`, () => {
    it('says that it has them', async () => {
      const { cache } = await fresh()
      await fill(cache, { hello })
      await using writer = await cache.begin()
      expect(await writer.put(sourceOf(hello))).toMatchObject({ diffId: await diffIdOf(hello), reused: true })
      expect(await writer.put(sourceOf(other))).toMatchObject({ reused: false })
      await writer.commit(metadataOf({}))
      expect(await read(cache, hello)).toEqual(await tarOf(hello))
    })

    it('does not read a source whose digests are known', async () => {
      const { cache } = await fresh()
      await fill(cache, { hello })
      const source = { ...sourceOf(hello), known: await layerOf(hello) }
      await using writer = await cache.begin()
      expect(await writer.put(source)).toMatchObject({ diffId: await diffIdOf(hello), reused: true })
      expect(source.reads).toBe(0)
      await writer.commit(metadataOf({}))
      expect(await read(cache, hello)).toEqual(await tarOf(hello))
    })

    it('reads a source whose digests are known if it lacks the layer', async () => {
      const { cache } = await fresh()
      await fill(cache, { other })
      const source = { ...sourceOf(hello), known: await layerOf(hello) }
      await using writer = await cache.begin()
      expect(await writer.put(source)).toMatchObject({ reused: false })
      await writer.commit(metadataOf({}))
      expect(await read(cache, hello)).toEqual(await tarOf(hello))
    })

    it('takes a layer twice', async () => {
      const { cache } = await fresh()
      for (const _generation of [1, 2]) {
        await using writer = await cache.begin()
        await Promise.all([writer.put(sourceOf(hello)), writer.put(sourceOf(hello))])
        await writer.put(sourceOf(hello))
        await writer.commit(metadataOf({}))
        expect(await read(cache, hello)).toEqual(await tarOf(hello))
      }
    })
  })

  describe(`${kind}: failures`, () => {
    it('fails as a source fails, and is as it was', async () => {
      const { cache } = await fresh()
      const metadata = await fill(cache, { hello })
      const broken = new BaleError('filesystem', 'hello.txt vanished')
      {
        await using writer = await cache.begin()
        const failing = {
          kind: 'source' as const,
          createdBy: 'failing',
          async *tar() {
            yield (await tarOf(other)).subarray(0, 600)
            throw broken
          },
        }
        expect(await failureOf(writer.put(failing))).toBe(broken)
      }
      expect(await cache.metadata()).toEqual(metadata)
      expect(await read(cache, hello)).toEqual(await tarOf(hello))
    })

    it('gives up when it is told to', async () => {
      const { cache } = await fresh()
      await fill(cache, { hello })
      const reason = new BaleError('cancelled', 'stopped by Ctrl-C')
      const signal = AbortSignal.abort(reason)
      const source = sourceOf(other)
      await using writer = await cache.begin()
      for (const attempt of [
        () => cache.metadata(signal),
        async () => cache.open(await diffIdOf(hello), signal),
        () => cache.begin(signal),
        () => writer.put(source, signal),
      ]) {
        expect(await failureOf(attempt)).toBe(reason)
      }
      expect(source.reads).toBe(0)
    })

    it('stops in the middle of a layer, while writing and while reading', async () => {
      const { cache } = await fresh()
      const big = { '/noise': noise(3_000_000) }
      await fill(cache, { big })
      const reason = new BaleError('cancelled', 'stopped by Ctrl-C')
      const writing = new AbortController()
      const endless = {
        kind: 'source' as const,
        createdBy: 'endless',
        async *tar() {
          writing.abort(reason)
          for (;;) yield* pieces(noise(10_000), 1000)
        },
      }
      await using writer = await cache.begin()
      expect(await failureOf(writer.put(endless, writing.signal))).toBe(reason)
      const reading = new AbortController()
      const layer = await cache.open(await diffIdOf(big), reading.signal)
      const run = async () => {
        for await (const _chunk of layer!) reading.abort(reason)
      }
      expect(await failureOf(run())).toBe(reason)
    })

    it('C09 lets several writers finish, one of them last and whole', async () => {
      const { cache, reopen, warnings } = await fresh()
      const trees: Files[] = [hello, other, { '/layers/a/third.txt': 'third' }, { '/layers/a/big': noise(300_000) }]
      await fill(cache, { hello, other })
      const writers = await Promise.all(trees.map(() => reopen()))
      const all = await Promise.all(writers.map((writer, i) => fill(writer, { [`layer${i}`]: trees[i]! })))
      const reader = await reopen()
      const left = await reader.metadata()
      expect(all).toContainEqual(left)
      const tree = trees[Number(Object.keys(left!.buildpacks[0]!.layers)[0]!.slice('layer'.length))]!
      expect(await read(reader, tree)).toEqual(await tarOf(tree))
      expect(warnings).toEqual([])
    })

    it('C09 keeps what the last of two writers in turn stored, though the first one began before it', async () => {
      const { cache, reopen } = await fresh()
      await fill(cache, { hello })
      const second = await reopen()
      await using early = await cache.begin()
      await early.put(sourceOf(hello))
      await fill(second, { other })
      await early.commit(metadataOf({ hello: await diffIdOf(hello) }))
      const reader = await reopen()
      expect(await reader.metadata()).toEqual(metadataOf({ hello: await diffIdOf(hello) }))
      expect(await read(reader, hello)).toEqual(await tarOf(hello))
    })

    it('C09 never gives other bytes than those of the layer, though it is replaced meanwhile', async () => {
      const { cache } = await fresh()
      const big = { '/noise': noise(3_000_000) }
      await fill(cache, { big })
      const before = await cache.open(await diffIdOf(big))
      await fill(cache, { hello })
      const outcome = await bytesOf(before!).then(digestOf, (error: unknown) => error)
      if (outcome !== (await diffIdOf(big))) expect(outcome).toBeInstanceOf(BaleError)
    })

    it('C02 stores a missing layer anew', async () => {
      const { cache, reopen, lose } = await fresh()
      for (const known of [false, true]) {
        await fill(cache, { hello, other })
        await lose(await diffIdOf(hello))
        const outcome = await read(await reopen(), hello).catch((error: unknown) => error)
        expect(outcome).toBeInstanceOf(Error)
        const source = known ? { ...sourceOf(hello), known: await layerOf(hello) } : sourceOf(hello)
        await using writer = await (await reopen()).begin()
        expect(await writer.put(source)).toMatchObject({ reused: false })
        expect(await writer.put(sourceOf(other))).toMatchObject({ reused: true })
        await writer.commit(metadataOf({}))
        const reader = await reopen()
        for (const tree of [hello, other]) expect(await read(reader, tree)).toEqual(await tarOf(tree))
      }
    })

    it('C02 C03 C04 stores a damaged layer anew', async context => {
      const { cache, damage, damageShowsInReading } = await fresh()
      if (damage === undefined) return context.skip('nobody else can reach what this cache holds')
      const tar = await tarOf(hello)
      const damages = [
        await tarOf(other),
        tar.map((byte, i) => (i === 100 ? byte ^ 1 : byte)),
        tar.subarray(0, 100),
        Buffer.of(),
      ]
      for (const [i, bytes] of damages.entries()) {
        await fill(cache, { hello })
        await damage(await diffIdOf(hello), bytes)
        if (damageShowsInReading) expect(await failureOf(read(cache, hello))).toBeInstanceOf(BaleError)
        const source = i % 2 === 0 ? sourceOf(hello) : { ...sourceOf(hello), known: await layerOf(hello) }
        await using writer = await cache.begin()
        expect(await writer.put(source)).toMatchObject({ reused: false })
        await writer.commit(metadataOf({}))
        expect(await read(cache, hello)).toEqual(tar)
      }
    })

    it('C02 C03 C04 gives a damaged layer to nobody who reads to its end', async context => {
      const { cache, damage } = await fresh()
      if (damage === undefined) return context.skip('nobody else can reach what this cache holds')
      const big = { '/noise': noise(3_000_000) }
      for (const tree of [hello, big]) {
        await fill(cache, { tree })
        const diffId = await diffIdOf(tree)
        const tar = await tarOf(tree)
        for (const bytes of [await tarOf(other), tar.map((byte, i) => (i === 600 ? byte ^ 1 : byte)), Buffer.of()]) {
          await damage(diffId, bytes)
          const message = `the bytes of ${diffId} are wrong: their digest is ${digestOf(bytes)}`
          expect(await failureOf(read(cache, tree))).toMatchObject({ code: 'input', message })
        }
      }
    })

    it.each<[string, string | Uint8Array]>([
      ['empty', ''],
      ['no JSON', 'garbage'],
      ['cut off', '{"buildpacks":[{"key":"a","lay'],
      ['of other types', '{"buildpacks":"none"}'],
      ['not UTF-8', Buffer.of(0x22, 0xff, 0x22)],
      ['huge', Buffer.alloc(17 * 1024 * 1024, ' ')],
      ['deep', '['.repeat(100_000)],
    ])('C01 has no metadata, but a warning, when it is %s', async (_how, bytes) => {
      const { cache, warnings, damageMetadata } = await fresh()
      if (damageMetadata === undefined) return
      await fill(cache, { hello })
      await damageMetadata(Buffer.from(bytes))
      expect(await cache.metadata()).toBeUndefined()
      expect(warnings).toHaveLength(1)
      expect(warnings[0]).not.toMatch(/[\x00-\x1f]/)
      const metadata = await fill(cache, { hello })
      expect(await cache.metadata()).toEqual(metadata)
    })

    it('C16 reads what a newer version wrote beside what it knows', async context => {
      const { cache, damageMetadata } = await fresh()
      if (damageMetadata === undefined) return context.skip('nobody else can reach what this cache holds')
      const metadata = await fill(cache, { hello })
      const { sha } = metadata.buildpacks[0]!.layers.hello!
      const layer = { sha, data: {}, launch: false, build: true, cache: true, future: 1 }
      const newer = { schema: 99, buildpacks: [{ key: 'a', version: '1', layers: { hello: layer }, future: [] }] }
      await damageMetadata(Buffer.from(JSON.stringify(newer)))
      expect((await cache.metadata())?.buildpacks[0]?.layers.hello?.sha).toBe(sha)
    })

    it.each(['sha256:../../../etc/passwd', '../x', 'sha512:00', '', `sha256:${'A'.repeat(64)}`])(
      'C05 answers nothing for the diffID %j',
      async diffId => {
        const { cache, warnings } = await fresh()
        await fill(cache, { hello })
        expect(await cache.open(diffId as Digest)).toBeUndefined()
        expect(warnings).toHaveLength(1)
      },
    )
  })
}

/** Makes these layers the whole cache; the metadata that was stored with them. */
export async function fill(cache: Cache, layers: Readonly<Record<string, Files>>): Promise<CacheMetadata> {
  await using writer = await cache.begin()
  const shas: Record<string, Digest> = {}
  for (const [name, files] of Object.entries(layers))
    shas[name] = (await writer.put(sourceOf(files, { piece: 10_000 }))).diffId
  const metadata = metadataOf(shas)
  await writer.commit(metadata)
  return metadata
}

export function metadataOf(shas: Readonly<Record<string, Digest>>): CacheMetadata {
  const layers = Object.fromEntries(
    Object.entries(shas).map(([name, sha]) => [name, { sha, data: { name }, launch: false, build: true, cache: true }]),
  )
  return { buildpacks: [{ key: 'a', version: '1.2.3', layers }] }
}

export async function read(cache: Cache, files: Files): Promise<Uint8Array> {
  const layer = await cache.open(await diffIdOf(files))
  if (layer === undefined) return expect.unreachable('the layer is not in the cache')
  return bytesOf(layer)
}

export async function diffIdOf(files: Files): Promise<Digest> {
  return digestOf(await tarOf(files))
}
