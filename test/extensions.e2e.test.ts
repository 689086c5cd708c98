import { spawnSync } from 'node:child_process'
import { chmod, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { findSubordinateIds } from '../lifecycle/engines/subordinate.ts'
import type { Image } from '../lifecycle/image/image.ts'
import { layoutStore } from '../lifecycle/stores/layout/store.ts'
import { hostPlatform } from '../lifecycle/stores/settings.ts'
import { readEntries } from './helpers/archives.ts'
import { bale, inspect } from './helpers/bale.ts'
import { builderMetadata, makeBuilderImage, makeRunImage, shellBuildpack } from './helpers/builder-images.ts'
import { bytesOf } from './helpers/images.ts'
import { processesWith, uniqueWord } from './helpers/processes.ts'
import { startRegistry } from './helpers/registry.ts'
import { type Available, suiteWith } from './helpers/skip.ts'
import { temporaryDirectory } from './helpers/temporary.ts'
import { type Tree, writeTree } from './helpers/tree.ts'
import { userWithIds } from './helpers/user.ts'

// `bale build` with a builder whose image extensions change the build image and the run image.

const isRoot = process.geteuid?.() === 0
let base: string
let runImage: string
beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), 'bale-extensions-'))
  await chmod(base, 0o755)
  runImage = await makeRunImage(base)
})
afterAll(() => rm(base, { recursive: true, force: true }))

const canExtend: Available<true> = await findSubordinateIds().then(
  () => ({ state: 'available', value: true }),
  (error: Error) => ({ state: 'missing', reason: error.message }),
)

const dockerfile = (...lines: string[]): string => ['ARG base_image', 'FROM ${base_image}', ...lines, ''].join('\n')
const asRoot = (...lines: string[]): string =>
  dockerfile('ARG user_id', 'ARG group_id', 'USER root', ...lines, 'USER ${user_id}:${group_id}')

/** A builder with one buildpack, and image extensions whose output is ready-made. */
async function makeBuilder(build: string, ...extensions: readonly Tree[]): Promise<string> {
  const files = extensions.flatMap((tree, n) => [
    [`${n}/1.0.0/extension.toml`, `api = "0.10"\n[extension]\nid = "acme/${n}"\nversion = "1.0.0"\n`] as const,
    ...Object.entries(tree).map(([path, entry]) => [`${n}/1.0.0/generate/${path}`, entry] as const),
  ])
  const order = extensions.map((_, n) => `[[order-extensions.group]]\nid = "acme/${n}"\nversion = "1.0.0"\n`).join('')
  const dir = await temporaryDirectory()
  await chmod(dir, 0o755)
  return makeBuilderImage(dir, {
    layers: [
      {
        ...shellBuildpack('acme/app', '1.0.0', {
          build: `set -e; ${build}
printf '[[processes]]\\ntype = "web"\\ncommand = ["sh", "run.sh"]\\ndefault = true\\n' > "$1/launch.toml"`,
        }),
        ...Object.fromEntries(files.map(([path, entry]) => [`cnb/extensions/acme_${path}`, entry])),
        'cnb/order.toml': `[[order]]\n[[order.group]]\nid = "acme/app"\nversion = "1.0.0"\n[[order-extensions]]\n${order}`,
      },
    ],
    labels: { 'io.buildpacks.builder.metadata': builderMetadata() },
  })
}

interface Build {
  readonly script?: string
  /** Further files of the source. */
  readonly source?: Tree
  readonly image?: string
  readonly args?: readonly string[]
  readonly prefix?: readonly string[]
}

async function build(
  builder: string,
  { script = 'true', source = {}, image = 'bale-test-extended', args = [], prefix }: Build = {},
) {
  const dir = await temporaryDirectory()
  await writeTree(dir, { 'run.sh': script, ...source })
  await chmod(dir, 0o755)
  const words = ['build', image, '--builder', builder, '--run-image', runImage, '--path', dir, ...args]
  return bale(words, prefix && { prefix })
}

