import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { App, detectLanguage, findFrontEnd, explainUnsupported, weighLanguages } from '../../../buildpacks/sdk/index.ts'
import { pathsOf } from '../../../buildpacks/sdk/deps-edn.ts'
import type { Tree } from '../../../buildpacks/sdk/testing.ts'

async function appOf(tree: Tree): Promise<App> {
  const root = await mkdtemp(join(tmpdir(), 'detection-'))
  onTestFinished(() => rm(root, { recursive: true }))
  for (const [path, content] of Object.entries(tree)) {
    await mkdir(dirname(join(root, path)), { recursive: true })
    await writeFile(join(root, path), content)
  }
  return new App(root)
}

async function weigh(tree: Tree, env: Record<string, string> = {}) {
  const { server, builders } = await weighLanguages(await appOf(tree), env)
  return [...builders, ...(server ? [server] : [])].map(({ language }) => language.id).join('+')
}

const json = JSON.stringify
const startScript = json({ scripts: { start: 'node server.js' } })
const viteParts = { scripts: { build: 'vite build' }, devDependencies: { vite: '7' } }
const viteJson = json(viteParts)
const webpackJson = (scripts: object) =>
  json({
    type: 'module',
    scripts: { build: 'webpack', ...scripts },
    dependencies: { ws: '8' },
    devDependencies: { 'html-webpack-plugin': '5' },
  })
const express: Tree = {
  'package.json': json({ dependencies: { express: '5' } }),
  'index.js': "require('express')().listen(process.env.PORT)",
}
const main = '(ns a)\n(defn -main [& args])'
const flask: Tree = { 'app.py': '', 'requirements.txt': 'flask' }

