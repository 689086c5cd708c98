import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { chmod, lstat, mkdir, readFile, readdir, rm, symlink, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type Digest, digestOf, hexOf } from '../../lifecycle/image/digest.ts'
import { makeImage } from '../../lifecycle/image/image.ts'
import { oci } from '../../lifecycle/image/media-types.ts'
import { type LayoutStore, layoutStore } from '../../lifecycle/stores/layout/store.ts'
import { openLocalStore } from '../../lifecycle/stores/local/transport.ts'
import { storeSettings } from '../../lifecycle/stores/settings.ts'
import { storeContract } from '../contracts/stores.ts'
import { type Files, bytesOf, configOf, layerOf, noise, platform, sourceOf } from '../helpers/images.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'

// The oracle: Bale never writes a layout into another kind of directory, or through a link. With many writers, each keeps its
// name, and Bale deletes no blob that one of them may need.

const blob = (dir: string, digest: Digest): string => join(dir, 'blobs', 'sha256', hexOf(digest))

storeContract('layout', async () => {
  const dir = join(await temporaryDirectory(), 'layout')
  return {
    store: layoutStore(dir),
    name: text => text,
    close: async () => {},
    reopen: () => Promise.resolve(layoutStore(dir)),
    async corrupt(digest) {
      const bytes = await readFile(blob(dir, digest))
      bytes[10]! ^= 1
      await writeFile(blob(dir, digest), bytes)
    },
    async unwritable() {
      const file = join(await temporaryDirectory(), 'file')
      await writeFile(file, '')
      return layoutStore(join(file, 'layout'))
    },
  }
})

async function changeIndexFile(dir: string, change: (entries: unknown[]) => unknown[]): Promise<void> {
  const path = join(dir, 'index.json')
  const index = JSON.parse(await readFile(path, 'utf8')) as { manifests: unknown[] }
  await writeFile(path, JSON.stringify({ ...index, manifests: change(index.manifests) }))
}

async function put(store: LayoutStore, name: string, files: Files, created = '2026-01-02T03:04:05Z') {
  const image = makeImage(configOf({ created }), [await store.putLayer(sourceOf(files))])
  await store.putImage(image, [name])
  return image
}

describe("Bale's own store", () => {
  it('X44 is in a directory that nobody else can enter, whatever is the first to write to it', async () => {
    const dataDir = join(await temporaryDirectory(), 'data', 'bale')
    const umask = process.umask(0)
    onTestFinished(() => void process.umask(umask))
    const store = openLocalStore({ ...storeSettings({ HOME: '/nowhere' }), dataDir }, {})
    await store.putLayer(sourceOf({ '/a': 'source' }))
    for (const dir of [dataDir, join(dataDir, 'images')]) expect((await lstat(dir)).mode & 0o777, dir).toBe(0o700)
  })
})

