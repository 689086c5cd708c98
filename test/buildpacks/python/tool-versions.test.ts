import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { python } from '../../../buildpacks/python/python.ts'
import { meetsAll, toSpecifier } from '../../../buildpacks/python/specifier.ts'
import type { Tree } from '../../../buildpacks/sdk/testing.ts'
import { offersVariable } from '../../../lifecycle/spec/offers.ts'
import { openProject } from '../sdk/project.ts'
import { FakeDebian } from './fake-debian.ts'

const dir = join(import.meta.dirname, '../../../buildpacks/python')

async function pythonProject(app: Tree, env: Record<string, string> = {}) {
  const debian = new FakeDebian()
  const project = await openProject({
    buildpack: python,
    dir,
    app: { 'app.py': 'print()', ...app },
    env,
    runner: debian.runner,
  })
  return { debian, project }
}

const requirements: Tree = { 'requirements.txt': 'requests==2.34.0\n' }
const poetry: Tree = { 'poetry.lock': '', 'pyproject.toml': '[tool.poetry]\n' }
const uv: Tree = { 'uv.lock': 'version = 1\n', 'pyproject.toml': '[project]\n' }
const pipenv: Tree = { 'Pipfile.lock': '{}' }
const requires = (section: string, line: string): Tree => ({ 'pyproject.toml': `[tool.${section}]\n${line}\n` })

describe('the version of an installer', () => {
  it.each<[Tree, Record<string, string>, string]>([
    [requirements, { BP_PIP_VERSION: '24.3.1' }, 'pip 24.3.1: BP_PIP_VERSION asks for 24.3.1'],
    [requirements, { BP_PIP_VERSION: '25.1' }, 'pip 25.1: BP_PIP_VERSION asks for 25.1'],
    [requirements, { BP_PIP_VERSION: '24.*' }, 'pip 24.3.1: BP_PIP_VERSION asks for 24.*'],
    [poetry, { BP_POETRY_VERSION: '2.1.3' }, 'Poetry 2.1.3: BP_POETRY_VERSION asks for 2.1.3'],
    [poetry, { BP_POETRY_VERSION: '2.1' }, 'Poetry 2.1.4: BP_POETRY_VERSION asks for 2.1'],
    [poetry, { BP_POETRY_VERSION: '~2.1' }, 'Poetry 2.1.4: BP_POETRY_VERSION asks for ~2.1'],
    [poetry, { RAILPACK_POETRY_VERSION: '<2' }, 'Poetry 1.8.5: RAILPACK_POETRY_VERSION asks for <2'],
    [{ ...poetry, '.tool-versions': 'poetry 2.1.3\n' }, {}, 'Poetry 2.1.3: .tool-versions asks for 2.1.3'],
    [
      { ...poetry, ...requires('poetry', 'requires-poetry = "<2.2"') },
      {},
      'Poetry 2.1.4: pyproject.toml requires-poetry asks for <2.2',
    ],
    [
      { ...poetry, ...requires('poetry', 'requires-poetry = ">=2.0"') },
      {},
      'Poetry 2.5.1: pyproject.toml requires-poetry asks for >=2.0',
    ],
    [uv, { BP_UV_VERSION: '0.8.2' }, 'uv 0.8.2: BP_UV_VERSION asks for 0.8.2'],
    [{ ...uv, 'uv.toml': 'required-version = "==0.8.*"\n' }, {}, 'uv 0.8.2: uv.toml required-version asks for ==0.8.*'],
    [pipenv, { BP_PIPENV_VERSION: 'v2024.4.1' }, 'Pipenv 2024.4.1: BP_PIPENV_VERSION asks for v2024.4.1'],
  ])('%j %j', async (app, env, line) => {
    const { project } = await pythonProject(app, env)
    const { output, exitCode } = await project.build()
    expect(exitCode, output).toBe(0)
    expect(output).toContain(line)
    expect(output).toContain(`Creating ${line.replace(/:.*/, '').toLowerCase()}`)
  })

  it('that is written in full is not looked up, and the one of a build without a wish neither', async () => {
    const wishes: Record<string, string>[] = [{ BP_POETRY_VERSION: '2.1.3' }, { BP_POETRY_VERSION: 'latest' }, {}]
    for (const env of wishes) {
      const { project, debian } = await pythonProject(poetry, env)
      expect((await project.build()).exitCode).toBe(0)
      expect(debian.commands.filter(command => command.startsWith('pip index'))).toEqual([])
    }
  })

  it.each<[Tree, string]>([
    [{ '.tool-versions': 'poetry system\npython system\n' }, ''],
    [{ 'mise.toml': '[tools]\npoetry = "system"\n', '.python-version': 'system\n' }, ''],
    [{ 'mise.toml': '[tools]\npoetry = ["path:/opt/poetry"]\n' }, 'mise.toml: poetry path:/opt/poetry is a directory'],
  ])('is none that a file of a version manager leaves to the machine: %j', async (app, line) => {
    const { project } = await pythonProject({ ...poetry, ...app })
    const { output, exitCode } = await project.build()
    expect(exitCode, output).toBe(0)
    expect(output).toContain(line)
  })

  it.each<[Tree, Record<string, string>, RegExp]>([
    [
      poetry,
      { BP_POETRY_VERSION: '2.1.9' },
      /Error: BP_POETRY_VERSION: no Poetry for Python 3.13 is 2.1.9\n.*the nearest is 2.1.4; the package index has 1.8.5 to 2.5.1/,
    ],
    [poetry, { BP_POETRY_VERSION: '3' }, /no Poetry for Python 3.13 is 3\n.*the nearest is 2.5.1;/],
    // It has no report of what it chose.
    [requirements, { BP_PIP_VERSION: '21.3.1' }, /no pip for Python 3.13 is 21.3.1\n.*the nearest is 24.3.1;/],
    [requirements, { BP_PIP_VERSION: '24.0.9' }, /no pip for Python 3.13 is 24.0.9\n.*the nearest is 24.3.1;/],
    [uv, { BP_UV_VERSION: 'new' }, /Error: BP_UV_VERSION: "new" is not a version of uv\n.*such as 0.13.9/],
  ])('%j %j is refused with the nearest', async (app, env, message) => {
    const { project, debian } = await pythonProject(app, env)
    const { output, exitCode } = await project.build()
    expect(exitCode).toBe(1)
    expect(output).toMatch(message)
    expect(debian.commands.filter(command => /^(poetry|uv) sync|^pip install -r/.test(command))).toEqual([])
  })

  it('is a reason to install the packages again', async () => {
    const { project } = await pythonProject(poetry, { BP_POETRY_VERSION: '2.1.3' })
    await project.build()
    await project.nextBuild()
    project.setEnv({ BP_POETRY_VERSION: '2.1.4' })
    expect((await project.build()).output).toContain('(installer poetry 2.1.3 → poetry 2.1.4)')
  })

  it('of Poetry installs the groups that are named', async () => {
    const { project, debian } = await pythonProject(poetry, { BP_POETRY_INSTALL_ONLY: 'main,web' })
    expect((await project.build()).exitCode).toBe(0)
    expect(debian.commands).toContain('poetry sync --only main,web --no-interaction --no-ansi --no-root')
  })

  it('of Poetry before 2 has another command', async () => {
    const { project, debian } = await pythonProject(poetry, { BP_POETRY_VERSION: '1.8.5' })
    expect((await project.build()).exitCode).toBe(0)
    expect(debian.commands).toContain('poetry install --only main --no-interaction --no-ansi --no-root')
  })
})