describe('the language of an application', () => {
  it.each<[string, Tree, string]>([
    ['nothing', {}, ''],
    ['text', { 'notes.txt': '' }, ''],
    ['package.json', { 'package.json': '{}' }, 'nodejs'],
    ['a bare file', { 'index.js': '' }, 'nodejs'],
    ['bare files of two languages', { 'index.js': '', 'app.py': '' }, 'python'],
    [
      'Flask with a front end’s main.js and a Procfile',
      { ...flask, 'main.js': '', Procfile: 'web: gunicorn app:app' },
      'python',
    ],
    ['requirements.txt and main.js', { 'requirements.txt': '', 'main.js': '' }, 'python'],
    ['deps.edn', { 'deps.edn': '{}' }, 'clojure'],
    ['ClojureScript for Node', { 'deps.edn': '{}', 'src/a.cljs': main, 'package.json': startScript }, 'nodejs'],
    [
      'ClojureScript for Node, with Clojure for developers alone',
      { 'deps.edn': '{:aliases {:dev {:paths ["dev"]}}}', 'dev/user.clj': main, 'package.json': startScript },
      'nodejs',
    ],
    ['ClojureScript and server.js', { 'deps.edn': '{}', 'package.json': '{}', 'server.js': '' }, 'nodejs'],
    ['Clojure with tools of Node’s', { 'deps.edn': '{}', 'package.json': '{}' }, 'clojure'],
    ['Clojure and a start script', { 'deps.edn': '{}', 'src/a/b.clj': main, 'package.json': startScript }, 'clojure'],
    [
      'Clojure at paths of an alias, and a start script',
      { 'deps.edn': '{:paths [:own] :aliases {:own ["app"]}}', 'app/a.clj': main, 'package.json': startScript },
      'clojure',
    ],
    ['build.clj and a start script', { 'deps.edn': '{}', 'build.clj': '', 'package.json': startScript }, 'clojure'],
    ['manage.py and a package.json', { 'manage.py': '', 'package.json': '{}' }, 'python'],
    ['go.mod and a bare file', { 'go.mod': 'module x', 'main.go': '', 'index.js': '' }, 'go'],
    ['Cargo.toml and a bare file', { 'Cargo.toml': '', 'src/main.rs': '', 'app.js': '' }, 'rust'],
    ['a package.json whose main is not there', { ...flask, 'package.json': json({ main: 'index.js' }) }, 'python'],
    ['a package.json with tools', { ...flask, 'package.json': json({ devDependencies: { eslint: '9' } }) }, 'python'],
    [
      'a package.json that builds',
      { ...flask, 'package.json': json({ scripts: { build: 'sass a b' } }) },
      'nodejs+python',
    ],
    [
      'a package.json with packages',
      { ...flask, 'package.json': json({ dependencies: { bootstrap: '5' } }) },
      'nodejs+python',
    ],
    ['a package.json that is not JSON', { ...flask, 'package.json': '{' }, 'python'],
    [
      'a package.json that builds for Go',
      { 'go.mod': '', 'main.go': '', 'package.json': json({ scripts: { build: 'x' } }) },
      'nodejs+go',
    ],
    ['a start script and requirements alone', { 'package.json': startScript, 'requirements.txt': '' }, 'nodejs'],
    ['a linter’s pyproject.toml', { 'package.json': '{}', 'pyproject.toml': '[tool.ruff]\n' }, 'nodejs'],
    ['a crate for WebAssembly', { 'package.json': startScript, 'Cargo.toml': '', 'src/lib.rs': '' }, 'nodejs'],
    ['.NET', { 'Shop.csproj': '', 'Program.cs': '' }, 'dotnet'],
    ['.NET with a package.json that says nothing', { 'Shop.csproj': '', 'package.json': '{}' }, 'dotnet'],
    ['a site’s own script', { 'index.html': '<script src=main.js>', 'main.js': 'document.title = 1' }, 'static'],
    ['a server beside a page', { 'index.html': '', 'app.js': 'require("node:http")' }, 'nodejs'],
    ['C with a Makefile', { Makefile: '', 'src/main.c': '' }, 'cpp'],
    ['C++ with CMake', { 'CMakeLists.txt': '', 'lib/a.cpp': '' }, 'cpp'],
    ['a Makefile for other things', { Makefile: '', 'app.py': '' }, 'python'],
    ['a Makefile alone', { Makefile: '' }, ''],
    ['Python with an extension', { ...flask, Makefile: '', 'fast.c': '' }, 'python'],
    ['a Staticfile', { Staticfile: '', 'home.html': '' }, 'static'],
    ['a page in public/', { 'public/index.html': '' }, 'static'],
    ['a page beside PHP', { 'index.html': '', 'index.php': '' }, 'php'],
    ['a page of Flask’s', { ...flask, 'index.html': '' }, 'python'],
    ['a front end', { 'package.json': viteJson, 'index.html': '' }, 'nodejs+static'],
    [
      'a front end that a development server starts',
      { 'package.json': json({ ...viteParts, scripts: { build: 'vite build', start: 'vite' } }) },
      'nodejs+static',
    ],
    [
      'a front end with a server',
      { 'package.json': json({ ...viteParts, dependencies: { express: '5' } }), 'server.js': '' },
      'nodejs',
    ],
    [
      'a front end with a start script',
      { 'package.json': json({ ...viteParts, scripts: { build: 'vite build', start: 'node server.js' } }) },
      'nodejs',
    ],
    [
      'webpack before a server',
      {
        'package.json': json({
          scripts: { build: 'webpack', start: 'webpack --mode production && node server.js' },
          dependencies: { ws: '8' },
          devDependencies: { 'html-webpack-plugin': '5' },
        }),
        'server.js': 'import { WebSocketServer } from "ws"\n',
      },
      'nodejs',
    ],
    [
      'webpack beside a server without a start script',
      { 'package.json': webpackJson({}), 'index.js': 'import { WebSocketServer } from "ws"\n' },
      'nodejs',
    ],
    [
      'webpack beside a server that has a script for developers',
      { 'package.json': webpackJson({ start: 'npm run serve', serve: 'node server.js' }), 'server.js': '' },
      'nodejs',
    ],
    [
      'webpack with a page’s script and a server for developers',
      {
        'package.json': webpackJson({ start: 'npm run serve', serve: 'webpack serve' }),
        'index.js': 'import x from "ws"\ndocument.title = x\n',
      },
      'nodejs+static',
    ],
    ['a front end beside Flask', { ...flask, 'package.json': viteJson }, 'nodejs+python'],
    [
      'Next.js that exports files',
      {
        'package.json': json({ scripts: { build: 'next build', start: 'next start' }, dependencies: { next: '15' } }),
        'next.config.mjs': "export default { output: 'export' }",
      },
      'nodejs+static',
    ],
    [
      'Next.js',
      { 'package.json': json({ scripts: { build: 'next build', start: 'next start' }, dependencies: { next: '15' } }) },
      'nodejs',
    ],
    [
      'Astro with a server',
      {
        'package.json': json({ scripts: { build: 'astro build' }, dependencies: { astro: '5', '@astrojs/node': '9' } }),
      },
      'nodejs',
    ],
    ['a page beside a library', { 'index.html': '', 'lib/x.jar': '' }, 'static'],
    ['Python beside a library', { 'main.py': '', 'x/lib/y.jar': '' }, 'python'],
    [
      'Python beside a library and a script',
      { 'main.py': '', 'bin/load': 'python main.py', 'lib/x.jar': '' },
      'python',
    ],
    ['a server beside a library', { 'server.js': '', 'lib/x.jar': '' }, 'nodejs'],
    ['an unpacked distribution', { 'bin/shop': 'exec "$JAVACMD"', 'lib/x.jar': '' }, 'java'],
    ['an unpacked web application', { 'WEB-INF/lib/x.jar': '', 'index.html': '' }, 'java'],
    ['Express beside a list for tools', { ...express, 'requirements/x.txt': '' }, 'nodejs'],
    ['Express beside a list of requirements', { ...express, 'requirements/base.txt': '' }, 'nodejs'],
    ['lists of requirements', { 'requirements/base.txt': '', 'shop/__init__.py': '' }, 'python'],
    [
      'lists of requirements and a front end',
      { 'requirements/prod.txt': '', 'app.py': '', 'package.json': json({ scripts: { build: 'sass a b' } }) },
      'nodejs+python',
    ],
    ['Express beside ClojureScript', { ...express, 'shadow-cljs.edn': '' }, 'nodejs'],
    ['a Staticfile beside ClojureScript', { Staticfile: '', 'shadow-cljs.edn': '' }, 'static'],
    ['node_modules alone', { 'node_modules/x/main.go': '' }, ''],
  ])('%s', async (_name, tree, expected) => expect(await weigh(tree)).toBe(expected))

  it.each<[string, string]>([
    ['web: gunicorn app:app', 'python'],
    ['web: node server.js', 'nodejs'],
    ['release: python manage.py migrate\nweb: npm start', 'nodejs'],
    ['web: python prepare.py && NODE_ENV=production exec node server.js', 'nodejs'],
    ['web: cd app; .venv/bin/python3.13 app.py', 'python'],
    ['web: ./run', 'python'],
    // Nothing of Ruby is there.
    ['web: ruby app.rb', 'python'],
  ])('is what the Procfile starts: %j', async (Procfile, expected) => {
    expect(await weigh({ ...flask, 'package.json': startScript, 'server.js': '', Procfile })).toMatch(
      new RegExp(`${expected}$`),
    )
  })

  it('is what GOOGLE_ENTRYPOINT starts, rather than the Procfile; app.yaml comes last', async () => {
    const both = { ...flask, 'package.json': startScript }
    expect(await weigh({ ...both, Procfile: 'web: python app.py' }, { GOOGLE_ENTRYPOINT: 'node server.js' })).toBe(
      'nodejs',
    )
    expect(await weigh({ ...both, 'app.yaml': 'runtime: nodejs22\n' })).toBe('nodejs')
    expect(await weigh({ ...both, 'app.yaml': "runtime: x\nentrypoint: 'node server.js'\n" })).toBe('nodejs')
  })

  it.each<[string, string]>([
    ['nodejs', 'nodejs'],
    ['Node', 'nodejs'],
    ['python', 'python'],
    ['nodejs, python', 'nodejs+python'],
    ['python,node', 'python+nodejs'],
    ['golang', 'go'],
  ])('is what the user chooses: BP_LANGUAGE=%s', async (value, expected) => {
    const tree = { ...flask, 'package.json': json({ scripts: { build: 'x' } }), 'go.mod': '', 'main.go': '' }
    expect(await weigh(tree, { BP_LANGUAGE: value })).toBe(expected)
    expect(await weigh(tree, { GOOGLE_RUNTIME: value })).toBe(expected)
    expect(await weigh(tree, { BP_LANGUAGE: value, GOOGLE_RUNTIME: 'ruby' })).toBe(expected)
  })

  it('has to be one', async () => {
    await expect(weigh(flask, { BP_LANGUAGE: 'pyhton' })).rejects.toMatchObject({
      where: 'BP_LANGUAGE',
      message: '"pyhton" is not a language',
      fix: expect.stringContaining('python, nodejs') as string,
    })
    await expect(weigh(flask, { GOOGLE_RUNTIME: 'python312' })).rejects.toMatchObject({ where: 'GOOGLE_RUNTIME' })
  })
})

