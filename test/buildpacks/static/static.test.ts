import { execFile } from 'node:child_process'
import { chmod, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { brotliDecompressSync, gunzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { type Runner, spawnRunner } from '../../../buildpacks/sdk/command.ts'
import type { Tree } from '../../../buildpacks/sdk/testing.ts'
import { staticSite } from '../../../buildpacks/static/static.ts'
import { FakeDebian } from '../python/fake-debian.ts'
import { openProject } from '../sdk/project.ts'

const dir = join(import.meta.dirname, '../../../buildpacks/static')

async function siteProject(app: Tree, env: Record<string, string> = {}, more: FakeDebian['packages'] = {}) {
  const debian = new FakeDebian()
  debian.packages = {
    nginx: {
      version: '1.26.3-3',
      depends: ['nginx-common', 'iproute2'],
      files: {
        'usr/sbin/nginx': '#!/bin/sh\nwhile [ "$1" != -c ]; do shift; done\ncat "$2"\n',
        'etc/init.d/nginx': '',
        'usr/share/doc/nginx/copyright': 'BSD',
        'usr/share/vim/nginx.vim': '',
      },
    },
    'nginx-common': {
      version: '1.26.3-3',
      arch: 'all',
      files: {
        'etc/nginx/mime.types':
          'types {\n  text/html  html htm shtml;\n  application/javascript  js;\n  image/avif\n    avif;\n  image/svg+xml  svg svgz;\n}\n',
        'etc/nginx/nginx.conf': '',
      },
    },
    'libnginx-mod-http-brotli-static': {
      version: '1.0.0',
      files: { 'usr/lib/nginx/modules/ngx_http_brotli_static_module.so': 'ELF' },
    },
    iproute2: { version: '6', files: { 'usr/bin/ip': 'ELF' } },
    ...more,
  }
  const runner: Runner = async (command, onLine) => {
    const [program] = command.argv
    if (program === 'sh') return spawnRunner(command, onLine)
    if (/\/usr\/bin\/(hugo|mdbook)$/.test(program)) return spawnRunner({ ...command, argv: ['sh', program] }, onLine)
    return debian.runner(command, onLine)
  }
  return openProject({ buildpack: staticSite, dir, app, env, runner })
}

type Project = Awaited<ReturnType<typeof siteProject>>

async function build(app: Tree, env: Record<string, string> = {}) {
  const project = await siteProject(app, env)
  const outcome = await project.build()
  return { project, ...outcome }
}

it.each<[string, string, string, Tree]>([
  ['MkDocs', 'python', 'site', { 'requirements.txt': 'mkdocs\n', 'mkdocs.yml': '' }],
  ['Jekyll', 'ruby', '_site', { Gemfile: 'gem "jekyll"\n', '_config.yml': '' }],
])('says that %s built the pages only where it has', async (name, language, root, files) => {
  const app = { ...files, [`${root}/index.html`]: 'x' }
  const made = await (await siteProject(app)).build({ entries: [{ name: 'nginx', metadata: { builtBy: language } }] })
  expect(made.output).toContain(`Serves ${root}/: ${name} built it`)
  const committed = await (await siteProject(app)).build({ entries: [{ name: 'nginx' }] })
  expect(committed.output).toContain(`Serves ${root}/: ${root}/index.html is there`)
})

it('says what to do where the settings of the front end ask for a server', async () => {
  const app = {
    'package.json': '{ "dependencies": { "expo": "58" }, "scripts": { "start": "expo start" } }',
    'app.json': '{ "expo": { "web": { "output": "server" } } }',
  }
  const { exitCode, output } = await (await siteProject(app)).detect()
  expect(exitCode).toBe(1)
  expect(output).toMatch(/the settings of Expo require a server.*\n\s+write "static" as its "web.output"/)
  expect((await (await siteProject(app, { BP_WEB_SERVER_ROOT: 'dist/client' })).detect()).exitCode).toBe(0)
})

it('serves what a build leaves in a directory called node_modules, and no packages', async () => {
  const expo = {
    'package.json': '{ "dependencies": { "expo": "58" }, "scripts": { "start": "expo start" } }',
    'app.json': '{ "expo": { "web": { "output": "static" } } }',
    'dist/index.html': 'a',
    'dist/+not-found.html': 'b',
    'dist/assets/node_modules/expo-router/logo.png': 'c',
    'dist/node_modules/x.js': 'd',
  }
  const { project, output } = await build(expo)
  expect(output).toContain('3 files;')
  const { server } = await configOf(project)
  expect(server).toContain('location ~ "^/node_modules/" { return 404; }')
  expect(server).toContain('error_page 404 /+not-found.html;')
})

it.each<[string, Tree]>([
  ['by hand', {}],
  ['with Sass', { 'package.json': '{ "scripts": { "build": "sass a.scss public/a.css" } }' }],
])('serves no packages of a site that is written %s', async (_name, more) => {
  const { project, output } = await build({ ...more, 'public/index.html': 'a', 'public/x/node_modules/y/a.js': 'b' })
  expect(output).toContain('1 files;')
  expect((await configOf(project)).server).toContain('location ~ "/node_modules/" { return 404; }')
})

describe('a front end in a workspace', () => {
  const app: Tree = {
    'package.json': '{ "workspaces": ["apps/*"], "scripts": { "build": "turbo build" } }',
    'apps/web/package.json':
      '{ "scripts": { "build": "vite build", "start": "vite" }, "devDependencies": { "vite": "8" }, "dependencies": { "vue-router": "4" } }',
    'apps/web/index.html': 'source',
    'apps/web/dist/index.html': 'built',
    'apps/api/package.json': '{ "scripts": { "start": "node server.js" } }',
  }
  const env = { BP_NODE_PROJECT_PATH: 'apps/web' }

  it('that is the only one is built by Node.js and served, without a setting', async () => {
    const { 'apps/api/package.json': _, ...alone } = app
    expect((await (await siteProject(alone)).detect()).plan).toMatchObject({
      requires: [{ name: 'nginx' }, { name: 'node', metadata: { launch: false, folder: 'apps/web' } }],
    })
    expect((await build(alone)).output).toContain('Serves apps/web/dist/: Vite built it')
  })

  it('that Nx builds is served from where its configuration says', async () => {
    const { project, output } = await build({
      'package.json': '{ "devDependencies": { "nx": "23" } }',
      'nx.json': '{}',
      'apps/web/project.json': '{ "name": "web", "projectType": "application" }',
      'apps/web/vite.config.mts': "build: { outDir: '../../dist/apps/web' }",
      'apps/web/index.html': 'source',
      'dist/apps/web/index.html': 'built',
    })
    expect(output).toContain('Serves dist/apps/web/: Nx built it')
    expect(await readdir(project.appDir)).toEqual(['dist'])
  })

  it('that the setting names is built by Node.js and served', async () => {
    expect((await (await siteProject(app, env)).detect()).plan).toMatchObject({
      provides: [{ name: 'nginx' }],
      requires: [{ name: 'nginx' }, { name: 'node', metadata: { launch: false } }],
    })
    const { project, output } = await build(app, env)
    expect(output).toContain('Serves apps/web/dist/: Vite built it')
    expect(output).toContain('index.html answers paths')
    expect(await readdir(project.appDir)).toEqual(['apps'])
    expect(await readdir(join(project.appDir, 'apps/web'))).toEqual(['dist'])
  })

  it('is not a part of the server that the setting names', async () => {
    const { exitCode } = await (await siteProject(app, { BP_NODE_PROJECT_PATH: 'apps/api' })).detect()
    expect(exitCode).toBe(100)
  })
})

const configOf = async (project: Project) => ({
  http: await project.read('layers/site/http.conf'),
  server: await project.read('layers/site/server.conf'),
})

const page = '<p>page</p>'

describe('detect', () => {
  it.each<[Tree, Record<string, string>]>([
    [{ 'index.html': page }, {}],
    [{ 'www/index.html': page }, {}],
    [{ Staticfile: 'root: pages' }, {}],
    [{ 'pages/home.html': page }, { BP_WEB_SERVER: 'nginx' }],
  ])('passes: %j with %j', async (app, env) => {
    const { exitCode, plan } = await (await siteProject(app, env)).detect()
    expect({ exitCode, plan }).toEqual({
      exitCode: 0,
      plan: { provides: [{ name: 'nginx' }], requires: [{ name: 'nginx' }] },
    })
  })

  it('has Node.js build a front end', async () => {
    const app = { 'package.json': JSON.stringify({ scripts: { build: 'vite build' }, devDependencies: { vite: '7' } }) }
    expect((await (await siteProject(app)).detect()).plan).toMatchObject({
      requires: [{ name: 'nginx' }, { name: 'node', metadata: { launch: false } }],
    })
  })

  it.each(['astro', '@11ty/eleventy'])('builds with %s, without a script for it', async name => {
    const app = { 'package.json': JSON.stringify({ devDependencies: { [name]: '1' } }) }
    expect((await (await siteProject(app)).detect()).plan).toMatchObject({
      requires: [{ name: 'nginx' }, { name: 'node', metadata: { launch: false } }],
    })
  })

  it('leaves a server its pages', async () => {
    expect(
      (await (await siteProject({ 'index.html': page, 'requirements.txt': '', 'app.py': '' })).detect()).exitCode,
    ).toBe(100)
  })
})

describe('the directory that is served', () => {
  it.each<[string, Tree, Record<string, string>, string]>([
    ['the source', { 'index.html': page }, {}, ''],
    ['public before the source', { 'index.html': page, 'public/index.html': page }, {}, '/public'],
    [
      'what a setting says',
      { 'public/index.html': page, 'web/x.html': page },
      { BP_WEB_SERVER_ROOT: '/workspace/web/' },
      '/web',
    ],
    [
      'what a Staticfile says',
      { 'public/index.html': page, 'web/x.html': page, Staticfile: "root: 'web'\r\n" },
      {},
      '/web',
    ],
  ])('is %s', async (_name, app, env, expected) => {
    const { project, exitCode, output } = await build(app, env)
    expect(exitCode, output).toBe(0)
    expect((await configOf(project)).server).toContain(`root "${project.appDir}${expected}";`)
  })

  const built = { 'package.json': JSON.stringify({ scripts: { build: 'node build.js' } }) }
  it.each<[string, Tree, Record<string, string>, string]>([
    ['made', { ...built, 'public/index.html': page, 'dist/index.html': page }, {}, '/dist'],
    ['completed', { ...built, 'public/index.html': page, 'public/app.css': '' }, {}, '/public'],
    ['completed for a setting', { ...built, 'public/index.html': page }, { BP_WEB_SERVER: 'nginx' }, '/public'],
    [
      'made beside a Staticfile, which means the page',
      { ...built, Staticfile: '', 'public/index.html': page, 'dist/index.html': page },
      {},
      '/public',
    ],
  ])('is what a build script of one’s own has %s', async (_name, app, env, expected) => {
    const { project, exitCode, output } = await build(app, env)
    expect(exitCode, output).toBe(0)
    expect((await configOf(project)).server).toContain(`root "${project.appDir}${expected}";`)
  })

  it('is what the front end’s build made, and nothing else stays in the image', async () => {
    const angular = {
      scripts: { build: 'ng build' },
      devDependencies: { '@angular/cli': '20' },
      dependencies: { '@angular/router': '20' },
    }
    const { project, output } = await build({
      'package.json': JSON.stringify(angular),
      'src/main.ts': '',
      'dist/shop/browser/index.html': page,
      'dist/shop/3rdpartylicenses.txt': '',
    })
    expect(output).toContain('Serves dist/shop/browser/: Angular built it')
    expect(output).toContain('push state')
    expect(await readdir(project.appDir, { recursive: true })).toEqual([
      'dist',
      'dist/shop',
      'dist/shop/browser',
      'dist/shop/browser/index.html',
    ])
  })

  it('keeps the source where a Procfile may start something in it', async () => {
    const { project } = await build({ 'public/index.html': page, Procfile: 'worker: x', 'x.sh': '' })
    expect(await readdir(project.appDir)).toEqual(['Procfile', 'public', 'x.sh'])
  })

  it('may be below a path', async () => {
    const env = { BP_WEB_SERVER_LOCATION_PATH: '/team/shop/', BP_WEB_SERVER_ENABLE_PUSH_STATE: 'true' }
    const { project } = await build({ 'public/index.html': page, 'public/404.html': page, 'notes.txt': '' }, env)
    const { http, server } = await configOf(project)
    expect(server).toContain(`root "${project.appDir}/.site";`)
    expect(server).toContain('$uri/ /team/shop/index.html;')
    expect(server).toContain('error_page 404 /team/shop/404.html;')
    expect(http).toContain('"/team/shop/index.html" "W/')
    expect(await readFile(join(project.appDir, '.site/team/shop/index.html'), 'utf8')).toBe(page)
    expect((await readdir(project.appDir)).toSorted()).toEqual(['.site', 'public'])
  })

  it.each<[Tree, Record<string, string>, string]>([
    [
      { 'index.html': page },
      { BP_WEB_SERVER_LOCATION_PATH: 'a b;' },
      'Error: BP_WEB_SERVER_LOCATION_PATH: "a b;" is not a path',
    ],
    [{ 'index.html': page }, { BP_WEB_SERVER_ROOT: 'web' }, 'Error: BP_WEB_SERVER_ROOT: there is no directory web'],
    [{ 'index.html': page }, { BP_WEB_SERVER_ROOT: '../x' }, 'Error: BP_WEB_SERVER_ROOT: ../x is outside the source'],
    [{ Staticfile: 'root: web' }, {}, 'Error: Staticfile root: there is no directory web'],
    [{ 'a.txt': '' }, {}, 'Error: no directory has an index.html: public, dist'],
    [
      {
        'package.json': JSON.stringify({ scripts: { build: 'vite build' }, devDependencies: { vite: '7' } }),
        'index.html': page,
      },
      {},
      'Error: npm run build: Vite made no index.html in dist/',
    ],
    [{ 'index.html': page, _redirects: '/a\n' }, {}, 'Error: _redirects:1: /a has no target'],
    [{ 'index.html': page, _redirects: '\n/a /b soon\n' }, {}, 'Error: _redirects:2: "soon" is not a status'],
    [{ 'index.html': page, _headers: 'X-A: 1\n' }, {}, 'Error: _headers:1: "X-A: 1" is not a path'],
    [{ 'index.html': page, _headers: '/\n  nothing\n' }, {}, 'Error: _headers:2: is not a path or a header'],
  ])('is an error that says what to do: %j with %j', async (app, env, expected) => {
    const { exitCode, output } = await build(app, env)
    expect(exitCode).toBe(1)
    expect(output).toContain(expected)
  })
})

describe('files', () => {
  it('are compressed ahead if that makes them smaller', async () => {
    const { project, output } = await build({
      'index.html': page.repeat(100),
      'small.css': 'a{}',
      'x.png': page.repeat(100),
    })
    expect(output).toContain('3 files; 1 of them compressed')
    expect((await readdir(project.appDir)).toSorted()).toEqual([
      'index.html',
      'index.html.br',
      'index.html.gz',
      'small.css',
      'x.png',
    ])
    const compressed = (suffix: string) => readFile(join(project.appDir, `index.html.${suffix}`))
    expect(gunzipSync(await compressed('gz')).toString()).toBe(page.repeat(100))
    expect(brotliDecompressSync(await compressed('br')).toString()).toBe(page.repeat(100))
  })

  it('that the site’s build compressed stay as they are', async () => {
    const { project } = await build({ 'index.html': page.repeat(100), 'index.html.gz': 'own' })
    expect(await readFile(join(project.appDir, 'index.html.gz'), 'utf8')).toBe('own')
  })

  it('have an ETag by their content', async () => {
    const etag = async (text: string) =>
      /"\/a\.css" "(.*)";/.exec((await configOf((await build({ 'index.html': '', 'a.css': text })).project)).http)?.[1]
    expect(await etag('a')).toMatch(/^W\/\\"[0-9a-f]{20}\\"$/)
    expect(await etag('a')).toBe(await etag('a'))
    expect(await etag('a')).not.toBe(await etag('b'))
  })
})

describe('rules', () => {
  it('of _redirects become nginx’s', async () => {
    const { project } = await build({
      'index.html': page,
      _redirects:
        '/old /new # moved\n/blog/* https://blog.example/:splat 302\n/now /index.html 301!\n/app/* /index.html 200\n/u/:id /user?id=:id 308\n',
    })
    const { server } = await configOf(project)
    for (const line of [
      'if ($request_path ~ "^/old/?$") { return 301 "/new$is_args$args"; }',
      'if ($request_path ~ "^/blog(?:/+(.*))?$") { return 302 "https://blog.example/$1$is_args$args"; }',
      'if ($request_path ~ "^/app(?:/+(.*))?$") { rewrite ^ "/index.html" last; }',
      'if ($request_path ~ "^/u/([^/]+)/?$") { return 308 "/user?id=$1"; }',
    ]) {
      expect(server.replaceAll('\\\\/', '/').replaceAll('\\/', '/')).toContain(line)
    }
    // What wins over files comes before them.
    expect(server.indexOf('"^/now')).toBeLessThan(server.indexOf('location /'))
  })

  it.each([
    ['/a /b 301 Country=de', 'conditions are not supported'],
    ['/a x=1 /b', 'parameters of the query are not supported'],
    ['https://x.example/a /b', 'it is for another host'],
    ['/api/* https://api.example/:splat 200', 'a proxy to another host is not supported'],
    ['/a /$host', 'a "$" is not supported'],
    ['/a /b 299', 'the status 299 is not supported'],
  ])('%j is left out, and said', async (rule, expected) => {
    const { project, output, exitCode } = await build({ 'index.html': page, _redirects: rule })
    expect(exitCode).toBe(0)
    expect(output).toContain(`Warning: _redirects:1: ${expected}`)
    expect((await configOf(project)).server).not.toContain('@redirects')
  })

  it('of _headers: the last one that matches holds', async () => {
    const { project } = await build({
      'index.html': page,
      _headers: '# ours\n/*\n  X-A: 1 "2"\n/b/:id/c\n  x-a: 3\n  Cache-Control: max-age=9\n  ETag: mine\n',
    })
    const { http, server } = await configOf(project)
    expect(server).toContain('add_header X-A $header_0 always;')
    expect(http).toMatch(/\$header_0 \{\ndefault "";\n"~\^\S*b\S*\[\^\/\]\+\S*c\$" "3";\n"~\S*" "1 \\"2\\"";\n\}/)
    expect(http).toMatch(/\$cache_control \{\nvolatile;\ndefault "no-cache";\n"~\^\S*b\S*" "max-age=9";/)
    expect(server).not.toContain('mine')
  })
})

describe('the program that starts it', () => {
  async function start(project: Project, env: Record<string, string>) {
    await chmod(join(project.layersDir, 'nginx/usr/sbin/nginx'), 0o755)
    const options = { env: { PATH: process.env['PATH'], TMPDIR: project.root, ...env } }
    return new Promise<{ status: number; stdout: string; stderr: string }>(resolve => {
      execFile(join(project.layersDir, 'site/bin/serve-site'), options, (error, stdout, stderr) => {
        resolve({ status: error === null ? 0 : Number(error.code), stdout, stderr })
      })
    })
  }

  it('takes the port and the number of processes from the environment', async () => {
    const { project, launch } = await build({ 'index.html': page })
    expect(launch).toEqual({ processes: [{ type: 'web', command: ['serve-site'], default: true }] })
    expect((await start(project, { PORT: '81', WEB_CONCURRENCY: '3' })).stdout).toMatch(
      /worker_processes 3;[\s\S]*listen 81;/,
    )
    expect((await start(project, {})).stdout).toMatch(/worker_processes 1;[\s\S]*listen 8080;/)
    expect(await start(project, { PORT: '80; x' })).toMatchObject({
      status: 1,
      stderr: 'Error: PORT is 80; x, which is not a number\n',
    })
  })

  describe('with variables for pages', () => {
    const html =
      '<!doctype html>\n<html><HEAD\n lang="en"><title>x</title></HEAD><body><header>y</header></body></html>\n'
    /** nginx's configuration, and the pages that were written. */
    async function started(project: Project, env: Record<string, string>) {
      const { stdout, stderr, status } = await start(project, env)
      expect(status, stderr).toBe(0)
      const dir = /pid (\S+)\/nginx\.pid;/.exec(stdout)?.[1] ?? ''
      const read = (path: string) => readFile(join(dir, 'pages', path), 'utf8')
      return { stdout, stderr, dir, read, version: /\$page_version { default "(.*)"; }/.exec(stdout)?.[1] }
    }

    it('writes PUBLIC_WEB_ into the head of the first page, as text', async () => {
      const { project } = await build({ 'index.html': html, 'other.html': html })
      const { http } = await configOf(project)
      expect(http).toMatch(/"\/index\.html" "W\/\\"[0-9a-f]{20}\$page_version\\"";/)
      expect(http).toMatch(/"\/" "W\/\\"[0-9a-f]{20}\$page_version\\"";/)
      expect(http).toMatch(/"\/other\.html" "W\/\\"[0-9a-f]{20}\\"";/)
      const { stdout, dir, read, version } = await started(project, {
        PUBLIC_WEB_API_URL: 'https://a.example/?x=1&y=|2\\n',
        PUBLIC_WEB_TEXT: '"><script>alert(1)</script>\nPUBLIC_WEB_FORGED=$(id)',
        PUBLIC_OTHER: 'not this',
        SECRET: 'nor this',
      })
      expect(await read('index.html')).toBe(
        html.replace(
          '<HEAD',
          '<head data-public_web_api_url="https://a.example/?x=1&amp;y=|2\\n" ' +
            'data-public_web_text="&quot;>&lt;script>alert(1)&lt;/script>&#10;PUBLIC_WEB_FORGED=$(id)"',
        ),
      )
      expect(stdout).toContain(`location = "/index.html" { root "${dir}/pages"; gzip on;`)
      expect(stdout).toContain('location = "/index" { rewrite ^ "/index.html" last; }')
      expect(await readdir(join(dir, 'pages'))).toEqual(['index.html'])
      expect(version).toMatch(/^-\d+$/)
      // Another value is another page, for caches too.
      expect((await started(project, { PUBLIC_WEB_API_URL: 'b' })).version).not.toBe(version)
    })

    it.each([
      [
        '<!DOCTYPE html>\n<html lang="en"><title>',
        '<!DOCTYPE html>\n<html lang="en"><head data-public_web_a="&amp;"><title>',
      ],
      ['<!doctype html><title>', '<!doctype html><head data-public_web_a="&amp;"><title>'],
      ['<header>', '<head data-public_web_a="&amp;"><header>'],
      ['<head/><head>', '<head data-public_web_a="&amp;"/><head>'],
    ])('finds where the head starts in %j', async (text, expected) => {
      const { project } = await build({ 'index.html': text })
      expect(await (await started(project, { PUBLIC_WEB_A: '&' })).read('index.html')).toBe(expected)
    })

    it('has a page of any name, and leaves the short path to the file that has it', async () => {
      const toml = `[com.heroku.static-web-server.runtime_config]\nhtml_files = ["übersicht.html", "b.html"]\n`
      const { project } = await build({
        'index.html': '',
        'übersicht.html': html,
        'b.html': html,
        b: 'b',
        'project.toml': toml,
      })
      const { read, stdout } = await started(project, { PUBLIC_WEB_A: '1' })
      expect(await read('übersicht.html')).toContain('<head data-public_web_a="1"')
      expect(stdout).toContain('location = "/übersicht" { rewrite ^ "/übersicht.html" last; }')
      expect(stdout).not.toContain('location = "/b" ')
    })

    it('leaves all as it is without them', async () => {
      const { project } = await build({ 'index.html': html })
      const { stdout, version } = await started(project, {})
      expect(version).toBe('')
      expect(stdout).not.toContain('/pages')
    })

    it('writes the pages that project.toml names, below their path, or none', async () => {
      const toml = (text: string) => `[com.heroku.static-web-server]\nroot = "web"\n${text}`
      const pages = { 'web/a.html': html, 'web/b/index.html': page }
      const named = toml('[com.heroku.static-web-server.runtime_config]\nhtml_files = ["a.html", "/b/index.html"]\n')
      const { project } = await build({ ...pages, 'project.toml': named }, { BP_WEB_SERVER_LOCATION_PATH: '/shop' })
      const { read } = await started(project, { PUBLIC_WEB_A: '1' })
      expect(await read('shop/a.html')).toContain('<head data-public_web_a="1"\n lang')
      expect(await read('shop/b/index.html')).toBe(`<head data-public_web_a="1">${page}`)
      const off = toml('[com.heroku.static-web-server.runtime_config]\nenabled = false\n')
      const { project: without } = await build({ ...pages, 'web/index.html': html, 'project.toml': off })
      expect(await without.read('layers/site/bin/serve-site')).not.toContain('PUBLIC_WEB_')
    })
  })

  it('fills in the application’s own nginx.conf, with the application as the prefix', async () => {
    const text =
      "events {}\nhttp { # it's $uri\n server { listen {{port}}; root public; return 200 '{{env \"NAME\"}}'; } }\n"
    const { project, output } = await build({ 'public/index.html': page, 'nginx.conf': text })
    expect(output).toContain('nginx runs with nginx.conf')
    const { stdout } = await start(project, { PORT: '81', NAME: 'a$b`c' })
    expect(stdout).toContain('access_log')
    expect(stdout).toContain("# it's $uri\n server { listen 81; root public; return 200 'a$b`c'; } }")
    expect(await project.read('layers/site/bin/serve-site')).toContain(`-p ${project.appDir} -c`)
    expect(await start(project, { PORT: '80; x' })).toMatchObject({ status: 1 })
  })

  it('asks for the passwords of a binding, and does not start without them', async () => {
    const project = await siteProject({ 'index.html': page })
    const bindings = join(project.root, 'platform/bindings')
    await mkdir(join(bindings, 'users'), { recursive: true })
    await writeFile(join(bindings, 'users/type'), ' htpasswd \r\n')
    await writeFile(join(bindings, 'users/.htpasswd'), 'ada:{PLAIN}secret')
    const { output } = await project.build()
    expect(output).toContain('The site requires a password: the binding users')
    expect(await start(project, { SERVICE_BINDING_ROOT: '/nowhere' })).toMatchObject({ status: 1 })
    const { stdout } = await start(project, { SERVICE_BINDING_ROOT: bindings })
    expect(stdout).toContain(`auth_basic_user_file "${join(bindings, 'users/.htpasswd')}";`)
    // Another one has no effect, and both the build and the start say so.
    await mkdir(join(bindings, 'z-others'))
    await writeFile(join(bindings, 'z-others/type'), 'Htpasswd')
    await writeFile(join(bindings, 'z-others/.htpasswd'), 'bob:{PLAIN}secret')
    expect((await project.build()).output).toContain('The binding z-others of the type htpasswd has no effect')
    const second = await start(project, { SERVICE_BINDING_ROOT: bindings })
    expect(second.stdout).toContain(`auth_basic_user_file "${join(bindings, 'users/.htpasswd')}";`)
    expect(second.stderr).toContain(`Warning: ${join(bindings, 'z-others')} has no effect`)
    // Nothing of them is in the image.
    expect(await project.read('layers/site/bin/serve-site')).not.toContain('secret')
  })

  it('takes nginx and nothing else that it depends on', async () => {
    const { project } = await build({ 'index.html': page })
    const files = await readdir(join(project.layersDir, 'nginx'), { recursive: true, withFileTypes: true })
    expect(
      files
        .filter(file => file.isFile())
        .map(file => file.name)
        .toSorted(),
    ).toEqual([
      'copyright',
      'libnginx-mod-http-brotli-static',
      'mime.types',
      'nginx',
      'nginx',
      'nginx-common',
      'ngx_http_brotli_static_module.so',
    ])
  })
})

describe('project.toml as Heroku’s static-web-server has it', () => {
  const section = 'com.heroku.static-web-server'
  const site = (text: string, more: Tree = {}) => ({ 'site/main.html': page, 'project.toml': text, ...more })

  it('says what is served, and how', async () => {
    const text = `[${section}]
root = "site"
index = "main.html"
[${section}.errors.404]
file_path = "errors/lost.html"
[${section}.headers."*"]
X-All = "yes"
[${section}.headers."/images/*"]
Cache-Control = "max-age=60"
`
    const app = site(text, { 'site/errors/lost.html': page, 'site/_headers': '/b\n  X-All: b\n' })
    expect(await (await siteProject(app)).detect()).toMatchObject({
      exitCode: 0,
      output: 'static site: project.toml\n',
    })
    const { project, output, exitCode } = await build(app)
    expect(exitCode, output).toBe(0)
    expect(output).toContain('Serves site/: project.toml')
    const { http, server } = await configOf(project)
    expect(server).toContain('index "main.html";')
    expect(server).toContain('error_page 404 /errors/lost.html;')
    const plain = http.replaceAll('\\\\/', '/')
    // What a line of _headers says comes first, since nginx takes the first that matches.
    expect(plain).toContain('map $request_path $header_0 {\ndefault "";\n"~^/b$" "b";\n"~^/.*$" "yes";\n}')
    expect(plain).toContain('"~^/images/.*$" "max-age=60";')
    expect(plain).toContain('"/" "W/')
  })

  it('has one page answer for all that is not a file', async () => {
    const text = `[${section}]\nroot = "site"\n[${section}.errors.404]\nfile_path = "main.html"\nstatus = 200\n`
    const { project, output } = await build(site(text))
    expect(output).toContain('main.html answers paths')
    expect((await configOf(project)).server).toContain('try_files $uri $uri.html $uri/ /main.html;')
  })

  it('names the command that makes the site', async () => {
    const command = `[${section}]\nroot = "made"\n[${section}.build]\ncommand = "sh"\nargs = ["-c", "mkdir made; echo x >made/index.html"]\n`
    const { project, output, exitCode } = await build({ 'project.toml': command })
    expect(exitCode, output).toBe(0)
    expect(await readFile(join(project.appDir, 'made/index.html'), 'utf8')).toBe('x\n')
  })

  it('has what it does not know left out with a warning', async () => {
    const { output, exitCode } = await build(
      site(`[${section}]\nroot = "site"\nclean_urls = true\n[${section}.errors.500]\nfile_path = "x"\n`),
    )
    expect(exitCode, output).toBe(0)
    expect(output).toContain(`Warning: project.toml:3 ${section}.clean_urls is unknown and is ignored`)
    expect(output).toContain(`Warning: project.toml:4 ${section}.errors.500 is unknown and is ignored`)
  })

  it('is not a part of the site', async () => {
    const { project } = await build({ 'index.html': page, 'project.toml': `[${section}]\n` })
    expect((await configOf(project)).http).not.toContain('project.toml')
    expect((await configOf(project)).server).toContain('|project\\.toml|static\\.json)$" { return 404; }')
  })

  it.each([
    ['root = 1', `project.toml:2 ${section}.root: not a string but a number`],
    ['root = "absent"', `project.toml ${section}.root: there is no directory absent`],
    ['index = "../x"', `project.toml:3 ${section}.index: "../x" is not a path in the site`],
    ['index = "a;b"', `project.toml:3 ${section}.index: "a;b" is not a path in the site`],
    [
      `[${section}.errors.404]\nfile_path = "lost.html"`,
      `project.toml:4 ${section}.errors.404.file_path: there is no page lost.html in site`,
    ],
    [
      `[${section}.errors.404]\nfile_path = "main.html"\nstatus = 500`,
      `project.toml:5 ${section}.errors.404.status: 500 is not a valid status here`,
    ],
    [`[${section}.headers."x"]\nA = "b"`, `project.toml:4 ${section}.headers.x.A: "x" is not a path`],
    [`[${section}.headers."*"]\n"A B" = "b"`, `project.toml:4 ${section}.headers."*"."A B": "A B" is not a header`],
    [
      `[${section}.build]\ncommand = "sh"\nargs = "x"`,
      `project.toml:5 ${section}.build.args: not an array of strings but a string`,
    ],
    [
      `[${section}.runtime_config]\nhtml_files = ["x.html"]`,
      `project.toml:4 ${section}.runtime_config.html_files: there is no page x.html in the site`,
    ],
    [`[${section}.runtime_config]\nhtml_files = ["it's.html"]`, `html_files: "it's.html" is not a path in the site`],
    [`[${section}.runtime_config]\nenabled = "false"`, 'runtime_config.enabled: not true or false but a string'],
    ['headers = "x"', `project.toml:3 ${section}.headers: not a table but a string`],
  ])('is an error with its place: %j', async (text, message) => {
    const own = text.startsWith('root') || text.startsWith('[') ? '' : 'root = "site"\n'
    const root = text.startsWith('[') ? `[${section}]\nroot = "site"\n` : `[${section}]\n${own}`
    const { output, exitCode } = await build(site(`${root}${text}\n`))
    expect(output).toMatch(/^Error: project\.toml[: ]/m)
    expect(output).toContain(message)
    expect(exitCode).toBe(1)
  })
})

it('the types of files have no ending twice, which nginx would warn of', async () => {
  const { project } = await build({ 'index.html': page })
  const { http } = await configOf(project)
  const endings = http.match(/types \{\n([\s\S]*?)\}/)?.[1]?.split('\n')
  expect(endings).toEqual([
    'text/html html htm shtml;',
    'image/svg+xml svg svgz;',
    'text/javascript js;',
    'text/javascript mjs;',
    'application/manifest+json webmanifest;',
    'text/markdown md;',
    'image/avif avif;',
    '',
  ])
})

describe('static.json', () => {
  const site = (value: object): Tree => ({
    'static.json': JSON.stringify(value),
    'dist/index.html': page,
    'dist/errors/lost.html': page,
  })

  it('says what is served and how, as Heroku’s buildpack for static sites reads it', async () => {
    const app = site({
      root: 'dist/',
      https_only: true,
      clean_urls: true,
      error_page: 'errors/lost.html',
      routes: { '/api/*': 'api.html', '/**': 'index.html' },
      redirects: { '/old/': { url: '/new/', status: 302 }, '/x': { url: 'https://a.example/' } },
      headers: { '/**': { 'X-All': 'yes' }, '/img/*.png': { 'Cache-Control': 'max-age=60' } },
    })
    expect((await (await siteProject(app)).detect()).output).toContain('static site: static.json')
    const { project, output, exitCode } = await build(app)
    expect(exitCode, output).toBe(0)
    expect(output).not.toContain('Warning')
    expect(output).toContain('Serves dist/: static.json')
    const { http, server: escaped } = await configOf(project)
    const server = escaped.replaceAll('\\\\/', '/')
    expect(server).toContain('error_page 404 /errors/lost.html;')
    expect(server).toContain('return 301 https://$host$request_uri;')
    expect(server).toContain('if ($request_path ~ "^/old/$") { return 302 "/new/$is_args$args"; }')
    expect(server).toContain('if ($request_path ~ "^/x$") { return 301 "https://a.example/$is_args$args"; }')
    expect(server).toContain('if ($request_path ~ "^/api/[^/]*$") { rewrite ^ "/api.html" last; }')
    expect(server).toContain('if ($request_path ~ "^(?:/+(.*))?$") { rewrite ^ "/index.html" last; }')
    expect(http).toContain('"~^\\\\/img\\\\/[^/]*\\\\.png$" "max-age=60";')
    expect(await readdir(project.appDir)).toEqual(['dist'])
  })

  it('serves public_html where it names no root', async () => {
    const { output } = await build({
      'static.json': '{"routes":{}}',
      'public_html/index.html': page,
      'index.html': page,
    })
    expect(output).toContain('Serves public_html/: static.json')
  })

  it('has rules for paths of the site, where that is below a path', async () => {
    const app = site({ root: 'dist', redirects: { '/a': { url: '/b' } } })
    const { project } = await build(app, { BP_WEB_SERVER_LOCATION_PATH: '/shop' })
    expect((await configOf(project)).server.replaceAll('\\\\/', '/')).toContain(
      'if ($request_path ~ "^/shop/a$") { return 301 "/shop/b',
    )
  })

  it('says what it leaves out', async () => {
    const { output } = await build(
      site({ root: 'dist', proxies: { '/api/': { origin: '${API}' } }, redirects: { '/a': { url: '${URL}' } }, x: 1 }),
    )
    expect(output).toContain('Warning: static.json proxies is not supported and is ignored')
    expect(output).toContain('nginx.conf with templates can have proxy_pass')
    expect(output).toContain('Warning: static.json x is not supported')
    expect(output).toMatch(/Warning: static\.json redirects\S*\.url: a "\$" is not supported/)
  })

  it.each<[string, string]>([
    ['{ "root": ', 'static.json: not JSON'],
    ['{ "root": "web" }', 'static.json: there is no directory web'],
    ['{ "root": "dist", "routes": { "a": "b" } }', '"a" is not a path'],
    ['{ "root": "dist", "error_page": "none.html" }', 'static.json error_page: there is no page none.html in dist'],
    ['{ "root": "dist", "redirects": { "/a": { "url": "/b", "status": 200 } } }', '200 is not a status of a redirect'],
  ])('is an error with its place: %s', async (text, message) => {
    const { output, exitCode } = await build({ ...site({}), 'static.json': text, Staticfile: '' })
    expect(exitCode).toBe(1)
    expect(output).toContain(message)
  })

  it('is not taken for one where it is another tool’s', async () => {
    expect((await (await siteProject({ 'static.json': '{"name":"x"}' })).detect()).exitCode).toBe(100)
  })
})

describe('Staticfile', () => {
  const serverOf = async (lines: readonly string[], app: Tree = {}) => {
    const { project, output } = await build({ 'index.html': page, ...app, Staticfile: `${lines.join('\n')}\n` })
    return { ...(await configOf(project)), output }
  }

  it('has pages for errors, lists of files, files with a dot and HTTPS for a year', async () => {
    const lines = [
      'directory: visible',
      'host_dot_files: true',
      'status_codes:',
      '  404: /lost.html',
      '  503: /busy.html',
    ]
    const { server, http, output } = await serverOf([...lines, 'http_strict_transport_security: true'], {
      'lost.html': page,
      'busy.html': page,
      '.hidden/a.txt': 'a',
    })
    expect(output).not.toContain('Warning')
    expect(server).toContain('autoindex on;')
    expect(server).toContain('error_page 404 /lost.html;')
    expect(server).toContain('error_page 503 /busy.html;')
    expect(server).not.toContain('(?!well-known')
    expect(http).toContain('"/.hidden/a.txt" "W/')
    expect(http).toContain('"max-age=31536000"')
  })

  it('has pages with other files in them: neither compressed nor taken for the same as before', async () => {
    const long = `<!--# include file="/part.html" -->${'<p>text</p>'.repeat(100)}`
    const app = { 'long.html': long, 'old.shtml': long, 'style.css': 'p { color: red }\n'.repeat(100) }
    const { project, output } = await build({ 'index.html': page, ...app, Staticfile: 'ssi: enabled\n' })
    const { server, http } = await configOf(project)
    expect(output).not.toContain('Warning')
    expect(server).toContain('ssi on;')
    expect(http).toContain('"/style.css" "W/')
    expect(http).not.toMatch(/"\/(long|old|index)[^"]*" "W\//)
    expect(output).toContain('1 of them compressed')
  })

  it('says what it leaves out, with its line', async () => {
    const { server, output } = await serverOf(['root: .', 'location_include: a.conf'])
    expect(output).toContain('Warning: Staticfile:2 location_include is not supported and is ignored')
    expect(server).not.toContain('autoindex')
    expect(server).toContain('(?!well-known')
  })
})

describe('a site that Hugo makes', () => {
  const hugo = `#!/bin/sh
mkdir -p "\${OUT:-public}" && echo "<p>$HUGO_ENVIRONMENT</p>" >"\${OUT:-public}/index.html"
`
  const source = { 'content/_index.md': '# Start', 'layouts/index.html': '' }

  it.each<[string, Tree, Record<string, string>, string]>([
    ['hugo.toml', { 'hugo.toml': 'title = "Site"' }, {}, 'Serves public/: Hugo built it (hugo.toml)'],
    ['config.yaml', { 'config.yaml': 'publishDir: web\n' }, { OUT: 'web' }, 'Serves web/: Hugo built it (config.yaml)'],
  ])('is built with Debian’s Hugo: %s', async (_name, config, env, expected) => {
    const project = await siteProject({ ...source, ...config }, env, {
      hugo: { version: '0.131.0-1', depends: ['libwebp7'], files: { 'usr/bin/hugo': hugo } },
      libwebp7: { version: '1.5.0', files: { 'usr/lib/x86_64-linux-gnu/libwebp.so.7': 'ELF' } },
    })
    expect((await project.detect()).exitCode).toBe(0)
    const { exitCode, output, layers } = await project.build()
    expect(exitCode, output).toBe(0)
    expect(output).toContain(expected)
    expect(layers['hugo']?.types).toEqual({ launch: false, build: true, cache: true })
    expect(await readdir(project.appDir)).toEqual([env['OUT'] ?? 'public'])
    expect(await project.read(`workspace/${env['OUT'] ?? 'public'}/index.html`)).toBe('<p>production</p>\n')
  })

  it('is not taken for one for another tool’s config.json', async () => {
    expect((await (await siteProject({ 'config.json': '{}', 'content/a.md': '' })).detect()).exitCode).toBe(100)
  })
})

describe('a book that mdBook makes', () => {
  const mdbook = `#!/bin/sh
mkdir -p "\${OUT:-book}" && echo '<p>Chapter</p>' >"\${OUT:-book}/index.html"
`
  const debian = { mdbook: { version: '0.4.48+ds-2', files: { 'usr/bin/mdbook': mdbook } } }
  const book = { 'book.toml': '[book]\ntitle = "Book"\n', 'src/SUMMARY.md': '# Summary' }

  it.each<[string, Tree, Record<string, string>, string]>([
    ['as it is usual', book, {}, 'book'],
    ['elsewhere', { ...book, 'book.toml': '[book]\n[build]\nbuild-dir = "site"\n' }, { OUT: 'site' }, 'site'],
    ['with a second output', book, { OUT: 'book/html' }, 'book/html'],
  ])('is built with Debian’s mdBook: %s', async (_name, app, env, root) => {
    const project = await siteProject(app, env, debian)
    expect((await project.detect()).exitCode).toBe(0)
    const { exitCode, output, layers } = await project.build()
    expect(exitCode, output).toBe(0)
    expect(output).toContain(`Serves ${root}/: mdBook built it (book.toml)`)
    expect(layers['mdbook']?.types).toEqual({ launch: false, build: true, cache: true })
    expect(await project.read(`workspace/${root}/index.html`)).toBe('<p>Chapter</p>\n')
  })

  it.each<[string, Tree, Record<string, string>]>([
    ['a setting names', { ...book, 'book/index.html': page }, { BP_WEB_SERVER_ROOT: 'book' }],
    ['are there', { ...book, 'public/index.html': page }, {}],
  ])('gives way to pages that %s', async (_name, app, env) => {
    const { exitCode, output } = await (await siteProject(app, env)).build()
    expect(exitCode, output).toBe(0)
    expect(output).not.toContain('mdBook')
  })

  it('is not taken for one for another tool’s book.toml', async () => {
    expect((await (await siteProject({ 'book.toml': 'isbn = 1' })).detect()).exitCode).toBe(100)
  })
})

describe('the page for paths that are no file', () => {
  const fallbackOf = async (app: Tree, env: Record<string, string> = {}) => {
    const { project, exitCode, output } = await build(app, env)
    expect(exitCode, output).toBe(0)
    return /location \/ \{ try_files \S+ \S+ \S+ (\S+); \}/.exec((await configOf(project)).server)?.[1]
  }

  it('is 200.html where the site has one, unless the user wants none', async () => {
    const app = { 'index.html': page, '200.html': page }
    expect(await fallbackOf({ 'index.html': page })).toBe('=404')
    expect(await fallbackOf(app)).toBe('/200.html')
    expect(await fallbackOf(app, { BP_WEB_SERVER_LOCATION_PATH: '/shop' })).toBe('/shop/200.html')
    expect(await fallbackOf(app, { BP_WEB_SERVER_ENABLE_PUSH_STATE: 'false' })).toBe('=404')
    expect(await fallbackOf({ 'index.html': page }, { BP_WEB_SERVER_ENABLE_PUSH_STATE: 'true' })).toBe('/index.html')
  })
})
