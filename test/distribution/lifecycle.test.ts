import { execFileSync } from 'node:child_process'
import { chmodSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { lifecycleToml } from '../../distribution/descriptor.ts'
import { nodeComponents, npmPackages, ownComponent, sbomFiles } from '../../distribution/sbom.ts'
import { nodeVersion } from '../../distribution/node.ts'
import { writeTarball } from '../../distribution/tarball.ts'
import { parseToml } from '../../lifecycle/spec/toml.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { writeTree } from '../helpers/tree.ts'
import { root } from '../helpers/bale.ts'

describe('lifecycle.toml', () => {
  it('says what pack and kpack ask it', () => {
    const versions = (newest: number): string[] => Array.from({ length: newest - 6 }, (_, i) => `0.${i + 7}`)
    expect(parseToml(lifecycleToml(), 'lifecycle.toml')).toEqual({
      api: { buildpack: '0.7', platform: '0.7' },
      apis: {
        buildpack: { deprecated: [], supported: versions(12) },
        platform: { deprecated: [], supported: versions(15) },
      },
      lifecycle: { version: '0.21.0-bale.1' },
    })
  })
})

describe('the tarball', () => {
  it('is flat, in order, root’s, with the modes of the files', async () => {
    const dir = await temporaryDirectory()
    await writeTree(join(dir, 'a'), {
      'lifecycle/nodejs': 'x'.repeat(1000),
      'lifecycle/lifecycle': { script: '' },
      'lifecycle/ld-linux': 'loader',
      'lifecycle/analyzer': { link: 'lifecycle' },
      'lifecycle.toml': '[lifecycle]\n',
    })
    chmodSync(join(dir, 'a/lifecycle/ld-linux'), 0o711)
    await writeTarball(join(dir, 'a'), join(dir, 'a.tgz'))
    const listed = execFileSync('tar', ['-tvzf', join(dir, 'a.tgz'), '--full-time', '--utc'], { encoding: 'utf8' })
    expect(listed.trim().split('\n').map(line => line.replace(/ +/g, ' '))).toEqual([
      '-rw-r--r-- 0/0 12 1980-01-01 00:00:01 lifecycle.toml',
      'drwxr-xr-x 0/0 0 1980-01-01 00:00:01 lifecycle/',
      'lrwxrwxrwx 0/0 0 1980-01-01 00:00:01 lifecycle/analyzer -> lifecycle',
      '-rwx--x--x 0/0 6 1980-01-01 00:00:01 lifecycle/ld-linux',
      '-rwxr-xr-x 0/0 11 1980-01-01 00:00:01 lifecycle/lifecycle',
      '-rw-r--r-- 0/0 1000 1980-01-01 00:00:01 lifecycle/nodejs',
    ]) // prettier-ignore
  })

  it('is not there when it could not be written', async () => {
    const dir = await temporaryDirectory()
    await mkdir(join(dir, 'a'))
    await expect(writeTarball(join(dir, 'a'), join(dir, 'a.tgz'))).rejects.toThrow()
    expect(execFileSync('ls', ['-A', dir], { encoding: 'utf8' })).toBe('a\n')
  })
})

describe('the bills of materials', () => {
  const components = [
    ownComponent('bale-lifecycle', '0.21.0-bale.1'),
    ...npmPackages(['lifecycle/errors.ts', 'node_modules/valibot/dist/index.mjs'], root).map(p => p.component),
    ...nodeComponents({ node: nodeVersion, openssl: '3.5.8', modules: '137', nghttp3: '' }),
    { name: 'libc6', version: '2.36', purl: 'pkg:deb/debian/libc6@2.36?arch=amd64' },
  ]
  const documents = new Map(
    [...sbomFiles('lifecycle', components)].map(([name, text]) => [name, JSON.parse(text) as Record<string, unknown>]),
  )
  const names = ['bale-lifecycle', 'libc6', 'node', 'openssl', 'valibot']

  it('are three, named as the exporter looks for them', () => {
    expect([...documents.keys()]).toEqual(['cdx', 'spdx', 'syft'].map(format => `lifecycle.sbom.${format}.json`))
  })

  it('list everything in CycloneDX', () => {
    const { bomFormat, specVersion, metadata, components: listed } = documents.get('lifecycle.sbom.cdx.json') as never
    expect([bomFormat, specVersion]).toEqual(['CycloneDX', '1.5'])
    expect(metadata).toMatchObject({ component: { type: 'application', name: 'lifecycle' } })
    expect(namesIn(listed)).toEqual(names)
  })

  it('list everything in SPDX', () => {
    const { spdxVersion, packages } = documents.get('lifecycle.sbom.spdx.json') as never
    expect(spdxVersion).toBe('SPDX-2.3')
    expect(namesIn(packages)).toEqual(names)
  })

  it('list everything in Syft’s own format, with every field that its schema requires', () => {
    const syft = documents.get('lifecycle.sbom.syft.json') as Record<string, unknown>
    expect(Object.keys(syft)).toEqual([
      'artifacts',
      'artifactRelationships',
      'source',
      'distro',
      'descriptor',
      'schema',
    ])
    const artifacts = syft['artifacts'] as Record<string, unknown>[]
    expect(namesIn(artifacts)).toEqual(names)
    for (const artifact of artifacts)
      expect(Object.keys(artifact).sort()).toEqual(
        ['id', 'name', 'version', 'type', 'foundBy', 'locations', 'licenses', 'language', 'cpes', 'purl'].sort(),
      )
    expect(new Set(artifacts.map(({ id }) => id)).size).toBe(artifacts.length)
    expect(artifacts.find(({ name }) => name === 'valibot')).toMatchObject({ type: 'npm', language: 'javascript' })
  })

  it('refuse to speak for another Node than the one that is shipped', () => {
    expect(() => nodeComponents({ node: '20.0.0' })).toThrow(`this runs on Node 20.0.0, and makes a lifecycle with`)
  })

  it('is for the Node that distribution/runtime asks for', async () => {
    const manifest = await import('../../distribution/runtime/package.json', { with: { type: 'json' } })
    for (const version of Object.values(manifest.default.optionalDependencies)) expect(nodeVersion).toBe(version)
  })
})

const namesIn = (list: unknown): string[] => (list as { name: string }[]).map(({ name }) => name).sort()