describe('the role of a language', () => {
  const roleOf = async (tree: Tree, id: string, env: Record<string, string> = {}) =>
    detectLanguage({ app: await appOf(tree), env }, id)

  it('tells the server of a front end in a folder that nothing builds, and the setting that has it built', async () => {
    const tree = { ...flask, 'frontend/package.json': viteJson, 'frontend/index.html': '' }
    const hint = 'not built: the front end in frontend/ (Vite); BP_NODE_PROJECT_PATH=frontend builds it for this server'
    expect((await roleOf(tree, 'python')).reason).toBe(`Python: requirements.txt and app.py\n${hint}`)
    const env = { BP_NODE_PROJECT_PATH: 'frontend' }
    expect(await weigh(tree, env)).toBe('nodejs+python')
    expect((await roleOf(tree, 'python', env)).reason).not.toContain('not built')
    // It is built already, or it is a server.
    expect((await roleOf({ ...tree, 'frontend/dist/index.html': '' }, 'python')).reason).not.toContain('not built')
    expect((await roleOf({ ...flask, 'client/package.json': startScript }, 'python')).reason).not.toContain('not built')
  })

  it('is the server’s, with what else fits and how to choose it', async () => {
    const tree = { ...flask, 'package.json': startScript, 'main.go': '' }
    expect(await roleOf(tree, 'python')).toMatchObject({
      role: 'server',
      plan: { sections: [{ provides: ['python'], requires: [{ name: 'python' }] }] },
      reason:
        'Python: requirements.txt and app.py\n' +
        'also fits: Node.js (package.json with a start script) and Go (main.go); BP_LANGUAGE=nodejs or BP_LANGUAGE=go selects it',
    })
    expect(await roleOf(tree, 'nodejs')).toEqual({
      role: 'none',
      reason:
        'Python (requirements.txt and app.py) rather than Node.js (package.json with a start script); BP_LANGUAGE=nodejs selects Node.js',
    })
    expect(await roleOf(tree, 'rust')).toEqual({ role: 'none', reason: 'no files of Rust found' })
  })

  it('is a builder’s for a front end', async () => {
    const tree = { ...flask, 'package.json': json({ scripts: { build: 'sass a b' } }) }
    expect(await roleOf(tree, 'nodejs')).toMatchObject({
      role: 'builder',
      plan: { sections: [{ provides: ['node'], requires: [] }] },
      reason:
        'Node.js: package.json has a script "build"; the application starts with Python (requirements.txt and app.py)',
    })
    expect(await roleOf(tree, 'python')).toMatchObject({
      role: 'server',
      plan: {
        sections: [
          { provides: ['python'], requires: [{ name: 'python' }, { name: 'node', metadata: { launch: false } }] },
          // In a builder without Node.js.
          { provides: ['python'], requires: [{ name: 'python' }] },
        ],
      },
    })
    expect(await roleOf(tree, 'nodejs', { BP_NODE_RUN_SCRIPTS: '' })).toMatchObject({ role: 'none' })
    expect(await roleOf(tree, 'nodejs', { BP_LANGUAGE: 'python' })).toMatchObject({ role: 'none' })
  })

  it.each<[Tree, string]>([
    [{ 'Gemfile.lock': 'GEM\n  specs:\n    vite_ruby (3.9.0)\n' }, 'Gemfile.lock has vite_ruby'],
    [{ Gemfile: 'gem "cssbundling-rails"\n' }, 'Gemfile has cssbundling-rails'],
  ])('is a builder’s whose tools stay for Ruby’s tasks: %j', async (more, why) => {
    const rails = { Gemfile: '', 'config.ru': '', 'package.json': json({ devDependencies: { vite: '^7' } }) }
    const role = await roleOf({ ...rails, ...more }, 'nodejs')
    expect(role.reason).toBe(`Node.js: ${why}; the application starts with Ruby (Gemfile and config.ru)`)
    expect(await roleOf({ ...rails, ...more }, 'ruby')).toMatchObject({
      plan: {
        sections: [
          {
            provides: ['ruby'],
            requires: [{ name: 'ruby' }, { name: 'node', metadata: { launch: false, tools: true } }],
          },
          { provides: ['ruby'], requires: [{ name: 'ruby' }] },
        ],
      },
    })
  })

  it('is a builder’s for a gem that runs JavaScript, where a package.json is there', async () => {
    const rails = { Gemfile: '', 'config.ru': '', 'Gemfile.lock': 'GEM\n  specs:\n    execjs (2.10.0)\n' }
    expect(await roleOf({ ...rails, 'package.json': '{}' }, 'nodejs')).toMatchObject({ role: 'builder' })
    expect(await roleOf({ ...rails, 'package.json': '{}' }, 'ruby')).toMatchObject({
      plan: { sections: [{ requires: [{ name: 'ruby' }, { name: 'node', metadata: { launch: false } }] }, {}] },
    })
    expect(await roleOf({ ...rails, 'package.json': '{}', 'Gemfile.lock': '' }, 'nodejs')).toMatchObject({
      role: 'none',
    })
  })

  it('is a builder’s that leaves Node.js in the image for ExecJS, with a package.json or without', async () => {
    const rails = {
      Gemfile: '',
      'config.ru': '',
      'Gemfile.lock': 'GEM\n  specs:\n    execjs (2.10.0)\n    terser (1.2)\n',
    }
    const node = (metadata: object) => ({
      plan: { sections: [{ requires: [{ name: 'ruby' }, { name: 'node', metadata }] }, {}] },
    })
    const called = { launch: false, runtime: true }
    expect(await roleOf(rails, 'nodejs')).toMatchObject({
      role: 'builder',
      reason: 'Node.js: Gemfile.lock has execjs; the application starts with Ruby (Gemfile and config.ru)',
    })
    expect(await roleOf(rails, 'ruby')).toMatchObject(node(called))
    expect(await roleOf({ ...rails, 'package.json': '{}' }, 'ruby')).toMatchObject(node(called))
    const both = `${rails['Gemfile.lock']}    cssbundling-rails (1.4)\n`
    const tools = { ...called, tools: true }
    expect(await roleOf({ ...rails, 'Gemfile.lock': both, 'package.json': '{}' }, 'ruby')).toMatchObject(node(tools))
    // V8 is in a gem.
    const racer = { ...rails, 'Gemfile.lock': `${rails['Gemfile.lock']}    mini_racer (0.18.1)\n` }
    expect(await roleOf(racer, 'nodejs')).toMatchObject({ role: 'none' })
  })

  it('is a builder’s where a gem makes the pages of a site', async () => {
    const site = { Gemfile: 'gem "jekyll", "~> 4.4"\n', '_config.yml': '', 'index.html': '---\n---\n' }
    expect(await roleOf(site, 'ruby')).toMatchObject({
      role: 'builder',
      reason: 'Ruby: Gemfile; the application starts with static site (Jekyll makes it of _config.yml)',
    })
    expect(await roleOf(site, 'static')).toMatchObject({
      role: 'server',
      reason: 'static site: Jekyll makes it of _config.yml',
    })
    const middleman = { Gemfile: "gem 'middleman'\n", 'config.rb': '', 'source/index.html.erb': '' }
    expect(await roleOf(middleman, 'static')).toMatchObject({ role: 'server' })
    // The gem of GitHub Pages has CoffeeScript's.
    const pages = { ...site, Gemfile: 'gem "github-pages"\n', 'Gemfile.lock': 'GEM\n  specs:\n    execjs (2.10.0)\n' }
    const requires = [{ name: 'nginx' }, { name: 'node', metadata: { launch: false } }, { name: 'ruby' }]
    expect(await roleOf(pages, 'static')).toMatchObject({ plan: { sections: [{ requires }, {}] } })
    // A start of somebody's own, or a server beside it.
    expect(await roleOf({ ...site, Procfile: 'web: bundle exec jekyll serve\n' }, 'ruby')).toMatchObject({
      role: 'server',
    })
    expect(await roleOf({ ...site, 'config.ru': '' }, 'ruby')).toMatchObject({ role: 'server' })
  })

  it.each<[Tree, Record<string, string>]>([
    [{ '_site/index.html': '' }, {}],
    [{ '_site/index.html': '' }, { BP_WEB_SERVER_ROOT: '_site' }],
    [{ '_site/index.html': '', Staticfile: 'root: _site\n' }, {}],
    [{ '_site/index.html': '', 'static.json': '{"root": "_site/"}' }, {}],
    [{ 'docs/index.html': '' }, { BP_WEB_SERVER_ROOT: '/docs' }],
    [{ 'docs/index.html': '', 'project.toml': '[com.heroku.static-web-server]\nroot = "docs"\n' }, {}],
  ])('is nobody’s where the pages of such a site were made before: %j %j', async (more, env) => {
    const site = { Gemfile: 'gem "jekyll"\n', '_config.yml': '', 'index.html': '---\n---\n', ...more }
    expect(await roleOf(site, 'static', env)).toMatchObject({
      role: 'server',
      plan: { sections: [{ requires: [{ name: 'nginx' }] }] },
    })
    expect(await roleOf(site, 'ruby', env)).toMatchObject({ role: 'none' })
  })

  it('is Ruby’s where the pages are still to be made in the directory that is named', async () => {
    const site = { Gemfile: 'gem "jekyll"\n', '_config.yml': '', Staticfile: 'root: _site\npushstate: enabled\n' }
    expect(await roleOf(site, 'ruby')).toMatchObject({ role: 'builder' })
  })

  it('is a builder’s that brings programs alone where Phoenix has packages for its assets', async () => {
    const phoenix = { 'mix.exs': '', 'apps/web/assets/package.json': '{}' }
    expect(await roleOf(phoenix, 'nodejs')).toMatchObject({
      role: 'builder',
      reason: 'Node.js: apps/web/assets/package.json; the application starts with Elixir (mix.exs)',
    })
    const metadata = { launch: false, programs: 'apps/web/assets' }
    expect(await roleOf(phoenix, 'elixir')).toMatchObject({
      plan: { sections: [{ requires: [{ name: 'elixir' }, { name: 'node', metadata }] }, {}] },
    })
    expect(await roleOf({ 'mix.exs': '' }, 'nodejs')).toMatchObject({ role: 'none' })
    expect(await roleOf(phoenix, 'elixir', { BP_LANGUAGE: 'nodejs,elixir' })).toMatchObject({
      plan: { sections: [{ requires: [{ name: 'elixir' }, { name: 'node', metadata }] }, {}] },
    })
  })

  it('is a builder’s of the top of a Phoenix application as well, unless that builds the folder', async () => {
    const phoenix = (build: string) => ({
      'mix.exs': '',
      'assets/package.json': '{}',
      'package.json': json({ scripts: { build } }),
    })
    expect((await roleOf(phoenix('vite build'), 'nodejs')).reason).toContain('package.json has a script "build"')
    const requires = [{ name: 'elixir' }, { name: 'node', metadata: { launch: false } }]
    expect(await roleOf(phoenix('vite build'), 'elixir')).toMatchObject({ plan: { sections: [{ requires }, {}] } })
    for (const build of ['cd assets && npm ci && npm run build', 'npm --prefix ./assets run build'])
      expect((await roleOf(phoenix(build), 'nodejs')).reason).toContain('Node.js: assets/package.json;')
    expect((await roleOf({ ...phoenix(''), 'package.json': '{}' }, 'nodejs')).reason).toContain('assets/package.json')
  })

  const laravel = {
    'composer.json': json({ require: { 'laravel/framework': '^12' } }),
    'public/index.php': '',
    'package.json': json({ scripts: { build: 'vite build' } }),
  }

  it.each<[Tree, string]>([
    [{ 'resources/css/app.css': "@import '../../vendor/livewire/flux/dist/flux.css';" }, 'resources/css/app.css'],
    [{ 'vite.config.js': "alias: { ziggy: resolve('vendor/tightenco/ziggy') }" }, 'vite.config.js'],
    [
      {
        'package.json': json({
          scripts: { build: 'vite build' },
          devDependencies: { '@laravel/vite-plugin-wayfinder': '^0.1' },
        }),
      },
      '@laravel/vite-plugin-wayfinder',
    ],
    [
      {
        'package.json': json({
          scripts: { build: 'encore production' },
          devDependencies: { '@symfony/ux-turbo': 'file:vendor/symfony/ux-turbo/assets' },
        }),
      },
      'package.json has @symfony/ux-turbo',
    ],
  ])('is a builder’s after PHP where %j needs Composer’s packages', async (more, where) => {
    const tree = { ...laravel, ...more }
    const alone = { provides: ['php'], requires: [{ name: 'php' }] }
    const node = { name: 'node', metadata: { launch: false } }
    const builder = await roleOf(tree, 'nodejs')
    expect(builder).toMatchObject({
      plan: {
        sections: [
          // Where PHP comes after it, as in a group of somebody's own.
          { provides: ['node'], requires: [] },
          { provides: ['node'], requires: [node, { name: 'php-packages' }] },
        ],
      },
    })
    expect(builder.reason).toContain(`; Composer's packages come first: ${where}`)
    expect(await roleOf(tree, 'php')).toMatchObject({
      plan: {
        sections: [
          { provides: ['php', 'php-packages'], requires: [{ name: 'php' }] },
          { ...alone, requires: [...alone.requires, node] },
          alone,
        ],
      },
    })
  })

  it('is a builder’s before PHP where nothing needs the packages, or Composer calls npm', async () => {
    const before = { role: 'builder', plan: { sections: [{ provides: ['node'], requires: [] }] } }
    expect(await roleOf(laravel, 'nodejs')).toMatchObject(before)
    const composer = json({ scripts: { dev: ['npx vite'], compile: ['npm run build'] } })
    const flux = { 'resources/css/app.css': "@import '../../vendor/livewire/flux/dist/flux.css';" }
    expect(await roleOf({ ...laravel, ...flux, 'composer.json': composer }, 'nodejs')).toMatchObject(before)
    const others: Tree = {
      'tsconfig.json': '{ "exclude": [\n "vendor/", "node_modules"] }',
      'vite.config.js': "watch: { ignored: ['**/storage/**', 'public/vendor/**'] }",
      'resources/js/app.js': "import '../vendor/carousel.js'",
    }
    expect(await roleOf({ ...laravel, ...others }, 'nodejs')).toMatchObject(before)
  })
})