it('a buildpack says which versions of installers can be had', async () => {
  const { project } = await pythonProject({}, { [offersVariable]: 'true' })
  const { plan } = await project.detect()
  expect(plan?.['requires']).toMatchObject([
    { metadata: { offers: [{}, {}, { name: 'pip' }, { name: 'uv', versions: ['0.13.9', '0.8.2'] }, {}, {}, {}] } },
  ])
})

it.each([
  ['~3.12', '3.12.4', true],
  ['~3.12', '3.13.0', false],
  ['~3.12.3', '3.12.2', false],
  ['~3', '3.13.1', true],
  ['^0.5.1', '0.6.0', false],
  ['^3.8', '3.14.0', true],
])('Poetry’s %s and %s: %s', (range, version, meets) => {
  expect(meetsAll(version, [toSpecifier(range) ?? ''])).toBe(meets)
})

it('a command of the user’s installs in place of pip, and one builds after it, with the packages on the PATH', async () => {
  const debian = new FakeDebian()
  const own: (readonly [string, string | undefined])[] = []
  const env = { RAILPACK_INSTALL_CMD: 'pip install -r base.txt', RAILPACK_BUILD_CMD: './prepare' }
  const project = await openProject({
    buildpack: python,
    dir,
    app: { ...requirements, 'app.py': 'print()' },
    env,
    runner: (command, onLine) => {
      if (command.argv[0] !== 'bash') return debian.runner(command, onLine)
      own.push([command.argv[2] ?? '', command.env['PATH']?.split(':')[0]])
      return Promise.resolve({ exitCode: 0, stdout: '', stderr: '' })
    },
  })
  const { output, exitCode, layers } = await project.build()
  expect(exitCode, output).toBe(0)
  const bin = join(project.layersDir, 'venv/bin')
  expect(own).toEqual([
    ['pip install -r base.txt', bin],
    ['./prepare', bin],
  ])
  expect(debian.commands.filter(command => command.startsWith('pip install -r'))).toEqual([])
  // It is there in the next build as well, whose command may import the packages.
  expect(layers['venv']?.types).toMatchObject({ launch: true, cache: true })
  await project.nextBuild()
  expect((await project.build()).output).toContain('(RAILPACK_INSTALL_CMD refers to packages that may have changed)')
})
