import { expect, it } from 'vitest'
import { buildPackages, declaredPackages, refusedWheels, runPackages } from '../../../buildpacks/python/native.ts'
import { App } from '../../../buildpacks/sdk/index.ts'
import type { Tree } from '../../../buildpacks/sdk/testing.ts'
import { temporaryDirectory } from '../../helpers/temporary.ts'
import { writeTree } from '../../helpers/tree.ts'

it.each<[string[], string[]]>([
  [['playwright', 'flask'], ['libatomic1']],
  [['psycopg'], ['libpq5']],
  [['psycopg', 'psycopg-binary'], []],
  [
    ['opencv-python', 'openai-whisper'],
    ['ffmpeg', 'libgl1', 'libglib2.0-0t64'],
  ],
])('what %j load or start as they run', (installed, packages) => {
  expect(runPackages(new Set(installed))).toEqual(packages)
})

it.each<[string, Tree, Record<string, string>, string[]]>([
  ['wheels', { 'requirements.txt': 'lxml\npillow\n' }, {}, []],
  ['no wheel on the index', { 'requirements.txt': 'psycopg2\n' }, {}, ['libpq-dev']],
  [
    'an option of requirements.txt',
    { 'requirements.txt': '--no-binary lxml,XMLsec\nlxml\nxmlsec\npillow\n' },
    {},
    ['libxml2-dev', 'libxmlsec1-dev', 'libxslt1-dev'],
  ],
  [
    'a package that another needs',
    { 'requirements.txt': 'saml\n--no-binary=lxml\n' },
    {},
    ['libxml2-dev', 'libxslt1-dev'],
  ],
  [
    'a setting for all packages',
    { 'requirements.txt': 'pillow\nflask\n' },
    { PIP_NO_BINARY: ':all:' },
    ['libfreetype-dev', 'libjpeg62-turbo-dev'],
  ],
  ['a setting of uv', { 'uv.lock': 'name = "pyyaml"\n' }, { UV_NO_BINARY_PACKAGE: 'pyyaml' }, ['libyaml-dev']],
  [
    'a table of uv',
    { 'pyproject.toml': '[project]\nname = "shop"\n[tool.uv]\nno-binary-package = [\n  "shapely",\n]\n' },
    {},
    ['libgeos-dev'],
  ],
])('what compiling needs: %s', async (_name, tree, env, packages) => {
  const dir = await temporaryDirectory()
  await writeTree(dir, tree)
  const app = new App(dir)
  const files = Object.keys(tree)
  const declared = await declaredPackages(app, files)
  expect(buildPackages(declared, await refusedWheels({ app, env }, files))).toEqual(packages)
})
