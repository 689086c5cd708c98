import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { python } from '../../../buildpacks/python/python.ts'
import { type Runner, spawnRunner } from '../../../buildpacks/sdk/command.ts'
import type { Tree } from '../../../buildpacks/sdk/testing.ts'
import { type Available, suiteWith } from '../../helpers/skip.ts'
import { openProject } from '../sdk/project.ts'
import { FakeDebian } from './fake-debian.ts'

const dir = join(import.meta.dirname, '../../../buildpacks/python')
const python3: Available<string> =
  spawnSync('python3', ['--version']).status === 0
    ? { state: 'available', value: 'python3' }
    : { state: 'missing', reason: 'there is no python3' }

suiteWith('an application without a list of packages', python3, interpreter => {
  const build = async (app: Tree, env: Record<string, string> = {}) => {
    const fake = new FakeDebian()
    const runner: Runner = (command, onLine) => {
      const [, option, ...args] = command.argv
      if (option !== '-c') return fake.runner(command, onLine)
      return spawnRunner({ ...command, argv: [interpreter, option, ...args] }, onLine)
    }
    const project = await openProject({ buildpack: python, dir, app, env, runner })
    const { exitCode, output } = await project.build()
    expect(exitCode, output).toBe(0)
    return output
  }

  it('is warned of what it imports', async () => {
    const output = await build({ 'app.py': 'import os\nfrom no_such_framework.web import App\nApp().run()\n' })
    expect(output).toContain('Warning: app.py:2 imports no_such_framework, which is not installed')
    expect(output).toContain('requirements.txt')
  })

  it.each<[string, Tree, Record<string, string>]>([
    ['Python’s own', { 'app.py': 'import http.server, json\n' }, {}],
    [
      'its own modules',
      { 'app.py': 'import shop.web\nfrom . import a\nimport lib\n', 'shop/web.py': '', 'src/lib.py': '' },
      {},
    ],
    ['what may be missing', { 'app.py': 'try:\n  import no_such\nexcept ImportError:\n  pass\n' }, {}],
    ['what Debian has', { 'app.py': 'import no_such\n', Aptfile: 'python3-no-such\n' }, {}],
    ['what is elsewhere', { 'app.py': 'import no_such\n' }, { PYTHONPATH: '/opt/modules' }],
    ['no module', { 'app.py': 'print "hello"\n' }, {}],
  ])('may import %s', async (_name, app, env) => expect(await build(app, env)).not.toContain('imports'))
})

it.each([
  ['an application', true],
  ['a script that needs none', false],
])('packages that a script lists for uv alone: %s', async (_name, hasDependencies) => {
  const list = hasDependencies ? ['# dependencies = [', '#   "flask>=3",', '# ]'] : ['# dependencies = []']
  const app = { 'main.py': ['# /// script', '# requires-python = ">=3.12"', ...list, '# ///', ''].join('\n') }
  const project = await openProject({ buildpack: python, dir, app, env: {}, runner: new FakeDebian().runner })
  const { exitCode, output } = await project.build()
  expect(exitCode).toBe(hasDependencies ? 1 : 0)
  expect(output.includes('uv export --script main.py --output-file requirements.txt')).toBe(hasDependencies)
})