/** The entries of the layers that an image has above the run image's, without Bale's own. */
async function extensionLayers(dir: string): Promise<Record<string, string>[]> {
  const image = (await layoutStore(dir).pull('latest', hostPlatform())) as Image
  const history = image.config.history ?? []
  const made = image.layers.filter((_, n) => history[n]?.created_by?.includes('run.Dockerfile'))
  return Promise.all(
    made.map(async layer => {
      const entries = await readEntries(gunzipSync(await bytesOf(layer.open())))
      return Object.fromEntries(entries.map(e => [e.name, `${e.uid}:${e.gid} ${((e.mode ?? 0) & 0o7777).toString(8)}`]))
    }),
  )
}

const tool = {
  'build.Dockerfile': asRoot(
    'COPY tool /opt/tool/bin/tool',
    'RUN chmod 755 /opt/tool/bin/tool && chown 7:8 /opt/tool/bin/tool && rm /etc/os-release',
    'ENV PATH=/opt/tool/bin:/usr/bin:/bin',
  ),
  'run.Dockerfile': asRoot(
    'RUN mkdir -p /srv/data && echo secret >/srv/data/of-cnb && chown 1234:5678 /srv/data/of-cnb && chmod 600 /srv/data/of-cnb',
    'RUN echo other >/srv/data/of-other && chown 9:10 /srv/data/of-other && rm /etc/run-image',
    'LABEL io.buildpacks.rebasable=true',
  ),
  'context.build/tool': { script: 'echo installed by an extension' },
}

