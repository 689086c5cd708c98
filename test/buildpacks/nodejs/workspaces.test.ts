import { access } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { nodejs } from '../../../buildpacks/nodejs/nodejs.ts'
import type { Tree } from '../../../buildpacks/sdk/testing.ts'
import { writeTree } from '../../helpers/tree.ts'
import { openProject } from '../sdk/project.ts'
import { bundledDir } from './bundled.ts'
import { FakeManagers } from './fake-managers.ts'

const json = (value: object) => JSON.stringify(value, null, 2)

/** `web` depends on `ui`, which depends on `tokens`; nothing depends on `docs`. */
const workspace: Tree = {
  'package.json': json({ workspaces: ['apps/*', './packages/**', '!packages/old'], devDependencies: {} }),
  'apps/web/package.json': json({
    name: '@s/web',
    dependencies: { '@s/ui': '*', a: '1' },
    scripts: { build: 'b', start: 'node server.js' },
  }),
  'apps/web/server.js': '',
  'apps/docs/package.json': json({ name: 'docs', scripts: { build: 'b', start: 'node docs.js' } }),
  'packages/ui/package.json': json({ name: '@s/ui', devDependencies: { '@s/tokens': '*' }, scripts: { build: 'b' } }),
  'packages/deep/tokens/package.json': json({ name: '@s/tokens', scripts: { build: 'b' } }),
  'packages/old/package.json': json({ name: 'old' }),
  'yarn.lock': '# yarn lockfile v1\n\na@1:\n  version "1.0.0"\n  integrity sha512-a\n',
}

async function projectOf(app: Tree, env: Record<string, string> = {}) {
  const managers = new FakeManagers()
  managers.packages = [{ name: 'a' }]
  const dir = await bundledDir()
  return { managers, project: await openProject({ buildpack: nodejs, dir, app, env, runner: managers.runner }) }
}

const scripts = ({ commands }: FakeManagers) => commands.filter(command => / run |^(turbo|nx)/.test(command))

describe.each(['BP_NODE_PROJECT_PATH', 'GOOGLE_BUILDABLE'])('%s', name => {
  it('names the application of a workspace, which is built after what it needs, and started in its folder', async () => {
    const { project, managers } = await projectOf(workspace, { [name]: './apps/web/' })
    const built: string[] = []
    managers.npm.scripts['build'] = cwd => Promise.resolve(void built.push(cwd.slice(project.appDir.length + 1)))
    const { exitCode, output, launch } = await project.build()
    expect(exitCode, output).toBe(0)
    expect(output).toContain(`The application is apps/web: ${name}`)
    expect(built).toEqual(['packages/deep/tokens', 'packages/ui', 'apps/web'])
    expect(launch).toMatchObject({
      processes: [
        { command: ['bash', '-c', 'node server.js', 'bash'], 'working-dir': join(project.appDir, 'apps/web') },
      ],
      slices: [
        {
          paths: [
            'node_modules',
            'packages/deep/tokens/node_modules',
            'packages/ui/node_modules',
            'apps/web/node_modules',
          ],
        },
      ],
    })
    // What it does not need is not in the image.
    expect(output).toContain('Leaving out apps/docs: apps/web does not need it')
    await expect(access(join(project.appDir, 'apps/docs'))).rejects.toThrow('ENOENT')
    await access(join(project.appDir, 'packages/ui/package.json'))
    const bins = [join(project.appDir, 'apps/web/node_modules/.bin'), join(project.appDir, 'node_modules/.bin')]
    expect(await project.read('layers/node/env.launch/PATH.prepend')).toBe(bins.join(':'))
  })

  it('has a version of Node that the application and the top allow, and says which place asks', async () => {
    const app = { ...workspace, 'apps/web/.nvmrc': '22\n', '.nvmrc': '>=20\n', '.node-version': '20\n' }
    const { project } = await projectOf(app, { [name]: 'apps/web' })
    const { output } = await project.build()
    expect(output).toMatch(/Node 22\.\d+\.\d+: apps\/web\/\.nvmrc asks for 22, \.nvmrc for >=20\n/)
    expect(output).toContain(
      'Warning: apps/web/.nvmrc asks for 22, .nvmrc for >=20, but .node-version for 20, which has no effect',
    )
  })

  it('warns of a Procfile in the application’s folder', async () => {
    const app = { ...workspace, 'apps/web/Procfile': 'web: node other.js\n' }
    const { project } = await projectOf(app, { [name]: 'apps/web' })
    expect((await project.build()).output).toContain(
      'Warning: apps/web/Procfile has no effect: only a Procfile at the top of the source is read',
    )
  })

  it('may name an application that shares nothing with the top of the source', async () => {
    const { project, managers } = await projectOf(
      {
        'package.json': json({ scripts: { start: 'node wrong.js' } }),
        'service/package.json': json({ dependencies: { a: '1' }, scripts: { start: 'node a.js' } }),
        'service/package-lock.json': json({
          lockfileVersion: 3,
          packages: { '': {}, 'node_modules/a': { version: '1.0.0', integrity: 'sha512-a' } },
        }),
      },
      { [name]: 'service' },
    )
    const { exitCode, output, launch } = await project.build()
    expect(exitCode, output).toBe(0)
    expect(managers.commands).toContain('npm ci --omit=dev')
    expect(launch).toMatchObject({
      processes: [{ command: ['bash', '-c', 'node a.js', 'bash'], 'working-dir': join(project.appDir, 'service') }],
      slices: [{ paths: ['service/node_modules'] }],
    })
  })

  it.each(['apps/none', '../other', '/etc'])('is an error if there is no folder %s in the source', async path => {
    const { project, managers } = await projectOf(workspace, { [name]: path })
    const { exitCode, output } = await project.build()
    expect(exitCode).toBe(1)
    expect(output).toContain(`Error: ${name}: "${path}" is not a folder of the source`)
    expect(managers.commands).toEqual([])
  })
})

