import { once } from 'node:events'
import { mkdir, readFile, readdir, stat, symlink, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { type Header, extract } from 'tar-stream'
import { describe, expect, it } from 'vitest'
import { digestOf, hexOf } from '../../lifecycle/image/digest.ts'
import { makeImage } from '../../lifecycle/image/image.ts'
import { tarBytes } from '../../lifecycle/stores/archive/tar-bytes.ts'
import { dockerArchiveStore } from '../../lifecycle/stores/docker-archive/store.ts'
import { ociArchiveStore } from '../../lifecycle/stores/oci-archive/store.ts'
import type { ImageStore } from '../../lifecycle/stores/store.ts'
import { type OpenStore, storeContract } from '../contracts/stores.ts'
import { type TarLiteral, changeInTar, readTarFiles, tarFrom } from '../helpers/archives.ts'
import { failureOf } from '../helpers/failure.ts'
import { interceptWrites, osError } from '../helpers/faults.ts'
import { type Files, bytesOf, configOf, layerOf, platform, sourceOf, tarOf } from '../helpers/images.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'

// The oracle: Bale refuses a hostile or damaged archive with one line of error. A written file is the complete old archive or
// the complete new one. Bale replaces no file that is not an archive.

type Make = (file: string, tmpDir: string) => ImageStore
const ociArchive: Make = (file, tmpDir) => ociArchiveStore(file, { tmpDir })
const dockerArchive: Make = (file, tmpDir) => dockerArchiveStore(file, { tmpDir })
const flip = (content: Buffer): void => void (content[10]! ^= 1)

async function open(make: Make, extra: (file: string) => Partial<OpenStore>): Promise<OpenStore> {
  const dir = await temporaryDirectory()
  const file = join(dir, 'image.tar')
  return {
    store: make(file, dir),
    name: text => text,
    close: () => Promise.resolve(),
    reopen: () => Promise.resolve(make(file, dir)),
    unwritable: () => Promise.resolve(make('/proc/nowhere/image.tar', dir)),
    ...extra(file),
  }
}

storeContract('OCI archive', () =>
  open(ociArchive, file => ({
    corrupt: digest => changeInTar(file, `blobs/sha256/${hexOf(digest)}`, flip),
  })),
)

storeContract(
  'Docker archive',
  () => open(dockerArchive, file => ({ corrupt: digest => changeInTar(file, `${hexOf(digest)}.json`, flip) })),
  {
    keepsBlobs: 'its layers are uncompressed',
    keepsManifests: 'it holds none',
    dockerFormat: 'it holds no manifest',
    indexes: 'the format has none',
  },
)

async function put(store: ImageStore, names: string[], files: Files) {
  const image = makeImage(configOf(), [await store.putLayer(sourceOf(files))])
  await store.putImage(image, names)
  return image
}

describe.each([
  ['OCI archive', ociArchive],
  ['Docker archive', dockerArchive],
])('%s: the file', (_kind, make) => {
  it('has the same bytes whenever and wherever it is written', async () => {
    const written: Buffer[] = []
    for (const umask of [0o022, 0o077]) {
      const before = process.umask(umask)
      try {
        const dir = await temporaryDirectory()
        await put(make(join(dir, 'a.tar'), dir), ['v1', 'v2'], { '/a': 'a', '/b': 'b' })
        written.push(await readFile(join(dir, 'a.tar')))
      } finally {
        process.umask(before)
      }
    }
    expect(written[0]).toEqual(written[1])
  })

  it('O04 is the old one, and nothing else is left, if the new one cannot be written', async () => {
    const dir = await temporaryDirectory()
    const out = join(dir, 'out')
    await mkdir(out)
    const file = join(out, 'a.tar')
    await put(make(file, dir), ['v1'], { '/a': 'a' })
    const before = await readFile(file)
    const store = make(file, dir)
    const image = makeImage(configOf(), [await store.putLayer(sourceOf({ '/b': 'b' }))])
    for (const name of await readdir(dir)) {
      // The staged layer is swapped for another: the archive must not get it.
      const blobs = join(dir, name, 'blobs', 'sha256')
      for (const blob of await readdir(blobs).catch(() => [])) await writeFile(join(blobs, blob), 'x')
    }
    await expect(store.putImage(image, ['v2'])).rejects.toThrow()
    expect(await readFile(file)).toEqual(before)
    expect(await readdir(out)).toEqual(['a.tar'])
  })

  it('O01 takes the place of an archive or an empty file, never of something else', async () => {
    const dir = await temporaryDirectory()
    const thesis = join(dir, 'thesis.pdf')
    await writeFile(thesis, '%PDF-1.7 mine')
    for (const [path, message] of [
      [thesis, 'not an archive'],
      [dir, 'not a file'],
      ['/dev/null', 'not a file'],
    ] as const) {
      const store = make(path, dir)
      await expect(store.checkWrite(['v1'])).rejects.toThrow(message)
      await expect(put(store, ['v1'], {})).rejects.toThrow(message)
    }
    expect(await readFile(thesis, 'utf8')).toBe('%PDF-1.7 mine')
    await writeFile(join(dir, 'empty.tar'), '')
    await put(make(join(dir, 'empty.tar'), dir), ['v1'], {})
    expect((await stat(join(dir, 'empty.tar'))).size).toBeGreaterThan(1000)
  })

  it('O04 does not have an image whose writing failed', async () => {
    const dir = await temporaryDirectory()
    const store = make(join(dir, 'a.tar'), dir)
    const image = makeImage(configOf({ author: 'lost' }), [await store.putLayer(sourceOf({}))])
    const faults = await interceptWrites(call => {
      if (call.name === 'rename') throw osError('EIO', 'rename')
    })
    const error = await failureOf(store.putImage(image, ['lost']))
    faults.restore()
    expect(error).toMatchObject({ code: 'filesystem', where: join(dir, 'a.tar') })
    await put(store, ['kept'], { '/a': 'a' })
    expect(await store.pull('lost', platform)).toBeUndefined()
    expect(await store.pull('kept', platform)).toBeDefined()
  })

  it('is written where a link leads', async () => {
    const dir = await temporaryDirectory()
    await writeFile(join(dir, 'real.tar'), '')
    await symlink('real.tar', join(dir, 'link.tar'))
    await put(make(join(dir, 'link.tar'), dir), ['v1'], {})
    expect((await stat(join(dir, 'real.tar'))).size).toBeGreaterThan(1000)
  })

  it('says so when it was replaced while a layer was being read', async () => {
    const dir = await temporaryDirectory()
    const store = make(join(dir, 'a.tar'), dir)
    await put(store, ['v1'], { '/a': 'a' })
    const pulled = await store.pull('v1', platform)
    await put(make(join(dir, 'a.tar'), dir), ['v1'], { '/b': 'b' })
    await expect(bytesOf(pulled!.layers[0]!.open())).rejects.toThrow('replaced while it was being read')
  })

  it('has what the first store of it puts, not what was in it before', async () => {
    const dir = await temporaryDirectory()
    const file = join(dir, 'a.tar')
    await put(make(file, dir), ['old'], { '/a': 'a' })
    const store = make(file, dir)
    await put(store, ['new'], { '/b': 'b' })
    await put(store, ['newer'], { '/c': 'c' })
    expect(await store.pull('old', platform)).toBeUndefined()
    expect(await store.pull('new', platform)).toBeDefined()
    expect(await store.pull('newer', platform)).toBeDefined()
    await expect(store.pull('', platform)).rejects.toThrow('several images')
  })

  it('can hold an image without a name', async () => {
    const dir = await temporaryDirectory()
    const store = make(join(dir, 'a.tar'), dir)
    const image = await put(store, [], { '/a': 'a' })
    expect((await store.pull('', platform))?.imageId).toBe(image.imageId)
  })

  it.each([
    ['compressed', (tar: Buffer) => gzipSync(tar), 'compressed with gzip'],
    ['T34 cut off', (tar: Buffer) => tar.subarray(0, -1100), 'cut short'],
    ['T35 continued after its end', (tar: Buffer) => Buffer.concat([tar, Buffer.from('x')]), 'after its end'],
    ['T33 damaged', (tar: Buffer) => Buffer.concat([Buffer.from('x'), tar.subarray(1)]), 'checksum'],
    ['no image', () => tarFrom({ 'hello.txt': 'hello' }), 'not an'],
    ['empty', () => Buffer.alloc(0), 'cut short'],
  ])('says that it is %s', async (_what, change, message) => {
    const dir = await temporaryDirectory()
    const file = join(dir, 'a.tar')
    await put(make(file, dir), ['v1'], { '/a': 'a' })
    await writeFile(file, await change(await readFile(file)))
    await expect(make(file, dir).pull('v1', platform)).rejects.toThrow(message)
  })

  it('T18 is refused if it has two entries of a name', async () => {
    const dir = await temporaryDirectory()
    const file = join(dir, 'a.tar')
    await put(make(file, dir), ['v1'], { '/a': 'a' })
    const tar = await readFile(file)
    const twice = Buffer.concat([await withoutEnd({ './index.json': '{}', 'manifest.json': '[]' }), tar])
    await writeFile(file, twice)
    await expect(make(file, dir).pull('v1', platform)).rejects.toThrow('two entries')
  })
})

async function withoutEnd(entries: TarLiteral): Promise<Buffer> {
  return (await tarFrom(entries)).subarray(0, -1024)
}

it('O05 an entry over 8 GiB has its size in the archive', async () => {
  const dir = await temporaryDirectory()
  const path = join(dir, 'layer.tar')
  await writeFile(path, '')
  const size = 9 * 2 ** 30
  await truncate(path, size) // sparse: it takes no space
  const entry = { kind: 'file', name: 'blobs/sha256/x', place: { path, offset: 0, size } } as const
  for await (const block of tarBytes([entry])) {
    const reader = extract()
    const header = once(reader, 'entry') as Promise<[Header]>
    reader.write(block)
    expect((await header)[0]).toMatchObject({ name: 'blobs/sha256/x', size })
    break
  }
})

describe('what docker save writes', () => {
  const layer = { '/app/hello.txt': 'hello' }

  async function pull(entries: TarLiteral, name = 'hello') {
    const dir = await temporaryDirectory()
    await writeFile(join(dir, 'a.tar'), await tarFrom(entries))
    return dockerArchive(join(dir, 'a.tar'), dir).pull(name, platform)
  }

  async function config(files: readonly Files[]): Promise<string> {
    const diffIds = await Promise.all(files.map(async tree => digestOf(await tarOf(tree))))
    return JSON.stringify({ ...configOf(), rootfs: { type: 'layers', diff_ids: diffIds } })
  }

  const manifest = (Config: string, Layers: string[], RepoTags: string[] | null = ['hello:latest']) =>
    JSON.stringify([{ Config, RepoTags, Layers }])

  it('has directories, links and files that nobody needs', async () => {
    const tar = await tarOf(layer)
    const image = await pull({
      repositories: '{}',
      'aa/': { type: 'directory' },
      'aa/layer.tar': tar,
      'bb/layer.tar': { type: 'symlink', linkname: '../aa/layer.tar' },
      'cc/layer.tar': { type: 'link', linkname: 'aa/layer.tar' },
      'config.json': await config([layer, layer, layer]),
      'manifest.json': manifest('config.json', ['aa/layer.tar', 'bb/layer.tar', 'cc/layer.tar']),
    })
    expect(image?.layers.map(l => l.size)).toEqual([tar.length, tar.length, tar.length])
    expect(await bytesOf(image!.layers[1]!.open())).toEqual(tar)
    expect(await bytesOf(image!.layers[2]!.open())).toEqual(tar)
  })

  it.each(['gzip', 'zstd'] as const)('has layers as they were pulled: %s', async compression => {
    const compressed = await layerOf(layer, compression)
    const bytes = await bytesOf(compressed.open())
    for (const path of [`blobs/sha256/${hexOf(compressed.digest)}`, 'layer.tar']) {
      const image = await pull({
        [path]: bytes,
        'config.json': await config([layer]),
        'manifest.json': manifest('config.json', [path]),
      })
      const { diffId, digest, size, mediaType } = compressed
      expect(image?.layers[0]).toMatchObject({ diffId, digest, size, mediaType })
    }
  })

  it('is found by the name that any tool gives it', async () => {
    const entries = async (tags: string[]) => ({
      'l.tar': await tarOf(layer),
      'config.json': await config([layer]),
      'manifest.json': manifest('config.json', ['l.tar'], tags),
    })
    for (const tag of ['hello:latest', 'docker.io/library/hello:latest', 'index.docker.io/library/hello:latest']) {
      for (const name of ['hello', 'docker.io/library/hello:latest', '']) {
        expect(await pull(await entries([tag]), name)).toBeDefined()
      }
    }
    expect(await pull(await entries(['localhost/hello:latest']))).toBeUndefined()
    expect(await pull(await entries(['<none>:<none>']))).toBeUndefined()
  })

  it.each<[string, TarLiteral, RegExp]>([
    ['no list', { 'manifest.json': '{}' }, /not a list/],
    ['not JSON', { 'manifest.json': 'x' }, /not JSON/],
    ['of other types', { 'manifest.json': '[{"Config":1}]' }, /that are strings/],
    ['null', { 'manifest.json': '[null]' }, /that are strings/],
    ['without a config', { 'manifest.json': manifest('c', []) }, /names "c", which is not in/],
    ['above its directory', { 'manifest.json': manifest('../../etc/passwd', []) }, /not in the archive/],
    [
      'a link to a host file',
      { 'manifest.json': manifest('c', []), c: { type: 'symlink', linkname: '/etc/passwd' } },
      /not in/,
    ],
    ['a link to itself', { 'manifest.json': manifest('c', []), c: { type: 'symlink', linkname: 'c' } }, /not in/],
    ['a device', { 'manifest.json': { type: 'character-device' } }, /is a device/],
  ])('P03 T06 T08 T13 is refused when its manifest.json is %s', async (_what, entries, message) => {
    await expect(pull(entries)).rejects.toThrow(message)
  })

  it('R36 is refused when layers and diff_ids do not match', async () => {
    const entries = { c: await config([layer]), 'manifest.json': manifest('c', []) }
    await expect(pull(entries)).rejects.toThrow('0 layers, but the config has 1')
  })

  it('says that it is an OCI archive instead', async () => {
    await expect(pull({ 'oci-layout': '{}' })).rejects.toMatchObject({
      fix: expect.stringContaining('oci-archive:') as string,
    })
  })

  it('is written with the names that Docker and Podman agree on', async () => {
    const dir = await temporaryDirectory()
    const file = join(dir, 'a.tar')
    const store = dockerArchive(file, dir)
    const layers = [await store.putLayer(await layerOf(layer, 'gzip')), await store.putLayer(sourceOf({ '/b': 'b' }))]
    const image = makeImage(configOf(), layers)
    const published = await store.putImage(image, ['index.docker.io/library/hello:v1', 'localhost:5000/x'])
    expect(published.names).toEqual(['docker.io/library/hello:v1', 'localhost:5000/x:latest'])
    const files = await readTarFiles(file)
    expect(JSON.parse(files.get('manifest.json')!.toString())).toEqual([
      {
        Config: `${hexOf(image.imageId)}.json`,
        RepoTags: ['docker.io/library/hello:v1', 'localhost:5000/x:latest'],
        Layers: layers.map(l => `${hexOf(l.diffId)}.tar`),
      },
    ])
    for (const { diffId } of layers) expect(digestOf(files.get(`${hexOf(diffId)}.tar`)!)).toBe(diffId)
    expect(files.get(`${hexOf(image.imageId)}.json`)).toEqual(Buffer.from(image.configBytes))
  })

  it('C03 refuses a layer that is not what its diffID says', async () => {
    const dir = await temporaryDirectory()
    const lying = { ...(await layerOf(layer)), diffId: digestOf('other') }
    await expect(dockerArchive(join(dir, 'a.tar'), dir).putLayer(lying)).rejects.toThrow(digestOf('other'))
  })
})