describe('what no buildpack builds', () => {
  it.each<[Tree, string]>([
    [{ 'Shop.csproj': '' }, 'this looks like a .NET application (Shop.csproj); Bale builds '],
    [{ 'dune-project': '' }, 'this looks like an OCaml application (dune-project); Bale builds '],
    [{ 'mix.exs': '' }, 'this looks like an Elixir application (mix.exs), which the buildpacks of this builder'],
    [
      { 'config.toml': 'base_url = "x"\n', 'templates/index.html': '', 'content/_index.md': '' },
      'this looks like a Zola site (config.toml); run "zola build" first, and build with --env BP_WEB_SERVER_ROOT=public',
    ],
    [
      { 'mkdocs.yml': '', 'docs/index.md': '' },
      'this looks like a MkDocs site (mkdocs.yml); add a requirements.txt with mkdocs',
    ],
    [{ 'docs/conf.py': '' }, 'Bale builds it; or run "sphinx-build docs public" first'],
    [
      { '_config.yml': '', 'index.html': '---\n---\n' },
      'this looks like a Jekyll site (_config.yml); add a Gemfile with gem "jekyll" and its theme, and Bale builds it; or run "bundle exec jekyll build" first',
    ],
    [{ 'Shop.csproj': '' }, 'the nearest way: publish it with the runtime in it'],
    [{ 'Shop.csproj': '' }, 'web: ./NAME --urls http://0.0.0.0:$PORT'],
    [{ 'pubspec.yaml': '' }, 'the nearest way: compile it first (dart compile exe'],
    [{ cpanfile: '' }, 'the nearest way: an Aptfile with perl'],
    [{ 'build.zig': '' }, 'the nearest way: compile it first (zig build'],
    [{ 'shard.yml': '' }, 'the nearest way: a stack of your own with its compiler'],
    [{ 'hello.cabal': '' }, 'the nearest way: a stack of your own with its compiler among the build packages'],
    [{ 'gleam.toml': '' }, 'the nearest way: compile it to JavaScript'],
    [
      { 'README.md': '', 'backend/requirements.txt': 'flask', 'backend/app.py': '', 'apps/web/package.json': '{}' },
      'the application is not at the root of the source, but in apps/web (Node.js: package.json) and backend (Python: requirements.txt and app.py); build one of them with --path apps/web',
    ],
    [
      { 'server/go.mod': '', 'node_modules/a/package.json': '{}' },
      'but in server (Go: go.mod); build it with --path server',
    ],
    [{ 'back end/go.mod': '' }, "build it with --path 'back end'"],
    [{ 'a\u001b[31m/go.mod': '', 'b/package.json': '{}' }, 'but in b (Node.js: package.json); build it with --path b'],
    [
      { Dockerfile: 'FROM node' },
      'Bale does not recognise this application, and it does not read Dockerfiles; Bale builds ',
    ],
    [{ 'notes.txt': '' }, 'Bale does not recognise this application; Bale builds '],
  ])('%j', async (tree, expected) => {
    expect(await explainUnsupported({ app: await appOf(tree), env: {} })).toContain(expected)
  })

  it('passes over folders that cannot be read', async () => {
    const app = await appOf({ 'a/README.md': '', 'b/go.mod': '' })
    await symlink('nowhere', app.at('a/package.json'))
    expect(await explainUnsupported({ app, env: {} })).toContain('but in b (Go: go.mod); build it with --path b')
  })
})