suiteWith('a builder with image extensions', canExtend, () => {
  it('builds in the extended build image, and on the extended run image, whose files have their owners', async () => {
    const builder = await makeBuilder('tool; id -u; ls /etc/os-release || echo it is gone', tool)
    const dir = await temporaryDirectory()
    const built = await build(builder, { image: `oci:${dir}:latest`, args: ['--network', 'none'] })
    expect(built.code, built.output).toBe(0)
    expect(built.output).toMatch(/installed by an extension\n[\s\S]*1234\n[\s\S]*it is gone/)
    const [layer, ...others] = await extensionLayers(dir)
    expect(others).toEqual([])
    expect(layer).toMatchObject({
      '/srv/data/of-cnb': '1234:5678 600',
      '/srv/data/of-other': '9:10 644',
      '/etc/.wh.run-image': '0:0 644',
      '/srv': '0:0 755',
    })
    const image = await layoutStore(dir).pull('latest', hostPlatform())
    expect(image?.config.config?.Labels).toMatchObject({ 'io.buildpacks.rebasable': 'true' })
    expect(image?.config.config?.User).toBe('1234:5678')
  })

  it('are in a plan, with the images that their Dockerfiles change', async () => {
    const builder = await makeBuilder('true', tool)
    const dir = await temporaryDirectory()
    await writeTree(dir, { 'run.sh': 'true' })
    const words = ['plan', 'bale-test-extended', '--builder', builder, '--run-image', runImage, '--path', dir]
    const planned = JSON.parse((await bale([...words, '--output', 'json'])).stdout) as object
    expect(planned).toMatchObject({ extensions: [{ id: 'acme/0', version: '1.0.0' }], extended: ['build', 'run'] })
    const { stdout } = await bale(words)
    expect(stdout).toMatch(
      /Extensions +acme\/0@1\.0\.0\n +their Dockerfiles change the build image and the run image\n/,
    )
  })

  it('runs the app on what run.Dockerfiles have installed', async () => {
    const builder = await makeBuilder('true', tool)
    const built = await build(builder, { script: 'cat /srv/data/*; ls /etc/run-image' })
    expect(built.code, built.output).toBe(0)
    expect((await bale(['run', 'bale-test-extended'])).stdout).toBe('secret\nother\n')
  })

  it('takes the extensions of --extension in place of those of the builder', async () => {
    const dir = await temporaryDirectory()
    await writeTree(dir, {
      'extension.toml': 'api = "0.10"\n[extension]\nid = "acme/given"\nversion = "1.0.0"\n',
      ...Object.fromEntries(Object.entries(tool).map(([path, entry]) => [`generate/${path}`, entry])),
    })
    await chmod(dir, 0o755)
    const builder = await makeBuilder('tool', { 'build.Dockerfile': asRoot('RUN exit 9') })
    const built = await build(builder, { args: ['--extension', dir] })
    expect(built.code, built.output).toBe(0)
    expect(built.output).toContain('installed by an extension')
    expect(built.output).toContain('acme/given@1.0.0')
    expect(built.output).not.toContain('acme/0')
  })

  it('extends again only if Dockerfiles or copied files have changed, or with --clear-cache', async () => {
    const extended = /RUN mkdir -p/
    const builder = await makeBuilder('tool', tool)
    const first = await build(builder, { args: ['--clear-cache'] })
    expect(first.output).toMatch(extended)
    const second = await build(builder)
    expect(second.code, second.output).toBe(0)
    expect(second.output).not.toMatch(extended)
    expect(second.output).toContain('installed by an extension')
    const changed = { ...tool, 'context.build/tool': { script: 'echo installed anew' } }
    const third = await build(await makeBuilder('tool', changed))
    expect(third.output).toContain('installed anew')
    expect((await build(builder, { args: ['--clear-cache'] })).output).toMatch(extended)
  })

  it('extends again if the source has changed that RUN reads, and shows it to no other RUN', async () => {
    const reading = await makeBuilder('cat /etc/wanted', {
      'build.Dockerfile': asRoot('RUN cp /workspace/wanted /etc/wanted'),
    })
    expect((await build(reading, { source: { wanted: 'jq of one app\n' } })).output).toContain('jq of one app')
    expect((await build(reading, { source: { wanted: 'curl of another\n' } })).output).toContain('curl of another')
    const look = 'RUN ls -R /w* | grep -x wanted && exit 9; echo /layers/*'
    const looking = await makeBuilder('true', { 'build.Dockerfile': asRoot(look) })
    const looked = await build(looking, { source: { wanted: 'jq' } })
    expect(looked.code, looked.output).toBe(0)
    expect(looked.output).toContain('/layers/generated /layers/group.toml')
    expect((await build(looking, { source: { wanted: 'curl' } })).output).toContain('extended as in an earlier build')
  })

  it('RUN can replace the certificate authorities of the image, and finds those of this machine by variables', async () => {
    const [at, own] = ['/etc/ssl/certs/ca-certificates.crt', 'of a package']
    const install = `mkdir -p /etc/ssl/certs && echo ${own} >/etc/new && mv /etc/new ${at}`
    const builder = await makeBuilder('true', {
      'build.Dockerfile': asRoot(`RUN ${install} && grep -q CERTIFICATE "$SSL_CERT_FILE" && cat "$APT_CONFIG"`),
      'run.Dockerfile': asRoot(`RUN ${install}`),
    })
    const dir = await temporaryDirectory()
    const built = await build(builder, { image: `oci:${dir}:latest` })
    expect(built.code, built.output).toBe(0)
    expect(built.output).toContain('Acquire::https::CaInfo "/kaniko/ca-certificates.crt";')
    expect((await extensionLayers(dir))[0]).toHaveProperty([at], '0:0 644')
  })

  it('publishes no secret that a run.Dockerfile has copied from the source, which the buildpack cleans', async () => {
    const secret = join(base, 'token')
    await writeFile(secret, 'hunter2-of-the-test')
    const builder = await makeBuilder('rm notes', { 'run.Dockerfile': asRoot('COPY notes /srv/notes') })
    const source = { notes: 'the token is hunter2-of-the-test\n' }
    const built = await build(builder, { source, args: ['--secret', `id=token,src=${secret}`] })
    expect(built.code).not.toBe(0)
    expect(built.stderr).toContain('/srv/notes: it contains the secret token')
  })

  it('says which instruction fails, and builds nothing', async () => {
    const built = await build(await makeBuilder('echo never', { 'build.Dockerfile': asRoot('RUN exit 3') }))
    expect(built.code).not.toBe(0)
    expect(built.stderr).toContain('build.Dockerfile of acme/0@1.0.0:6: RUN ended with 3')
    expect(built.output).not.toContain('never')
  })

  it('X52 gives RUN no file, process, device or credential of this machine, and its setuid files and processes lead nowhere', async () => {
    const word = uniqueWord()
    const secret = join(base, 'secret')
    await writeFile(secret, 'of the host')
    const attack = [
      `RUN ls ${secret} ${userInfo().homedir}/.docker /run/docker.sock && exit 9; true`,
      'RUN mknod /dev-node b 8 0 && exit 9; mknod /etc/node c 0 0 && exit 9; true',
      'RUN mkdir /x; mount -t tmpfs x /x && exit 9; ls /proc/1/root && exit 9; echo 1 >/proc/sys/kernel/core_pattern && exit 9; true',
      `RUN sleep ${word} & cp /bin/sh /usr/bin/owned && chmod 4755 /usr/bin/owned`,
      'RUN touch /workspace/run.sh && exit 9; touch /layers/x && exit 9; touch /cnb/lifecycle/x && exit 9; true',
    ]
    const builder = await makeBuilder('stat -c "mode %a" /usr/bin/owned; /usr/bin/owned -p -c "id -u"', {
      'build.Dockerfile': asRoot(...attack),
      'run.Dockerfile': asRoot(...attack.slice(0, 4)),
    })
    const dir = await temporaryDirectory()
    const built = await build(builder, { image: `oci:${dir}:latest` })
    expect(built.code, built.output).toBe(0)
    expect(built.output).toMatch(/mode 755\n\s*1234\n/)
    expect(await processesWith(word)).toEqual([])
    // What root of an image installs is the image's, as in a Dockerfile.
    expect((await extensionLayers(dir))[0]).toMatchObject({ '/usr/bin/owned': '0:0 4755' })
  })
})

