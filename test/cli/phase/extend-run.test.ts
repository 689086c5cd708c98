import { existsSync } from 'node:fs'
import { chown, lchown, readFile, readdir, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { gunzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { layoutStore } from '../../../lifecycle/stores/layout/store.ts'
import { hostPlatform } from '../../../lifecycle/stores/settings.ts'
import { readEntries } from '../../helpers/archives.ts'
import type { FakeRegistry } from '../../helpers/registry.ts'
import { type Tree, writeTree } from '../../helpers/tree.ts'
import { extend, isRoot, restoredWith } from './extend-harness.ts'
import { type Machine, addRunImage, stored } from './line.ts'

// Run images that image extensions extend: platform.md, "extender" of the kind `run`, and exporter on what it leaves.

const dockerfile = (body: string): Tree => ({
  'run.Dockerfile': `ARG from=outside\nARG base_image\nFROM \${base_image}\nARG user_id\nARG group_id\nUSER root\n${body}\nUSER \${user_id}:\${group_id}\n`,
})
const rebasable = 'LABEL io.buildpacks.rebasable=true\n'

/** After extender, with some files in the container's image. */
async function extended(...extensions: readonly Tree[]) {
  const place = await restoredWith(...extensions)
  await writeTree(place.m.root, { 'etc/old/file': 'old', 'etc/old/sub/other': 'other', 'etc/kept': 'kept' })
  return { ...place, ...(await extend(place.m, ['-kind', 'run'])) }
}

/** The layers above those of the run image: what each entry is, by its path. */
async function added({ registry }: { registry: FakeRegistry }) {
  const { manifest } = stored(registry, 'app')
  const read = async ({ digest }: { digest: string }) =>
    (await readEntries(gunzipSync(registry.blobs.get(digest) ?? ''))).map(e => [e.name.slice(1), e] as const)
  return Promise.all(manifest.layers.slice(1).map(read))
}

async function exported({ m, image }: { m: Machine; image: string }) {
  const built = await m.run('builder')
  expect(built.status, built.said).toBe(0)
  return m.run('exporter', [image])
}

const onlyImage = async (m: Machine): Promise<string> => {
  const [name = ''] = await readdir(m.path('layers/extended/run'))
  return m.path(`layers/extended/run/${name}`)
}

describe.runIf(isRoot)('extender -kind run', () => {
  it('leaves what the Dockerfiles change as layers on the run image, which exporter takes as the base', async () => {
    const place = await extended({
      ...dockerfile(`ARG tool
ARG from
COPY file ROOT/usr/share/copied
RUN mkdir -p ROOT/opt/tool && echo "$tool $from" >ROOT/opt/tool/version && chmod 4755 ROOT/opt/tool/version
RUN rm -r ROOT/workspace/index.txt ROOT/etc/old && ln -s tool ROOT/opt/link && chown -h 7:8 ROOT/opt/link
RUN touch -d 2001-01-01T00:00:00Z ROOT/opt/tool/unpacked
ENV TOOL=/opt/tool
${rebasable}`),
      'extend-config.toml':
        '[[run.args]]\nname = "tool"\nvalue = "make"\n[[build.args]]\nname = "tool"\nvalue = "no"\n',
      'context.run/file': 'of the context',
    })
    const { m, image, registry, status, said } = place
    expect(status, said).toBe(0)
    expect(said).toContain('Applying run.Dockerfile of a/tool@1.0.0')
    expect(said).not.toContain('ran builder')
    const { status: code, said: printed } = await exported(place)
    expect(code, printed).toBe(0)
    const [run, app] = [stored(registry, 'run'), stored(registry, 'app')]
    expect(app.manifest.layers[0]?.digest).toBe(run.manifest.layers[0]?.digest)
    const [layer = []] = await added(place)
    const fixed = new Date('1980-01-01T00:00:01Z')
    expect(
      layer.map(([path, e]) => [path, e.type, e.mode, e.uid, e.gid, e.mtime, e.content.toString() || e.linkname]),
    ).toEqual([
      ['etc', 'directory', 0o755, 0, 0, fixed, null],
      ['etc/.wh.old', 'file', 0o644, 0, 0, fixed, null],
      ['opt', 'directory', 0o755, 0, 0, fixed, null],
      ['opt/link', 'symlink', 0o777, 7, 8, fixed, 'tool'],
      ['opt/tool', 'directory', 0o755, 0, 0, fixed, null],
      ['opt/tool/unpacked', 'file', 0o644, 0, 0, new Date('2001-01-01T00:00:00Z'), null],
      ['opt/tool/version', 'file', 0o4755, 0, 0, fixed, 'make outside\n'],
      ['usr', 'directory', 0o755, 0, 0, fixed, null],
      ['usr/share', 'directory', 0o755, 0, 0, fixed, null],
      ['usr/share/copied', 'file', 0o644, 0, 0, fixed, 'of the context'],
    ])
    expect(app.config.config).toMatchObject({ User: '1001:0', Labels: { 'io.buildpacks.rebasable': 'true' } })
    expect(app.config.config?.Env).toContain('TOOL=/opt/tool')
    expect(app.config.history?.slice(0, 2).map(h => h.created_by)).toEqual([
      'debian',
      "Layer: 'run.Dockerfile', Created by extension: a/tool@1.0.0",
    ])
    expect(app.label('lifecycle.metadata')).toMatchObject({ runImage: { topLayer: run.config.rootfs.diff_ids[0] } })

    await addRunImage(registry, 'newer')
    const rebased = await m.run('rebaser', ['-force', '-run-image', `${registry.host}/newer`, image])
    expect(rebased.status, rebased.said).toBe(0)
    const after = stored(registry, 'app').manifest.layers.map(({ digest }) => digest)
    expect(after[0]).toBe(stored(registry, 'newer').manifest.layers[0]?.digest)
    expect(after.slice(1)).toEqual(app.manifest.layers.slice(1).map(({ digest }) => digest))
  })

  it('makes a layer for each Dockerfile that changes files, and all of them say whether it can be rebased', async () => {
    const place = await extended(
      dockerfile(`RUN echo a >ROOT/etc/a\n${rebasable}`),
      dockerfile('ENV B=b'),
      dockerfile(`RUN echo "$B" >>ROOT/etc/a && echo c >ROOT/etc/c\n${rebasable}`),
    )
    expect(place.status, place.said).toBe(0)
    expect((await exported(place)).status).toBe(0)
    const layers = (await added(place)).slice(0, 2)
    expect(layers.map(layer => layer.map(([path, e]) => [path, e.content.toString()]))).toEqual([
      [
        ['etc', ''],
        ['etc/a', 'a\n'],
      ],
      [
        ['etc', ''],
        ['etc/a', 'a\nb\n'],
        ['etc/c', 'c\n'],
      ],
    ])
    expect(stored(place.registry, 'app').label('rebasable')).toBe(false)
  })

  it('makes a layer of what only removes a file at the top', async () => {
    const place = await extended(dockerfile('RUN rm -f ROOT/order.toml'))
    expect((await exported(place)).status).toBe(0)
    expect((await added(place))[0]?.map(([path]) => path)).toEqual(['.wh.order.toml'])
  })

  it('makes the same layer at another time', async () => {
    const layers = async () => {
      const { m } = await extended(
        dockerfile('RUN mkdir ROOT/opt && echo a >ROOT/opt/a && ln ROOT/opt/a ROOT/opt/b'),
        dockerfile('RUN chmod 600 ROOT/opt/a'),
      )
      const image = await layoutStore(await onlyImage(m)).pull('', hostPlatform())
      return image?.layers.slice(1).map(({ digest }) => digest)
    }
    const first = await layers()
    expect(first).toHaveLength(2)
    await setTimeout(1100)
    expect(await layers()).toEqual(first)
  })

  it('fails where the run image would run as root', async () => {
    const { status, said, m } = await extended({ 'run.Dockerfile': 'ARG base_image\nFROM ${base_image}\nUSER root\n' })
    expect([status, said]).toEqual([102, expect.stringContaining('leave root as the user of the run image')])
    expect(await readdir(m.path('layers/extended/run'))).toEqual(['unfinished'])
  })

  it('says that there is nothing to extend, or that Dockerfiles are missing', async () => {
    const { m } = await restoredWith({ 'build.Dockerfile': 'ARG base_image\nFROM ${base_image}\n' })
    expect(await extend(m, ['-kind', 'run'])).toEqual({
      status: 0,
      said: expect.stringContaining('No image extension changes the run image') as string,
    })
    expect(existsSync(m.path('layers/extended'))).toBe(false)
    const other = await restoredWith(dockerfile('RUN true'))
    await rm(other.m.path('layers/generated'), { recursive: true })
    expect(await extend(other.m, ['-kind', 'run'])).toEqual({
      status: 102,
      said: expect.stringContaining('there is no run.Dockerfile') as string,
    })
  })
})

describe.runIf(isRoot)('exporter on an extended run image', () => {
  it('K23 refuses one that a buildpack has left or changed', async () => {
    const place = await extended(dockerfile('RUN echo a >ROOT/etc/a'))
    const dir = await onlyImage(place.m)
    const [blob = ''] = await readdir(join(dir, 'blobs/sha256'))
    await chown(join(dir, 'blobs/sha256', blob), 1000, 1000)
    expect(await exported(place)).toMatchObject({
      status: 1,
      said: expect.stringContaining('it belongs to user 1000, but extender gives it to root') as string,
    })
  })

  it('K23 goes through no link of a buildpack', async () => {
    const place = await extended(dockerfile('RUN echo a >ROOT/etc/a'))
    const dir = await onlyImage(place.m)
    for (const name of ['x', 'y']) {
      await symlink('.', join(dir, name))
      await lchown(join(dir, name), 1000, 1000)
    }
    expect(await exported(place)).toMatchObject({
      status: 1,
      said: expect.stringContaining('/x; it belongs to user 1000') as string,
    })
  })

  it('refuses one whose files are not what their digests say, and one of another run image', async () => {
    const place = await extended(dockerfile('RUN echo a >ROOT/etc/a'))
    const dir = await onlyImage(place.m)
    const index = join(dir, 'index.json')
    await rename(dir, `${dir.slice(0, -1)}${dir.endsWith('0') ? '1' : '0'}`)
    expect(await exported(place)).toMatchObject({
      status: 1,
      said: expect.stringContaining('it does not extend the run image') as string,
    })
    await rename(`${dir.slice(0, -1)}${dir.endsWith('0') ? '1' : '0'}`, dir)
    const content = await readFile(index, 'utf8')
    await writeFile(
      index,
      content.replace(/sha256:[0-9a-f]/, digest => `${digest.slice(0, -1)}${digest.endsWith('0') ? '1' : '0'}`),
    )
    expect((await exported(place)).status).toBe(1)
  })
})