describe('the directory', () => {
  it('is an OCI layout with nothing of ours left in it', async () => {
    const dir = await temporaryDirectory()
    const image = await put(layoutStore(dir), 'v1', { '/a': 'a' })
    expect((await readdir(dir)).sort()).toEqual(['blobs', 'index.json', 'oci-layout'])
    expect(JSON.parse(await readFile(join(dir, 'oci-layout'), 'utf8'))).toEqual({ imageLayoutVersion: '1.0.0' })
    expect(JSON.parse(await readFile(join(dir, 'index.json'), 'utf8'))).toEqual({
      schemaVersion: 2,
      mediaType: oci.index,
      manifests: [
        {
          mediaType: oci.manifest,
          digest: image.digest,
          size: image.manifestBytes.length,
          platform: { os: 'linux', architecture: 'amd64' },
          annotations: { 'org.opencontainers.image.ref.name': 'v1' },
        },
      ],
    })
    const names = await readdir(join(dir, 'blobs', 'sha256'))
    for (const name of names) {
      expect(hexOf(digestOf(await readFile(join(dir, 'blobs', 'sha256', name))))).toBe(name)
    }
    expect(names).toHaveLength(3)
  })

  it('O01 refuses a directory that holds something else, and leaves it alone', async () => {
    const dir = await temporaryDirectory()
    await writeFile(join(dir, 'thesis.tex'), 'mine')
    const store = layoutStore(dir)
    await expect(store.checkWrite(['x'])).rejects.toThrow(/not an OCI layout.*thesis\.tex/)
    await expect(store.putLayer(sourceOf({}))).rejects.toThrow('not an OCI layout')
    await expect(store.pull('x', platform)).rejects.toThrow('not an OCI layout')
    await expect(store.collectGarbage()).rejects.toThrow('not an OCI layout')
    expect(await readdir(dir)).toEqual(['thesis.tex'])
  })

  it('O01 refuses a file in its place, and a layout of another version', async () => {
    const dir = await temporaryDirectory()
    await writeFile(join(dir, 'oci-layout'), '{"imageLayoutVersion":"2.0.0"}')
    await expect(layoutStore(dir).checkWrite([])).rejects.toThrow('of version "2.0.0"')
    await expect(layoutStore(join(dir, 'oci-layout')).checkWrite([])).rejects.toThrow('not a directory')
  })

  it.each(['blobs', 'blobs/sha256', '.staging'])('O01 refuses a %s that is a symbolic link', async folder => {
    const dir = await temporaryDirectory()
    const elsewhere = await temporaryDirectory()
    const store = layoutStore(dir)
    await put(store, 'v1', {})
    await rm(join(dir, folder), { recursive: true, force: true })
    await symlink(elsewhere, join(dir, folder))
    await expect(store.checkWrite([])).rejects.toThrow('symbolic link')
    await expect(store.putLayer(sourceOf({}))).rejects.toThrow('symbolic link')
    expect(await readdir(elsewhere)).toEqual([])
  })

  it('O01 follows no link in place of a file, nor waits for a fifo', async () => {
    const dir = await temporaryDirectory()
    const secret = join(await temporaryDirectory(), 'secret')
    await writeFile(secret, '{"manifests":[]}')
    const store = layoutStore(dir)
    const image = await put(store, 'v1', { '/a': 'a' })
    await rm(blob(dir, image.imageId))
    await symlink(secret, blob(dir, image.imageId))
    await expect(store.pull('v1', platform)).rejects.toThrow('symbolic link')
    await rm(join(dir, 'index.json'))
    await once(spawn('mkfifo', [join(dir, 'index.json')]), 'exit')
    await expect(store.pull('v1', platform)).rejects.toThrow('not a regular file')
  })

  it('P02 P06 says what is wrong with an index.json', async () => {
    const dir = await temporaryDirectory()
    const store = layoutStore(dir)
    await put(store, 'v1', {})
    const cases: [string, RegExp][] = [
      ['', /is empty/],
      ['[]', /not a JSON object/],
      ['{"manifests":{}}', /not a list/],
      ['{"manifests":[],"manifests":[]}', /twice/],
      [
        JSON.stringify({ manifests: [{ annotations: { 'org.opencontainers.image.ref.name': 'v1' } }] }),
        /no media type/,
      ],
    ]
    for (const [text, message] of cases) {
      await writeFile(join(dir, 'index.json'), text)
      await expect(store.pull('v1', platform)).rejects.toThrow(message)
    }
    await writeFile(join(dir, 'index.json'), Buffer.alloc(17_000_000, ' '))
    await expect(store.pull('v1', platform)).rejects.toThrow('more than the limit')
  })

  it('keeps what other tools wrote in index.json', async () => {
    const dir = await temporaryDirectory()
    const store = layoutStore(dir)
    await put(store, 'v1', {})
    const foreign = {
      mediaType: 'application/xml',
      size: 3,
      digest: 'sha512:00',
      annotations: { 'com.example.x': 'y' },
    }
    await changeIndexFile(dir, entries => [foreign, ...entries])
    await put(store, 'v2', { '/b': 'b' })
    const { manifests } = JSON.parse(await readFile(join(dir, 'index.json'), 'utf8')) as { manifests: unknown[] }
    expect(manifests).toHaveLength(3)
    expect(manifests).toContainEqual(foreign)
    expect((await store.list()).map(i => i.name)).toEqual(['v1', 'v2'])
  })
})

