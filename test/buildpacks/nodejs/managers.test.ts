import { access, readdir, readlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { linkCache } from '../../../buildpacks/nodejs/managers/bun-cache.ts'
import { nodejs } from '../../../buildpacks/nodejs/nodejs.ts'
import type { Tree } from '../../../buildpacks/sdk/testing.ts'
import { temporaryDirectory } from '../../helpers/temporary.ts'
import { writeTree } from '../../helpers/tree.ts'
import { openProject } from '../sdk/project.ts'
import { bundledDir } from './bundled.ts'
import { FakeManagers } from './fake-managers.ts'

const json = (value: object) => JSON.stringify(value, null, 2)

async function projectOf(app: Tree, env: Record<string, string> = {}) {
  const managers = new FakeManagers()
  const dir = await bundledDir()
  return { managers, project: await openProject({ buildpack: nodejs, dir, app, env, runner: managers.runner }) }
}

/** What a project's build ran, but for what it asked the registry. */
const ran = ({ commands }: FakeManagers) => commands.filter(command => !/^npm (view|pack)/.test(command))

const about = (more: object = {}) =>
  json({
    scripts: { build: 'b', start: 'node server.js' },
    dependencies: { a: '1' },
    devDependencies: { d: '1' },
    ...more,
  })

const locks = {
  yarn: '# yarn lockfile v1\n\na@1:\n  version "1.0.0"\n  integrity sha512-a\n\nd@1:\n  version "1.0.0"\n  integrity sha512-d\n',
  berry: `__metadata:
  version: 8

"a@npm:1":
  version: 1.0.0
  resolution: "a@npm:1.0.0"
  checksum: 10c0/a

"d@npm:1":
  version: 1.0.0
  resolution: "d@npm:1.0.0"
  checksum: 10c0/d
`,
  pnpm: `lockfileVersion: '9.0'
importers:
  .:
    dependencies:
      a: { specifier: '1', version: 1.0.0 }
    devDependencies:
      d: { specifier: '1', version: 1.0.0 }
packages:
  a@1.0.0:
    resolution: { integrity: sha512-a }
  d@1.0.0:
    resolution: { integrity: sha512-d }
`,
  bun: `{
  "lockfileVersion": 1,
  "workspaces": { "": { "dependencies": { "a": "1" }, "devDependencies": { "d": "1" } } },
  "packages": { "a": ["a@1.0.0", "", {}, "sha512-a"], "d": ["d@1.0.0", "", {}, "sha512-d"], }
}
`,
}

const apps = {
  yarn: { 'package.json': about(), 'yarn.lock': locks.yarn, 'server.js': '' },
  berry: {
    'package.json': about(),
    'yarn.lock': locks.berry,
    '.yarnrc.yml': 'nodeLinker: node-modules\n',
    'server.js': '',
  },
  pnpm: { 'package.json': about(), 'pnpm-lock.yaml': locks.pnpm, 'server.js': '' },
  bun: { 'package.json': about(), 'bun.lock': locks.bun, 'server.js': '' },
} as const

describe.each<[keyof typeof apps, string, string, string[], string[]]>([
  [
    'yarn',
    'Yarn 1.22.22: yarn.lock asks for 1.x',
    'yarn install --frozen-lockfile --production=false --ignore-scripts',
    ['yarn install --frozen-lockfile --production=false --prefer-offline'],
    ['yarn install --frozen-lockfile --production=true --ignore-scripts --prefer-offline'],
  ],
  [
    'berry',
    'Yarn 4.18.1: yarn.lock asks for 4.x',
    'yarn install --immutable',
    ['yarn install --immutable'],
    ['yarn workspaces focus --all --production'],
  ],
  [
    'pnpm',
    'pnpm 10.34.9: pnpm-lock.yaml asks for 10',
    'pnpm install --frozen-lockfile --prod=false --ignore-scripts',
    ['pnpm rebuild --pending'],
    ['pnpm install --frozen-lockfile --prod --ignore-scripts --prefer-offline'],
  ],
  [
    'bun',
    'Bun 1.4.5: bun.lock asks for >=1.2',
    'bun install --frozen-lockfile --ignore-scripts',
    ['bun install --frozen-lockfile'],
    ['bun install --production --frozen-lockfile --ignore-scripts'],
  ],
])('%s', (name, version, install, withScripts, prune) => {
  const program = name === 'berry' ? 'yarn' : name
  const app: Tree = apps[name]

  it('installs without scripts, builds, prunes, and lists what is left', async () => {
    const { project, managers } = await projectOf(app)
    const { exitCode, output, launch, layers } = await project.build()
    expect(exitCode, output).toBe(0)
    expect(output).toContain(version)
    const pruned = name === 'berry' ? [] : prune
    expect(ran(managers).slice(0, 2)).toEqual([install, `${program} run build`])
    expect(ran(managers)).toEqual(expect.arrayContaining(pruned))
    expect(launch).toMatchObject({ slices: [{ paths: ['node_modules'] }] })
    // X40 A program is watched: a layer for the cache alone would not be.
    expect(layers[program]?.types).toEqual({ launch: false, build: true, cache: true })
    const sbom = await project.read('layers/launch.sbom.cdx.json')
    expect(sbom).toContain('pkg:npm/a@1.0.0')
    if (name !== 'berry') expect(sbom).not.toContain('pkg:npm/d@1.0.0')
  })

  it('takes packages that run no scripts from the build before', async () => {
    const { project, managers } = await projectOf(app)
    await project.build()
    managers.commands.length = 0
    await project.nextBuild({ 'server.js': '// changed' })
    const { output } = await project.build()
    expect(output).toMatch(/Using packages of \S+ from the cache/)
    expect(ran(managers)[0]).toBe(`${program} run build`)
  })

  it('X40 keeps no packages that the build script changed', async () => {
    const { project, managers } = await projectOf(app)
    const poisoned = join(project.layersDir, 'modules/node_modules/a/package.json')
    managers.npm.scripts['build'] = () => writeFile(poisoned, '{}')
    const { layers } = await project.build()
    expect(layers['modules']?.types.cache).toBe(false)
  })

  it('C21 keeps packages with scripts as they come, which run in each build', async () => {
    const { project, managers } = await projectOf(app)
    managers.packages[0] = { name: 'a', script: 'node-gyp rebuild' }
    managers.onScript = () => writeFile(join(project.appDir, 'node_modules/a/made'), '')
    const first = await project.build()
    expect(first.exitCode, first.output).toBe(0)
    expect(ran(managers).slice(0, 1 + withScripts.length)).toEqual([install, ...withScripts])
    const kept = join(project.layersDir, 'modules/node_modules')
    // Yarn 1 runs scripts only while it installs.
    if (name === 'yarn') await expect(access(kept)).rejects.toThrow('ENOENT')
    else expect(await readdir(join(kept, 'a'))).toEqual(['package.json'])
    managers.commands.length = 0
    await project.nextBuild({ 'server.js': '// changed' })
    await project.build()
    expect(ran(managers).slice(0, withScripts.length)).toEqual(withScripts)
    expect(await readdir(join(project.appDir, 'node_modules/a'))).toEqual(['made', 'package.json'])
  })

  it('X40 keeps nothing that a script of a package changed', async () => {
    const { project, managers } = await projectOf(app)
    managers.packages[0] = { name: 'a', script: 'x' }
    const poisoned = join(project.layersDir, 'modules/poisoned')
    managers.onScript = () => writeFile(poisoned, '')
    expect((await project.build()).layers['modules']?.types.cache).toBe(false)
  })

  it('C21 installs anew if anything changes that it reads', async () => {
    const { project } = await projectOf(app)
    const state = async (changes: Tree, env: Record<string, string> = {}) => {
      await project.nextBuild(changes)
      project.setEnv(env)
      return / packages of \S+ \(?(.*?)\)?$/m.exec((await project.build()).output)?.[1]
    }
    await project.build()
    expect(await state({ '.npmrc': 'x=y' })).toBe('files of settings changed')
    expect(await state({})).toBe('files of settings changed')
    expect(await state({ 'package.json': about({ overrides: { b: '2' } }) })).toBe(
      'dependencies in package.json changed',
    )
    expect(await state({ 'package.json': about({ version: '2.0.0' }) })).toBe('dependencies in package.json changed')
    expect(await state({ 'package.json': about({ version: '3.0.0' }) })).toBe('from the cache')
    expect(await state({}, { npm_config_arch: 'arm' })).toMatch(/^settings for \w+ changed$/)
    expect(await state({ '.pnpmfile.cjs': '' })).toBeUndefined()
  })

  it('keeps devDependencies with NODE_ENV=development', async () => {
    const { project, managers } = await projectOf(app, { NODE_ENV: 'development' })
    await project.build()
    expect(ran(managers).filter(command => prune.includes(command))).toEqual([])
  })

  it('refuses a package.json that asks for what the lock file does not have, before it fetches anything', async () => {
    const { project, managers } = await projectOf({
      ...app,
      'package.json': about({ dependencies: { a: '1', missing: '^2' } }),
    })
    const { exitCode, output } = await project.build()
    expect(exitCode).toBe(1)
    const lockFile = Object.keys(app).find(file => /lock/.test(file))
    expect(output).toContain(`Error: package.json:8 dependencies.missing: ${lockFile} does not have missing "^2"`)
    expect(output).toContain(`run "${program} install" and commit ${lockFile}`)
    expect(managers.commands).toEqual([])
  })
})

describe('pnpm', () => {
  it.each([
    ['5.3', '6.35.1'],
    ['5.4', '7.33.7'],
    ["'6.0'", '8.15.9'],
    ["'6.1'", '8.15.9'],
    ["'9.0'", '10.34.9'],
    ["'10.0'", '12.21.0'],
  ])('reads lock files of the format %s with %s', async (format, version) => {
    const { project } = await projectOf({
      'package.json': json({ dependencies: { a: '1' }, scripts: { start: 'x' } }),
      'pnpm-lock.yaml': `lockfileVersion: ${format}\nspecifiers:\n  a: '1'\n`,
    })
    expect((await project.build()).output).toContain(`pnpm ${version}: pnpm-lock.yaml asks for`)
  })

  it('X40 drops its store if a script of a package changed it', async () => {
    const { project, managers } = await projectOf(apps.pnpm)
    managers.packages[0] = { name: 'a', script: 'x' }
    managers.onScript = () => writeFile(join(project.layersDir, 'pnpm-store/poisoned'), '')
    const { output, layers } = await project.build()
    expect(output).toContain('the layer pnpm-store was changed after it was finished, at poisoned')
    expect(layers['pnpm-store']?.types.cache).toBe(false)
    await project.nextBuild()
    managers.onScript = () => Promise.resolve()
    expect((await project.build()).layers['pnpm-store']?.types.cache).toBe(true)
    await expect(access(join(project.layersDir, 'pnpm-store/poisoned'))).rejects.toThrow('ENOENT')
  })

  it('gives scripts a store of their own, as that of the packages is closed: one may install in another folder', async () => {
    const { project, managers } = await projectOf({
      ...apps.pnpm,
      'package.json': about({ scripts: { build: 'cd client && pnpm install', start: 'x' } }),
    })
    managers.packages[0] = { name: 'a', script: 'x' }
    const stores: (string | undefined)[] = []
    managers.onScript = env =>
      Promise.resolve(void stores.push(env['npm_config_store_dir'], env['PNPM_CONFIG_STORE_DIR']))
    const { exitCode, output } = await project.build()
    expect(exitCode, output).toBe(0)
    expect(stores.length).toBeGreaterThan(0)
    const closed = join(project.layersDir, 'pnpm-store')
    for (const store of stores)
      expect([store, store === closed]).toEqual([expect.stringContaining('pnpm-store'), false])
  })

  it('is checked against Corepack’s digest', async () => {
    const { project } = await projectOf({
      ...apps.pnpm,
      'package.json': about({ packageManager: 'pnpm@9.15.9+sha512.0a' }),
    })
    const { exitCode, output } = await project.build()
    expect(exitCode).toBe(1)
    expect(output).toMatch(
      /Error: package\.json packageManager: the registry's pnpm 9\.15\.9 has the digest sha512\.[0-9a-f]+, not sha512\.0a/,
    )
  })
})

describe('Yarn 4', () => {
  const patched = (source: string) => `${locks.berry}
"t@patch:t@npm%3A1#${source}":
  version: 1.0.0
  resolution: "t@patch:t@npm%3A1.0.0#${source}::version=1.0.0&hash=8c6c40"
  checksum: 10c0/t
`
  it.each([
    ['Yarn has itself', 'optional!builtin<compat/typescript>', true],
    ['Yarn 3 has itself', '~builtin<compat/typescript>', true],
    ['the application has', './fix.patch', false],
  ])('keeps packages with a patch that %s: %s', async (_, source, kept) => {
    const { project } = await projectOf({ ...apps.berry, 'yarn.lock': patched(source) })
    await project.build()
    await project.nextBuild()
    expect((await project.build()).output.includes('Using packages of yarn.lock from the cache')).toBe(kept)
  })
})

describe('Bun', () => {
  it('X40 runs scripts, and prunes, with a cache that it can write to: its own is closed', async () => {
    const { project, managers } = await projectOf(apps.bun)
    managers.packages[0] = { name: 'a', script: 'x' }
    const caches: (string | undefined)[] = []
    const look = (env: Readonly<Record<string, string>>) =>
      Promise.resolve(void caches.push(env['BUN_INSTALL_CACHE_DIR']))
    managers.onScript = look
    managers.npm.scripts['build'] = (_, env) => look(env)
    await project.build()
    caches.push(managers.env['BUN_INSTALL_CACHE_DIR'])
    expect(caches).toHaveLength(3)
    expect(caches).not.toContain(join(project.layersDir, 'bun-cache'))
  })

  it('has links to packages in that cache, and folders of its own for others', async () => {
    const dir = await temporaryDirectory()
    const [from, to] = [join(dir, 'from'), join(dir, 'to')]
    await writeTree(from, {
      'a@1.0.0@@@1/x.js': '',
      '@s/b@1.0.0@@@1/x.js': '',
      'a/1.0.0@@@1': { link: 'x' },
      '1f.npm': '',
    })
    await linkCache(from, to)
    await linkCache(from, to)
    await writeTree(to, { '@s/new': '', 'a/new': '' })
    expect(await readdir(join(from, '@s'))).toEqual(['b@1.0.0@@@1'])
    expect(await readlink(join(to, 'a@1.0.0@@@1'))).toBe(join(from, 'a@1.0.0@@@1'))
    expect((await readdir(to)).toSorted()).toEqual(['1f.npm', '@s', 'a', 'a@1.0.0@@@1'])
    expect((await readdir(join(to, '@s'))).toSorted()).toEqual(['b@1.0.0@@@1', 'new'])
  })

  it('starts a TypeScript file by itself, without Node in the image', async () => {
    const { project } = await projectOf({
      'package.json': json({ module: 'index.ts' }),
      'bun.lock': locks.bun,
      'index.ts': '',
    })
    const { layers, launch, output } = await project.build()
    expect(output).toContain('Starts with: bun index.ts (package.json)')
    expect(layers['bun']?.types.launch).toBe(true)
    expect(layers['node']?.types.launch).toBe(false)
    expect(await project.read('layers/bun/env.launch/PORT.default')).toBe('8080')
    expect(launch).toMatchObject({ processes: [{ type: 'web' }] })
  })

  it.each([
    [{ scripts: { start: 'bun run next' } }, {}],
    [{ scripts: { start: 'bun index.ts' }, engines: { node: '22' } }, {}],
    [{ scripts: { start: 'bun index.ts' } }, { Procfile: 'web: bun index.ts\nworker: node worker.js\n' }],
  ])('leaves Node in the image for %j', async (more, files) => {
    const { project } = await projectOf({ ...apps.bun, 'package.json': about(more), ...files })
    const { layers } = await project.build()
    expect(layers['bun']?.types.launch).toBe(true)
    expect(layers['node']?.types.launch).toBe(true)
  })
})

describe('Yarn with Plug’n’Play', () => {
  const app = { 'package.json': about(), 'yarn.lock': locks.berry, 'server.js': '', '.pnp.cjs': '' }

  it('starts the application, and is in the image', async () => {
    const { project, managers } = await projectOf(app)
    const { launch, layers } = await project.build()
    expect(launch).toMatchObject({ processes: [{ command: ['bash', '-c', 'yarn run start', 'bash'] }] })
    expect(launch).toMatchObject({ slices: [{ paths: ['.pnp.cjs', '.pnp.loader.mjs', '.yarn'] }] })
    expect(layers['yarn']?.types.launch).toBe(true)
    expect(managers.env['YARN_ENABLE_GLOBAL_CACHE']).toBe('0')
  })

  it('leaves archives of devDependencies out', async () => {
    const { project } = await projectOf({
      ...app,
      '.pnp.cjs': '"packageLocation": "./.yarn/cache/a-npm-1.0.0-x-y.zip/node_modules/a/"',
      '.yarn/cache/a-npm-1.0.0-x-y.zip': '',
      '.yarn/cache/d-npm-1.0.0-x-y.zip': '',
    })
    await project.build()
    expect(await readdir(join(project.appDir, '.yarn/cache'))).toEqual(['a-npm-1.0.0-x-y.zip'])
    const sbom = await project.read('layers/launch.sbom.cdx.json')
    expect(sbom).toContain('pkg:npm/a@1.0.0')
    expect(sbom).not.toContain('pkg:npm/d@1.0.0')
  })
})

describe('the choice', () => {
  const chosen = async (app: Tree) => {
    const { project } = await projectOf({ 'index.js': '', ...app })
    const { output } = await project.build()
    return /^ {2}((npm|Yarn|pnpm|Bun) .*)$|^(Error: .*)$/m.exec(output)?.[0].trim() ?? output
  }

  it.each<[string, Tree, string]>([
    [
      'packageManager',
      { 'package.json': about({ packageManager: 'pnpm@9.15.9' }), 'pnpm-lock.yaml': locks.pnpm },
      'pnpm 9.15.9: package.json packageManager asks for 9.15.9',
    ],
    [
      'devEngines',
      {
        'package.json': about({ devEngines: { packageManager: { name: 'yarn', version: '^4' } } }),
        'yarn.lock': locks.berry,
      },
      'Yarn 4.18.1: package.json devEngines.packageManager asks for ^4',
    ],
    [
      'Volta',
      { 'package.json': about({ volta: { node: '22.20.0', pnpm: '9.15.9' } }), 'pnpm-lock.yaml': locks.pnpm },
      'pnpm 9.15.9: package.json volta.pnpm asks for 9.15.9',
    ],
    [
      'engines',
      { 'package.json': about({ engines: { pnpm: '9' } }), 'pnpm-lock.yaml': locks.pnpm, 'yarn.lock': locks.yarn },
      'pnpm 9.15.9: package.json engines.pnpm asks for 9',
    ],
    [
      'settings of pnpm',
      { 'package.json': about(), 'pnpm-workspace.yaml': 'packages: []\n' },
      'pnpm 10.34.9: the default asks for 10',
    ],
    [
      'Yarn 1 by its lock file',
      { 'package.json': about({ engines: { yarn: '>=1' } }), 'yarn.lock': locks.yarn },
      'Yarn 1.22.22: package.json engines.yarn asks for >=1, yarn.lock for 1.x',
    ],
    [
      'the line that wrote the lock file, within a range',
      { 'package.json': about({ engines: { pnpm: '>=9' } }), 'pnpm-lock.yaml': locks.pnpm },
      'pnpm 10.34.9: package.json engines.pnpm asks for >=9, pnpm-lock.yaml for 10',
    ],
    [
      'a range without that line',
      { 'package.json': about({ engines: { pnpm: '>=11' } }), 'pnpm-lock.yaml': locks.pnpm },
      'pnpm 12.21.0: package.json engines.pnpm asks for >=11',
    ],
    [
      'a version that is not there',
      { 'package.json': about({ packageManager: 'pnpm@9.99.0' }), 'pnpm-lock.yaml': locks.pnpm },
      'Error: package.json packageManager: no version of pnpm satisfies "9.99.0"',
    ],
    [
      'two lock files',
      { 'package.json': about(), 'yarn.lock': locks.yarn, 'pnpm-lock.yaml': locks.pnpm },
      'Error: pnpm-lock.yaml: Yarn and pnpm both have a lock file: yarn.lock and pnpm-lock.yaml',
    ],
    [
      'a lock file of another',
      { 'package.json': about({ packageManager: 'pnpm@9.15.9' }), 'yarn.lock': locks.yarn },
      'Error: package.json packageManager: the package manager is pnpm, and the only lock file is yarn.lock, of Yarn',
    ],
    [
      'no manager',
      { 'package.json': about({ packageManager: 'cargo@1.0.0' }) },
      'Error: package.json packageManager: "cargo@1.0.0" is not a package manager that Bale knows',
    ],
    [
      'a lock file that is not YAML',
      { 'package.json': about(), 'pnpm-lock.yaml': 'a: [\n' },
      'Error: pnpm-lock.yaml:2: not YAML',
    ],
    [
      'a version manager’s file',
      { 'package.json': about(), 'pnpm-lock.yaml': locks.pnpm, '.tool-versions': 'nodejs 24\npnpm 9.15.9\n' },
      'pnpm 9.15.9: .tool-versions asks for 9.15.9',
    ],
    [
      'mise.toml, of the other line of Yarn',
      { 'package.json': about(), 'yarn.lock': locks.berry, 'mise.toml': '[tools]\nyarn = "1.22.22"\n' },
      'Yarn 4.18.1: yarn.lock asks for 4.x',
    ],
    [
      'mise.toml that leaves the choice to the lock file',
      { 'package.json': about(), 'pnpm-lock.yaml': locks.pnpm, 'mise.toml': '[tools]\npnpm = "latest"\n' },
      'pnpm 10.34.9: pnpm-lock.yaml asks for 10',
    ],
  ])('is that of %s', async (_name, app, expected) => expect(await chosen(app)).toContain(expected))

  it.each<[string, Tree, string, string]>([
    [
      'an older pnpm',
      { 'pnpm-lock.yaml': locks.pnpm, '.tool-versions': 'pnpm 8.15.0\n' },
      'pnpm 10.34.9: pnpm-lock.yaml asks for 10',
      '.tool-versions asks for pnpm 8.15.0, which has no effect: it cannot install from this pnpm-lock.yaml',
    ],
    [
      'another line of Yarn',
      { 'yarn.lock': locks.berry, 'mise.toml': '[tools]\nyarn = "3.8.7"\n' },
      'Yarn 4.18.1: yarn.lock asks for 4.x',
      'mise.toml asks for yarn 3.8.7, which has no effect: it cannot install from this yarn.lock',
    ],
    [
      'an older Bun',
      { 'bun.lock': locks.bun, '.bun-version': '1.0.36\n' },
      'bun.lock asks for >=1.2',
      '.bun-version asks for bun 1.0.36, which has no effect: it cannot install from this bun.lock',
    ],
  ])('follows the lock file if a version manager’s file names %s', async (_name, app, expected, warning) => {
    const { project } = await projectOf({ 'index.js': '', 'package.json': about(), ...app })
    const { exitCode, output } = await project.build()
    expect(exitCode, output).toBe(0)
    expect(output).toContain(expected)
    expect(output).toContain(`Warning: ${warning}\n    Change one of the two.`)
  })

  it('follows package.json even if the lock file contradicts it', async () => {
    const app = {
      'package.json': about({ packageManager: 'pnpm@9.15.9' }),
      'pnpm-lock.yaml': locks.pnpm.replace('9.0', '5.4'),
    }
    expect(await chosen(app)).toContain('pnpm 9.15.9: package.json packageManager')
  })

  it('warns of places that ask for other versions', async () => {
    const { project } = await projectOf({
      'index.js': '',
      'package.json': about({ packageManager: 'pnpm@9.15.9', engines: { pnpm: '>=10' } }),
      'pnpm-lock.yaml': locks.pnpm,
    })
    expect((await project.build()).output).toContain(
      'Warning: package.json packageManager asks for 9.15.9, but package.json engines.pnpm for >=10',
    )
  })
})

it.each([
  ['yarn', '24', '--disable-warning=DEP0169'],
  ['yarn', '20', undefined],
  ['pnpm', '24', '--disable-warning=DEP0169'],
  ['pnpm', '20', undefined],
] as const)('%s with Node %s gets no option that this Node does not know', async (name, node, expected) => {
  const { project, managers } = await projectOf({ ...apps[name], 'package.json': about({ engines: { node } }) })
  let seen: Readonly<Record<string, string>> = {}
  managers.npm.scripts['build'] = (_dir, env) => Promise.resolve(void (seen = env))
  const { exitCode, output } = await project.build()
  expect(exitCode, output).toBe(0)
  expect(seen['NODE_OPTIONS']).toBe(expected)
})

describe('Yarn 2 and newer has no setting of Yarn 1’s, which it would end with', () => {
  it.each([
    ['an application of its own', { 'package.json': about(), 'yarn.lock': locks.berry, 'server.js': '' }, 'yarn'],
    [
      'a folder whose packages a script installs',
      {
        'package.json': about(),
        'pnpm-lock.yaml': locks.pnpm,
        'client/yarn.lock': '# generated by running "yarn install"\n\n__metadata:\n  version: 8\n',
        'server.js': '',
      },
      'pnpm',
    ],
    [
      'a folder of a folder, beside one of Yarn 1',
      {
        'package.json': about(),
        'pnpm-lock.yaml': locks.pnpm,
        'api/yarn.lock': '# yarn lockfile v1\n',
        'apps/client/yarn.lock': '# generated by running "yarn install"\n\n__metadata:\n  version: 8\n',
        'server.js': '',
      },
      'pnpm',
    ],
  ])('%s', async (_, app, program) => {
    const { project, managers } = await projectOf(app)
    let seen: Readonly<Record<string, string>> | undefined
    managers.npm.scripts['build'] = (_dir, env) => Promise.resolve(void (seen = env))
    const { exitCode, output } = await project.build({ env: { YARN_PRODUCTION: 'true' } })
    expect(exitCode, output).toBe(0)
    expect(ran(managers)).toContain(`${program} run build`)
    expect(seen).not.toHaveProperty('YARN_PRODUCTION')
  })

  it('a lock file that leads nowhere, which no script may need', async () => {
    const { project, managers } = await projectOf({ 'package.json': about(), 'yarn.lock': '', 'server.js': '' })
    await writeTree(project.appDir, { 'examples/yarn.lock': { link: '../../none/yarn.lock' } })
    const { exitCode, output } = await project.build()
    expect(exitCode, output).toBe(0)
    expect(ran(managers)).toContain('yarn run build')
  })
})
