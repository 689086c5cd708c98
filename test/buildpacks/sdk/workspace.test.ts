import { relative } from 'node:path'
import { describe, expect, it } from 'vitest'
import { App, findFrontEnd, nodeProject, weighLanguages } from '../../../buildpacks/sdk/index.ts'
import { detectLanguage } from '../../../buildpacks/sdk/detection.ts'
import type { Tree } from '../../../buildpacks/sdk/testing.ts'
import { temporaryDirectory } from '../../helpers/temporary.ts'
import { writeTree } from '../../helpers/tree.ts'

const json = JSON.stringify
const vite = { devDependencies: { vite: '8' } }
const front: Tree = { 'apps/web/package.json': json({ name: 'web', ...vite }), 'apps/web/index.html': '' }
const library: Tree = { 'packages/ui/package.json': json({ name: 'ui', main: 'index.js' }), 'packages/ui/index.js': '' }
const top = (more: object = {}) => ({ 'package.json': json({ workspaces: ['apps/*', './packages/*'], ...more }) })

async function appOf(tree: Tree): Promise<App> {
  const dir = await temporaryDirectory()
  await writeTree(dir, tree)
  return new App(dir)
}

async function chosenOf(tree: Tree, env: Record<string, string> = {}): Promise<string> {
  const app = await appOf(tree)
  return relative(app.path, (await nodeProject(app, env)).path)
}

describe('the only front end of a workspace', () => {
  it.each<[string, Tree]>([
    ['beside libraries', { ...top(), ...front, ...library }],
    [
      'of pnpm',
      { 'package.json': '{}', 'pnpm-workspace.yaml': "packages:\n  # all\n  - 'apps/*'\n  - packages/*\n", ...front },
    ],
    ['of pnpm, in one line', { 'package.json': '{}', 'pnpm-workspace.yaml': 'packages: ["apps/*"]\n', ...front }],
    [
      'under a top with the main file of npm init',
      { ...top({ main: 'index.js', scripts: { build: 'turbo build' } }), ...front },
    ],
    [
      'with a start script, beside one without',
      {
        ...top(),
        'apps/web/package.json': json({ ...vite, scripts: { start: 'vite' } }),
        'apps/web/index.html': '',
        'apps/docs/package.json': json({ devDependencies: { vitepress: '1' } }),
      },
    ],
  ])('is served: %s', async (_name, tree) => {
    expect(await chosenOf(tree)).toBe('apps/web')
    const app = await appOf(tree)
    expect((await weighLanguages(app, {})).server?.language.id).toBe('static')
    const role = await detectLanguage({ app, env: {} }, 'static')
    expect(role.role === 'none' ? [] : role.plan.sections[0]?.requires).toContainEqual({
      name: 'node',
      metadata: { launch: false, folder: 'apps/web' },
    })
  })

  it.each<[string, Tree]>([
    ['a start script at the top', { ...top({ scripts: { start: 'node x' } }), ...front }],
    ['a main file at the top', { ...top({ main: 'dist/main.js' }), ...front }],
    ['a server at the top', { ...top(), ...front, 'server.mjs': '' }],
    ['sources at the top', { ...top(), ...front, 'src/index.ts': '' }],
    ['a Procfile', { ...top(), ...front, Procfile: 'web: x' }],
    [
      'a package with a server and no start script',
      { ...top(), ...front, 'apps/api/package.json': json({ dependencies: { hono: '4' } }) },
    ],
    [
      'a package with a file that is watched',
      { ...top(), ...front, 'apps/api/package.json': json({ scripts: { dev: 'tsx watch src/a.ts' } }) },
    ],
    ['a package with a server’s file', { ...top(), ...front, 'apps/api/package.json': '{}', 'apps/api/server.ts': '' }],
    [
      'a package with a start script',
      { ...top(), ...front, 'apps/api/package.json': json({ scripts: { start: 'node x' } }) },
    ],
    [
      'a package with a framework',
      { ...top(), ...front, 'apps/api/package.json': json({ dependencies: { next: '16' } }) },
    ],
    [
      'another front end',
      { ...top(), ...front, 'apps/docs/package.json': json({ devDependencies: { vitepress: '1' } }) },
    ],
    ['a front end at the top', { ...top({ ...vite, scripts: { build: 'vite build' } }), ...front }],
    ['no workspace', { 'package.json': '{}', ...front }],
  ])('is not chosen beside %s', async (_name, tree) => {
    expect(await chosenOf(tree)).toBe('')
  })

  it('gives way to a setting, and to a server in another language', async () => {
    expect(await chosenOf({ ...top(), ...front, ...library }, { BP_NODE_PROJECT_PATH: 'packages/ui' })).toBe(
      'packages/ui',
    )
    const app = await appOf({ ...top(), ...front, 'requirements.txt': 'flask', 'app.py': '' })
    const { server, builders } = await weighLanguages(app, {})
    expect(server?.language.id).toBe('python')
    expect(builders).toEqual([])
  })
})