describe('a workspace', () => {
  it('has one application that can be started, which is found', async () => {
    const { 'apps/docs/package.json': _, ...app } = workspace
    const { project } = await projectOf(app)
    const { output } = await project.build()
    expect(output).toContain('The application is apps/web: it is the only package of the workspace with a start script')
  })

  it('has front ends beside it, which are no servers though a script shows them to developers', async () => {
    const app = {
      ...workspace,
      'apps/docs/package.json': json({ scripts: { start: 'ng serve' }, devDependencies: { '@angular/cli': '22' } }),
    }
    const { project } = await projectOf(app)
    expect((await project.build()).output).toContain('The application is apps/web: it is the only package')
  })

  it('whose root builds and starts a package keeps that package’s caches for the next build, out of the image', async () => {
    const { project, managers } = await projectOf({
      ...workspace,
      'package.json': json({
        workspaces: ['apps/*', 'packages/**'],
        scripts: { build: 'b', start: 'yarn workspace @s/web start' },
      }),
    })
    const cache = 'apps/web/.next/cache/0.pack'
    const found: boolean[] = []
    const isThere = () =>
      access(join(project.appDir, cache)).then(
        () => true,
        () => false,
      )
    managers.npm.scripts['build'] = async () => {
      found.push(await isThere())
      await writeTree(project.appDir, { [cache]: 'first' })
    }
    const { exitCode, output } = await project.build()
    expect(exitCode, output).toBe(0)
    expect(await isThere()).toBe(false)
    await project.nextBuild()
    await project.build()
    expect(found).toEqual([false, true])
  })

  it('with front ends alone is an error that names them, before anything is fetched', async () => {
    const vite = json({ scripts: { build: 'vite build', start: 'vite' }, devDependencies: { vite: '8' } })
    const { project, managers } = await projectOf({
      'package.json': json({ workspaces: ['apps/*'], scripts: { build: 'turbo build' } }),
      'apps/docs/package.json': vite,
      'apps/web/package.json': vite,
    })
    const { exitCode, output } = await project.build()
    expect(exitCode).toBe(1)
    expect(output).toContain('the workspace has no known server, but these front ends: apps/docs, apps/web')
    expect(output).toContain('BP_NODE_PROJECT_PATH=apps/docs')
    expect(managers.commands).toEqual([])
  })

  it('with one front end that has a start script starts that', async () => {
    const { project } = await projectOf({
      'package.json': json({ workspaces: ['apps/*'], scripts: { build: 'turbo build' } }),
      'apps/docs/package.json': json({ scripts: { build: 'vite build' }, devDependencies: { vite: '8' } }),
      'apps/web/package.json': json({ scripts: { start: 'vite --host --port 8080' }, devDependencies: { vite: '8' } }),
      'apps/web/index.html': '',
    })
    const { output } = await project.build()
    expect(output).toContain('The application is apps/web: it is the only package of the workspace with a start script')
    expect(output).toContain('; BP_NODE_PROJECT_PATH=apps/web serves the files of that front end instead')
    expect(output).not.toContain('the workspace has no known server')
  })

  it.each([
    ['server.mjs', 'Starts with: node server.mjs (server.mjs is there)'],
    ['server.ts', 'Starts with: node server.ts (server.ts is there)'],
    ['src/index.ts', '"start": "node src/index.ts"'],
  ])('with a front end and %s at its top is not said to have no server', async (file, expected) => {
    const { project } = await projectOf({
      'package.json': json({ workspaces: ['client'] }),
      [file]: '',
      'client/package.json': json({ scripts: { build: 'vite build' }, devDependencies: { vite: '8' } }),
    })
    const { output } = await project.build()
    expect(output).toContain(expected)
    expect(output).not.toContain('the workspace has no known server')
  })

  it('with several is an error that names them, before anything is fetched', async () => {
    const { project, managers } = await projectOf(workspace)
    const { exitCode, output } = await project.build()
    expect(exitCode).toBe(1)
    expect(output).toContain(
      'Error: package.json: the workspace has several applications to start: apps/docs, apps/web',
    )
    expect(output).toContain('set BP_NODE_PROJECT_PATH to the one to start')
    expect(managers.commands).toEqual([])
  })

  it('starts at the top if that has a start script', async () => {
    const { project } = await projectOf({
      ...workspace,
      'package.json': json({ workspaces: { packages: ['packages/**'] }, scripts: { start: 'node top.js' } }),
    })
    const { output, launch } = await project.build()
    expect(output).toContain('Starts with: node top.js')
    expect((launch as { processes: object[] }).processes[0]).not.toHaveProperty('working-dir')
  })

  it('C21 is installed in each build, whoever names its packages', async () => {
    const { 'yarn.lock': _, ...rest } = workspace
    const { project, managers } = await projectOf({
      ...rest,
      'package.json': json({ scripts: { start: 'node top.js' } }),
      'pnpm-workspace.yaml': 'packages:\n  - apps/*\n  - packages/**\n',
      'pnpm-lock.yaml': "lockfileVersion: '9.0'\n",
    })
    const { layers, exitCode, output } = await project.build()
    expect(exitCode, output).toBe(0)
    expect(managers.commands.some(command => command.startsWith('pnpm install'))).toBe(true)
    expect(layers).not.toHaveProperty('modules')
  })

  it.each<[string, Tree, string[]]>([
    ['turbo', { 'turbo.json': '{}' }, ['turbo run build --filter=@s/web']],
    ['nx', { 'nx.json': '{}', 'apps/web/project.json': json({ name: 'web' }) }, ['nx run web:build']],
    ['nx', { 'nx.json': '{}' }, ['nx run @s/web:build']],
  ])('is built by %s, which knows what comes first', async (tool, files, expected) => {
    const { project, managers } = await projectOf(
      {
        ...workspace,
        ...files,
        'package.json': json({ workspaces: ['apps/*', 'packages/**'], devDependencies: { [tool]: 'link:x' } }),
      },
      { BP_NODE_PROJECT_PATH: 'apps/web' },
    )
    const { exitCode, output } = await project.build()
    expect(exitCode, output).toBe(0)
    expect(scripts(managers)).toEqual(expected)
  })

  describe('of Nx, whose applications have no scripts,', () => {
    const build = (outputPath?: string) => ({ targets: { build: { executor: 'x', options: { outputPath } } } })
    const top = { 'nx.json': '{}', 'package-lock.json': json({ lockfileVersion: 3, packages: { '': {} } }) }
    const rootJson = { devDependencies: { nx: 'link:x' } }

    /** Runs the build, in which Nx makes a file. */
    async function builtBy(app: Tree, made: string, env: Record<string, string> = {}) {
      const { project, managers } = await projectOf({ ...top, ...app }, env)
      managers.onShell = cwd => writeTree(cwd, { [made]: '' })
      return { ...(await project.build()), managers, project }
    }

    it.each([
      ['named by it', build('apps/api/out'), 'apps/api/out/main.cjs', 'out/main.cjs'],
      ['named by its folder', build('{projectRoot}/out'), 'apps/api/out/main.js', 'out/main.js'],
      ['the usual one of the repository', build(), 'dist/apps/api/main.js', '../../dist/apps/api/main.js'],
      ['outside the repository, and not looked at', build('../out'), 'apps/api/dist/main.js', 'dist/main.js'],
    ])('starts what was built, in a folder that is %s', async (_name, project, made, file) => {
      const { exitCode, output, launch, managers } = await builtBy(
        {
          'package.json': json(rootJson),
          'apps/api/project.json': json({ name: 'api', projectType: 'application', ...project }),
          'apps/api-e2e/project.json': json({ name: 'api-e2e', projectType: 'application', ...build() }),
          'libs/words/project.json': json({ name: 'words', projectType: 'library', ...build() }),
        },
        made,
      )
      expect(exitCode, output).toBe(0)
      expect(scripts(managers)).toEqual(['nx run api:build'])
      expect(output).toContain('The application is apps/api: it is the only application that Nx builds')
      expect(launch).toMatchObject({ processes: [{ command: ['bash', '-c', `node ${file}`, 'bash'] }] })
    })

    it('finds packages of npm’s workspaces that are applications', async () => {
      const { exitCode, output, launch } = await builtBy(
        {
          'package.json': json({ ...rootJson, workspaces: ['apps/*'] }),
          'apps/api/package.json': json({ name: '@s/api', nx: build() }),
          'apps/api/tsconfig.app.json': '{}',
          'apps/words/package.json': json({ name: '@s/words', nx: build() }),
        },
        'apps/api/dist/main.js',
      )
      expect(exitCode, output).toBe(0)
      expect(output).toContain('Leaving out apps/words')
      expect(launch).toMatchObject({ processes: [{ command: ['bash', '-c', 'node dist/main.js', 'bash'] }] })
    })

    it.each([
      ['apps/shop/.next/BUILD_ID', 'next start'],
      ['dist/apps/shop/.next/BUILD_ID', 'next start ../../dist/apps/shop'],
      ['apps/shop/.output/server/index.mjs', 'node .output/server/index.mjs'],
      ['dist/apps/shop/analog/server/index.mjs', 'node ../../dist/apps/shop/analog/server/index.mjs'],
      ['dist/apps/shop/server/server.mjs', 'node ../../dist/apps/shop/server/server.mjs'],
    ])('starts a framework’s server: %s', async (made, command) => {
      const { exitCode, output, launch } = await builtBy(
        {
          'package.json': json(rootJson),
          'apps/shop/project.json': json({ name: 'shop', projectType: 'application' }),
          'apps/shop/next.config.js': '',
        },
        made,
      )
      expect(exitCode, output).toBe(0)
      expect(launch).toMatchObject({ processes: [{ command: ['bash', '-c', command, 'bash'] }] })
    })

    it('starts its only server beside a front end', async () => {
      const { exitCode, output } = await builtBy(
        {
          'package.json': json(rootJson),
          'apps/api/project.json': json({ name: 'api', projectType: 'application', ...build() }),
          'apps/web/project.json': json({ name: 'web', projectType: 'application' }),
          'apps/web/vite.config.mts': '',
          'apps/web/index.html': '',
        },
        'dist/apps/api/main.js',
      )
      expect(exitCode, output).toBe(0)
      expect(output).toContain('the only server that Nx builds; BP_NODE_PROJECT_PATH=apps/web serves the files of')
    })

    it('builds the front end that the detection chose', async () => {
      const { project, managers } = await projectOf({
        ...top,
        'package.json': json(rootJson),
        'apps/web/project.json': json({ name: 'shop', projectType: 'application' }),
        'apps/web/vite.config.mts': '',
        'apps/web/index.html': '',
      })
      const plan = [{ name: 'node', metadata: { launch: false, folder: 'apps/web' } }]
      const { exitCode, output } = await project.build({ entries: plan })
      expect(exitCode, output).toBe(0)
      expect(scripts(managers)).toEqual(['nx run shop:build'])
      expect(output).toContain('The application is apps/web: it is the front end, and no other package starts')
    })

    it('says which there are, if there are several', async () => {
      const { exitCode, output } = await builtBy(
        {
          'package.json': json(rootJson),
          'apps/api/project.json': json({ name: 'api', projectType: 'application', ...build() }),
          'apps/web/project.json': json({ name: 'web', projectType: 'application' }),
          'apps/web/vite.config.mts': '',
        },
        'dist/apps/api/main.js',
      )
      expect(exitCode).toBe(1)
      expect(output).toContain('the workspace has several applications to start: apps/api, apps/web')
    })
  })

  it.each([
    [
      'pnpm',
      { 'pnpm-lock.yaml': "lockfileVersion: '9.0'\n", 'pnpm-workspace.yaml': 'packages:\n  - apps/*\n' },
      '--filter {apps/web}...',
    ],
    [
      'npm',
      { 'package-lock.json': json({ lockfileVersion: 3, packages: { '': {}, 'node_modules/a': {} } }) },
      '--workspace=apps/web --include-workspace-root',
    ],
  ])('is installed by %s as far as the application needs it', async (_name, files, expected) => {
    const { 'yarn.lock': _lock, ...app } = workspace
    const { project, managers } = await projectOf({ ...app, ...files }, { BP_NODE_PROJECT_PATH: 'apps/web' })
    const { exitCode, output } = await project.build()
    expect(exitCode, output).toBe(0)
    expect(managers.commands.find(command => / (install|ci) /.test(command))).toContain(expected)
  })
})
