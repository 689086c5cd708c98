import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type BuildContext, type Component, packageUrl } from '../../../buildpacks/sdk/index.ts'
import { buildpackDir, projectOf } from './project.ts'

const components: Component[] = [
  { name: 'zod', version: '4.1.0', purl: packageUrl('npm', 'zod', '4.1.0'), license: 'MIT' },
  { name: '@babel/core', version: '7.28.4', purl: packageUrl('npm', '@babel/core', '7.28.4') },
  { name: 'zod', version: '4.1.0', purl: packageUrl('npm', 'zod', '4.1.0'), license: 'MIT' },
]
const build = async (context: BuildContext) => {
  await context.layer('modules', {
    title: 'modules',
    types: { launch: true, cache: true },
    key: { a: '1' },
    create: async () => {},
    sbom: () => Promise.resolve(components),
  })
  return { sbom: components.slice(0, 1) }
}

describe('package URLs', () => {
  it.each([
    [packageUrl('npm', '@babel/core', '7.0.0'), 'pkg:npm/%40babel/core@7.0.0'],
    [packageUrl('pypi', 'Flask_Login', '0.6'), 'pkg:pypi/flask-login@0.6'],
    [
      packageUrl('deb', 'debian/libdb5.3t64', '5.3.28+dfsg2-9', { distro: 'debian-13', arch: 'amd64' }),
      'pkg:deb/debian/libdb5.3t64@5.3.28%2Bdfsg2-9?arch=amd64&distro=debian-13',
    ],
    [packageUrl('deb', 'debian/zlib1g', '1:1.3~rc(1)'), 'pkg:deb/debian/zlib1g@1:1.3~rc%281%29'],
  ])('%s', (url, expected) => expect(url).toBe(expected))
})

describe('the bill of materials', () => {
  it('is CycloneDX: each component once, in a fixed order, with package URLs', async () => {
    const project = await projectOf(build)
    await project.build()
    const document = JSON.parse(await project.read('layers/modules.sbom.cdx.json')) as Record<string, unknown>
    expect(document).toMatchObject({
      bomFormat: 'CycloneDX',
      specVersion: '1.5',
      metadata: { component: { name: 'example/test:modules' } },
      components: [
        { 'bom-ref': 'pkg:npm/%40babel/core@7.28.4', group: '@babel', name: 'core', version: '7.28.4' },
        { purl: 'pkg:npm/zod@4.1.0', licenses: [{ license: { name: 'MIT' } }] },
      ],
    })
    expect(document['components']).toHaveLength(2)
    expect(document).not.toHaveProperty('serialNumber')
  })

  it('is SPDX: what the specification requires, ids that are unique and valid', async () => {
    const project = await projectOf(build)
    await project.build()
    const document = JSON.parse(await project.read('layers/modules.sbom.spdx.json')) as {
      packages: { SPDXID: string }[]
      relationships: { relatedSpdxElement: string }[]
      documentNamespace: string
    }
    expect(document).toMatchObject({
      spdxVersion: 'SPDX-2.3',
      dataLicense: 'CC0-1.0',
      SPDXID: 'SPDXRef-DOCUMENT',
      creationInfo: { creators: ['Tool: example/test-1.2.3'], created: '1980-01-01T00:00:01Z' },
    })
    expect(new URL(document.documentNamespace).protocol).toBe('urn:')
    const ids = document.packages.map(p => p.SPDXID)
    expect(new Set(ids).size).toBe(2)
    for (const id of ids) expect(id).toMatch(/^SPDXRef-[A-Za-z0-9.-]+$/)
    expect(document.relationships.map(r => r.relatedSpdxElement)).toEqual(ids)
  })

  it('is Syft’s own: the type and language of each package, and what its schema requires', async () => {
    const others: Component[] = [
      { name: 'flask', version: '3.1.2', purl: packageUrl('pypi', 'Flask', '3.1.2') },
      { name: 'serde', version: '1.0.0', purl: packageUrl('cargo', 'serde', '1.0.0') },
      { name: 'golang.org/x/text', version: 'v0.3.0', purl: packageUrl('golang', 'golang.org/x/text', 'v0.3.0') },
      { name: 'cpython', version: '3.12.1', purl: 'pkg:generic/cpython@3.12.1', cpe: 'cpe:2.3:a:python:python:3.12.1' },
    ]
    const project = await projectOf(() => ({ sbom: others }))
    await project.build()
    const document = JSON.parse(await project.read('layers/launch.sbom.syft.json')) as {
      artifacts: { id: string; type: string; language: string; cpes: unknown[] }[]
    }
    expect(document).toMatchObject({
      source: { name: 'example/test' },
      descriptor: { name: 'example/test', version: '1.2.3' },
      schema: { version: '16.0.0' },
      artifactRelationships: [],
    })
    expect(document.artifacts.map(({ type, language }) => [type, language])).toEqual([
      ['rust-crate', 'rust'],
      ['binary', ''],
      ['go-module', 'go'],
      ['python', 'python'],
    ])
    expect(new Set(document.artifacts.map(({ id }) => id)).size).toBe(4)
    expect(document.artifacts[1]?.cpes).toHaveLength(1)
  })

  it('is written in the formats that buildpack.toml declares: a lifecycle refuses all others', async () => {
    const project = await projectOf(build, { dir: await buildpackDir('1.2.3', ['application/spdx+json;version=2.3']) })
    await project.build()
    const files = (await readdir(project.layersDir)).filter(name => name.includes('sbom'))
    expect(files.toSorted()).toEqual(['launch.sbom.spdx.json', 'modules.sbom.spdx.json'])
  })

  it('is the same bytes in every build', async () => {
    const read = async () => {
      const project = await projectOf(build)
      await project.build()
      const files = ['cdx', 'spdx', 'syft'].flatMap(format => [
        `modules.sbom.${format}.json`,
        `launch.sbom.${format}.json`,
      ])
      return Promise.all(files.map(file => project.read(`layers/${file}`)))
    }
    expect(await read()).toEqual(await read())
  })

  it('is written again if a restored layer came without it', async () => {
    const project = await projectOf(build)
    await project.build()
    await project.nextBuild()
    await rm(join(project.layersDir, 'modules.sbom.cdx.json'))
    const { output } = await project.build()
    expect(output).toContain('from the cache')
    expect(await project.read('layers/modules.sbom.cdx.json')).toContain('pkg:npm/zod@4.1.0')
  })

  it('is not written if the user wants none', async () => {
    const project = await projectOf(build, { env: { BP_DISABLE_SBOM: 'true' } })
    await project.build()
    expect((await readdir(project.layersDir)).filter(name => name.includes('sbom'))).toEqual([])
  })
})