describe('a build script beside a page', () => {
  const build = { build: 'rollup -c' }
  const page = { 'public/index.html': '' }
  const guess = { 'package.json': json({ scripts: build }), ...page }

  it.each<[string, Tree, string]>([
    ['that nothing contradicts', guess, 'nodejs+static'],
    ['and a page’s script', { ...guess, 'app.js': 'document.title = "x"' }, 'nodejs+static'],
    [
      'and a page’s script with a package that is bundled',
      {
        ...page,
        'package.json': json({ scripts: build, devDependencies: { jquery: '3' } }),
        'index.js': "import $ from 'jquery'\nwindow.$ = $",
      },
      'nodejs+static',
    ],
    [
      'and a server for developers',
      { ...page, 'package.json': json({ scripts: { ...build, start: 'npm run dev', dev: 'rollup -c -w' } }) },
      'nodejs+static',
    ],
    [
      'and a script that starts what it has built',
      {
        ...page,
        'package.json': json({ scripts: { ...build, start: 'rollup -c && node server.js' } }),
        'server.js': '',
      },
      'nodejs',
    ],
    [
      'and a server that has a script for developers',
      { ...page, 'package.json': json({ scripts: { ...build, start: 'npm run dev', dev: 'node index.js' } }) },
      'nodejs',
    ],
    [
      'and a module that imports a package',
      {
        ...page,
        'package.json': json({ type: 'module', scripts: build, dependencies: { 'discord.js': '14' } }),
        'index.js': 'import { Client } from "discord.js"\nnew Client({}).login(window.x)\n',
      },
      'nodejs',
    ],
    [
      'and a function',
      {
        ...page,
        'package.json': json({
          type: 'module',
          scripts: build,
          dependencies: { '@google-cloud/functions-framework': '5' },
        }),
        'index.js': "import { http } from '@google-cloud/functions-framework'\n",
      },
      'nodejs',
    ],
    ['and a module of Node.js’s', { ...guess, 'main.js': "import { watch } from 'fs'\nwindow.x = watch" }, 'nodejs'],
    ['and a module that imports its own', { ...guess, 'index.js': "import './src/bot.js'\n" }, 'nodejs'],
    [
      'and a main file without its ending',
      { ...page, 'package.json': json({ main: 'lib/bot', scripts: build }), 'lib/bot.js': '' },
      'nodejs',
    ],
    ['and what Bun starts', { ...guess, 'bun.lock': '', 'src/index.ts': 'Bun.serve({})' }, 'nodejs'],
    ['and Deno', { ...guess, 'deno.json': '{}' }, 'nodejs'],
    ['and a start command', { ...guess, Procfile: 'web: functions-framework --target=a' }, 'nodejs'],
    // Node.js says that nothing starts it; a site without the Python would start.
    ['and Python', { ...guess, 'app.py': '' }, 'nodejs'],
    ['and a Staticfile, and Python’s packages', { ...guess, Staticfile: '', 'requirements.txt': '' }, 'nodejs+static'],
    ['and a Staticfile, and Ruby’s packages', { ...guess, Staticfile: '', Gemfile: '' }, 'nodejs+static'],
    [
      'and a static.json, and Python’s packages',
      { ...guess, 'static.json': '{ "root": "dist" }', 'requirements.txt': '' },
      'nodejs+static',
    ],
    [
      'and a section of project.toml, and Python’s packages',
      { ...guess, 'project.toml': '[com.heroku.static-web-server]\n', 'requirements.txt': '' },
      'nodejs+static',
    ],
    ['and Python’s packages', { ...guess, 'requirements.txt': '' }, 'nodejs+python'],
  ])('%s', async (_name, tree, expected) => expect(await weigh(tree)).toBe(expected))
})

