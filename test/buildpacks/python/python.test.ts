import { readdir, readlink, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { python } from '../../../buildpacks/python/python.ts'
import type { Tree } from '../../../buildpacks/sdk/testing.ts'
import { openProject } from '../sdk/project.ts'
import { FakeDebian } from './fake-debian.ts'

const dir = join(import.meta.dirname, '../../../buildpacks/python')

async function pythonProject(app: Tree, env: Record<string, string> = {}) {
  const debian = new FakeDebian()
  const project = await openProject({ buildpack: python, dir, app, env, runner: debian.runner })
  return { debian, project }
}

const flaskApp: Tree = {
  'requirements.txt': 'flask==3.1.2\n',
  'main.py': 'from flask import Flask\napp = Flask(__name__)\n',
}

describe('detect', () => {
  it.each<[Tree, string]>([
    [{ 'requirements.txt': '' }, 'Python: requirements.txt'],
    [{ 'app.py': '' }, 'Python: app.py'],
    [{ 'src/main.py': '' }, 'Python: src/main.py'],
    [{ 'manage.py': '' }, 'Python: manage.py'],
    [{ 'Pipfile.lock': '{}' }, 'Python: Pipfile.lock'],
    [{ 'pyproject.toml': '[project]\nname = "x"\n' }, 'Python: pyproject.toml'],
    [{ 'requirement.txt': '', 'tool.py': '' }, 'Python: tool.py'],
  ])('passes: %j', async (app, output) => {
    const { project } = await pythonProject(app)
    expect(await project.detect()).toMatchObject({
      exitCode: 0,
      output: `${output}\n`,
      plan: { provides: [{ name: 'python' }] },
    })
  })

  it.each<Tree>([
    { 'setup.py.txt': '' },
    { 'tools/helper.py': '', 'go.mod': '' },
    // Settings of a linter, and of other people's text files.
    { 'pyproject.toml': '[tool.ruff]\nline-length = 120\n' },
    { 'requirement.txt': 'the product has to be blue' },
  ])('does not pass: %j', async app => {
    const { project } = await pythonProject(app)
    expect((await project.detect()).exitCode).toBe(100)
  })
})

describe('requirements in a folder', () => {
  it('takes what pip-tools would compile where it was not compiled', async () => {
    const { project } = await pythonProject({
      'requirements.in': 'flask\n',
      'main.py': 'from flask import Flask\napp = Flask(__name__)\n',
    })
    const { exitCode, output } = await project.build()
    expect(exitCode, output).toBe(0)
    expect(output).toContain('packages of requirements.in')
  })

  it('are those for production', async () => {
    const { project } = await pythonProject({
      'requirements/base.txt': 'flask==3.1.2\n',
      'requirements/dev.txt': '-r base.txt\npytest\n',
      'requirements/prod.txt': '-r base.txt\ngunicorn==23.0.0\n',
      'main.py': 'from flask import Flask\napp = Flask(__name__)\n',
    })
    expect((await project.detect()).output).toContain('Python: requirements/prod.txt and main.py')
    const { exitCode, output } = await project.build()
    expect(exitCode, output).toBe(0)
    expect(output).toContain('packages of requirements/prod.txt')
    expect(output).toContain('Starts with: gunicorn')
  })
})

describe('the interpreter', () => {
  it('is Debian’s, in a layer: linked within it, with records for scanners, without documents', async () => {
    const { project, debian } = await pythonProject({ 'app.py': '' })
    const { layers, exitCode, output } = await project.build()
    expect(exitCode, output).toBe(0)
    expect(layers['python']?.types).toEqual({ launch: true, build: true, cache: true })
    const layer = join(project.layersDir, 'python')
    expect(await readlink(join(layer, 'bin/python'))).toBe('../usr/bin/python3.13')
    expect(await readlink(join(layer, 'usr/lib/python3.13/sitecustomize.py'))).toBe(
      '../../../etc/python3.13/sitecustomize.py',
    )
    // Nothing in the layer has this name: the run image may.
    expect(await readlink(join(layer, 'usr/lib/python3.13/outside'))).toBe('/etc/hosts')
    expect(await readdir(join(layer, 'usr/share'))).toEqual(['doc'])
    expect(await readdir(join(layer, 'usr/share/doc/python3.13'))).toEqual(['copyright'])
    expect(await project.read('layers/python/var/lib/dpkg/status.d/libffi8')).toBe(
      'Package: libffi8\nStatus: install ok installed\nVersion: 1:3.4.8-2\nArchitecture: amd64\n',
    )
    expect(await project.read('layers/python/env/LD_LIBRARY_PATH.prepend')).toBe(
      join(layer, 'usr/lib/x86_64-linux-gnu'),
    )
    expect(await project.read('layers/python/env.launch/PORT.default')).toBe('8080')
    expect(await project.read('layers/python.sbom.cdx.json')).toContain(
      'pkg:deb/debian/libffi8@1:3.4.8-2?arch=amd64&distro=debian-13',
    )
    expect(debian.commands).toContain('compileall python3.13')
  })

  it('is kept for as long as the archive has no other', async () => {
    const { project, debian } = await pythonProject({ 'app.py': '' })
    await project.build()
    debian.commands.length = 0
    await project.nextBuild()
    expect((await project.build()).output).toContain('Using Python 3.13.5 from the cache')
    // The lists are those of the last build: apt need not choose again.
    expect(debian.commands).toEqual(['apt-get update'])

    debian.release = 'Sunday'
    debian.packages['libffi8'] = { version: '1:3.4.8-3', files: {} }
    await project.nextBuild()
    expect((await project.build()).output).toContain('Creating Python 3.13.5 (Debian packages changed)')
    debian.release = 'Monday'
    debian.packages['python3.13'] = { ...debian.packages['python3.13'], version: '3.13.7-1', files: {} }
    await project.nextBuild()
    expect((await project.build()).output).toContain('Creating Python 3.13.7 (Python 3.13.5-2 → 3.13.7-1')
  })

  it('C04 is made from fresh lists if those in the cache are damaged', async () => {
    const { project, debian } = await pythonProject({ 'app.py': '' })
    await project.build()
    await project.nextBuild()
    await writeFile(join(project.layersDir, 'apt/state/lists/Packages.lz4'), 'bit rot')
    const memos = (await readdir(join(project.layersDir, 'apt'))).filter(name => name.startsWith('chosen-'))
    expect(memos.length).toBeGreaterThan(0)
    for (const memo of memos) await writeFile(join(project.layersDir, 'apt', memo), '{"stamp":')
    debian.commands.length = 0
    const { exitCode, output } = await project.build()
    expect(exitCode, output).toBe(0)
    expect(output).toContain('Warning: the cached package lists are unusable and are downloaded again')
    expect(output).toContain('Using Python 3.13.5 from the cache')
    const install = 'apt-get install python3.13'
    expect(debian.commands).toEqual(['apt-get update', install, 'apt-get update', install])
  })

  it('is made from old lists if the archive cannot be reached, with a warning', async () => {
    const { project, debian } = await pythonProject({ 'app.py': '' })
    debian.updateErrors = 'W: Failed to fetch the InRelease file\nW: Some index files failed to download.\n'
    const { exitCode, output } = await project.build()
    expect(exitCode).toBe(0)
    expect(output).toContain('Warning: apt-get update: W: Failed to fetch')
  })
})

describe('the version of Python', () => {
  const outcome = async (app: Tree, env: Record<string, string> = {}) => {
    const { project } = await pythonProject({ 'app.py': '', ...app }, env)
    const { output } = await project.build()
    return /^ *(?:Python 3\.13\.5: |Error: )(.*)$/m.exec(output)?.[1] ?? output
  }

  it.each<[Tree, Record<string, string>, string]>([
    [{}, {}, 'the version of the stack, as nothing requests another'],
    [{ '.python-version': '3.13\n' }, {}, '.python-version asks for 3.13'],
    [{ '.python-version': '3.13.2' }, {}, '.python-version asks for 3.13.2'],
    [{ 'runtime.txt': 'python-3.13.1' }, {}, 'runtime.txt asks for python-3.13.1'],
    [{}, { BP_CPYTHON_VERSION: '3.*' }, 'BP_CPYTHON_VERSION asks for 3.*'],
    [{}, { GOOGLE_PYTHON_VERSION: '3.13.x' }, 'GOOGLE_PYTHON_VERSION asks for 3.13.x'],
    [{ '.python-version': '3.9' }, { BP_CPYTHON_VERSION: '3.13' }, 'BP_CPYTHON_VERSION asks for 3.13'],
    ...[
      '>=3.9',
      '>=3.10,<4',
      '~=3.10',
      '^3.11',
      '>3.12',
      '>3.13',
      '^2.7 || ^3.9',
      '!=3.13.0',
      '!=3.12.*',
      '>=3.13.1,<3.13.9',
      '3',
      '<3.14',
    ].map((spec): [Tree, Record<string, string>, string] => {
      const text = `[project]\nname = "x"\nrequires-python = "${spec}"\n`
      return [{ 'requirements.txt': '', 'pyproject.toml': text }, {}, `pyproject.toml requires-python asks for ${spec}`]
    }),
  ])('is the stack’s: %j %j', async (app, env, expected) => expect(await outcome(app, env)).toBe(expected))

  it.each<[Tree, string]>([
    [{ '.tool-versions': 'nodejs 24\npython 3.13 3.12 # both\n' }, '.tool-versions asks for 3.13'],
    [{ 'mise.toml': '[tools]\npython = ["3.13", "3.12"]\n' }, 'mise.toml asks for 3.13'],
    [{ '.mise.toml': '[tools]\npython = { version = 3.13 }\n' }, '.mise.toml asks for 3.13'],
    [{ Pipfile: '[requires]\npython_version = "3.13"\n' }, 'Pipfile requires asks for 3.13'],
    [
      { 'pyproject.toml': '[tool.poetry.dependencies]\npython = "^3.12"\n' },
      'pyproject.toml tool.poetry.dependencies.python asks for ^3.12',
    ],
  ])('is read from %j', async (app, expected) => expect(await outcome(app)).toBe(expected))

  it.each([
    ['3.12', '3.12.8'],
    ['3.12.1', '3.12.8'],
    ['==3.12.1', '3.12.1'],
    ['<3.13', '3.12.8'],
    ['>=3.14', '3.14.1'],
    ['>=3.13.9', '3.14.1'],
    ['3.13.7', '3.13.9'],
    ['!=3.13.*', '3.14.1'],
  ])('is downloaded by uv where Debian has no such: %s', async (spec, version) => {
    const { project, debian } = await pythonProject({ 'app.py': '', '.python-version': spec })
    const { output, exitCode } = await project.build()
    expect(exitCode, output).toBe(0)
    expect(output).toContain(`Python ${version}: .python-version asks for ${spec}, and Debian has 3.13.5`)
    expect(debian.commands).toContain(`uv python install --no-bin --install-dir DIR ${version}`)
    const minor = version.replace(/\.\d+$/, '')
    expect(await readlink(join(project.layersDir, `python/bin/python`))).toBe(
      `../cpython-${version}-linux-x86_64-gnu/bin/python${minor}`,
    )
  })

  it.each([
    [{ BP_DEPENDENCY_MIRROR: 'https://m.test/{originalHost}' }, 'https://m.test/github.com/astral-sh/'],
    [
      { BP_DEPENDENCY_MIRROR_GITHUB_COM: 'file:///m', BP_DEPENDENCY_MIRROR: 'https://other.test' },
      'file:///m/astral-sh/',
    ],
    [{ BP_DEPENDENCY_MIRROR: 'https://m.test', UV_PYTHON_INSTALL_MIRROR: 'https://own.test/' }, 'https://own.test/'],
  ])('is downloaded from a mirror with %j', async (env, begins) => {
    const { project, debian } = await pythonProject({ 'app.py': '', '.python-version': '3.12' }, env)
    expect((await project.build()).exitCode).toBe(0)
    expect(debian.mirror).toMatch(new RegExp(`^${begins}`))
  })

  it('is downloaded again where another list has builds of one’s own', async () => {
    const { project, debian } = await pythonProject({ 'app.py': '', '.python-version': '3.12.8' })
    const downloads = () => debian.commands.splice(0).filter(command => command.startsWith('uv python install')).length
    await project.build()
    expect(downloads()).toBe(1)
    await project.nextBuild()
    await project.build()
    expect(downloads()).toBe(0)
    project.setEnv({ UV_PYTHON_DOWNLOADS_JSON_URL: 'https://own.test/list.json' })
    await project.nextBuild()
    await project.build()
    expect(downloads()).toBe(1)
  })

  it.each([
    ['2.7', '3.12.8'],
    ['4', '3.14.1'],
    ['>=3.13.99,<3.14', '3.13.9'],
    ['==3.12.2', '3.12.1'],
  ])('is an error if nobody has it, with the nearest: %s', async (spec, near) => {
    const { project, debian } = await pythonProject({ 'app.py': '', '.python-version': spec })
    const { output } = await project.build()
    expect(output).toContain(`Error: .python-version: no CPython is ${spec}\n`)
    expect(output).toContain(
      `the nearest is ${near}: request that version, or 3.13, which is Debian's; available are 3.14, 3.13, 3.12`,
    )
    expect(debian.commands.filter(command => /^(uv|venv|pip)/.test(command))).toEqual([])
  })

  it.each<[string, Tree, string]>([
    [
      'a pin and a range',
      { '.python-version': '>=3.9', 'setup.cfg': '[options]\npython_requires = <3.13\n' },
      '3.12.8',
    ],
    ['a pin and setup.py', { '.python-version': '3', 'setup.py': 'setup(python_requires=">3.13.5,<3.14")' }, '3.13.9'],
    ['two pins', { '.python-version': '3.13', '.tool-versions': 'python 3.13.8\n' }, '3.13.9'],
  ])('is the newest that satisfies all: %s', async (_name, app, version) => {
    const { project } = await pythonProject({ 'app.py': '', ...app })
    const { output, exitCode } = await project.build()
    expect(exitCode, output).toBe(0)
    expect(output).toContain(`Python ${version}: `)
    expect(output).not.toContain('Warning')
  })

  it.each<[Tree, Record<string, string>, string]>([
    [
      { '.python-version': '3.13', 'runtime.txt': 'python-3.12.1' },
      {},
      '.python-version asks for 3.13, but runtime.txt for python-3.12.1',
    ],
    [
      { Pipfile: '[requires]\npython_version = "3.13"\n', 'mise.toml': '[tools]\npython = "3.12"\n' },
      {},
      'Pipfile requires asks for 3.13, but mise.toml for 3.12',
    ],
    [
      { 'setup.cfg': '[options]\npython_requires = >=3.14\n' },
      { BP_CPYTHON_VERSION: '3.13' },
      'BP_CPYTHON_VERSION asks for 3.13, but setup.cfg python_requires for >=3.14',
    ],
  ])('is that of the first place that says one, and contradictions are warned of: %j', async (app, env, warning) => {
    const { project } = await pythonProject({ 'app.py': '', ...app }, env)
    const { output, exitCode } = await project.build()
    expect(exitCode, output).toBe(0)
    expect(output).toContain('Python 3.13.5: ')
    expect(output).toContain(`Warning: ${warning}`)
  })

  it('is the pinned one, with a warning, where the project says that it cannot run on that', async () => {
    const pyproject = '[project]\nname = "x"\nrequires-python = ">=3.14"\n'
    const { project } = await pythonProject({ 'app.py': '', '.python-version': '3.13', 'pyproject.toml': pyproject })
    expect((await project.build()).output).toContain(
      'Warning: .python-version asks for 3.13, but pyproject.toml requires-python for >=3.14',
    )
  })

  it('is an error if it is none', async () => {
    expect(await outcome({ 'runtime.txt': 'pypy' })).toBe('runtime.txt: "pypy" is not a version of CPython')
  })
})

describe('packages', () => {
  it('go into a virtual environment of a launch layer, which the next image reuses', async () => {
    const { project, debian } = await pythonProject(flaskApp)
    const { layers, exitCode, output } = await project.build()
    expect(exitCode, output).toBe(0)
    // With the program itself, not a link to it: the environment notes where that is.
    expect(debian.commands).toContain('venv made by python/usr/bin/python3.13')
    expect(debian.commands).toContain('compileall site-packages')
    expect(layers['venv']?.types).toEqual({ launch: true, build: false, cache: false })
    expect(await project.read('layers/venv/env.launch/PATH.prepend')).toBe(join(project.layersDir, 'venv/bin'))
    const sbom = JSON.parse(await project.read('layers/venv.sbom.cdx.json')) as { components: { purl: string }[] }
    expect(sbom.components.map(c => c.purl)).toEqual([
      'pkg:pypi/flask@3.1.2',
      'pkg:pypi/jinja2@1.0',
      'pkg:pypi/werkzeug@1.0',
    ])

    debian.commands.length = 0
    await project.nextBuild({ 'main.py': 'from flask import Flask\napp = Flask("other")\n' })
    const second = await project.build()
    expect(second.output).toContain('Using packages of requirements.txt of the previous image')
    // What is installed is known without the directory.
    expect(second.output).toContain('flask is installed')
    expect(debian.commands).toEqual(['apt-get update', 'pip install --dry-run -r requirements.txt'])
  })

  it.each<[string, string, string]>([
    ['what is asked for', 'flask', '9.10'],
    ['what that depends on', 'werkzeug', '2.0'],
  ])('C21 are installed anew where the index has a newer version of %s', async (_what, name, version) => {
    const { project, debian } = await pythonProject({ ...flaskApp, 'requirements.txt': 'flask\n' })
    await project.build()
    await project.nextBuild()
    debian.newest[name] = version
    const { output } = await project.build()
    expect(output).toContain(`Creating packages of requirements.txt (now ${name}==${version})`)
  })

  it('C21 are installed anew where pip cannot say what the index has', async () => {
    const { project, debian } = await pythonProject({ ...flaskApp, 'requirements.txt': 'flask\n' })
    await project.build()
    await project.nextBuild()
    debian.failure = 'ERROR: No matching distribution found for flask'
    const { output } = await project.build()
    expect(output).toContain('Creating packages of requirements.txt (pip cannot check the index for newer versions)')
    expect(output).toContain('Error: requirements.txt: pip install -r requirements.txt failed with exit status 1')
  })

  it('C21 leave no clone in the application when the index is asked', async () => {
    const line = `-e git+https://host/x.git@${'0'.repeat(40)}#egg=x`
    const { project, debian } = await pythonProject({ ...flaskApp, 'requirements.txt': `flask==3.1.2\n${line}\n` })
    await project.build()
    await project.nextBuild()
    debian.commands.length = 0
    await project.build()
    expect(debian.commands).toContain('pip install --dry-run -r requirements.txt')
    expect(await readdir(project.appDir)).not.toContain('src')
  })

  it('are kept without a question to the index where each has its digest', async () => {
    const pinned = ['flask==3.1.2', 'werkzeug==1.0', 'jinja2==1.0', 'gunicorn==23.0.0']
    const text = pinned.map(line => `${line} \\\n  --hash=sha256:00\n`).join('')
    const { project, debian } = await pythonProject({ ...flaskApp, 'requirements.txt': text })
    await project.build()
    await project.nextBuild()
    debian.newest['werkzeug'] = '2.0'
    debian.commands.length = 0
    expect((await project.build()).output).toContain('Using packages of requirements.txt of the previous image')
    expect(debian.commands).toEqual(['apt-get update'])
  })

  it.each<[string, Tree, Record<string, string>, string]>([
    ['requirements.txt', { 'requirements.txt': 'flask==3.2\n-r more.txt\n' }, {}, 'requirements.txt changed'],
    ['an included file', { 'more.txt': '-c limits.txt\nb==2\n' }, {}, 'requirements.txt changed'],
    ['a constraint', { 'limits.txt': 'b<3\n' }, {}, 'requirements.txt changed'],
    ['a setting for pip', {}, { PIP_NO_BINARY: ':all:' }, 'requirements.txt changed'],
    ['the index', {}, { PIP_INDEX_URL: 'https://ours.example/simple' }, 'requirements.txt changed'],
    [
      'the choice of the index',
      {},
      { UV_INDEX_STRATEGY: 'unsafe-best-match' },
      'UV_INDEX_STRATEGY refers to packages that may',
    ],
  ])('are installed anew if %s changes', async (_name, changes, env, reason) => {
    const app = {
      ...flaskApp,
      'requirements.txt': 'flask==3.1.2\n-r more.txt\n',
      'more.txt': '-c limits.txt\nb==1\n',
      'limits.txt': '',
    }
    const { project } = await pythonProject(app)
    await project.build()
    await project.nextBuild(changes)
    project.setEnv(env)
    expect((await project.build()).output).toContain(`Creating packages of requirements.txt (${reason}`)
  })

  it('are kept where only the password of the index has changed', async () => {
    const index = (password: string) => ({ PIP_EXTRA_INDEX_URL: `https://ann:${password}@ours.example/simple` })
    const { project } = await pythonProject(flaskApp, index('old'))
    await project.build()
    await project.nextBuild()
    project.setEnv(index('new'))
    expect((await project.build()).output).toContain('Using packages of requirements.txt of the previous image')
  })

  it.each([
    '-e .',
    './lib',
    '--editable=lib',
    'x @ file:///workspace/lib',
    'wheels/x-1.0-py3-none-any.whl',
    '-f wheels',
    '-r https://host/r.txt',
    'x-1.0-py3-none-any.whl',
    'git+https://host/x.git@v1',
    'x @ git+https://host/x.git@0123456',
    '-e git+https://host/x.git#egg=x',
    'x @ https://host/x.whl',
    'x @ https://${HOST}/x.whl#sha256=00',
    '--unknown-option=x',
  ])('C21 that no file fixes are installed in each build: %s', async line => {
    const { project } = await pythonProject({ ...flaskApp, 'requirements.txt': `flask==3.1.2\n${line}\n` })
    await project.build()
    await project.nextBuild()
    const { output } = await project.build()
    expect(output).toContain(
      'Creating packages of requirements.txt (requirements.txt:2 refers to packages that may have changed)',
    )
  })

  it.each([
    `git+https://host/x.git@${'0'.repeat(40)}`,
    `-e git+https://host/x.git@${'0'.repeat(40)}#egg=x`,
    'x @ https://host/x.whl#sha256=00',
    'a[b]==1 ; python_version<"4"',
    'a >= 1, < 2 --hash=sha256:00 --hash=sha256:01',
    'zope.interface',
    '--index-url https://host/simple/',
  ])('that are fixed are not: %s', async line => {
    const { project } = await pythonProject({ ...flaskApp, 'requirements.txt': `flask==3.1.2\n${line}\n` })
    await project.build()
    await project.nextBuild()
    expect((await project.build()).output).toContain('Using packages of requirements.txt of the previous image')
  })

  it.each<[Record<string, string>, string]>([
    [{ PIP_CONFIG_FILE: 'pip.conf' }, 'PIP_CONFIG_FILE'],
    [{ PIP_FIND_LINKS: 'wheels' }, 'PIP_FIND_LINKS'],
    [{ UV_CONFIG_FILE: 'uv.toml' }, 'UV_CONFIG_FILE'],
    [{ PIP_CONSTRAINT: 'https://host/limits.txt' }, 'PIP_CONSTRAINT'],
  ])('C21 are installed in each build if a setting names what may change: %j', async (env, name) => {
    const { project } = await pythonProject(flaskApp, env)
    await project.build()
    await project.nextBuild()
    expect((await project.build()).output).toContain(`(${name} refers to packages that may have changed)`)
  })

  it.each(['HOME', 'XDG_CONFIG_HOME'])(
    'C21 are installed in each build if pip has a file of settings below %s',
    async name => {
      const { project } = await pythonProject({
        ...flaskApp,
        [name === 'HOME' ? '.config/pip/pip.conf' : 'pip/pip.conf']: '[install]\nconstraint = /tmp/limits.txt\n',
      })
      project.setEnv({ [name]: project.appDir })
      await project.build()
      await project.nextBuild()
      expect((await project.build()).output).toContain('pip/pip.conf refers to packages that may have changed)')
    },
  )

  it.each(['PIP_CONSTRAINT', 'PIP_REQUIREMENT'])('C21 are installed anew if the file of %s changes', async name => {
    const { project } = await pythonProject({ ...flaskApp, 'limits.txt': 'werkzeug<3\n' }, { [name]: 'limits.txt' })
    await project.build()
    await project.nextBuild({ 'limits.txt': 'werkzeug<2\n' })
    expect((await project.build()).output).toContain('(requirements.txt changed)')
  })

  it('C21, S19 are installed anew if a file changes that one in UTF-16 includes', async () => {
    const utf16 = Buffer.from('\u{FEFF}flask==3.1.2\r\n-r more.txt\r\n', 'utf16le')
    const { project } = await pythonProject({ ...flaskApp, 'requirements.txt': utf16, 'more.txt': 'b==1\n' })
    await project.build()
    await project.nextBuild({ 'more.txt': 'b==2\n' })
    expect((await project.build()).output).toContain('(requirements.txt changed)')
  })

  it('C21 are installed anew if pip’s own settings name another index, and only then', async () => {
    const conf = (index: string) => ({ '.config/pip/pip.conf': `# ours\n[global]\nindex-url = ${index}\n` })
    const { project } = await pythonProject({ ...flaskApp, ...conf('https://ann:old@one.example/simple') })
    project.setEnv({ HOME: project.appDir })
    await project.build()
    await project.nextBuild(conf('https://ann:new@one.example/simple'))
    expect((await project.build()).output).toContain('Using packages of requirements.txt of the previous image')
    await project.nextBuild(conf('https://two.example/simple'))
    expect((await project.build()).output).toContain('Creating packages of requirements.txt (requirements.txt changed)')
  })

  it('leave no repository of an editable requirement, whose logs have the time', async () => {
    const { project, debian } = await pythonProject(flaskApp)
    debian.leftovers = ['src/x/.git/logs/HEAD', 'src/x/x.py']
    expect((await project.build()).exitCode).toBe(0)
    expect(await readdir(join(project.layersDir, 'venv/src/x'))).toEqual(['x.py'])
  })

  it.each(['-r ../more.txt', '-e ../lib', 'file:../lib', 'x @ file:../lib', '-f ../wheels'])(
    'outside the application are an error: %s',
    async line => {
      const { project } = await pythonProject({ ...flaskApp, 'requirements.txt': `${line}\n` })
      const { output, exitCode } = await project.build()
      expect(exitCode).toBe(1)
      expect(output).toMatch(/Error: requirements.txt:1: \.\.\/\S+ is outside the application/)
    },
  )

  it('S06 of a requirements.txt that is a link out of the source are an error that says so', async () => {
    const { project } = await pythonProject({ 'app.py': '' })
    await symlink('../shared/requirements.txt', join(project.appDir, 'requirements.txt'))
    const { output, exitCode } = await project.build()
    expect(exitCode).toBe(1)
    expect(output).toContain(
      'Error: requirements.txt: is a link to ../shared/requirements.txt, which is outside the source',
    )
    expect(output).not.toContain('mv ')
  })

  it.each<[string, string | undefined]>([
    [
      'ERROR: Ignored the following versions that require a different python version: 1.21.1 Requires-Python >=3.7,<3.11; 1.21.2 Requires-Python >=3.7,<3.11\nERROR: Could not find a version that satisfies the requirement numpy==1.21.2 (from versions: 1.3)',
      'numpy 1.21.2 can be installed on Python >=3.7,<3.11: request such a Python version in .python-version',
    ],
    ['error: subprocess-exited-with-error', 'a package has to be compiled'],
    ['git@example.com: Permission denied (publickey).\nerror: subprocess-exited-with-error', '--ssh default'],
    ['git@example.com: Permission denied (publickey).\nRead timed out', '--ssh default'],
    ["fatal: could not read Username for 'https://example.com'\nerror: subprocess-exited-with-error", 'type=netrc'],
    ['LookupError: setuptools-scm was unable to detect version for /workspace.', 'set SETUPTOOLS_SCM_PRETEND_VERSION'],
    ['Temporary failure in name resolution', 'check the network'],
    ['something else', undefined],
  ])('that cannot be installed: %s', async (failure, advice) => {
    const { project, debian } = await pythonProject(flaskApp)
    debian.failure = failure
    const { output, exitCode } = await project.build()
    expect(exitCode).toBe(1)
    expect(output).toMatch(/Error: requirements.txt: pip install -r requirements.txt failed with exit status 1\n(.*)/)
    if (advice !== undefined) expect(output).toContain(advice)
    else expect(output).toMatch(/exit status 1\n$/)
  })

  it.each<[Tree, string]>([
    [{ 'uv.lock': 'version = 1\n', 'pyproject.toml': '[project]\n' }, 'uv sync --locked --no-default-groups'],
    [{ 'poetry.lock': '', 'pyproject.toml': '[tool.poetry]\n' }, 'poetry sync --only main'],
    [{ 'pdm.lock': '', 'pyproject.toml': '[project]\n' }, 'pdm sync --prod'],
  ])('are installed by the tool that locked them, and kept with the lock file: %j', async (app, command) => {
    const { project, debian } = await pythonProject({ ...app, 'app.py': 'app = Flask(__name__)' })
    debian.locked = ['flask', 'gunicorn']
    const { output, exitCode } = await project.build()
    expect(exitCode, output).toBe(0)
    expect(debian.commands.find(line => line.startsWith(command))).toBeDefined()
    expect(output).toContain('gunicorn is installed')
    await project.nextBuild()
    expect((await project.build()).output).toContain('of the previous image')
    await project.nextBuild({ [Object.keys(app)[0] ?? '']: '# other\n' })
    expect((await project.build()).output).toMatch(/Creating packages of \w+.lock \(\w+.lock changed\)/)
  })

  it.each(['headers', 'pip'])('X40 the layer %s is kept for no later build if a package changes it', async name => {
    const { project, debian } = await pythonProject(flaskApp)
    debian.leftovers = [`../${name}/usr/include/evil.h`]
    const first = await project.build()
    expect(first.output).toContain(`the layer ${name} was changed after it was finished`)
    expect(first.layers[name]?.types.cache).toBe(false)
  })

  it('C21 of a lock file that names folders are installed in each build', async () => {
    const lock = '[[package]]\nname = "x"\nsource = { directory = "lib" }\n'
    const { project } = await pythonProject({ 'uv.lock': lock, 'pyproject.toml': '[project]\n', 'app.py': '' })
    await project.build()
    await project.nextBuild()
    expect((await project.build()).output).toContain('(uv.lock refers to packages that may have changed)')
  })

  it.each<[Tree, string]>([
    [{ 'Pipfile.lock': '{}' }, 'pipenv requirements --hash'],
    [{ Pipfile: '' }, 'pipenv lock'],
    [{ 'setup.py': '' }, 'pip install --editable .'],
    [{ 'pyproject.toml': '[build-system]\n[project]\n' }, 'pip install --editable .'],
    [
      { 'pyproject.toml': '[build-system]\n', 'setup.cfg': '[metadata]\nname = shop\n[options]\npackages = find:\n' },
      'pip install --editable .',
    ],
    [{ 'pyproject.toml': '[build-system]\n[tool.flit.metadata]\nmodule = "shop"\n' }, 'pip install --editable .'],
  ])('of %j: %s', async (app, command) => {
    const { project, debian } = await pythonProject({ ...app, 'app.py': 'print()' })
    const { output, exitCode } = await project.build()
    expect(exitCode, output).toBe(0)
    expect(debian.commands).toContain(command)
  })

  it('are those of the requirements beside a setup.cfg, which would install other versions', async () => {
    const { project, debian } = await pythonProject({
      'pyproject.toml': '[build-system]\n',
      'setup.cfg': '[options]\ninstall_requires =\n  flask\n',
      'requirements/production.txt': 'flask==3.1.2\ngunicorn==23.0.0\n',
      'app.py': 'app = Flask(__name__)',
    })
    const { output, exitCode } = await project.build()
    expect(exitCode, output).toBe(0)
    expect(debian.commands).toContain('pip install -r requirements/production.txt')
    expect(debian.commands).not.toContain('pip install --editable .')
  })

  it('are none for a setup.cfg that names neither requirements nor modules', async () => {
    const { project, debian } = await pythonProject({
      'pyproject.toml': '[build-system]\n',
      'setup.cfg': '[metadata]\nname = shop\n[mypy]\npackages = shop\n',
      'app.py': 'print()',
    })
    const { output, exitCode } = await project.build()
    expect(exitCode, output).toBe(0)
    expect(debian.commands.filter(line => line.startsWith('pip install'))).toEqual([])
  })

  it.each([
    ['[tool.uv.sources]\nshared = { workspace = true }\n', 'uv sync --no-default-groups --no-progress'],
    ['[[tool.uv.index]]\nname = "own"\nurl = "https://index.example"\n', 'uv sync --no-default-groups --no-progress'],
    ['[tool]\nuv.sources.shared.path = "shared"\n', 'uv sync --no-default-groups --no-progress'],
    ['[tool.uv]\nextra-index-url = ["https://index.example"]\n', 'uv sync --no-default-groups --no-progress'],
    ['[tool.poetry.dependencies]\nshared = { path = "shared" }\n', 'poetry install --only main'],
    ['[[tool.pdm.source]]\nname = "own"\nurl = "https://index.example"\n', 'pdm install --prod --no-self'],
  ])('K22 are installed by the tool whose table says where they come from: %j', async (table, command) => {
    const pyproject = `[project]\nname = "x"\ndependencies = ["shared"]\n${table}`
    const { project, debian } = await pythonProject({ 'pyproject.toml': pyproject, 'app.py': 'print()' })
    const { output, exitCode } = await project.build()
    expect(exitCode, output).toBe(0)
    expect(
      debian.commands.some(line => line.startsWith(command)),
      debian.commands.join('\n'),
    ).toBe(true)
    expect(debian.commands.filter(line => line.startsWith('pip install -r'))).toEqual([])
    expect(output).toMatch(/there is no \w+\.lock: the newest versions are installed/)
  })

  it.each(['[tool.uv]\ndev-dependencies = ["pytest"]\n', '[tool.uv.build-backend]\nmodule-root = ""\n', ''])(
    'of a pyproject.toml without a build system are its dependencies, whatever is said for development: %j',
    async table => {
      const pyproject = `[project]\nname = "x"\ndependencies = ["flask"]\n${table}`
      const { project, debian } = await pythonProject({
        'pyproject.toml': pyproject,
        'app.py': 'app = Flask(__name__)',
      })
      expect((await project.build()).exitCode).toBe(0)
      expect(debian.commands.some(line => line.startsWith('pip install -r'))).toBe(true)
    },
  )

  it('of pixi in a pyproject.toml are refused: pip would find some of them alone', async () => {
    const pyproject = '[project]\nname = "x"\n[tool.pixi.dependencies]\ngdal = "*"\n'
    const { project } = await pythonProject({ 'pyproject.toml': pyproject, 'app.py': 'print()' })
    expect((await project.build()).output).toContain('Error: pyproject.toml: pixi installs programs')
  })

  it('of a pyproject.toml without a build system are its dependencies', async () => {
    const pyproject = '[project]\nname = "x"\ndependencies = ["flask==3.1.2", "gunicorn"]\n'
    const { project } = await pythonProject({ 'pyproject.toml': pyproject, 'app.py': 'app = Flask(__name__)' })
    expect((await project.build()).output).toContain('gunicorn is installed')
    await project.nextBuild()
    expect((await project.build()).output).toContain('Using packages of pyproject.toml of the previous image')
  })

  it('of GOOGLE_VENDOR_PIP_DEPENDENCIES come from there alone', async () => {
    const { project, debian } = await pythonProject(
      { ...flaskApp, 'vendor/x.whl': '' },
      { GOOGLE_VENDOR_PIP_DEPENDENCIES: 'vendor' },
    )
    expect((await project.build()).exitCode).toBe(0)
    expect(debian.commands).toContain('pip install --no-index --find-links vendor -r requirements.txt')
  })

  it('that take their version from git are told that .git is not there', async () => {
    const pyproject = '[build-system]\nrequires = ["setuptools-scm"]\n[project]\nname = "x"\n'
    const { project } = await pythonProject({ 'pyproject.toml': pyproject, 'app.py': 'print()' })
    expect((await project.build()).output).toContain('Set SETUPTOOLS_SCM_PRETEND_VERSION')
  })

  it('may be named by BP_PIP_REQUIREMENT', async () => {
    const app = { 'app.py': '', 'base.txt': 'a==1\n', 'web.txt': 'b==1\n' }
    const { project, debian } = await pythonProject(app, { BP_PIP_REQUIREMENT: 'base.txt web.txt' })
    expect((await project.build()).exitCode).toBe(0)
    expect(debian.commands).toContain('pip install -r base.txt -r web.txt')
  })

  it('of several tools are those of the first, with a warning', async () => {
    const { project } = await pythonProject({
      'uv.lock': '',
      'poetry.lock': '',
      'pyproject.toml': '[project]\n',
      'app.py': '',
    })
    expect((await project.build()).output).toContain(
      'Warning: uv.lock, poetry.lock belong to different tools: the packages of uv.lock are installed',
    )
  })

  it('without wheels are compiled with Debian’s headers, and what they are linked with is in the image', async () => {
    const app: Tree = { 'requirements.txt': 'psycopg2==2.9.13\nflask\ngunicorn\n', 'app.py': 'app = Flask(__name__)\n' }
    const { project, debian } = await pythonProject(app)
    debian.compiled = ['psycopg2']
    debian.linked = ['libpq.so.5']
    const { output, exitCode, layers } = await project.build()
    expect(exitCode, output).toBe(0)
    expect(debian.commands).toContain('apt-get install libpq-dev')
    expect(debian.pipEnv['CPATH']).toContain(join(project.layersDir, 'native/usr/include'))
    expect(debian.pipEnv['PATH']).toContain(join(project.layersDir, 'native/usr/bin'))
    const usr = join(project.layersDir, 'native/usr')
    expect(await project.read('layers/native/usr/lib/x86_64-linux-gnu/pkgconfig/libpq.pc')).toBe(
      `prefix=${usr}\nincludedir=\${prefix}/include\nCflags: -I${usr}/include/postgresql\n`,
    )
    expect(await project.read('layers/native/usr/bin/pg_config')).toBe(
      `#!/usr/bin/perl\nINCLUDEDIR = ${usr}/include/postgresql\n`,
    )
    expect(await project.read('layers/native/usr/bin/mariadb_config')).toBe('\0/usr/include/mariadb')
    expect(output).toContain('Creating the libraries libpq5')
    expect(layers['native']?.types).toEqual({ launch: false, build: true, cache: true })
    expect(layers['libraries']?.types).toEqual({ launch: true, build: false, cache: false })
    expect(await project.read('layers/libraries/env.launch/LD_LIBRARY_PATH.prepend')).toBe(
      join(project.layersDir, 'libraries/usr/lib/x86_64-linux-gnu'),
    )
    await project.nextBuild()
    const second = await project.build()
    expect(second.output).toContain('Using packages of requirements.txt of the previous image')
    expect(second.output).toContain('Using the libraries libpq5 of the previous image')
  })

  it.each<[string, string, string]>([
    ['psycopg', 'libpq5', 'LD_LIBRARY_PATH.prepend'],
    ['pydub', 'ffmpeg', 'PATH.append'],
  ])('that load or start something of the system have it in the image: %s', async (name, debianName, variable) => {
    const { project, debian } = await pythonProject({ 'requirements.txt': `${name}\n`, 'app.py': 'print()' })
    debian.packages['ffmpeg'] = { version: '7', files: { 'usr/bin/ffmpeg': 'ELF' } }
    const { output, exitCode } = await project.build()
    expect(exitCode, output).toBe(0)
    expect(output).toContain(`Creating the libraries ${debianName}`)
    expect(await project.read(`layers/libraries/env.launch/${variable}`)).toContain('layers/libraries/usr/')
  })

  it('that bring their own libraries get none', async () => {
    const { project } = await pythonProject({ 'requirements.txt': 'psycopg\npsycopg-binary\n', 'app.py': 'print()' })
    expect((await project.build()).output).not.toContain('the libraries')
  })

  it('of GeoDjango get GDAL, GEOS and PROJ', async () => {
    const app: Tree = {
      'requirements.txt': 'django\ngunicorn\n',
      'manage.py': "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings')\n",
      'shop/settings.py': "INSTALLED_APPS = ['django.contrib.gis']\n",
      'shop/wsgi.py': '',
    }
    const { project, debian } = await pythonProject(app)
    for (const name of ['libgdal36', 'libgeos-c1t64', 'libproj25']) debian.packages[name] = { version: '3', files: {} }
    expect((await project.build()).output).toContain('Creating the libraries libgdal36, libgeos-c1t64, libproj25')
  })

  it.each<[Record<string, string>, string | undefined]>([
    [{ GIT_SSH_COMMAND: 'ssh -o BatchMode=yes', PIP_NO_INPUT: '1' }, undefined],
    [{ PIP_NO_INPUT: '1' }, '1'],
  ])('get no PIP_NO_INPUT beside an SSH command of the build, which pip would replace: %j', async (env, expected) => {
    const { project, debian } = await pythonProject(flaskApp, env)
    const { exitCode, output } = await project.build()
    expect(exitCode, output).toBe(0)
    expect(debian.pipEnv['PIP_NO_INPUT']).toBe(expected)
  })

  it('that do not go together are told', async () => {
    const { project, debian } = await pythonProject(flaskApp)
    debian.conflicts = 'flask 3.1.2 requires werkzeug>=3.1, but you have werkzeug 1.0'
    const { exitCode, output } = await project.build()
    expect(exitCode).toBe(0)
    expect(output).toContain('Warning: pip check finds incompatible packages:\n  flask 3.1.2 requires')
  })

  it.each<[string, Tree, Record<string, string>, string]>([
    [
      'a file that is not there',
      { 'requirements.txt': '-r none.txt\n', 'app.py': '' },
      {},
      'Error: requirements.txt:1: there is no file none.txt',
    ],
    [
      'a misspelt file',
      { 'requirement.txt': 'flask\n', 'app.py': '' },
      {},
      'Error: requirement.txt: pip does not read requirements under this name\n  rename it: git mv requirement.txt requirements.txt',
    ],
    ['another ending', { 'requirements.text': 'flask\n', 'app.py': '' }, {}, 'Error: requirements.text: '],
    ['another case', { 'Requirements.txt': 'flask\n', 'app.py': '' }, {}, 'Error: Requirements.txt: '],
    ['conda', { 'environment.yml': '', 'app.py': '' }, {}, 'Error: environment.yml: conda installs programs'],
    ['pixi', { 'pixi.toml': '', 'app.py': '' }, {}, 'Error: pixi.toml: pixi installs programs'],
    ['PYTHONHOME', flaskApp, { PYTHONHOME: '/usr' }, 'Error: PYTHONHOME: packages would not be installed in the image'],
    ['PIP_TARGET', flaskApp, { PIP_TARGET: 'lib' }, 'remove PIP_TARGET from the environment'],
  ])('%s: an error that says what to do', async (_name, app, env, expected) => {
    const { project } = await pythonProject(app, env)
    const { exitCode, output } = await project.build()
    expect(exitCode).toBe(1)
    expect(output).toContain(expected)
  })
})

describe('the start', () => {
  const start = async (app: Tree, env: Record<string, string> = {}) => {
    const { project } = await pythonProject(app, env)
    const { launch, exitCode, output } = await project.build()
    if (exitCode !== 0) return output
    return (launch as { processes: { type: string; default: boolean; command: string[] }[] } | undefined)?.processes[0]
      ?.command[2]
  }
  const needs = (...names: string[]): Tree => ({ 'requirements.txt': `${names.join('\n')}\n` })
  const flask = 'app = Flask(__name__)\n'
  const at = '0.0.0.0:${PORT:-8080}'
  const options = '--host 0.0.0.0 --port ${PORT:-8080}'
  const django = (name: string): Tree => ({
    'manage.py': `os.environ.setdefault('DJANGO_SETTINGS_MODULE', '${name}.settings.production')\n`,
    [`${name.replaceAll('.', '/')}/wsgi.py`]: '',
    [`${name.replaceAll('.', '/')}/asgi.py`]: '',
  })

  it.each<[string, Tree, string]>([
    ['gunicorn', { ...needs('flask', 'gunicorn'), 'main.py': flask }, `gunicorn --bind ${at} main:app`],
    [
      'main.py before app.py',
      { ...needs('gunicorn'), 'app.py': flask, 'main.py': flask },
      `gunicorn --bind ${at} main:app`,
    ],
    [
      'app.py if main.py has none',
      { ...needs('gunicorn'), 'app.py': flask, 'main.py': 'print()' },
      `gunicorn --bind ${at} app:app`,
    ],
    [
      'another name',
      { ...needs('gunicorn'), 'wsgi.py': 'application: Flask = make()\n' },
      `gunicorn --bind ${at} wsgi:application`,
    ],
    [
      'an imported one',
      { ...needs('gunicorn'), 'wsgi.py': 'from shop.web import app\n' },
      `gunicorn --bind ${at} wsgi:app`,
    ],
    [
      'an imported one that is a worker’s: its module is started',
      {
        ...needs('gunicorn', 'celery', 'flask'),
        'main.py': 'from tasks import app\n__name__ == 1',
        'tasks.py': 'app = Celery()\n',
      },
      `python main.py`,
    ],
    [
      'an imported one of an asynchronous framework',
      {
        ...needs('gunicorn', 'uvicorn', 'flask'),
        'main.py': 'from .web import app\n',
        'web.py': 'app = Starlette()\n',
      },
      `uvicorn ${options} main:app`,
    ],
    [
      'a factory',
      { ...needs('gunicorn'), 'app.py': 'def create_app():\n  app = 1\n' },
      `gunicorn --bind ${at} 'app:create_app()'`,
    ],
    ['src', { ...needs('gunicorn'), 'src/main.py': flask }, `gunicorn --bind ${at} --pythonpath src main:app`],
    ['a package', { ...needs('gunicorn'), 'app/__init__.py': flask }, `gunicorn --bind ${at} app:app`],
    ['uvicorn', { ...needs('fastapi', 'uvicorn'), 'main.py': 'app = FastAPI()\n' }, `uvicorn ${options} main:app`],
    [
      'uvicorn in src',
      { ...needs('uvicorn'), 'src/app/main.py': 'app = Starlette()\n' },
      `uvicorn ${options} --app-dir src app.main:app`,
    ],
    [
      'uvicorn for what is asynchronous',
      { ...needs('uvicorn', 'gunicorn', 'fastapi'), 'app.py': 'app = build()\n' },
      `uvicorn ${options} app:app`,
    ],
    [
      'gunicorn for what is not',
      { ...needs('uvicorn', 'gunicorn', 'flask', 'fastapi'), 'app.py': flask },
      `gunicorn --bind ${at} app:app`,
    ],
    ['flask', { ...needs('flask'), 'app.py': flask }, `FLASK_APP=app:app flask run ${options}`],
    ['flask in src', { ...needs('Flask'), 'src/app.py': flask }, `FLASK_APP=src/app:app flask run ${options}`],
    ['Django with gunicorn', { ...needs('django', 'gunicorn'), ...django('shop') }, `gunicorn --bind ${at} shop.wsgi`],
    [
      'Django with uvicorn',
      { ...needs('Django', 'uvicorn'), ...django('web.shop') },
      `uvicorn ${options} web.shop.asgi:application`,
    ],
    ['Django alone', { ...needs('django'), 'manage.py': '' }, `python manage.py runserver --noreload ${at}`],
    [
      'Django with daphne',
      { ...needs('django', 'daphne'), ...django('shop') },
      `daphne --bind 0.0.0.0 --port \${PORT:-8080} shop.asgi:application`,
    ],
    [
      'waitress',
      { ...needs('flask', 'waitress'), 'main.py': flask },
      'waitress-serve --listen=*:${PORT:-8080} main:app',
    ],
    [
      'a factory of waitress',
      { ...needs('waitress'), 'src/main.py': 'def create_app():\n  app = Flask(__name__)\n' },
      'PYTHONPATH=src waitress-serve --listen=*:${PORT:-8080} --call main:create_app',
    ],
    [
      'granian',
      { ...needs('fastapi', 'granian'), 'main.py': 'app = FastAPI()\n' },
      `GRANIAN_WORKERS_KILL_TIMEOUT=\${GRANIAN_WORKERS_KILL_TIMEOUT:-10} granian --interface asgi ${options} main:app`,
    ],
    ['a program', { ...needs('requests'), 'main.py': 'print()' }, 'python main.py'],
    [
      'a Flask program',
      { ...needs('flask'), 'main.py': 'server = make()\nif __name__ == "__main__":\n  server.run()\n' },
      'python main.py',
    ],
    ['a program in src', { 'src/server.py': 'print()' }, 'python src/server.py'],
    [
      'Dash, whose server is Flask’s',
      { ...needs('dash', 'flask', 'gunicorn'), 'app.py': 'app = Dash(__name__)\nserver = app.server\n' },
      `gunicorn --bind ${at} app:server`,
    ],
    [
      'Dash without a name',
      { ...needs('dash', 'flask', 'gunicorn'), 'app.py': 'app = dash.Dash()\n' },
      `gunicorn --bind ${at} app:app.server`,
    ],
    ['an object of unknown making', { ...needs('gunicorn'), 'app.py': 'app = Typer()\n' }, 'python app.py'],
    [
      'a WSGI function',
      { ...needs('gunicorn'), 'app.py': 'def application(environ, start_response):\n' },
      `gunicorn --bind ${at} app:application`,
    ],
    [
      'a Quart application that a module of the application makes, though Quart brings Flask',
      {
        ...needs('flask', 'quart', 'hypercorn'),
        'app.py': 'from factory import create_app\napp = create_app()\n',
        'factory.py': 'from quart import Quart\ndef create_app():\n  return Quart(__name__)\n',
      },
      `hypercorn --bind ${at} app:app`,
    ],
    [
      'what the module says that makes it, and not what is installed',
      {
        ...needs('flask', 'fastapi', 'uvicorn', 'gunicorn'),
        'app.py': 'from api import make\napp = make()\n',
        'api.py': 'def make():\n  return FastAPI()\n',
      },
      `uvicorn ${options} app:app`,
    ],
    [
      'hypercorn',
      { ...needs('quart', 'hypercorn'), 'app.py': 'app = Quart(__name__)\n' },
      `hypercorn --bind ${at} app:app`,
    ],
    [
      'Litestar',
      { ...needs('litestar', 'uvicorn'), 'app.py': 'app = Litestar([index])\n' },
      `uvicorn ${options} app:app`,
    ],
    [
      'an object of another name',
      { ...needs('flask', 'gunicorn'), 'app.py': 'web = Flask(__name__)\n' },
      `gunicorn --bind ${at} app:web`,
    ],
    [
      'Streamlit',
      { ...needs('streamlit'), 'streamlit_app.py': 'import streamlit as st\n' },
      'streamlit run streamlit_app.py --server.address 0.0.0.0 --server.port ${PORT:-8080} --server.headless true',
    ],
    [
      'Gradio',
      { ...needs('gradio'), 'app.py': 'import gradio as gr\n' },
      'GRADIO_SERVER_NAME=0.0.0.0 GRADIO_SERVER_PORT=${PORT:-8080} python app.py',
    ],
    [
      'Chainlit',
      { ...needs('chainlit', 'uvicorn'), 'app.py': 'import chainlit as cl\n' },
      `chainlit run app.py --headless ${options}`,
    ],
    [
      'marimo',
      { ...needs('marimo'), 'app.py': 'import marimo\napp = marimo.App()\n' },
      `marimo run app.py --headless ${options}`,
    ],
    [
      'Panel',
      { ...needs('panel', 'bokeh'), 'app.py': 'import panel as pn\npn.panel(1).servable()\n' },
      'BOKEH_ALLOW_WS_ORIGIN="${BOKEH_ALLOW_WS_ORIGIN:-*}" panel serve app.py --address 0.0.0.0 --port ${PORT:-8080}',
    ],
    ['Panel that serves itself', { ...needs('panel'), 'app.py': 'import panel as pn\npn.serve(a)\n' }, 'python app.py'],
    [
      'Voilà',
      { ...needs('voila'), 'a.ipynb': '{}' },
      'voila a.ipynb --no-browser --Voila.ip=0.0.0.0 --port=${PORT:-8080}',
    ],
    [
      'Blacksheep',
      { ...needs('blacksheep', 'uvicorn'), 'server.py': 'app = Application()\n' },
      `uvicorn ${options} server:app`,
    ],
    [
      'Sanic',
      { ...needs('sanic'), 'server.py': 'from sanic import Sanic\napp = Sanic("x")\n' },
      `sanic ${options} server:app`,
    ],
    [
      'FastHTML, and not the reloader that its own call brings',
      {
        ...needs('python-fasthtml', 'uvicorn'),
        'main.py': 'from fasthtml.common import *\napp, rt = fast_app()\nserve()\n',
      },
      `uvicorn ${options} main:app`,
    ],
    [
      'FastHTML with its class',
      {
        ...needs('python-fasthtml', 'uvicorn'),
        'main.py': 'from fasthtml.common import *\napp = FastHTML()\nserve()\n',
      },
      `uvicorn ${options} main:app`,
    ],
    [
      'Robyn',
      { ...needs('robyn'), 'app.py': 'from robyn import Robyn\napp = Robyn(__file__)\napp.start(port=8080)\n' },
      'serve-on-port robyn app.py',
    ],
    [
      'NiceGUI, also where it names its application',
      { ...needs('nicegui', 'fastapi', 'uvicorn'), 'main.py': 'from nicegui import app, ui\nui.run()\n' },
      'serve-on-port nicegui main.py',
    ],
    [
      'aiohttp that names no port',
      { ...needs('aiohttp'), 'main.py': 'from aiohttp import web\napp = web.Application()\nweb.run_app(app)\n' },
      'serve-on-port aiohttp main.py',
    ],
    [
      'aiohttp that reads the port',
      {
        ...needs('aiohttp'),
        'main.py': 'from aiohttp import web\nweb.run_app(init(), port=int(os.environ["PORT"]))\n',
      },
      'python main.py',
    ],
    [
      'Tornado that names a port',
      { ...needs('tornado'), 'main.py': 'import tornado\ndef make_app():\n  pass\nmake_app().listen(8888)\n' },
      'serve-on-port tornado:8888 main.py',
    ],
    [
      'Tornado on the port of an option',
      { ...needs('tornado'), 'main.py': 'import tornado\nmake_app().listen(options.port)\n' },
      'python main.py',
    ],
    [
      'aiohttp on the port of another variable',
      { ...needs('aiohttp'), 'main.py': 'import aiohttp\nrun_app(app, port=int(os.getenv("SERVER_PORT")))\n' },
      'python main.py',
    ],
    [
      'Tornado that listens on two ports',
      { ...needs('tornado'), 'main.py': 'import tornado\nmake_app().listen(8888)\nmetrics().listen(9999)\n' },
      'python main.py',
    ],
    [
      'Bottle that runs wherever it is imported',
      { ...needs('bottle'), 'main.py': 'from bottle import run\nrun(host="localhost", port=8080)\n' },
      'serve-on-port bottle:8080 main.py',
    ],
    [
      'CherryPy that names no port',
      { ...needs('cherrypy'), 'app.py': 'import cherrypy\ncherrypy.quickstart(Root())\n' },
      'serve-on-port cherrypy app.py',
    ],
    [
      'CherryPy that names a port',
      {
        ...needs('cherrypy'),
        'app.py': "import cherrypy\ncherrypy.config.update({'server.socket_port': 8099})\ncherrypy.engine.start()\n",
      },
      'serve-on-port cherrypy:8099 app.py',
    ],
    [
      'CherryPy on the port of another variable',
      {
        ...needs('cherrypy'),
        'app.py': "import cherrypy\ncherrypy.server.socket_port = int(os.environ['HTTP'])\ncherrypy.engine.start()\n",
      },
      'python app.py',
    ],
    [
      'one file of another name',
      { ...needs('marimo'), 'notebook.py': 'import marimo\napp = marimo.App()\n', 'setup.py': '', 'test_it.py': '' },
      `marimo run notebook.py --headless ${options}`,
    ],
    [
      'the file of another name that the others are imported by',
      {
        ...needs('streamlit'),
        'Home.py': 'import streamlit as st\nimport os, charts\nfrom loading import load\n',
        'charts.py': 'import streamlit as st\n',
        'loading.py': '',
      },
      'streamlit run Home.py --server.address 0.0.0.0 --server.port ${PORT:-8080} --server.headless true',
    ],
    [
      'the file of another name that is served, beside scripts',
      { ...needs('flask', 'gunicorn'), 'service.py': flask, 'seed.py': 'import requests\n' },
      `gunicorn --bind ${at} service:app`,
    ],
    [
      'the program of another name that the others are imported by',
      { ...needs('requests'), 'crawl.py': 'import pages\nif __name__ == "__main__":\n  pages.get()\n', 'pages.py': '' },
      'python crawl.py',
    ],
    [
      'a bot, though an application for its tests is beside it',
      { ...needs('flask', 'gunicorn', 'discord.py'), 'main.py': 'client.run(token)\n', 'api.py': flask },
      'python main.py',
    ],
    [
      'a worker in src, though a page to watch it is beside it',
      { ...needs('streamlit'), 'src/main.py': 'work()\n', 'dashboard.py': 'import streamlit as st\n' },
      'python src/main.py',
    ],
    [
      'the file of another name that is not a stand-in for tests',
      { ...needs('flask', 'gunicorn'), 'service.py': flask, 'mock_api.py': flask },
      `gunicorn --bind ${at} service:app`,
    ],
    [
      'a demonstration where there is nothing else',
      { ...needs('streamlit'), 'demo.py': 'import streamlit as st\n' },
      'streamlit run demo.py --server.address 0.0.0.0 --server.port ${PORT:-8080} --server.headless true',
    ],
    ['one program of another name', { ...needs('requests'), 'hello.py': 'print(1)\n' }, 'python hello.py'],
    [
      'a package before one file of another name',
      { ...needs('requests'), 'hello.py': '', 'jobs/__main__.py': '' },
      'python -m jobs',
    ],
    [
      'a function of Google’s framework',
      {
        ...needs('functions-framework', 'flask'),
        'main.py': '@functions_framework.http\ndef hello(request):\n  return 1\n',
      },
      `functions-framework --target hello ${options}`,
    ],
    [
      'a factory in a package',
      {
        ...needs('flask', 'gunicorn'),
        'shop/__init__.py': 'def create_app(config=None):\n  return 1\n',
        'tests/__init__.py': flask,
      },
      `gunicorn --bind ${at} 'shop:create_app()'`,
    ],
    [
      'an application in a package of src that runs itself',
      {
        ...needs('sanic', 'uvicorn'),
        'src/shop/__init__.py': '',
        'src/shop/server.py': 'app = Sanic("shop")\napp.run()\n',
      },
      `uvicorn ${options} --app-dir src shop.server:app`,
    ],
    [
      'an application in a module of a package that is called web',
      { ...needs('flask', 'gunicorn'), 'src/svc/__init__.py': '', 'src/svc/web.py': flask },
      `gunicorn --bind ${at} --pythonpath src svc.web:app`,
    ],
    [
      'a program before a package',
      { ...needs('falcon', 'gunicorn'), 'main.py': 'import shop\n', 'shop/__init__.py': flask },
      'python main.py',
    ],
    ['a bot', { ...needs('discord.py'), 'bot.py': 'client.run(token)\n' }, 'python bot.py'],
    ['a package', { ...needs('requests'), 'jobs/__main__.py': '' }, 'python -m jobs'],
    ['a package in src', { ...needs('requests'), 'src/jobs/__main__.py': '' }, 'PYTHONPATH=src python -m jobs'],
    ['a program that compares', { ...needs('gunicorn'), 'main.py': 'app == 1\n' }, 'python main.py'],
  ])('%s', async (_name, app, expected) => expect(await start(app)).toBe(expected))

  it.each<[string, Tree, Record<string, string>, string]>([
    [
      'a function',
      needs('functions-framework'),
      { GOOGLE_FUNCTION_TARGET: 'hi', GOOGLE_FUNCTION_SIGNATURE_TYPE: 'cloudevent' },
      `functions-framework --target hi --signature-type cloudevent ${options}`,
    ],
    ['a file', needs('requests'), { BP_PYTHON_ENTRYPOINT: 'jobs/run.py' }, 'python jobs/run.py'],
    [
      'a file with an application',
      needs('gunicorn'),
      { BP_PYTHON_ENTRYPOINT: 'jobs/web.py' },
      `gunicorn --bind ${at} jobs.web:app`,
    ],
    [
      'an object',
      needs('flask'),
      { BP_PYTHON_ENTRYPOINT: 'jobs.web:app' },
      `FLASK_APP=jobs.web:app flask run ${options}`,
    ],
    ['a command', needs('flask'), { RAILPACK_START_CMD: 'python -m jobs' }, 'python -m jobs'],
  ])('named by a variable: %s', async (_name, app, env, expected) => {
    expect(await start({ ...app, 'jobs/run.py': '', 'jobs/web.py': flask }, env)).toBe(expected)
  })

  it.each<[Record<string, string>, string]>([
    [{ BP_PYTHON_ENTRYPOINT: 'none.py' }, 'Error: BP_PYTHON_ENTRYPOINT: there is no file none.py'],
    [{ BP_PYTHON_ENTRYPOINT: 'a b' }, 'Error: BP_PYTHON_ENTRYPOINT: "a b" is not a file or an object'],
  ])('named wrongly: %j', async (env, expected) => expect(await start({ ...needs('flask') }, env)).toContain(expected))

  it('of several functions is for the user to choose', async () => {
    const two = ['a', 'b'].map(name => `@functions_framework.http\ndef ${name}(request):\n  return 1\n`).join('\n')
    const output = await start({ ...needs('functions-framework'), 'main.py': two })
    expect(output).toContain('Error: main.py: there are several functions: a, b')
    expect(output).toContain('GOOGLE_FUNCTION_TARGET=a')
  })

  it.each<[Tree, Record<string, string>]>([
    [{ Procfile: 'web: functions-framework --target=a --port $PORT\n' }, {}],
    [{ Procfile: 'other: functions-framework --target=b\n' }, {}],
    [{ 'app.yaml': 'runtime: python312\nentrypoint: functions-framework --target=a\n' }, {}],
    [{}, { GOOGLE_ENTRYPOINT: 'functions-framework --target=a' }],
  ])('of several functions may be the Procfile buildpack’s: %j, %j', async (app, env) => {
    const two = ['a', 'b'].map(name => `@functions_framework.http\ndef ${name}(request):\n  return 1\n`).join('\n')
    const { project } = await pythonProject({ ...needs('functions-framework'), 'main.py': two, ...app }, env)
    const { exitCode, output } = await project.build()
    expect(exitCode, output).toBe(0)
  })

  it.each<[string, Tree, string]>([
    [
      'Reflex',
      { 'rxconfig.py': 'config = rx.Config()\n', 'shop/shop.py': '' },
      'rxconfig.py: Reflex compiles its front end',
    ],
    ['two scripts', { 'one.py': 'print(1)\n', 'two.py': 'print(2)\n' }, 'no start command found'],
    ['settings alone', { 'config.py': 'A = 1\n' }, 'no start command found'],
  ])('that would only end is an error: %s', async (_name, app, message) => {
    const { project, debian } = await pythonProject({ ...needs('requests'), ...app })
    const { exitCode, output } = await project.build()
    expect(exitCode).not.toBe(0)
    expect(output).toContain(message)
    expect(debian.commands.filter(command => command.startsWith('pip install'))).toEqual([])
  })

  it('of a Flask application that is nowhere is an error: what was tried, and three ways to name it', async () => {
    const output = await start({ ...needs('flask'), 'service/web.py': flask, 'main.py': 'import service.web\n' })
    expect(output).toContain('Error: no start command found')
    expect(output).toContain('main.py, app.py, wsgi.py')
    for (const way of ['Procfile', 'app.py', 'BP_PYTHON_ENTRYPOINT', 'GOOGLE_ENTRYPOINT']) expect(output).toContain(way)
  })

  it.each<[Tree, Record<string, string>]>([
    [{ Procfile: 'web: flask --app service.web run\n' }, {}],
    [{}, { GOOGLE_ENTRYPOINT: 'flask --app service.web run' }],
  ])('may be the Procfile buildpack’s', async (app, env) => {
    expect(await start({ ...needs('flask'), 'service/web.py': flask, ...app }, env)).toBeUndefined()
  })

  it('is followed by a word on a port that the program has of its own, not one of a server beside it', async () => {
    const source = 'import http.server\nhttp.server.HTTPServer(("", 8000), A).serve_forever()\n'
    const own = await pythonProject({ 'main.py': source })
    expect((await own.project.build()).output).toContain(
      'Warning: main.py:2 always listens on port 8000 and ignores PORT',
    )
    const served = await pythonProject({ ...needs('flask', 'gunicorn'), 'app.py': `${flask}app.run(port=8000)\n` })
    expect((await served.project.build()).output).not.toContain('listens on')
  })

  it('is the default process', async () => {
    const { project } = await pythonProject({ 'main.py': '' })
    expect((await project.build()).launch).toEqual({
      processes: [{ type: 'web', command: ['bash', '-c', 'python main.py', 'bash'], default: true }],
    })
  })

  it.each<[string, Tree, string, string]>([
    [
      'FastAPI',
      { ...needs('fastapi'), 'main.py': 'app = FastAPI()\n' },
      'uvicorn==0.54.0',
      `uvicorn ${options} main:app`,
    ],
    [
      'Starlette',
      { ...needs('starlette'), 'main.py': 'app = Starlette()\n' },
      'uvicorn==0.54.0',
      `uvicorn ${options} main:app`,
    ],
    [
      'a WSGI function',
      { ...needs(), 'app.py': 'def app(environ, start_response):\n' },
      'gunicorn==27.0.1',
      `gunicorn --bind ${at} app:app`,
    ],
    [
      'Mesop, whose Flask is not the application',
      { ...needs('mesop', 'flask'), 'main.py': 'import mesop as me\n@me.page()\ndef app():\n  me.text("")\n' },
      'gunicorn==27.0.1',
      `gunicorn --bind ${at} main:me`,
    ],
    [
      'what would serve at a port of its own',
      { ...needs('falcon'), 'things.py': 'app = falcon.App()\nif __name__ == "__main__":\n  serve(app, 8000)\n' },
      'gunicorn==27.0.1',
      `gunicorn --bind ${at} things:app`,
    ],
    ['Django', { ...needs('django'), ...django('shop') }, 'gunicorn==27.0.1', `gunicorn --bind ${at} shop.wsgi`],
  ])('%s without a server gets one, with a warning', async (_name, app, server, command) => {
    const { project, debian } = await pythonProject(app)
    const { output, exitCode, launch } = await project.build()
    expect(exitCode, output).toBe(0)
    expect(output).toContain(`which is not installed: ${server} is`)
    expect(debian.commands).toContain(`pip install ${server}`)
    expect(launch).toMatchObject({ processes: [{ command: ['bash', '-c', command, 'bash'] }] })
  })

  it('Django is served by the module that RAILPACK_DJANGO_APP_NAME names, which has to be there', async () => {
    const app = { ...needs('django', 'gunicorn'), ...django('shop'), 'web/wsgi.py': '' }
    const { project } = await pythonProject(app, { RAILPACK_DJANGO_APP_NAME: 'web.wsgi:application' })
    const command = ['bash', '-c', `gunicorn --bind ${at} web.wsgi`, 'bash']
    expect(await project.build()).toMatchObject({ exitCode: 0, launch: { processes: [{ command }] } })
    const { project: wrong } = await pythonProject(app, { RAILPACK_DJANGO_APP_NAME: 'shop' })
    expect((await wrong.build()).output).toContain('Error: RAILPACK_DJANGO_APP_NAME: there is no shop.py')
  })

  it.each<[string, Tree, Record<string, string>]>([
    ['one is declared', { ...needs('fastapi'), 'main.py': 'app = FastAPI()\n', Procfile: 'web: python main.py\n' }, {}],
    ['it starts itself', { ...needs('bottle'), 'app.py': 'app = Bottle()\nrun(app)\n' }, {}],
    [
      'it listens where it is told',
      {
        ...needs('falcon'),
        'app.py': 'app = falcon.App()\nif __name__ == "__main__":\n  serve(app, os.environ["PORT"])\n',
      },
      {},
    ],
    [
      'a script starts it',
      {
        'pyproject.toml': '[build-system]\n[project]\nname = "x"\n[project.scripts]\nserve = "x:main"\n',
        'app.py': 'app = Starlette()',
      },
      {},
    ],
  ])('gets no server where %s', async (_name, app, env) => {
    const { project, debian } = await pythonProject(app, env)
    expect((await project.build()).output).not.toContain('which is not installed')
    expect(debian.commands.filter(command => /uvicorn|gunicorn/.test(command))).toEqual([])
  })

  it('that is nowhere, whatever is installed, is an error before anything is installed', async () => {
    const { project, debian } = await pythonProject({ ...needs('flask'), 'service/web.py': flask })
    expect((await project.build()).output).toContain('Error: no start command found')
    expect(debian.commands).toEqual([])
  })

  it.each<[string, Tree, string]>([
    [
      'a script of setup.py',
      { 'setup.py': "setup(name='shop', entry_points={'console_scripts': ['shop = shop.cli:main']})" },
      'shop',
    ],
    [
      'a script of setup.cfg',
      {
        'setup.py': '',
        'setup.cfg': '[options.entry_points]\nconsole_scripts =\n  serve = shop:main\n  other = shop:other\n',
      },
      'serve',
    ],
  ])('%s', async (_name, app, expected) => expect(await start(app)).toBe(expected))

  it('is Celery’s worker where nothing starts a server', async () => {
    const { project } = await pythonProject({ ...needs('celery'), 'tasks.py': 'queue = Celery("x")\n' })
    expect((await project.build()).launch).toEqual({
      processes: [
        { type: 'worker', command: ['bash', '-c', 'celery --app tasks:queue worker', 'bash'], default: true },
      ],
    })
  })

  it.each<[string, string, string, string]>([
    ['dramatiq', 'tasks.py', 'import dramatiq\n@dramatiq.actor\ndef send():\n  pass\n', 'dramatiq tasks'],
    [
      'dramatiq',
      'worker.py',
      'from dramatiq import actor\n@actor(max_retries=3)\ndef a():\n  pass\n',
      'dramatiq worker',
    ],
    ['huey', 'tasks.py', 'from huey import RedisHuey\nqueue = RedisHuey("x")\n', 'huey_consumer tasks.queue'],
    ['arq', 'worker.py', 'class WorkerSettings:\n  functions = []\n', 'arq worker.WorkerSettings'],
  ])('is the worker of %s in %s where nothing starts a server', async (name, file, source, command) => {
    const { project } = await pythonProject({ ...needs(name), [file]: source })
    expect((await project.build()).launch).toEqual({
      processes: [{ type: 'worker', command: ['bash', '-c', command, 'bash'], default: true }],
    })
  })

  it('is a program with tasks that runs itself', async () => {
    const run = 'import dramatiq\n@dramatiq.actor\ndef a():\n  pass\nif __name__ == "__main__":\n  a.send()\n'
    expect(await start({ ...needs('dramatiq'), 'worker.py': run })).toBe('python worker.py')
  })

  it('has Flower beside Celery’s worker', async () => {
    const { project } = await pythonProject({ ...needs('celery', 'flower'), 'tasks.py': 'queue = Celery("x")\n' })
    expect((await project.build()).launch).toMatchObject({
      processes: [
        { type: 'worker', default: true },
        {
          type: 'flower',
          command: ['bash', '-c', `celery --app tasks:queue flower --address=0.0.0.0 --port=\${PORT:-8080}`, 'bash'],
        },
      ],
    })
  })

  it('has Celery’s worker beside it', async () => {
    const app = { ...needs('celery', 'flask', 'gunicorn'), 'app.py': flask, 'tasks.py': 'queue = Celery("x")\n' }
    const { project } = await pythonProject(app)
    expect((await project.build()).launch).toMatchObject({
      processes: [
        { type: 'web' },
        { type: 'worker', command: ['bash', '-c', 'celery --app tasks:queue worker', 'bash'] },
      ],
    })
  })
})

describe('documentation that the static buildpack serves', () => {
  const forStatic = { entries: [{ name: 'python', metadata: { launch: false } }] }

  it.each<[Tree, string]>([
    [
      { 'requirements.txt': 'mkdocs==1.6.1\n', 'mkdocs.yml': '' },
      'mkdocs build --config-file mkdocs.yml --site-dir site',
    ],
    [{ 'requirements.txt': 'sphinx==8.2.3\n', 'docs/conf.py': '' }, 'sphinx-build -b html docs site'],
  ])('is made, and nothing of Python is in the image: %j', async (app, command) => {
    const { project, debian } = await pythonProject(app)
    const { exitCode, output, launch, layers } = await project.build(forStatic)
    expect(exitCode, output).toBe(0)
    expect(debian.commands).toContain(command)
    expect(launch).toBeUndefined()
    expect(Object.values(layers).filter(({ types }) => types.launch)).toEqual([])
    await project.nextBuild()
    debian.commands.length = 0
    await project.build(forStatic)
    expect(debian.commands).toContain(command)
  })

  it('is an error without its generator', async () => {
    const { project } = await pythonProject({ 'requirements.txt': 'mkdocs-x==1\n', 'mkdocs.yml': '' })
    const { exitCode, output } = await project.build(forStatic)
    expect(exitCode).toBe(1)
    expect(output).toContain('mkdocs.yml: MkDocs makes the pages, but is not installed')
  })
})

describe('Django’s static files', () => {
  const django: Tree = { 'requirements.txt': 'django\n', 'manage.py': '' }
  const settings = (name: string) => `os.environ.setdefault('DJANGO_SETTINGS_MODULE', '${name}')\n`

  it('are collected, also where the packages are those of the last build', async () => {
    const { project, debian } = await pythonProject(django)
    await project.build()
    expect(debian.commands).toContain('manage.py collectstatic --noinput')
    debian.commands.length = 0
    await project.nextBuild()
    expect((await project.build()).output).toContain('Using packages of requirements.txt from the cache')
    expect(debian.commands).toContain('manage.py collectstatic --noinput')
  })

  it('are not collected with DISABLE_COLLECTSTATIC', async () => {
    const { project, debian } = await pythonProject(django, { DISABLE_COLLECTSTATIC: '1' })
    expect((await project.build()).exitCode).toBe(0)
    expect(debian.commands).not.toContain('manage.py collectstatic --noinput')
  })

  it('are not collected without the application staticfiles', async () => {
    const { project, debian } = await pythonProject(django)
    debian.helpFailure = "Unknown command: 'collectstatic'\nType 'manage.py help' for usage."
    const { exitCode, output } = await project.build()
    expect(exitCode).toBe(0)
    expect(output).toContain('Leaving out collectstatic: the application django.contrib.staticfiles is not in')
  })

  it('are an error where the settings cannot be imported', async () => {
    const { project, debian } = await pythonProject(django)
    debian.helpFailure = "ModuleNotFoundError: No module named 'shop'"
    const { exitCode, output } = await project.build()
    expect(exitCode).toBe(1)
    expect(output).toContain("No module named 'shop'")
    expect(output).toContain('Error: manage.py: manage.py help collectstatic failed with exit status 1')
  })

  it.each<[string, Tree, Record<string, string>, string | undefined]>([
    ['those of wsgi.py', { 'shop/wsgi.py': settings('shop.settings.production') }, {}, 'shop.settings.production'],
    ['those of asgi.py alone', { 'shop/asgi.py': settings('shop.settings.live') }, {}, 'shop.settings.live'],
    [
      'what the user says',
      { 'shop/wsgi.py': settings('shop.settings.production') },
      { DJANGO_SETTINGS_MODULE: 'a' },
      'a',
    ],
    ['the same for all', { 'shop/wsgi.py': settings('shop.settings.local') }, {}, undefined],
    ['no others', { 'shop/wsgi.py': '' }, {}, undefined],
  ])('are collected with the settings that it is served with: %s', async (_name, files, env, expected) => {
    const app = { 'requirements.txt': 'django\n', 'manage.py': settings('shop.settings.local'), ...files }
    const { project, debian } = await pythonProject(app, env)
    await project.build()
    expect(debian.djangoSettings).toBe(expected)
  })

  it.each([
    "KeyError: 'SECRET_KEY'",
    'ImproperlyConfigured: Set the SECRET_KEY environment variable',
    'decouple.UndefinedValueError: SECRET_KEY not found. Declare it',
  ])('that need a variable: %s', async said => {
    const { project, debian } = await pythonProject(django)
    debian.helpFailure = `Traceback (most recent call last):\n${said}\n`
    expect((await project.build()).output).toContain('the settings need SECRET_KEY: set it in the build')
  })

  it.each([
    ['You’re using the staticfiles app without having set the STATIC_ROOT setting to a filesystem path', 0],
    ['KeyError: SECRET_KEY', 1],
  ])('that cannot be collected: %s', async (failure, expected) => {
    const { project, debian } = await pythonProject(django)
    debian.collectFailure = failure
    const { exitCode, output } = await project.build()
    expect(exitCode, output).toBe(expected)
    expect(output).toContain(expected === 0 ? 'Warning: static files are not collected' : 'set DISABLE_COLLECTSTATIC=1')
  })
})
