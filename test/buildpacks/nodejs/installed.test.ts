import { expect, it } from 'vitest'
import { componentsOf, installedPackages } from '../../../buildpacks/nodejs/installed.ts'
import { temporaryDirectory } from '../../helpers/temporary.ts'
import { writeTree } from '../../helpers/tree.ts'

it('tells a package’s folder from its name, and finds scripts without a name, a version or behind a byte order mark', async () => {
  const dir = await temporaryDirectory()
  const scripts = { postinstall: 'x' }
  await writeTree(dir, {
    'node_modules/eb/package.json': JSON.stringify({ name: 'esbuild', version: '0.25.0', scripts }),
    'node_modules/a/node_modules/@s/b/package.json': JSON.stringify({ scripts }),
    'node_modules/a/package.json': `\uFEFF${JSON.stringify({ name: 'a', version: '1.0.0', scripts })}`,
  })
  const found = await installedPackages(dir, [''])
  expect(found.map(({ folder, name, hasScripts }) => [folder, name, hasScripts])).toEqual([
    ['a', 'a', true],
    ['@s/b', '@s/b', true],
    ['eb', 'esbuild', true],
  ])
  expect(componentsOf(found).map(({ purl }) => purl)).toEqual(['pkg:npm/a@1.0.0', 'pkg:npm/esbuild@0.25.0'])
})
