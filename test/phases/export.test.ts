import { readFile, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { BaleError } from '../../lifecycle/errors.ts'
import { failureOf } from '../helpers/failure.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { entriesOf, filesOf, labelsOf, layerWith, openProject, rebuild } from './rebuild.ts'

const open = async () => openProject(await temporaryDirectory())

/** A line of bin/build: a layer with a file, these types, and perhaps an SBOM of its own. */
const layer = (name: string, types: string, content = name): string =>
  `mkdir -p "$1/${name}"; printf '%s' "${content}" > "$1/${name}/file"; ${toml(name, types)}; echo '{"of":"${name}"}' > "$1/${name}.sbom.cdx.json"`
const toml = (name: string, types: string, metadata = 'v = "1"'): string =>
  `printf '[types]\\n${types
    .split(' ')
    .filter(Boolean)
    .map(t => `${t} = true\\n`)
    .join('')}[metadata]\\n${metadata}\\n' > "$1/${name}.toml"`
const process = (type: string, more = ''): string =>
  `printf '[[processes]]\\ntype = "${type}"\\ncommand = ["run"]\\n${more}' >> "$1/launch.toml"`

const types = ['', 'build', 'cache', 'build cache', 'launch', 'launch build', 'launch cache', 'launch build cache']
const nameOf = (t: string): string => `l-${t.replaceAll(' ', '-')}`

describe('launch layers', () => {
  it('are in the image exactly when they are for launch, at their absolute paths, with their metadata', async () => {
    const { image, label } = await rebuild(await open(), { 'a/one': types.map(t => layer(nameOf(t), t)).join('\n') })
    const files = await filesOf(image)
    for (const t of types) expect(files.has(`/layers/a_one/${nameOf(t)}/file`), t).toBe(t.includes('launch'))
    const records = label.buildpacks[0]?.layers ?? {}
    expect(Object.keys(records)).toEqual(['l-launch', 'l-launch-build', 'l-launch-build-cache', 'l-launch-cache'])
    for (const [name, record] of Object.entries(records)) {
      expect(record).toMatchObject({ launch: true, data: { v: '1' }, build: name.includes('build') })
      expect([...(await entriesOf(layerWith(image, record.sha))).keys()]).toContain(`/layers/a_one/${name}/file`)
    }
  })

  it('are built anew where there is a directory: contents, metadata and SBOM of this build', async () => {
    const project = await open()
    await rebuild(project, { one: layer('dep', 'launch', 'old') })
    const second = `${layer('dep', 'launch', 'new')}; ${toml('dep', 'launch', 'v = "2"')}; echo '{"new":1}' > "$1/dep.sbom.cdx.json"`
    const { image, label } = await rebuild(project, { one: second })
    const files = await filesOf(image)
    expect(files.get('/layers/one/dep/file')?.content).toBe('new')
    expect(files.get('/layers/sbom/launch/one/dep/sbom.cdx.json')?.content).toBe('{"new":1}\n')
    expect(label.buildpacks[0]?.layers['dep']?.data).toEqual({ v: '2' })
  })

  it('are reused where there is none, with the metadata and SBOM of this build', async () => {
    const project = await open()
    const first = await rebuild(project, { one: layer('dep', 'launch') })
    const second = await rebuild(project, {
      one: `${toml('dep', 'launch', 'v = "2"')}; echo '{"new":1}' > "$1/dep.sbom.cdx.json"`,
    })
    const [before, after] = [first, second].map(b => b.label.buildpacks[0]?.layers['dep'])
    expect(after).toEqual({ ...before, data: { v: '2' } })
    const files = await filesOf(second.image)
    expect(files.get('/layers/one/dep/file')?.content).toBe('dep')
    expect(files.get('/layers/sbom/launch/one/dep/sbom.cdx.json')?.content).toBe('{"new":1}\n')
    expect(second.events).toContainEqual(expect.objectContaining({ type: 'layer', action: 'reused', name: 'one:dep' }))
  })

  it('D12 that no build made fail the export', async () => {
    const project = await open()
    await rebuild(project, { one: layer('other', 'launch') })
    for (const script of [toml('dep', 'launch'), `${toml('other', 'launch cache')}; rm -rf "$1/other"`]) {
      const error = (await failureOf(rebuild(project, { one: script }))) as BaleError
      expect(error.message).toMatch(/^the layer one:\w+ is a launch layer, but it has no directory/)
    }
  })

  it('X23 are the same with a link beside them that is called like a file of the Go lifecycle, and it is not followed', async () => {
    const project = await open()
    const script = layer('dep', 'launch')
    const { image } = await rebuild(project, { one: script })
    const planted = `ln -s /etc/passwd "$1/dep.sha"; ln -s /etc/passwd "$1/dep.sbom.other.json"`
    const again = await rebuild(project, { one: `${script}; ${planted}` })
    expect(again.image.digest).toBe(image.digest)
  })

  it('are gone when their buildpack no longer says launch, or deletes the file', async () => {
    const project = await open()
    const first = `${layer('kept', 'launch')}; ${layer('unset', 'launch')}; ${layer('deleted', 'launch')}`
    await rebuild(project, { one: first })
    const second = `${toml('kept', 'launch')}; ${toml('unset', '')}; rm "$1/deleted.toml"`
    const { image, label } = await rebuild(project, { one: second })
    expect(Object.keys(label.buildpacks[0]?.layers ?? {})).toEqual(['kept'])
    const paths = [...(await filesOf(image)).keys()].filter(p => p.endsWith('/file'))
    expect(paths).toEqual(['/layers/one/kept/file'])
  })
})

describe('SBOM files', () => {
  const script = `${layer('app', 'launch')}; ${layer('tools', 'build')}; ${layer('kept', 'cache')}
echo '{"l":1}' > "$1/launch.sbom.spdx.json"; echo '{"b":1}' > "$1/build.sbom.syft.json"`

  it('for launch are a layer of the image', async () => {
    const { image, label } = await rebuild(await open(), { 'a/one': script })
    const sbom = await entriesOf(layerWith(image, label.sbom?.sha))
    expect([...sbom].filter(([, e]) => e.type === 'file').map(([path, e]) => [path, e.content])).toEqual([
      ['/layers/sbom/launch/a_one/app/sbom.cdx.json', '{"of":"app"}\n'],
      ['/layers/sbom/launch/a_one/sbom.spdx.json', '{"l":1}\n'],
    ])
  })

  it('leaves out SBOM files of other formats', async () => {
    const other = `${layer('app', 'launch')}; rm "$1"/app.sbom.*; echo x > "$1/app.sbom.xml"; echo x > "$1/launch.sbom.json"`
    const { layers, label } = await rebuild(await open(), { one: other })
    expect(label.sbom).toBeUndefined()
    expect(await readdir(layers)).not.toContain('sbom')
  })

  it('for build are in the layers directory', async () => {
    const { layers } = await rebuild(await open(), { 'a/one': script })
    const names = await readdir(join(layers, 'sbom/build'), { recursive: true })
    expect(names.filter(n => n.endsWith('.json')).sort()).toEqual([
      'a_one/kept/sbom.cdx.json',
      'a_one/sbom.syft.json',
      'a_one/tools/sbom.cdx.json',
    ])
    expect(await readFile(join(layers, 'sbom/build/a_one/tools/sbom.cdx.json'), 'utf8')).toBe('{"of":"tools"}\n')
  })
})

describe('the app', () => {
  const app = { 'static/a.css': 'a', 'static/b.css': 'b', 'data/x': 'x', 'main.js': 'main' }
  const slice = (...paths: string[]): string =>
    `printf '[[slices]]\\npaths = ${JSON.stringify(paths).replaceAll('"', '\\"')}\\n' >> "$1/launch.toml"`.replaceAll(
      '\\"',
      '"',
    )

  it('is one layer without slices, at its absolute path', async () => {
    const { image, label } = await rebuild(await open(), { one: 'true' }, { app })
    expect(label.app).toHaveLength(1)
    const entries = await entriesOf(layerWith(image, label.app[0]?.sha))
    expect(entries.get('/workspace/static/a.css')?.content).toBe('a')
  })

  it('is a layer for each slice, those of earlier buildpacks first, and one for the rest', async () => {
    const scripts = { one: slice('static/*.css'), two: `${slice('static')}; ${slice('none')}` }
    const { image, label } = await rebuild(await open(), scripts, { app })
    const contents = []
    for (const { sha } of label.app) {
      const entries = await entriesOf(layerWith(image, sha))
      contents.push([...entries].filter(([, e]) => e.type === 'file').map(([path]) => path))
    }
    expect(contents).toEqual([
      ['/workspace/static/a.css', '/workspace/static/b.css'],
      [],
      [],
      ['/workspace/data/x', '/workspace/main.js'],
    ])
  })
})

describe('the image', () => {
  const web = process('web', 'default = true\\n')

  it('is the run image with the launcher, its config and a link for each process type above it', async () => {
    const project = await open()
    const { image, label } = await rebuild(project, { one: `${layer('dep', 'launch')}; ${web}; ${process('worker')}` })
    expect(image.layers[0]?.diffId).toBe(project.runImage.layers[0]?.diffId)
    const launcher = await entriesOf(layerWith(image, label.launcher?.sha))
    expect(launcher.get('/cnb/lifecycle/launcher')).toMatchObject({
      content: 'the launcher',
      mode: 0o755,
      owner: '0:0',
    })
    const links = await entriesOf(layerWith(image, label.processTypes?.sha))
    for (const type of ['web', 'worker'])
      expect(links.get(`/cnb/process/${type}`)).toMatchObject({ type: 'symlink', link: '/cnb/lifecycle/launcher' })
    const config = await entriesOf(layerWith(image, label.config?.sha))
    expect(config.get('/layers/config/metadata.toml')?.content).toContain('type = "worker"')
    expect(config.get('/layers/config/metadata.toml')?.content).toContain('id = "one"')
  })

  it('has a combined list of processes, in which later buildpacks win', async () => {
    const later = process('web', 'args = ["later"]\\n')
    const { image } = await rebuild(await open(), { one: `${web}; ${process('worker')}`, two: later })
    const { processes, buildpacks } = JSON.parse(labelsOf(image)['io.buildpacks.build.metadata'] ?? '') as {
      processes: { type: string; buildpackID: string }[]
      buildpacks: { id: string }[]
    }
    expect(processes.map(p => [p.type, p.buildpackID])).toEqual([
      ['web', 'two'],
      ['worker', 'one'],
    ])
    expect(buildpacks.map(b => b.id)).toEqual(['one', 'two'])
  })

  it.each([
    ['the wanted process', 'worker', web, '/cnb/process/worker'],
    ['the buildpacks’ default', undefined, web, '/cnb/process/web'],
    ['the launcher where there is none', undefined, process('web'), '/cnb/lifecycle/launcher'],
  ])('starts %s', async (_what, defaultProcess, script, entrypoint) => {
    const wanted = defaultProcess === undefined ? {} : { defaultProcess }
    const { image } = await rebuild(await open(), { one: `${script}; ${process('worker')}` }, wanted)
    expect(image.config.config?.Entrypoint).toEqual([entrypoint])
    expect(image.config.config?.Cmd).toBeUndefined()
  })

  it('is not made for a process that no buildpack provides', async () => {
    const project = await open()
    const error = (await failureOf(rebuild(project, { one: web }, { defaultProcess: 'nope' }))) as BaleError
    expect(error).toMatchObject({ code: 'input', fix: 'choose one of: web' })
    expect(await project.store.pull('app', { os: 'linux', architecture: 'amd64' })).toBeUndefined()
  })

  it('keeps the config of the run image, and says where layers and app are', async () => {
    const { image } = await rebuild(await open(), { one: 'true' })
    const { config } = image.config
    expect(config?.Env).toEqual(
      expect.arrayContaining([
        'LANG=C.UTF-8',
        'CNB_LAYERS_DIR=/layers',
        'CNB_APP_DIR=/workspace',
        'PATH=/cnb/process:/cnb/lifecycle:/usr/bin:/bin',
      ]),
    )
    expect(config).toMatchObject({ User: '1002:1000', StopSignal: 'SIGQUIT', WorkingDir: '/workspace' })
    expect(labelsOf(image)).toMatchObject({ maintainer: 'base', 'io.buildpacks.base.distro.name': 'debian' })
  })

  it('has the labels of the buildpacks, the last of a key', async () => {
    const label = (key: string, value: string): string =>
      `printf '[[labels]]\\nkey = "${key}"\\nvalue = "${value}"\\n' >> "$1/launch.toml"`
    const { image } = await rebuild(await open(), {
      one: `${label('k', '1')}; ${label('only', 'x')}`,
      two: label('k', '2'),
    })
    expect(labelsOf(image)).toMatchObject({ k: '2', only: 'x' })
  })

  it('has the project’s metadata and the run image’s rebasable label', async () => {
    const source = { type: 'git', version: { commit: 'abc' } }
    const { image } = await rebuild(await open(), { one: 'true' }, { project: { source } })
    expect(JSON.parse(labelsOf(image)['io.buildpacks.project.metadata'] ?? '')).toEqual({ source })
    expect(labelsOf(image)['io.buildpacks.rebasable']).toBe('true')
  })

  it('has constant times, so that the same build gives the same image', async () => {
    const script = `${layer('dep', 'launch')}; ${web}`
    const [first, second] = [await rebuild(await open(), { one: script }), await rebuild(await open(), { one: script })]
    expect(second.published).toEqual(first.published)
    expect(first.image.config.created).toBe('1980-01-01T00:00:01Z')
    const times = new Set<string>()
    for (const added of first.image.layers.slice(1))
      for (const e of (await entriesOf(added)).values()) times.add(e.mtime)
    expect([...times]).toEqual(['1980-01-01T00:00:01.000Z'])
    const dated = await rebuild(await open(), { one: script }, { createdEpoch: 1_700_000_000 })
    expect(dated.image.config.created).toBe('2023-11-14T22:13:20Z')
    expect(dated.image.layers.map(l => l.digest)).toEqual(first.image.layers.map(l => l.digest))
  })

  it('is described by the report', async () => {
    const { image, report } = await rebuild(await open(), { one: 'true' })
    expect(report).toEqual({
      tags: ['app'],
      digest: image.digest,
      imageId: image.imageId,
      manifestSize: image.manifestBytes.length,
    })
  })

  it('has one line of history for each layer', async () => {
    const { image } = await rebuild(await open(), { one: `${layer('dep', 'launch')}; ${web}` })
    expect(image.config.history?.map(h => h.created_by)).toEqual([
      undefined,
      "Layer: 'dep', Created by buildpack: one@1.0.0",
      'Software Bill-of-Materials',
      'Application Layer',
      'Buildpacks Application Launcher',
      'Buildpacks Launcher Config',
      'Buildpacks Process Types',
    ])
  })

  it('says of each layer where it came from', async () => {
    const scripts = { 'a/one': `${layer('dep', 'launch cache')}; ${layer('tools', 'build')}`, two: 'true' }
    const { image, label } = await rebuild(await open(), scripts)
    const sha = label.buildpacks[0]?.layers['dep']?.sha
    expect(label.buildpacks).toEqual([
      {
        key: 'a/one',
        version: '1.0.0',
        layers: { dep: { sha, data: { v: '1' }, build: false, launch: true, cache: true } },
      },
      { key: 'two', version: '1.0.0', layers: {} },
    ])
    expect([...(await entriesOf(layerWith(image, sha))).keys()]).toContain('/layers/a_one/dep/file')
  })

  it('says what its run image is', async () => {
    const { runImage } = (await rebuild(await open(), { one: 'true' })).label
    expect(runImage).toMatchObject({
      image: 'r.io/base:1',
      reference: expect.stringMatching(/^r\.io\/base@sha256:/) as string,
    })
    expect(runImage?.topLayer).toMatch(/^sha256:/)
  })
})

describe('ignored layers', () => {
  it('are out of the way of later buildpacks, and in no image', async () => {
    const { layers, image } = await rebuild(await open(), {
      one: layer('tmp', ''),
      two: `ls "$1/../one" > "$1/../seen"`,
    })
    expect((await stat(join(layers, 'one/tmp.ignore'))).isDirectory()).toBe(true)
    expect(await readFile(join(layers, 'seen'), 'utf8')).not.toMatch(/^tmp$/m)
    expect([...(await filesOf(image)).keys()].filter(p => p.includes('tmp'))).toEqual([])
  })
})
