import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { extract } from 'tar-stream'
import { describe, expect, it } from 'vitest'
import { builderImage } from '../../distribution/builder-image.ts'
import { writeOciArchive } from '../../distribution/oci-archive.ts'
import { loadBuilder } from '../../lifecycle/platform/builder.ts'
import { digestOf } from '../../lifecycle/image/digest.ts'
import type { Image } from '../../lifecycle/image/image.ts'
import { layerTar } from '../../lifecycle/layers/layer-tar.ts'
import { parseToml } from '../../lifecycle/spec/toml.ts'
import { ociArchiveStore } from '../../lifecycle/stores/oci-archive/store.ts'
import { baleVersion, lifecycleVersion } from '../../lifecycle/version.ts'
import { bytesOf } from '../helpers/images.ts'
import { file, tar as archive } from '../helpers/tar.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { writeTree } from '../helpers/tree.ts'

const buildpackToml = `api = "0.10"
[buildpack]
id = "acme/go"
version = "1.2.3"
name = "Go"
homepage = "https://acme.test/go"
[[stacks]]
id = "*"
[[targets]]
os = "linux"
arch = "amd64"
`
const compositeToml = `api = "0.10"
[buildpack]
id = "acme/all"
version = "1.0.0"
[[order]]
[[order.group]]
id = "acme/go"
version = "1.2.3"
`
const builderToml = `description = "Ours"
[[buildpacks]]
uri = "go"
[[buildpacks]]
uri = "all"
[[order]]
[[order.group]]
id = "acme/go"
optional = true
[stack]
uri = "stack"
`
const runImage = { image: 'registry.test/run', mirrors: ['mirror.test/run'] }

/** A builder image made of next to nothing, with a buildpack whose program has this mode and a link to it. */
async function make(mode = 0o755, target = 'build'): Promise<{ image: Image }> {
  const dir = await temporaryDirectory()
  await writeTree(dir, {
    'builder.toml': builderToml,
    'go/buildpack.toml': buildpackToml,
    'all/buildpack.toml': compositeToml,
    'go/bin/build': { script: 'exit 0' },
    'go/bin/link': { link: target },
    'linux-amd64/lifecycle/lifecycle': { script: '' },
    'linux-amd64/lifecycle/creator': { link: 'lifecycle' },
    'cli/bale': { script: '' },
    'cli/executor': { link: 'bale' },
  })
  await chmod(join(dir, 'go/bin/build'), mode)
  await chmod(join(dir, 'go/buildpack.toml'), mode & 0o666)
  await mkdir(join(dir, 'out'))
  const content = archive(file('etc/passwd', 'root:x:0:0::/:\n'))
  const tar = join(dir, 'build.tar')
  await writeFile(tar, content)
  const diffId = digestOf(content)
  const base = {
    kind: 'build' as const,
    tar,
    size: content.length,
    diffId,
    packages: [],
    config: {
      architecture: 'amd64',
      os: 'linux',
      config: {
        User: '1000:1000',
        Env: ['PATH=/bin', 'CNB_USER_ID=1000', 'CNB_GROUP_ID=1001', 'CNB_STACK_ID=acme.stack'],
        Labels: { 'io.buildpacks.stack.id': 'acme.stack' },
      },
      rootfs: { type: 'layers' as const, diff_ids: [diffId] },
      history: [{ created: '1980-01-01T00:00:01Z', created_by: 'base' }],
    },
  }
  const builder = await loadBuilder(dir)
  const out = join(dir, 'out', 'builder.tar')
  const plan = builderImage({ folder: join(dir, 'linux-amd64'), cli: join(dir, 'cli'), builder, base, runImage })
  await writeOciArchive(out, 'v1', [plan])
  const store = ociArchiveStore(out, { tmpDir: dir })
  const image = await store.pull('v1', { os: 'linux', architecture: 'amd64' })
  if (image === undefined) throw new Error('there is no image')
  return { image }
}

/** The entries of the added layers, as another reader than ours sees them: type, mode, owner, path and what it links to. */
async function list(image: Image): Promise<{ entries: string[]; files: Map<string, string> }> {
  const entries: string[] = []
  const files = new Map<string, string>()
  for (const layer of image.layers.slice(1)) {
    const reader = extract()
    reader.end(await bytesOf(layerTar(layer)))
    for await (const entry of reader) {
      const { type, mode = 0, uid, gid, name, linkname } = entry.header
      const link = linkname ? ` -> ${linkname}` : ''
      entries.push(`${type} ${mode.toString(8)} ${uid}:${gid} ${name}${link}`)
      files.set(name, (await bytesOf(entry as unknown as AsyncIterable<Uint8Array>)).toString())
    }
  }
  return { entries, files }
}

const label = (image: Image, name: string): unknown =>
  JSON.parse(image.config.config?.Labels?.[`io.buildpacks.${name}`] ?? 'null')

