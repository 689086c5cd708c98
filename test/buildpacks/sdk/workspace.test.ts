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
      'beside libraries that build, watch and test, tools, and what the front end needs',
      {
        ...top({ devDependencies: { '@r/config': '*' } }),
        ...front,
        'apps/web/package.json': json({ name: 'web', dependencies: { '@r/ui': '*' }, ...vite }),
        'packages/ui/package.json': json({
          name: '@r/ui',
          dependencies: { '@r/wasm': '*' },
          scripts: { dev: 'tsup --watch' },
        }),
        'packages/ui/src/index.tsx': "import './styles.css'",
        'packages/wasm/package.json': json({ name: '@r/wasm', scripts: { build: 'wasm-pack build' } }),
        'packages/wasm/Cargo.toml': '',
        'packages/config/package.json': json({ name: '@r/config' }),
        'packages/config/index.js': 'require("x")',
        'packages/types/package.json': json({
          name: 'types',
          types: 'src/index.ts',
          scripts: { dev: 'rm -rf dist && tsc -w' },
        }),
        'packages/types/src/index.ts': 'export type A = 1',
        'packages/cjs/package.json': json({ name: 'cjs', main: './lib.js' }),
        'packages/cjs/lib.js': 'module.exports = 1',
        'packages/e2e/package.json': json({ name: 'e2e', scripts: { e2e: 'playwright test', lint: 'eslint .' } }),
        'examples/go/go.mod': '',
        'tools/gen/package.json': json({ type: 'module' }),
      },
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
    ...(
      [
        ['a script start:prod', { scripts: { build: 'tsc', 'start:prod': 'node dist/main' } }],
        ['a script serve', { scripts: { serve: 'node dist/main' } }],
        ['a file that Bun runs', { scripts: { dev: 'bun src/index.ts' } }],
        ['a script after a bundler', { scripts: { dev: 'tsup --watch --onSuccess "node dist/a.js"' } }],
        ['a command after a bundler', { scripts: { dev: 'tsc && node dist/a.js' } }],
        ['Feathers', { dependencies: { '@feathersjs/koa': '5' } }],
        ['Strapi', { dependencies: { '@strapi/strapi': '5' } }],
        ['a worker of Kafka', { main: 'index.js', dependencies: { kafkajs: '2' } }],
      ] as const
    ).map(([name, about]): [string, Tree] => [
      `a package with ${name}`,
      { ...top(), ...front, 'apps/api/package.json': json({ name: 'api', ...about }) },
    ]),
    ...[
      "import { createServer } from 'node:http'\nexport const a = 1",
      "const http = require('http')\nmodule.exports = http",
      'export default { fetch: () => new Response() }',
      "import { work } from 'queue'\nawait work()",
    ].map((text): [string, Tree] => [
      `a package with ${text}`,
      {
        ...top(),
        ...front,
        'apps/api/package.json': json({ name: 'api', main: 'index.js' }),
        'apps/api/index.js': text,
      },
    ]),
    [
      'a server that the front end has types of',
      {
        ...top(),
        ...front,
        'apps/web/package.json': json({ name: 'web', devDependencies: { vite: '8', api: '*' } }),
        'apps/api/package.json': json({ name: 'api', scripts: { 'start:prod': 'node dist/main' } }),
      },
    ],
    ...[
      'apps/api/go.mod',
      'apps/api/requirements.txt',
      'backend/main.py',
      'services/a/Api.csproj',
      'server/pom.xml',
    ].map((file): [string, Tree] => [file, { ...top(), ...front, [file]: '' }]),
    [
      'a server that is not a package of the workspace',
      { ...top(), ...front, 'server/package.json': json({ dependencies: { express: '5' } }) },
    ],
    ['a script of the top', { ...top({ scripts: { 'start:prod': 'node apps/api/main.js' } }), ...front }],
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