describe('a front end of Nx without a package.json', () => {
  const nx: Tree = {
    'nx.json': '{}',
    'package.json': json({ dependencies: { 'react-router-dom': '6' }, devDependencies: { nx: '23' } }),
  }
  const project = (build?: object) => json({ name: 'web', projectType: 'application', targets: { build } })

  it.each<[string, Tree, string]>([
    [
      'that Nx infers from Vite',
      { 'project.json': project(), 'vite.config.mts': "build: { outDir: '../../out/web' }", 'index.html': '' },
      '../../out/web',
    ],
    [
      'with a target of Vite',
      { 'project.json': project({ executor: '@nx/vite:build', options: { outputPath: 'dist/x' } }), 'index.html': '' },
      '../../dist/x',
    ],
    [
      'with a target of Angular',
      {
        'project.json': project({
          executor: '@angular/build:application',
          options: { outputPath: { base: '{projectRoot}/out' } },
        }),
        'src/index.html': '',
      },
      '../../apps/web/out',
    ],
    [
      'with webpack’s configuration',
      {
        'project.json': project(),
        'webpack.config.js': "output: { path: join(__dirname, '../../dist/w') }",
        'src/index.html': '',
      },
      '../../dist/w',
    ],
    [
      'whose output nothing names',
      { 'project.json': project({ executor: '@nx/webpack:webpack' }), 'src/index.html': '' },
      '../../dist/apps/web',
    ],
  ])('%s is served', async (_name, files, output) => {
    const tree = {
      ...nx,
      ...Object.fromEntries(Object.entries(files).map(([name, text]) => [`apps/web/${name}`, text])),
    }
    expect(await chosenOf(tree)).toBe('apps/web')
    expect(await chosenOf(tree, { BP_NODE_PROJECT_PATH: 'apps/web' })).toBe('apps/web')
    const app = await appOf(tree)
    expect(await findFrontEnd(new App(app.at('apps/web')))).toMatchObject({ name: 'Nx', output, pushState: true })
  })

  it.each<[string, Tree]>([
    ['a server', { 'project.json': project({ executor: '@nx/js:node' }), 'index.html': '' }],
    ['Next', { 'project.json': project({ executor: '@nx/next:build' }), 'index.html': '' }],
    [
      'a bundle for Node.js',
      { 'project.json': project({ executor: '@nx/webpack:webpack', options: { target: 'node' } }), 'index.html': '' },
    ],
    [
      'Angular with a server',
      {
        'project.json': project({ executor: '@angular/build:application', options: { ssr: {} } }),
        'src/index.html': '',
      },
    ],
    ['a library', { 'project.json': json({ projectType: 'library' }), 'vite.config.ts': 'x', 'index.html': '' }],
    ['no page', { 'project.json': project(), 'vite.config.ts': 'x' }],
    ['nothing that builds', { 'project.json': project(), 'index.html': '' }],
  ])('is none: %s', async (_name, files) => {
    const tree = {
      ...nx,
      ...Object.fromEntries(Object.entries(files).map(([name, text]) => [`apps/web/${name}`, text])),
    }
    const app = await appOf(tree)
    expect(await findFrontEnd(new App(app.at('apps/web')))).toBeUndefined()
    expect(await chosenOf(tree)).toBe('')
  })
})