const sphinx = { 'requirements.txt': 'furo\n', 'docs/conf.py': '' }
const mkdocs = { 'requirements.txt': 'mkdocs\n', 'mkdocs.yml': '' }

it.each<[Tree, string]>([
  [{ '_config.yml': '', 'index.html': '<p>' }, 'static'],
  [{ '_config.yml': '', 'index.html': '---\n', '_site/index.html': '' }, 'static'],
  [{ 'book.toml': '', 'book/index.html': '', 'index.html': '' }, 'static'],
  [{ 'mkdocs.yml': '', 'requirements.txt': '' }, 'python'],
  [{ 'mkdocs.yml': '', 'requirements.txt': 'mkdocs-material==9\n', 'app.py': '' }, 'python'],
  [{ 'mkdocs.yml': '', 'requirements.txt': 'mkdocs\n', Procfile: 'web: python -m x\n' }, 'python'],
  [{ ...sphinx, 'tasks.py': 'from celery import Celery\napp = Celery("shop")\n', 'shop.py': '' }, 'python'],
  [{ ...sphinx, 'things.py': '' }, 'python'],
  [{ ...mkdocs, 'things.py': '' }, 'python'],
  [{ ...sphinx, 'shop/__main__.py': '' }, 'python'],
  [{ ...sphinx, 'shop/__init__.py': 'def create_app():\n  return Flask("shop")\n' }, 'python'],
  [{ ...mkdocs, 'shop/__init__.py': 'def create_app():\n  return Flask("shop")\n' }, 'python'],
  [
    {
      ...sphinx,
      'pyproject.toml': '[project]\nname = "shop"\n[project.scripts]\nserve = "shop:serve"\nload = "shop:load"\n',
    },
    'python',
  ],
  [{ ...sphinx, 'hello.ipynb': '{}', 'requirements.txt': 'furo\nvoila\n' }, 'python'],
  [{ 'docs/conf.py': '', 'package.json': '{}' }, 'nodejs'],
])('a generator of pages leaves %j to its own language', async (tree, expected) => {
  expect((await weighLanguages(await appOf(tree), {})).server?.language.id).toBe(expected)
})

