import { chmod, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { Cache } from '../../lifecycle/caches/cache.ts'
import { BaleError } from '../../lifecycle/errors.ts'
import { digestOf } from '../../lifecycle/image/digest.ts'
import { directory, entry, file, hardlink, symlink, tar } from '../helpers/tar.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { openProject, rebuild } from './rebuild.ts'

const open = async () => openProject(await temporaryDirectory())

const layer = (name: string, types: string): string =>
  `mkdir -p "$1/${name}"; echo content > "$1/${name}/file"; echo '{}' > "$1/${name}.sbom.cdx.json"
printf '[types]\\n${types
    .split(' ')
    .filter(Boolean)
    .map(t => `${t} = true\\n`)
    .join('')}[metadata]\\nversion = "1"\\n' > "$1/${name}.toml"`

/** What a second build finds in its directory before it does anything: names, `toml` without types. */
const look = 'ls -R "$1" > "$1/../found"; cat "$1"/*.toml > "$1/../tomls" 2>/dev/null; true'
const found = async (layers: string): Promise<string> => readFile(join(layers, 'found'), 'utf8')

describe('what a rebuild finds (buildpack.md, "Layer Types")', () => {
  it.each([
    ['launch build cache', true, true],
    ['build cache', true, true],
    ['launch build', false, false],
    ['build', false, false],
    ['launch cache', true, true],
    ['cache', true, true],
    ['launch', true, false],
    ['', false, false],
  ])('of a layer for %j: metadata and SBOM %s, contents %s', async (types, metadata, contents) => {
    const project = await open()
    await rebuild(project, { 'a/one': layer('dep', types) })
    const { layers } = await rebuild(project, { 'a/one': look })
    const names = await found(layers)
    expect(/^dep\.toml$/m.test(names)).toBe(metadata)
    expect(/^dep\.sbom\.cdx\.json$/m.test(names)).toBe(metadata)
    expect(/^file$/m.test(names)).toBe(contents)
    if (metadata) {
      const text = await readFile(join(layers, 'tomls'), 'utf8')
      expect(text).toContain('version = "1"')
      expect(text).not.toContain('[types]')
    }
  })

  it('is ignored unless its types are set again', async () => {
    const project = await open()
    await rebuild(project, { one: layer('dep', 'launch build cache') })
    const { label, layers } = await rebuild(project, { one: 'true', two: 'true' })
    expect(label.buildpacks[0]?.layers).toEqual({})
    expect((await stat(join(layers, 'one/dep.ignore'))).isDirectory()).toBe(true)
    const third = await rebuild(project, { one: look })
    expect(await found(third.layers)).not.toContain('dep')
  })

  it('has no SBOM that is not of a layer', async () => {
    const project = await open()
    await rebuild(project, {
      one: `${layer('dep', 'launch cache')}; echo {} > "$1/launch.sbom.cdx.json"; echo {} > "$1/build.sbom.cdx.json"`,
    })
    const names = await found((await rebuild(project, { one: look })).layers)
    expect(names).toContain('dep.sbom.cdx.json')
    expect(names).not.toMatch(/^(launch|build)\.sbom/m)
  })

  it('has the store of its buildpack, from the image alone', async () => {
    const project = await open()
    await rebuild(project, { one: `printf '[metadata]\\nn = 7\\n' > "$1/store.toml"` })
    await rm(join(project.root, 'cache'), { recursive: true, force: true })
    const { layers, label } = await rebuild(project, { one: look })
    expect(await readFile(join(layers, 'tomls'), 'utf8')).toBe('[metadata]\nn = 7\n')
    expect(label.buildpacks[0]?.store).toEqual({ n: 7 })
  })

  it('is for the buildpacks of the group only', async () => {
    const project = await open()
    await rebuild(project, { one: layer('dep', 'cache'), two: layer('dep', 'launch') })
    const { layers } = await rebuild(project, { three: 'true' })
    expect((await readdir(layers)).sort()).toEqual(['config', 'three'])
  })

  it('keeps names and modes of files', async () => {
    const project = await open()
    await rebuild(project, { one: `${layer('dep', 'cache')}; chmod 750 "$1/dep/file"; ln -s file "$1/dep/link"` })
    const { layers } = await rebuild(project, { one: 'true' })
    expect((await stat(join(layers, 'one/dep.ignore/link'))).mode & 0o777).toBe(0o750)
  })
})

describe('a cache', () => {
  it('that is not there costs the contents, and the image’s metadata is restored all the same', async () => {
    const project = await open()
    await rebuild(project, { one: `${layer('dep', 'launch')}; ${layer('kept', 'cache')}` }, { cache: false })
    const names = await found((await rebuild(project, { one: look }, { cache: false })).layers)
    expect(names).toMatch(/^dep\.toml$/m)
    expect(names).not.toContain('kept')
  })

  it('of another build than the image’s gives neither metadata nor contents', async () => {
    const project = await open()
    await rebuild(project, { one: layer('dep', 'launch cache') })
    // The image moves on without the cache: what is cached is no longer what the image has.
    await rebuild(project, { one: `${layer('dep', 'launch cache')}; echo other > "$1/dep/file"` }, { cache: false })
    const names = await found((await rebuild(project, { one: look })).layers)
    expect(names).not.toContain('dep')
  })

  it('that is damaged gives neither, with a warning, and the build goes on', async () => {
    const project = await open()
    await rebuild(project, { one: layer('dep', 'cache') })
    const committed = join(project.root, 'cache/committed')
    for (const name of await readdir(committed)) {
      if (!name.endsWith('.tar')) continue
      await chmod(join(committed, name), 0o644)
      await rm(join(committed, name))
    }
    const second = await rebuild(project, { one: look })
    expect(await found(second.layers)).not.toContain('dep')
    expect(second.events).toContainEqual({
      type: 'warning',
      text: expect.stringContaining('the cached layer one:dep is not used and will be made again') as string,
    })
  })

  const from = '/layers/one/dep'
  it.each<[string, Uint8Array[]]>([
    ['T01 an entry that goes up', [directory(from), file(`${from}/../../../planted`, 'x')]],
    ['T02 an absolute entry elsewhere', [directory(from), file('/planted', 'x')]],
    ['T05 a link in the place of the layer', [symlink(from, '../..'), file(`${from}/planted`, 'x')]],
    [
      'T06 a link, then a file through it',
      [directory(from), symlink(`${from}/up`, '../../..'), file(`${from}/up/planted`, 'x')],
    ],
    ['T08 a hard link', [directory(from), hardlink(`${from}/file`, '../../../planted')]],
    ['T13 a device', [directory(from), entry(`${from}/sda`, { type: '4' })]],
    ['T18 a name twice', [directory(from), file(`${from}/a`, 'x'), symlink(`${from}/a`, '/')]],
    ['T23 a whiteout', [directory(from), file(`${from}/.wh.a`)]],
    ['T33 a wrong checksum', [directory(from), entry(`${from}/a`, { checksum: '0000000\0' })]],
  ])('that holds %s under the digest it should have: a warning, a rebuild, the same image', async (_what, parts) => {
    const project = await open()
    const reference = await rebuild(project, { one: layer('dep', 'launch cache') })
    const evil = tar(...parts)
    const committed = join(project.root, 'cache/committed')
    const record = join(committed, 'io.buildpacks.lifecycle.cache.metadata')
    const sha = reference.label.buildpacks[0]?.layers['dep']?.sha ?? ''
    await writeFile(join(committed, `${digestOf(evil)}.tar`), evil)
    await writeFile(record, (await readFile(record, 'utf8')).replace(sha, digestOf(evil)))
    // The image must agree with a layer that is for launch as well: without it the cache alone is believed.
    await project.store.putImage(project.runImage, ['app'])

    const { events, ...rebuilt } = await rebuild(project, { one: `${look}; ${layer('dep', 'launch cache')}` })
    expect(await found(rebuilt.layers)).not.toContain('dep')
    const dropped = /^the cached layer one:dep is not used and will be made again: [\x20-\x7e]+$/
    expect(events.filter(e => e.type === 'warning').map(e => e.text)).toContainEqual(expect.stringMatching(dropped))
    expect((await readdir(project.root, { recursive: true })).filter(path => path.endsWith('planted'))).toEqual([])
    expect(rebuilt.image.digest).toBe(reference.image.digest)
  })

  it('C08 that may only be read gives its layers back, and costs the build a warning', async () => {
    const project = await open()
    const script = `test -d "$1/dep" && echo 'dep is restored'; ${layer('dep', 'launch cache')}`
    const reference = await rebuild(project, { one: script })
    const refused = (): Promise<never> => Promise.reject(new BaleError('filesystem', 'it may not be written'))
    const cache: Cache = {
      description: 'read-only',
      metadata: signal => project.cache.metadata(signal),
      open: (diffId, signal) => project.cache.open(diffId, signal),
      begin: refused,
    }
    const { image, events } = await rebuild({ ...project, cache }, { one: script })
    expect(image.digest).toBe(reference.image.digest)
    expect(events).toContainEqual({ type: 'output', stream: 'stdout', text: 'dep is restored' })
    expect(events.filter(e => e.type === 'warning')).toEqual([
      {
        type: 'warning',
        text: 'the cache could not be written, so the next build takes longer: it may not be written',
      },
    ])
  })

  it('keeps what a build caches: contents, metadata and SBOM', async () => {
    const project = await open()
    await rebuild(project, { one: `${layer('dep', 'cache')}; ${layer('tmp', 'launch')}` })
    const metadata = await project.cache.metadata()
    expect(metadata?.buildpacks).toEqual([
      {
        key: 'one',
        version: '1.0.0',
        layers: { dep: expect.objectContaining({ cache: true, data: { version: '1' } }) as unknown },
      },
    ])
    expect(metadata?.sbom?.sha).toMatch(/^sha256:/)
  })
})