describe('an image extension that selects a run image', () => {
  it('has the app on that image, without any namespace', async () => {
    const registry = await startRegistry()
    const other = await temporaryDirectory()
    await makeRunImage(other, { 'io.buildpacks.base.distro.name': 'selected' })
    const image = (await layoutStore(join(other, 'run')).pull('latest', hostPlatform())) as Image
    for (const layer of image.layers) registry.addBlob('selected', await bytesOf(layer.open()))
    registry.addBlob('selected', image.configBytes)
    registry.addManifest('selected', 'latest', image.manifest.mediaType, Buffer.from(image.manifestBytes).toString())
    const name = `${registry.host}/selected`
    const builder = await makeBuilder('true', { 'run.Dockerfile': `FROM ${name}\n` })
    const built = await build(builder)
    expect(built.code, built.output).toBe(0)
    expect(built.output).toContain(`selects the run image ${name}`)
    expect((await inspect('bale-test-extended')).base.name).toBe(name)
    const replacing = await build(builder, { image: `docker://${name}` })
    expect(replacing.code).not.toBe(0)
    expect(replacing.stderr).toContain('and would replace it')
  })
})

const canBecome: Available<true> =
  isRoot && spawnSync('sh', ['-c', 'command -v newuidmap setpriv']).status === 0
    ? { state: 'available', value: true }
    : { state: 'missing', reason: 'only root can become another user, with newuidmap' }

suiteWith('an ordinary user', canBecome, () => {
  it('with subordinate ids extends images, and no file of theirs stays', async () => {
    const prefix = await userWithIds('baletest:300000:65536\n')
    const builder = await makeBuilder('tool', tool)
    const script = 'cat /srv/data/*'
    const built = await build(builder, { script, prefix })
    expect(built.code, built.output).toBe(0)
    expect(built.output).toContain('installed by an extension')
    expect((await bale(['run', 'bale-test-extended'], { prefix })).stdout).toBe('secret\nother\n')
    const home = join(prefix.at(-1) as string, 'home')
    expect(await readdir(join(home, '.cache/bale/work'))).toEqual([])
    const foreign = spawnSync('find', [home, '!', '-user', '54321'], { encoding: 'utf8' })
    expect(foreign.stdout).toBe('')
  })

  it('without subordinate ids gets an error that says how to have them', async () => {
    const prefix = await userWithIds('')
    const built = await build(await makeBuilder('tool', tool), { prefix })
    expect(built.code).not.toBe(0)
    expect(built.stderr).toContain('your user has fewer than 65535 subordinate ids in /etc/subuid')
    expect(built.stderr).toContain('usermod --add-subuids')
  })
})