it('is told of a language that is chosen and not there', async () => {
  expect(await explainUnsupported({ app: await appOf(flask), env: { BP_LANGUAGE: 'rust' } })).toBe(
    'BP_LANGUAGE is rust, but the source has no files of Rust',
  )
})

it.each<[string, Tree, string, string[]]>([
  ['alone', {}, 'static', ['nodejs']],
  ['beside an application in Python', { 'requirements.txt': '', 'app.py': '' }, 'python', []],
  ['beside a server', { 'index.js': "require('node:http').createServer().listen(80)\n" }, 'nodejs', []],
  ['beside a page’s script', { 'index.js': 'document.title = "x"\n' }, 'static', ['nodejs']],
])('Storybook %s', async (_name, tree, server, builders) => {
  const manifest = json({ scripts: { 'build-storybook': 'storybook build' }, devDependencies: { storybook: '10' } })
  const found = await weighLanguages(await appOf({ 'package.json': manifest, ...tree }), {})
  expect(found.server?.language.id).toBe(server)
  expect(found.builders.map(({ language }) => language.id)).toEqual(builders)
})

it.each<[Tree, string[]]>([
  [{ 'mkdocs.yml': '', 'requirements.txt': 'mkdocs-material==9\n' }, ['python']],
  [{ 'docs/conf.py': '', 'requirements.txt': 'furo\nSphinx>=8\n' }, ['python']],
  [{ 'conf.py': '', 'hello.ipynb': '{}', 'requirements.txt': 'sphinx\n' }, ['python']],
  [{ 'mkdocs.yml': 'hooks: [./hooks.py]\n', 'hooks.py': '', 'requirements.txt': 'mkdocs\n' }, ['python']],
  [
    {
      'mkdocs.yml': '',
      'requirements.txt': 'mkdocs\n',
      'package.json': json({ scripts: { build: 'x' }, devDependencies: { sass: '1' } }),
    },
    ['nodejs', 'python'],
  ],
])('%j is a site that Python’s packages make', async (tree, builders) => {
  const found = await weighLanguages(await appOf(tree), {})
  expect(found.server?.language.id).toBe('static')
  expect(found.builders.map(({ language }) => language.id)).toEqual(builders)
})