describe('the builder image', () => {
  it('has what phases look for, and belongs to whom they expect', async () => {
    const { image } = await make()
    const { entries, files } = await list(image)
    expect(entries).toEqual([
      'directory 777 1000:1001 /app',
      'directory 755 0:0 /cnb',
      'directory 755 0:0 /cnb/build-config',
      'directory 755 0:0 /cnb/build-config/env',
      'directory 755 0:0 /cnb/buildpacks',
      'directory 755 0:0 /cnb/extensions',
      'directory 777 1000:1001 /home/bale',
      'directory 777 1000:1001 /layers',
      'symlink 777 0:0 /lifecycle -> /cnb/lifecycle',
      'directory 755 0:0 /platform',
      'directory 755 0:0 /platform/env',
      'directory 777 1000:1001 /workspace',
      'directory 755 0:0 /cnb',
      'directory 755 0:0 /cnb/lifecycle',
      'symlink 777 0:0 /cnb/lifecycle/creator -> lifecycle',
      'file 755 0:0 /cnb/lifecycle/lifecycle',
      'directory 755 0:0 /cnb/buildpacks/acme_go',
      'directory 755 0:0 /cnb/buildpacks/acme_go/1.2.3',
      'directory 755 0:0 /cnb/buildpacks/acme_go/1.2.3/bin',
      'file 755 0:0 /cnb/buildpacks/acme_go/1.2.3/bin/build',
      'symlink 777 0:0 /cnb/buildpacks/acme_go/1.2.3/bin/link -> build',
      'file 644 0:0 /cnb/buildpacks/acme_go/1.2.3/buildpack.toml',
      'directory 755 0:0 /cnb/buildpacks/acme_all',
      'directory 755 0:0 /cnb/buildpacks/acme_all/1.0.0',
      'file 644 0:0 /cnb/buildpacks/acme_all/1.0.0/buildpack.toml',
      'file 644 0:0 /cnb/order.toml',
      'file 644 0:0 /cnb/run.toml',
      'file 644 0:0 /cnb/stack.toml',
      'directory 755 0:0 /cnb/bale',
      'file 755 0:0 /cnb/bale/bale',
      'symlink 777 0:0 /cnb/bale/executor -> bale',
      'directory 755 0:0 /kaniko',
      'directory 777 0:0 /kaniko/.docker',
      'symlink 777 0:0 /kaniko/executor -> ../cnb/bale/executor',
      'symlink 777 0:0 /usr/local/bin/bale -> /cnb/bale/bale',
    ])
    const toml = (name: string): unknown => parseToml(files.get(`/cnb/${name}.toml`) ?? '', name)
    expect(toml('order')).toEqual({ order: [{ group: [{ id: 'acme/go', version: '1.2.3', optional: true }] }] })
    expect(toml('run')).toEqual({ images: [runImage] })
    expect(toml('stack')).toEqual({ 'run-image': runImage })
  })

  it('tells platforms by labels', async () => {
    const { image } = await make()
    expect(label(image, 'builder.metadata')).toMatchObject({
      description: 'Ours',
      buildpacks: [
        { id: 'acme/go', version: '1.2.3', name: 'Go', homepage: 'https://acme.test/go' },
        { id: 'acme/all', version: '1.0.0' },
      ],
      extensions: [],
      stack: { runImage },
      images: [runImage],
      lifecycle: { version: lifecycleVersion, api: { buildpack: '0.7', platform: '0.7' } },
      createdBy: { name: 'Bale' },
    })
    expect(label(image, 'buildpack.order')).toEqual([{ group: [{ id: 'acme/go', version: '1.2.3', optional: true }] }])
    expect(label(image, 'extension.layers')).toEqual({})
    expect(label(image, 'buildpack.layers')).toEqual({
      'acme/go': {
        '1.2.3': {
          api: '0.10',
          stacks: [{ id: '*' }],
          targets: [{ os: 'linux', arch: 'amd64' }],
          layerDiffID: image.layers[3]?.diffId,
          homepage: 'https://acme.test/go',
          name: 'Go',
        },
      },
      'acme/all': {
        '1.0.0': {
          api: '0.10',
          order: [{ group: [{ id: 'acme/go', version: '1.2.3' }] }],
          layerDiffID: image.layers[4]?.diffId,
        },
      },
    })
  })

  it('keeps what the build image says, and has a line of history for each layer', async () => {
    const { image } = await make()
    const { User, WorkingDir, Env, Labels, Entrypoint, Volumes } = image.config.config ?? {}
    expect([User, WorkingDir, Env?.[1]]).toEqual(['1000:1000', '/layers', 'CNB_USER_ID=1000'])
    expect(Env?.at(-1)).toBe('HOME=/home/bale')
    // As `image:` of a job: nothing starts by itself, and what a build writes is writable where the root is not.
    expect([Entrypoint, Object.keys(Volumes ?? {})]).toEqual([
      undefined,
      ['/app', '/home/bale', '/layers', '/workspace'],
    ])
    expect(Labels?.['io.buildpacks.stack.id']).toBe('acme.stack')
    expect(image.config.history?.map(({ created_by }) => created_by)).toEqual([
      'base',
      'Directories of a builder',
      `Bale's lifecycle ${lifecycleVersion}`,
      'Buildpack acme/go@1.2.3',
      'Buildpack acme/all@1.0.0',
      'The order of buildpacks, and the run image',
      `Bale ${baleVersion}`,
    ])
    expect(image.layers).toHaveLength(7)
  })

  it('is the same whatever the umask of the checkout was', async () => {
    expect((await make(0o700)).image.digest).toBe((await make(0o755)).image.digest)
  })

  it('takes no link to a place on this machine', async () => {
    await expect(make(0o755, '/etc/passwd')).rejects.toThrow('a link in a buildpack points outside it, to /etc/passwd')
  })
})