describe('writers', () => {
  it('O02 loses no name when many write at once', async () => {
    const dir = await temporaryDirectory()
    const names = Array.from({ length: 12 }, (_, i) => `n${i}`)
    await Promise.all(names.map(name => put(layoutStore(dir), name, { [`/${name}`]: name })))
    expect((await layoutStore(dir).list()).map(i => i.name).sort()).toEqual(names.sort())
  })

  it('C06 goes on after a process was killed at any moment of its making', async () => {
    const dir = await temporaryDirectory()
    for (const present of [[], ['.staging'], ['.staging', 'oci-layout'], ['.staging', 'oci-layout', 'blobs']]) {
      const place = join(dir, String(present.length))
      await mkdir(place)
      for (const name of present) {
        if (name === 'oci-layout') await writeFile(join(place, name), '{"imageLayoutVersion":"1.0.0"}')
        else await mkdir(join(place, name))
      }
      const store = layoutStore(place)
      expect(await store.pull('v1', platform)).toBeUndefined()
      await put(store, 'v1', {})
      expect(await store.pull('v1', platform)).toBeDefined()
    }
  })

  it('stores a blob again whose file was cut off', async () => {
    const dir = await temporaryDirectory()
    const store = layoutStore(dir)
    const layer = await layerOf({ '/noise': noise(10_000) })
    await store.putLayer(layer)
    const whole = await readFile(blob(dir, layer.digest))
    await writeFile(blob(dir, layer.digest), whole.subarray(0, 100))
    await expect(bytesOf((await store.putLayer(layer)).open())).resolves.toEqual(whole)
  })

  it('says which blob is missing when a layer is read', async () => {
    const dir = await temporaryDirectory()
    const store = layoutStore(dir)
    const layer = await store.putLayer(sourceOf({ '/a': 'a' }))
    await rm(blob(dir, layer.digest))
    await expect(bytesOf(layer.open())).rejects.toMatchObject({ where: blob(dir, layer.digest) })
  })

  it('tells of the bytes that it writes, and of none that it has', async () => {
    const dir = await temporaryDirectory()
    const seen: { name: string; done: number; total?: number }[] = []
    const store = layoutStore(dir, { onTransfer: t => seen.push(t) })
    const layer = await layerOf({ '/noise': noise(5_000) })
    await store.putLayer(layer)
    expect(seen.at(-1)).toMatchObject({ name: layer.digest, done: layer.size, total: layer.size })
    const count = seen.length
    await store.putLayer(layer)
    expect(seen).toHaveLength(count)
  })

  it('makes layers as it is told', async () => {
    for (const [compression, mediaType] of [
      ['none', oci.layer],
      ['zstd', oci.layerZstd],
    ] as const) {
      const store = layoutStore(await temporaryDirectory(), { compression })
      expect((await store.putLayer(sourceOf({}))).mediaType).toBe(mediaType)
    }
  })
})

describe('names', () => {
  it('are full references in our own store', async () => {
    const store = layoutStore(await temporaryDirectory())
    const name = 'index.docker.io/library/hello:latest'
    const image = await put(store, name, {})
    expect((await store.pull(name, platform))?.digest).toBe(image.digest)
    expect(await store.pull('hello', platform)).toBeUndefined()
  })

  it.each(['a b', 'a\nb', 'x'.repeat(513)])('D05 cannot be %j', async name => {
    const store = layoutStore(await temporaryDirectory())
    await expect(store.checkWrite([name])).rejects.toThrow('not a name')
    await expect(put(store, name, {})).rejects.toThrow('not a name')
  })

  it('may be absent: then it is the one image without, or the only one', async () => {
    const store = layoutStore(await temporaryDirectory())
    expect(await store.pull('', platform)).toBeUndefined()
    const named = await put(store, 'v1', { '/v1': '' })
    expect((await store.pull('', platform))?.digest).toBe(named.digest)
    await put(store, 'v2', { '/v2': '' })
    await expect(store.pull('', platform)).rejects.toThrow(/several images: "v1", "v2"/)
    await put(store, '', { '/1': '' })
    const unnamed = await put(store, '', { '/2': '' })
    expect((await store.pull('', platform))?.digest).toBe(unnamed.digest)
    expect((await store.list()).map(i => i.name)).toEqual(['v1', 'v2'])
  })

  it('can belong to several images that differ in their platform', async () => {
    const dir = await temporaryDirectory()
    const store = layoutStore(dir)
    const image = await put(store, 'v1', {})
    await changeIndexFile(dir, ([entry]) => [
      { ...(entry as object), platform: { os: 'linux', architecture: 'arm64' }, digest: digestOf('none') },
      entry,
    ])
    expect((await store.pull('v1', platform))?.digest).toBe(image.digest)
  })

  it('are listed with their size and date', async () => {
    const store = layoutStore(await temporaryDirectory())
    const image = await put(store, 'v1', { '/a': 'a' })
    const size = image.manifestBytes.length + image.configBytes.length + image.layers[0]!.size
    const v1 = { name: 'v1', digest: image.digest, size, created: '2026-01-02T03:04:05Z' }
    expect(await store.list()).toEqual([v1])
    await store.tag('v1', 'a')
    expect(await store.list()).toEqual([{ ...v1, name: 'a' }, v1])
    await expect(store.tag('nope', 'b')).rejects.toThrow('no image "nope"')
  })

  it('can be listed and removed although an image is damaged', async () => {
    const dir = await temporaryDirectory()
    const store = layoutStore(dir)
    const image = await put(store, 'bad', { '/a': 'a' })
    await put(store, 'good', { '/b': 'b' })
    await writeFile(blob(dir, image.digest), 'x')
    expect((await store.list()).map(i => i.name)).toEqual(['bad', 'good'])
    expect(await store.remove('bad')).toBe(true)
    expect(await store.remove('bad')).toBe(false)
    expect((await store.list()).map(i => i.name)).toEqual(['good'])
  })

  it('are none where there is no layout, which removing does not make', async () => {
    const dir = join(await temporaryDirectory(), 'none')
    const store = layoutStore(dir)
    expect(await store.list()).toEqual([])
    expect(await store.remove('x')).toBe(false)
    expect(await store.collectGarbage()).toEqual({ blobs: 0, bytes: 0 })
    expect(existsSync(dir)).toBe(false)
  })
})