describe('a front end', () => {
  const built = (devDependencies: Record<string, string>, files: Tree = {}, dependencies = {}) => ({
    ...files,
    'package.json': json({ scripts: { build: 'x' }, devDependencies, dependencies }),
  })
  it.each<[string, Tree, string]>([
    ['Vite', built({ vite: '7' }), 'dist'],
    ['Vite with a directory', built({ vite: '7' }, { 'vite.config.ts': "build: { outDir: './www/out' }" }), 'www/out'],
    ['Create React App', built({ 'react-scripts': '5' }), 'build'],
    ['Astro', built({ astro: '5', vite: '7' }), 'dist'],
    ['Gatsby', built({ gatsby: '5' }), 'public'],
    ['Angular', built({ '@angular/cli': '20' }, { 'angular.json': '{"projects": {"shop": {}}}' }), 'dist/shop'],
    [
      'Angular with a path',
      built({ '@angular/cli': '20' }, { 'angular.json': '{"projects": {"a": {"outputPath": "dist/b"}}}' }),
      'dist/b',
    ],
    ['Vue', built({ '@vue/cli-service': '5' }, { 'vue.config.js': "module.exports = { outputDir: 'www' }" }), 'www'],
  ])('of %s leaves its files in a directory', async (_name, tree, output) => {
    expect((await findFrontEnd(await appOf(tree)))?.output).toBe(output)
  })

  it('finds its way by the path if it has a router', async () => {
    expect((await findFrontEnd(await appOf(built({ vite: '7' }, {}, { 'react-router-dom': '7' }))))?.pushState).toBe(
      true,
    )
    expect((await findFrontEnd(await appOf(built({ vite: '7' }))))?.pushState).toBe(false)
  })

  it('is none without a script that builds it', async () => {
    expect(
      await findFrontEnd(await appOf({ 'package.json': json({ devDependencies: { vite: '7' } }) })),
    ).toBeUndefined()
  })
})

it.each([
  ['{}', ['src']],
  ['{:paths []}', []],
  [
    '{:aliases {:dev {:paths ["dev"] :more {:paths ["no"]}}} ; :paths ["no"]\n :paths ["src/" "./lib"]}',
    ['src/', 'lib'],
  ],
  ['{:paths [:a "b"] :aliases {:a ["a" :c :a] :c ["c"]}}', ['a', 'c', 'b']],
  ['{:paths ["/etc" "../x" "a/../.." "ok"] :x \\{ :y "}"}', ['ok']],
])('deps.edn has the paths: %s', (edn, paths) => {
  expect(pathsOf(edn)).toEqual(paths)
})