describe('garbage', () => {
  const old = new Date(Date.now() - 2 * 3600_000)

  async function age(dir: string): Promise<void> {
    for (const name of await readdir(join(dir, 'blobs', 'sha256')))
      await utimes(join(dir, 'blobs', 'sha256', name), old, old)
  }

  it('is what no name leads to', async () => {
    const dir = await temporaryDirectory()
    const store = layoutStore(dir)
    const removed = await put(store, 'v1', { '/a': 'a' })
    const kept = await put(store, 'v2', { '/b': 'b' }, '2027-01-01T00:00:00Z')
    await store.remove('v1')
    await age(dir)
    const gone = [removed.digest, removed.imageId, removed.layers[0]!.digest]
    const bytes = removed.manifestBytes.length + removed.configBytes.length + removed.layers[0]!.size
    expect(await store.collectGarbage()).toEqual({ blobs: 3, bytes })
    for (const digest of gone) expect(existsSync(blob(dir, digest))).toBe(false)
    await expect(bytesOf((await store.pull('v2', platform))!.layers[0]!.open())).resolves.toHaveLength(
      kept.layers[0]!.size,
    )
  })

  it('C09 is nothing that a build is about to use', async () => {
    const dir = await temporaryDirectory()
    const store = layoutStore(dir)
    const layer = await store.putLayer(sourceOf({ '/a': 'a' }))
    expect(await store.collectGarbage()).toEqual({ blobs: 0, bytes: 0 }) // it is new
    await age(dir)
    await store.putLayer(layer) // a build reuses it
    expect(await store.collectGarbage()).toEqual({ blobs: 0, bytes: 0 })
    await store.putImage(makeImage(configOf(), [layer]), ['v1'])
    await age(dir)
    expect(await store.collectGarbage()).toEqual({ blobs: 0, bytes: 0 })
  })

  it('C06 is what a killed process was writing', async () => {
    const dir = await temporaryDirectory()
    const store = layoutStore(dir)
    await put(store, 'v1', {})
    const own = join(dir, '.staging', 'stray')
    await mkdir(join(dir, '.staging'))
    await writeFile(own, 'x')
    await store.collectGarbage()
    expect(existsSync(own)).toBe(true) // nobody knows whose it is, and it is new
    await utimes(own, old, old)
    await store.collectGarbage()
    expect(existsSync(join(dir, '.staging'))).toBe(false)
  })

  it('is not collected while an image cannot be read: its layers would be lost', async () => {
    const dir = await temporaryDirectory()
    const store = layoutStore(dir)
    const image = await put(store, 'v1', { '/a': 'a' })
    const manifest = await readFile(blob(dir, image.digest))
    await writeFile(
      blob(dir, image.digest),
      manifest.map(b => b ^ 1),
    )
    await age(dir)
    await expect(store.collectGarbage()).rejects.toThrow(image.digest)
    expect(existsSync(blob(dir, image.layers[0]!.digest))).toBe(true)
  })

  it('is not what an artifact of another kind refers to', async () => {
    const dir = await temporaryDirectory()
    const store = layoutStore(dir)
    const layer = await store.putLayer(sourceOf({ '/a': 'a' }))
    const { digest, size, mediaType } = layer
    const artifact = Buffer.from(
      JSON.stringify({ mediaType: 'application/x+json', blobs: [{ digest, size, mediaType }] }),
    )
    await writeFile(blob(dir, digestOf(artifact)), artifact)
    const entry = { mediaType: 'application/x+json', digest: digestOf(artifact), size: artifact.length }
    await writeFile(join(dir, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests: [entry] }))
    await age(dir)
    expect(await store.collectGarbage()).toEqual({ blobs: 0, bytes: 0 })
  })
})

it('reads a layout that it may not write', async () => {
  const dir = await temporaryDirectory()
  const image = await put(layoutStore(dir), 'v1', { '/a': 'a' })
  await chmod(dir, 0o555)
  const found = await layoutStore(dir).pull('v1', platform)
  expect(found?.digest).toBe(image.digest)
  await chmod(dir, 0o755)
})
